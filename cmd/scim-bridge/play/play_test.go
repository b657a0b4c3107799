package play

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
	"github.com/sharearefund/scim-bridge/upstream"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// transport answers requests without a network.
type transport func(*http.Request) (int, http.Header, string)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	status, header, body := f(r)
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func testSession(client idp.Client, out io.Writer, f transport) *session {
	return newSession(Options{
		BaseURL: "http://bridge/scim/v2", SandboxURL: "http://sandbox", Token: "t", HTTP: &http.Client{Transport: f},
		Out: out, Width: 80, Quiet: 500 * time.Millisecond,
	}, client)
}

// client is one that the tests play.
func client(name string) idp.Client {
	c, err := idp.New(name, "")
	if err != nil {
		panic(err)
	}
	return c
}

// Okta understands only whole seconds, and tries ten times.
func TestItWaitsAsItIsAsked(t *testing.T) {
	for _, tt := range []struct {
		name, retryAfter string
		status, answers  int
		want             time.Duration
		final            int
	}{
		{"once", "3", 503, 1, 3 * time.Second, 200},
		{"twice", "1", 429, 2, 2 * time.Second, 200},
		{"without a time", "", 503, 1, 5 * time.Second, 200},
		{"for ever", "1", 503, 1000, 9 * time.Second, 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				s := testSession(client(idp.Okta), io.Discard, func(r *http.Request) (int, http.Header, string) {
					if n++; n <= tt.answers {
						return tt.status, http.Header{"Retry-After": {tt.retryAfter}}, "{}"
					}
					return 200, http.Header{}, "{}"
				})
				start := time.Now()
				got, err := s.send(t.Context(), client(idp.Okta).Test()[0])
				if err != nil || got.status != tt.final || time.Since(start) != tt.want {
					t.Errorf("status %d after %s, %v; want %d after %s", got.status, time.Since(start), err, tt.final, tt.want)
				}
			})
		})
	}
}

