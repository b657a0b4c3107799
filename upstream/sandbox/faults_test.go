package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// listen serves the world's sandbox on a loopback connection, for what a recorder cannot show.
func (w *world) listen() (base string, client *http.Client) {
	server := httptest.NewServer(w.Handler())
	client = server.Client()
	w.t.Cleanup(func() {
		client.CloseIdleConnections()
		_ = w.Sandbox.Close() // releases what hangs; the world's own cleanup reports the error
		server.Close()
	})
	return server.URL, client
}

func request(t testing.TB, ctx context.Context, method, address, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+acme)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func fetch(t testing.TB, client *http.Client, r *http.Request) (status int, header http.Header, body string, err error) {
	t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), errors.Join(err, resp.Body.Close())
}

const inviteOne = `{"Users":[{"Email":"jamie@example.com"}],"OrganizationIds":[113]}`

func (w *world) faultsAre(rules ...Rule) {
	w.t.Helper()
	if err := w.SetFaults(rules); err != nil {
		w.t.Fatal(err)
	}
}

func TestFaultAnswers(t *testing.T) {
	for _, tc := range []struct {
		name      string
		rule      Rule
		status    int
		kind      string
		check     func(body string) bool
		effect    bool
		transport bool // the connection ends without an answer
	}{
		{"a status", Rule{Status: 503, RetryAfter: "Fri, 01 Jan 2027 00:00:00 GMT"}, 503, "application/json",
			func(b string) bool { return strings.Contains(b, `"code":"unavailable"`) }, false, false},
		{"a page for a status", Rule{Status: 502, Body: "html"}, 502, "text/html; charset=utf-8",
			func(b string) bool { return strings.HasPrefix(b, "<!DOCTYPE html>") }, false, false},
		{"a page", Rule{Body: "html"}, 200, "text/html; charset=utf-8",
			func(b string) bool { return strings.HasPrefix(b, "<!DOCTYPE html>") }, true, false},
		{"half an answer", Rule{Body: "truncated"}, 200, "application/json",
			func(b string) bool { return strings.HasPrefix(b, `{"Results":[{"Email"`) && !strings.HasSuffix(b, "}") }, true, false},
		{"garbage", Rule{Body: "garbage"}, 200, "application/json",
			func(b string) bool { return strings.HasPrefix(b, "\x00\xff") }, true, false},
		{"nothing", Rule{Body: "empty"}, 200, "application/json", func(b string) bool { return b == "" }, true, false},
		{"a cut before the effect", Rule{Cut: "before"}, 0, "", nil, false, true},
		{"a cut after the effect", Rule{Cut: "after"}, 0, "", nil, true, true},
		{"a short delay", Rule{DelayMS: 1}, 200, "application/json",
			func(b string) bool { return strings.Contains(b, `"invited"`) }, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			base, client := w.listen()
			tc.rule.Operation = "invite_users"
			w.faultsAre(tc.rule)
			r := request(t, t.Context(), "POST", base+"/platform/invites", inviteOne)
			r.GetBody = nil // the transport must not send the call again
			status, header, body, err := fetch(t, client, r)
			if (err != nil) != tc.transport {
				t.Fatalf("error %v, want one: %v", err, tc.transport)
			}
			equal(t, "entries", len(w.Ledger()), map[bool]int{true: 1}[tc.effect])
			equal(t, "calls", w.Stats().Calls["invite_users"], int64(1))
			equal(t, "fired", w.Faults()[0].Fired, 1)
			if tc.transport {
				return
			}
			equal(t, "answer", []any{status, header.Get("Content-Type"), header.Get("Retry-After")}, []any{tc.status, tc.kind, tc.rule.RetryAfter})
			if !tc.check(body) {
				t.Errorf("body: %q", body)
			}
		})
	}
}

