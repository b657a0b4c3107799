package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/provision/credentials"
	"github.com/sharearefund/scim-bridge/provision/lint"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/scim/server"
	"github.com/sharearefund/scim-bridge/store"
)

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRates(2, 3)
		for i := range 3 {
			if wait := r.take("a"); wait != 0 {
				t.Fatalf("request %d of the burst waits %s", i, wait)
			}
		}
		if wait := r.take("a"); wait != 500*time.Millisecond {
			t.Errorf("the fourth waits %s", wait)
		}
		if wait := r.take("b"); wait != 0 {
			t.Errorf("another credential waits %s", wait)
		}
		time.Sleep(500 * time.Millisecond)
		if wait := r.take("a"); wait != 0 {
			t.Errorf("after the wait it waits %s: refused requests used the limit up", wait)
		}
	})
	if newRates(0, 5).take("a") != 0 {
		t.Error("no limit limits")
	}
}

func TestFailures(t *testing.T) {
	type recorded struct {
		Action, ID, Detail string
		Status             int
	}
	var got []recorded
	dropped := 0
	f := &failures{
		queue:   make(chan server.FailedRequest, 2),
		dropped: func() { dropped++ },
		record: func(_ context.Context, _ scim.Caller, action, id string, status int, detail string) {
			got = append(got, recorded{action, id, detail, status})
		},
	}
	for _, r := range []server.FailedRequest{
		{Method: "POST", Route: "/scim/v2/Users", Status: 409, Type: "uniqueness", Detail: "taken"},
		{Method: "PATCH", Route: "/scim/v2/Users/{id}", ID: "x", Status: 503, Detail: "later"},
		{Method: "POST", Route: "/scim/v2/Bulk", Status: 501},
	} {
		f.add(t.Context(), r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.run(ctx) // it records what waits before it ends
	want := []recorded{{"user.create", "", "uniqueness: taken", 409}, {"user.patch", "x", "later", 503}}
	if d := cmp.Diff(want, got); d != "" || dropped != 1 {
		t.Errorf("%d dropped; %s", dropped, d)
	}
	if a := action("POST", "/scim/v2/Bulk"); a != "request.create" {
		t.Error(a)
	}
	if a := action("PROPFIND", "unmatched"); a != "request.propfind" {
		t.Error(a)
	}
}

// fakeStore answers what the credentials ask.
type fakeStore struct {
	store.Store
	err error
}

func (f *fakeStore) AppendRequests(context.Context, []*store.Request) error { return f.err }

func (f *fakeStore) Generation(context.Context) (int64, error) { return 1, f.err }

func (f *fakeStore) CredentialByHash(context.Context, []byte) (*store.Credential, error) {
	return nil, store.ErrNotFound
}

func TestAuthenticator(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		header []string
		want   int // 0: an error that the SCIM handler answers 503
	}{
		{"nothing", nil, nil, 401},
		{"rubbish", nil, []string{"Bearer x"}, 401},
		{"two headers", nil, []string{"Bearer x", "Bearer x"}, 401},
		{"the store is down (I8)", errors.New("down"), []string{"Bearer demo"}, 0},
		{"an unknown token", nil, []string{"Bearer demo"}, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			creds, err := credentials.New(credentials.Options{Store: &fakeStore{err: tt.err}, AllowShort: true})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("GET", "/scim/v2/Users", nil)
			r.Header["Authorization"] = tt.header
			_, err = authenticator(creds, nil, nil)(r)
			refusal, isRefusal := errors.AsType[*scim.Error](err)
			switch {
			case err == nil:
				t.Error("accepted")
			case tt.want == 0 && isRefusal:
				t.Errorf("answered %d", refusal.Status)
			case tt.want != 0 && (!isRefusal || refusal.Status != tt.want || refusal.Detail == ""):
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestHealthIsLookedAtOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		h := &health{now: time.Now, look: func(ctx context.Context) Health {
			looks++
			if _, ok := ctx.Deadline(); !ok {
				t.Error("a look has no deadline")
			}
			return Health{Status: fmt.Sprint(looks)}
		}}
		for range 10 {
			if got := h.current(t.Context()).Status; got != "1" {
				t.Errorf("look %s", got)
			}
		}
		time.Sleep(healthFor)
		if got := h.current(t.Context()).Status; got != "2" {
			t.Errorf("look %s", got)
		}
	})
}

func TestStatusClass(t *testing.T) {
	for status, want := range map[int]string{
		200: "2xx", 201: "2xx", 304: "3xx", 400: "4xx", 401: "401", 404: "404", 409: "409", 412: "4xx",
		429: "429", 500: "5xx", 503: "503", 0: "other", 99: "other", 1000: "other",
	} {
		if got := statusClass(status); got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
}

func TestFindingsInMetrics(t *testing.T) {
	m := newMetrics("test")
	found := func() string {
		w := httptest.NewRecorder()
		m.handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}
	row := `scim_bridge_findings{code="no-email",severity="error",tenant="acme"} 5`
	m.foundByTenant(map[string][]lint.Report{
		"acme":   {{Code: "no-email", Severity: lint.Error, Client: "okta", Subjects: 3}, {Code: "no-email", Severity: lint.Error, Subjects: 2}},
		"globex": nil,
	})
	if !strings.Contains(found(), row) {
		t.Errorf("%s is missing", row)
	}
	m.foundByTenant(nil)
	if strings.Contains(found(), "scim_bridge_findings{") {
		t.Error("what is over still shows")
	}
}