func TestPrinting(t *testing.T) {
	var out bytes.Buffer
	p := &printer{out: &out, width: 60, roles: map[int64]string{3: "Manager", 5: "Viewer"}}
	p.scene("it begins")
	p.exchange(idp.Request{Method: "POST", Path: "/Users", Body: []byte(`{"schemas":["urn:x"],"userName":"ada@example.com","password":"hunter2","active":true}`)},
		reply{status: 409, took: 12 * time.Millisecond, body: []byte(`{"scimType":"uniqueness","detail":"it exists already"}`), waits: []time.Duration{2 * time.Second}}, true)
	p.effects(nil)
	p.effects([]effect{{
		Operation: "deactivate_user", Email: "ada@example.com",
		Before: &record{State: "active", FirstName: "Ada"}, After: &record{State: "blocked", FirstName: "Ada"},
	}})
	want := `
== it begins
   POST   the bridge asks to wait 2s
   POST   /Users                                 409   12 ms
          {"userName":"ada@example.com","active":true}
          uniqueness: it exists already
          → nothing changed upstream
          → deactivate_user ada@example.com: account
            active → blocked
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		in    string
		width int
		want  []string
	}{
		{"", 10, []string{""}},
		{"short", 10, []string{"short"}},
		{"one two three", 8, []string{"one two", "three"}},
		{`{"a":1,"b":2}`, 8, []string{`{"a":1,`, `"b":2}`}},
		{"aaaaaaaaaaaaaaa", 10, []string{"aaaaaaaaaa", "aaaaa"}},
		{"éééééééééééé", 10, []string{"éééééééééé", "éé"}},
	} {
		if d := cmp.Diff(tt.want, wrap(tt.in, tt.width)); d != "" {
			t.Errorf("%q: %s", tt.in, d)
		}
	}
	if got := clip("éééé", 3); got != "éé…" {
		t.Error(got)
	}
}

func TestRunRefuses(t *testing.T) {
	err := Run(t.Context(), Options{Client: "octa", Out: io.Discard})
	if err == nil || err.Error() != `unknown client "octa": use okta, entra, onelogin, jumpcloud` {
		t.Error(err)
	}
}

// Nothing of what is the same in every request is shown, wherever it stands,
// and what is left is JSON still.
func TestCompact(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"schemas first", `{"schemas":["a","b"],"userName":"x"}`, `{"userName":"x"}`},
		{"schemas last", `{"userName":"x","schemas":["a"]}`, `{"userName":"x"}`},
		{"the password last", `{"userName":"x","password":"hunter2"}`, `{"userName":"x"}`},
		{"operations before schemas", `{"Operations":[{"op":"add"}],"schemas":["a"]}`, `[{"op":"add"}]`},
		{"operations after schemas", `{"schemas":["a"],"Operations":[{"op":"add"}]}`, `[{"op":"add"}]`},
		{"operations among others", `{"Operations":[],"x":1}`, `{"Operations":[],"x":1}`},
		{"nothing else", `{"schemas":["a"]}`, `{}`},
		{"names are quoted again", `{"a\"b":1}`, `{"a\"b":1}`},
		{"not an object", `[1]`, `[1]`},
		{"not JSON", `{"a":`, `{"a":`},
	} {
		if got := compact([]byte(tt.in)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	ada := people()[0]
	for _, name := range idp.Names() {
		client := client(name)
		for what, request := range map[string]func() (idp.Request, error){
			"create":  func() (idp.Request, error) { return client.Create(ada) },
			"disable": func() (idp.Request, error) { return client.SetActive("1", nil, ada, false) },
		} {
			r, err := request()
			if err != nil {
				t.Fatal(err)
			}
			if got := compact(r.Body); !json.Valid([]byte(got)) || strings.Contains(got, `"schemas"`) || strings.Contains(got, `"password"`) {
				t.Errorf("%s, %s: shown as %s", name, what, got)
			}
		}
	}
}

// An answer is read whole or not at all.
func TestReadReply(t *testing.T) {
	if b, err := readReply(strings.NewReader("1234"), 4); string(b) != "1234" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	if b, err := readReply(strings.NewReader("12345"), 4); b != nil || err == nil || err.Error() != "the answer is longer than 4 bytes, more than is read here" {
		t.Errorf("got %q, %v", b, err)
	}
}

// However many people the sandbox has, whoever accepts costs one small call;
// a second run says why there is nothing to see.
func TestAccept(t *testing.T) {
	ada := people()[0]
	sb, err := sandbox.New(sandbox.Options{Control: true, Users: 20_000, Invites: sandbox.Deferred})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	handler := sb.Handler()
	var out bytes.Buffer
	var asked []string
	largest := 0
	s := testSession(client(idp.Okta), &out, func(r *http.Request) (int, http.Header, string) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		asked, largest = append(asked, r.Method+" "+r.URL.RequestURI()), max(largest, w.Body.Len())
		return w.Code, w.Header(), w.Body.String()
	})
	if _, err := s.effects(t.Context()); err != nil {
		t.Fatal(err)
	}
	client, err := upstream.New(upstream.Options{
		BaseURL: s.SandboxURL, ClientID: "acme", ClientSecret: "acme-secret", Transport: s.HTTP.Transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	invite := upstream.InviteUser{Email: ada.Mail, FirstName: ada.Given, LastName: ada.Family, ShouldActivateByEmail: true}
	if _, err := client.InviteUsers(t.Context(), []upstream.InviteUser{invite}, []int64{113}); err != nil {
		t.Fatal(err)
	}
	asked, largest = nil, 0
	for range 2 {
		if err := s.accept(t.Context(), ada); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"POST /_sandbox/accept", "GET /_sandbox/ledger?after=0", "POST /_sandbox/accept"}; !cmp.Equal(want, asked) || largest > 100_000 {
		t.Errorf("asked %v, the largest answer has %d bytes", asked, largest)
	}
	for _, want := range []string{"account active", ada.Mail + " accepted in an earlier run"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