func TestFaultsApplyToMatchingCalls(t *testing.T) {
	w := newWorld(t, Options{})
	w.faultsAre(
		Rule{Operation: "list_roles", Credential: "acme", After: 1, Times: 2, Status: 503},
		Rule{Operation: "list_roles", Credential: "globex", Times: 1, Status: 500},
		Rule{Operation: "create_token", Credential: "acme", Status: 502},
		Rule{Operation: "*", Credential: "globex", After: 1, Times: 1, Status: 429, RetryAfter: "7"},
	)
	var got []int
	for range 5 {
		got = append(got, w.do(acme, "GET", "/platform/roles", "").status)
	}
	equal(t, "acme", got, []int{200, 503, 503, 200, 200})
	got = nil
	for range 3 {
		r := w.do(globex, "GET", "/platform/roles", "")
		got = append(got, r.status)
	}
	equal(t, "globex", got, []int{500, 429, 200})
	equal(t, "token", w.form(map[string][]string{"grant_type": {"client_credentials"}, "client_id": {"acme"}}).status, 502)
	equal(t, "another operation", w.do(acme, "GET", "/platform/organizations", "").status, 200)
	var fired []string
	for _, r := range w.Faults() {
		fired = append(fired, fmt.Sprintf("%d/%d", r.Fired, r.Seen))
	}
	equal(t, "fired of seen", fired, []string{"2/5", "1/3", "1/1", "1/3"})
	w.faultsAre()
	equal(t, "replaced", w.do(acme, "GET", "/platform/roles", "").status, 200)
}

func TestFaultRulesAreChecked(t *testing.T) {
	w := newWorld(t, Options{})
	for _, tc := range []struct {
		rule    Rule
		wantErr string
	}{
		{Rule{Operation: "invite"}, `unknown operation "invite"`},
		{Rule{Operation: "*", Cut: "middle"}, "cut"},
		{Rule{Operation: "*", Body: "xml"}, "body"},
		{Rule{Operation: "*", When: "never"}, "when"},
		{Rule{Operation: "*", Times: -1}, "negative"},
		{Rule{Operation: "*", Status: 200}, "status"},
		{Rule{Operation: "*", RetryAfter: "1"}, "retry_after"},
		{Rule{Operation: "*", StaleMS: 1 << 30}, "stale_ms"},
		{Rule{Operation: "*", KillPID: 4242}, "kill_pid"},
	} {
		err := w.SetFaults([]Rule{{Operation: "get_user", Status: 500}, tc.rule})
		if err == nil || !strings.Contains(err.Error(), tc.wantErr) || !strings.Contains(err.Error(), "rules[1]") {
			t.Errorf("%+v: got %v, want %q", tc.rule, err, tc.wantErr)
		}
	}
	equal(t, "rules", w.Faults(), []RuleStatus{})
	open := newWorld(t, Options{Control: true})
	for _, pid := range []int{1, -1} {
		if err := open.SetFaults([]Rule{{Operation: "*", KillPID: pid}}); err == nil {
			t.Errorf("process %d: no error", pid)
		}
	}
}

