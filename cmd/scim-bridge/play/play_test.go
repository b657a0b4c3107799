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

	"github.com/sharearefund/scim-bridge/upstream"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// transport answers requests without a network.
type transport func(*http.Request) (int, http.Header, string)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	status, header, body := f(r)
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func testSession(p provider, out io.Writer, f transport) *session {
	return newSession(Options{
		BaseURL: "http://bridge/scim/v2", SandboxURL: "http://sandbox", Token: "t", HTTP: &http.Client{Transport: f},
		Out: out, Width: 80, Quiet: 500 * time.Millisecond,
	}, p)
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
				s := testSession(okta{}, io.Discard, func(r *http.Request) (int, http.Header, string) {
					if n++; n <= tt.answers {
						return tt.status, http.Header{"Retry-After": {tt.retryAfter}}, "{}"
					}
					return 200, http.Header{}, "{}"
				})
				start := time.Now()
				got, err := s.send(t.Context(), okta{}.test()[0])
				if err != nil || got.status != tt.final || time.Since(start) != tt.want {
					t.Errorf("status %d after %s, %v; want %d after %s", got.status, time.Since(start), err, tt.final, tt.want)
				}
			})
		})
	}
}

// What is sent is what the providers publish.
func TestRequests(t *testing.T) {
	ada := people()[0]
	analysts := groups()[2]
	two := []member{{"u1", "a@example.com"}, {"u2", "b@example.com"}}
	one := func(r request, err error) ([]request, error) { return []request{r}, err }
	const patch = `"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations"`
	for _, tt := range []struct {
		name     string
		client   provider
		requests func(provider) ([]request, error)
		want     []string
	}{
		{"Okta tests", okta{}, func(p provider) ([]request, error) { return p.test(), nil },
			[]string{`GET /Users?startIndex=1&count=2`, `GET /Groups?startIndex=1&count=100`}},
		{"Okta looks up", okta{}, func(p provider) ([]request, error) { return one(p.find(ada), nil) },
			[]string{`GET /Users?filter=userName%20eq%20%22ada.okafor@example.com%22&startIndex=1&count=100`}},
		{"Okta disables", okta{}, func(p provider) ([]request, error) { return one(p.setActive("1", false)) },
			[]string{`PATCH /Users/1 {` + patch + `:[{"op":"replace","value":{"active":false}}]}`}},
		{"Okta looks a group up", okta{}, func(p provider) ([]request, error) { return one(p.findGroup(analysts), nil) },
			[]string{`GET /Groups?filter=displayName%20eq%20%22Analysts%22&startIndex=1&count=100`}},
		{"Okta makes a group", okta{}, func(p provider) ([]request, error) { return one(p.createGroup(analysts)) },
			[]string{`POST /Groups {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Analysts","members":[]}`}},
		{"Okta adds members", okta{}, func(p provider) ([]request, error) { return p.addMembers("g", analysts, two) },
			[]string{
				`PATCH /Groups/g {` + patch + `:[{"op":"replace","value":{"id":"g","displayName":"Analysts"}}]}`,
				`PATCH /Groups/g {` + patch + `:[{"op":"add","path":"members","value":[{"value":"u1","display":"a@example.com"},{"value":"u2","display":"b@example.com"}]}]}`,
			}},
		{"Okta removes a member", okta{}, func(p provider) ([]request, error) { return p.removeMember("g", analysts, two[0]) },
			[]string{
				`PATCH /Groups/g {` + patch + `:[{"op":"replace","value":{"id":"g","displayName":"Analysts"}}]}`,
				`PATCH /Groups/g {` + patch + `:[{"op":"remove","path":"members[value eq \"u1\"]"}]}`,
			}},
		{"Entra tests", entra{}, func(p provider) ([]request, error) { return p.test(), nil },
			[]string{`GET /Users?filter=userName+eq+%2251f2b6a3-9d0e-4c1b-8f57-2f6d3b0e9a74%22`}},
		{"Entra looks up", entra{}, func(p provider) ([]request, error) { return one(p.find(ada), nil) },
			[]string{`GET /Users?filter=userName+eq+%22ada.okafor%40example.com%22`}},
		{"Entra enables", entra{}, func(p provider) ([]request, error) { return one(p.setActive("1", true)) },
			[]string{`PATCH /Users/1 {` + patch + `:[{"op":"Replace","path":"active","value":"True"}]}`}},
		{"Entra looks a group up", entra{}, func(p provider) ([]request, error) { return one(p.findGroup(analysts), nil) },
			[]string{`GET /Groups?excludedAttributes=members&filter=displayName+eq+%22Analysts%22`}},
		{"Entra makes a group", entra{}, func(p provider) ([]request, error) { return one(p.createGroup(analysts)) },
			[]string{`POST /Groups {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],` +
				`"externalId":"8aa1a0c0-c4c3-4bc0-b4a5-2ef676900003","displayName":"Analysts","meta":{"resourceType":"Group"}}`}},
		{"Entra adds members", entra{}, func(p provider) ([]request, error) { return p.addMembers("g", analysts, two) },
			[]string{
				`GET /Groups/g?excludedAttributes=members`,
				`PATCH /Groups/g {` + patch + `:[{"op":"Add","path":"members","value":[{"$ref":null,"value":"u1"},{"$ref":null,"value":"u2"}]}]}`,
			}},
		{"Entra removes a member", entra{}, func(p provider) ([]request, error) { return p.removeMember("g", analysts, two[0]) },
			[]string{
				`GET /Groups?attributes=id&filter=id+eq+%22g%22+and+members+eq+%22u1%22`,
				`PATCH /Groups/g {` + patch + `:[{"op":"Remove","path":"members","value":[{"value":"u1"}]}]}`,
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requests, err := tt.requests(tt.client)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range requests {
				got = append(got, strings.TrimSpace(r.method+" "+r.path+" "+string(r.body)))
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	t.Run("Entra adds five members at a time", func(t *testing.T) {
		requests, err := entra{}.addMembers("g", analysts, make([]member, 12))
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, r := range requests[1:] {
			got = append(got, bytes.Count(r.body, []byte(`"$ref"`)))
		}
		if d := cmp.Diff([]int{5, 5, 2}, got); d != "" {
			t.Error(d)
		}
	})
	t.Run("a rename at Okta sends back what it read", func(t *testing.T) {
		var put map[string]any
		s := testSession(okta{}, io.Discard, func(r *http.Request) (int, http.Header, string) {
			switch {
			case r.URL.Host == "sandbox":
				return 200, http.Header{}, `{"entries":[]}`
			case r.Method == "PUT":
				if err := json.NewDecoder(r.Body).Decode(&put); err != nil {
					t.Error(err)
				}
			}
			return 200, http.Header{}, `{"id":"7","meta":{"resourceType":"User"},"userName":"ada","name":{"familyName":"Old","formatted":"kept by the server"}}`
		})
		if err := (okta{}).rename(t.Context(), s, "7", ada); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"id": "7", "meta": map[string]any{"resourceType": "User"}, "userName": "ada", "displayName": "Ada Okafor",
			"name": map[string]any{"givenName": "Ada", "familyName": "Okafor", "middleName": ""},
		}
		if d := cmp.Diff(want, put); d != "" {
			t.Error(d)
		}
	})
}

func TestPrinting(t *testing.T) {
	var out bytes.Buffer
	p := &printer{out: &out, width: 60, roles: map[int64]string{3: "Manager", 5: "Viewer"}}
	p.scene("it begins")
	p.exchange(request{method: "POST", path: "/Users", body: []byte(`{"schemas":["urn:x"],"userName":"ada@example.com","password":"hunter2","active":true}`)},
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
	err := Run(t.Context(), Options{Provider: "octa", Out: io.Discard})
	if err == nil || err.Error() != `unknown provider "octa": have okta, entra` {
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
	for name, client := range providers() {
		for what, request := range map[string]func() (request, error){
			"create":  func() (request, error) { return client.create(ada) },
			"disable": func() (request, error) { return client.setActive("1", false) },
		} {
			r, err := request()
			if err != nil {
				t.Fatal(err)
			}
			if got := compact(r.body); !json.Valid([]byte(got)) || strings.Contains(got, `"schemas"`) || strings.Contains(got, `"password"`) {
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
	s := testSession(okta{}, &out, func(r *http.Request) (int, http.Header, string) {
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
	invite := upstream.InviteUser{Email: ada.mail, FirstName: ada.given, LastName: ada.family, ShouldActivateByEmail: true}
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
	for _, want := range []string{"account active", ada.mail + " accepted in an earlier run"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