func TestHang(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		t.Run("until the client leaves, "+when, func(t *testing.T) {
			w := newWorld(t, Options{})
			base, client := w.listen()
			w.faultsAre(Rule{Operation: "invite_users", Hang: true, When: when, Gate: "g"})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				_, _, _, err := fetch(t, client, request(t, ctx, "POST", base+"/platform/invites", inviteOne))
				done <- err
			}()
			if err := w.AwaitGate(t.Context(), "g", 1); err != nil {
				t.Fatal(err)
			}
			if err := w.OpenGate("g"); err != nil {
				t.Fatal(err)
			}
			equal(t, "entries", len(w.Ledger()), map[string]int{"after": 1}[when])
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("until the sandbox closes", func(t *testing.T) {
		w := newWorld(t, Options{})
		base, client := w.listen()
		w.faultsAre(Rule{Operation: "list_roles", Hang: true, Gate: "g"})
		done := make(chan error, 1)
		go func() {
			_, _, _, err := fetch(t, client, request(t, t.Context(), "GET", base+"/platform/roles", ""))
			done <- err
		}()
		if err := w.AwaitGate(t.Context(), "g", 1); err != nil {
			t.Fatal(err)
		}
		if err := w.OpenGate("g"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err == nil {
			t.Error("the held call was answered")
		}
		equal(t, "after closing", w.do(acme, "GET", "/platform/roles", "").status, 503)
	})
}

func TestGates(t *testing.T) {
	for _, when := range []string{"", "before", "after"} {
		t.Run("when "+when, func(t *testing.T) {
			w := newWorld(t, Options{})
			base, client := w.listen()
			w.faultsAre(Rule{Operation: "invite_users", Times: 1, Gate: "first", When: when})
			held := make(chan string, 1)
			go func() {
				_, _, body, err := fetch(t, client, request(t, t.Context(), "POST", base+"/platform/invites", inviteOne))
				held <- fmt.Sprint(body, err)
			}()
			if err := w.AwaitGate(t.Context(), "first", 1); err != nil {
				t.Fatal(err)
			}
			equal(t, "gates", w.Gates(), []Gate{{"first", false, 1}})
			second := w.invite(acme, "jamie@example.com", 113).Status
			equal(t, "second call", second, map[string]string{"": "invited", "before": "invited", "after": "already_invited"}[when])
			if err := w.OpenGate("first"); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"": "already_invited", "before": "already_invited", "after": `"invited"`}[when]
			if got := <-held; !strings.Contains(got, want) {
				t.Errorf("held call: got %s, want %s", got, want)
			}
			equal(t, "gates", w.Gates(), []Gate{{"first", true, 0}})
			if err := w.OpenGate("second"); err == nil {
				t.Error("an unknown gate opened")
			}
		})
	}
}

func TestSwap(t *testing.T) {
	w := newWorld(t, Options{})
	a, b := w.join(acme, "a@example.com", 113), w.join(acme, "b@example.com", 113)
	w.join(globex, "c@example.com", 200)
	w.faultsAre(Rule{Operation: "*", Swap: true})
	if got := w.do(acme, "GET", userPath(a), "").is(200, "").account(); got.ID == a.ID || !strings.Contains("1001 1002 "+itoa(b.ID), itoa(got.ID)) {
		t.Errorf("get_user: %d", got.ID)
	}
	if got := w.do(acme, "GET", "/users/email/a@example.com", "").is(200, "").account(); got.ID == a.ID {
		t.Errorf("find_user_by_email: %d", got.ID)
	}
	got := w.do(acme, "GET", invitePath(*a.InviteID), "").is(200, "").invite()
	equal(t, "get_invite", got.ID, *b.InviteID)
}

func TestKill(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"", "before"} {
		t.Run("when "+when, func(t *testing.T) {
			w := newWorld(t, Options{Control: true})
			base, client := w.listen()
			victim := exec.Command(sleep, "600")
			if err := victim.Start(); err != nil {
				t.Fatal(err)
			}
			w.faultsAre(Rule{Operation: "invite_users", KillPID: victim.Process.Pid, When: when, Times: 1})
			r := request(t, t.Context(), "POST", base+"/platform/invites", inviteOne)
			if _, _, _, err := fetch(t, client, r); err == nil {
				t.Error("the call was answered")
			}
			var exit *exec.ExitError
			if err := victim.Wait(); !errors.As(err, &exit) || exit.String() != "signal: killed" {
				t.Errorf("the process: %v", err)
			}
			equal(t, "entries", len(w.Ledger()), map[string]int{"": 1}[when])
		})
	}
}

func TestLatencyAndDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Latency: 50 * time.Millisecond, Now: time.Now})
		w.faultsAre(Rule{Operation: "list_organizations", DelayMS: 200})
		start := time.Now()
		w.do(acme, "GET", "/platform/roles", "").is(200, "")
		equal(t, "latency", time.Since(start), 50*time.Millisecond)
		start = time.Now()
		w.do(acme, "GET", "/platform/organizations", "").is(200, "")
		equal(t, "latency and delay", time.Since(start), 250*time.Millisecond)

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		start = time.Now()
		func() {
			defer func() { equal(t, "dropped", recover() == any(http.ErrAbortHandler), true) }()
			w.Handler().ServeHTTP(httptest.NewRecorder(), request(t, ctx, "POST", "/platform/invites", inviteOne))
		}()
		equal(t, "until the client left", time.Since(start), 10*time.Millisecond)
		equal(t, "entries", len(w.Ledger()), 0)
	})
}
