package upstream

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// transport answers requests without a network. It is usable inside a synctest bubble.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// reply is one scripted answer.
type reply struct {
	status int
	body   string
	header string // "Name: value", "" for none
	kind   string // content type; "": application/json
	err    error  // instead of an answer
}

func (a reply) response(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	if a.err != nil {
		return nil, a.err
	}
	h := http.Header{"Content-Type": {"application/json"}}
	if a.kind != "" {
		h.Set("Content-Type", a.kind)
	}
	if name, value, ok := strings.Cut(a.header, ": "); ok {
		h.Set(name, value)
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// script answers call after call; the last reply stays. It records "METHOD /path?query body".
type script struct {
	mu      sync.Mutex
	replies []reply
	calls   []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body := new(bytes.Buffer)
	if r.Body != nil {
		_, _ = io.Copy(body, r.Body)
		r.Body = io.NopCloser(body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body)))
	next := s.replies[0]
	if len(s.replies) > 1 {
		s.replies = s.replies[1:]
	}
	return next.response(r)
}

func (s *script) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

// newTestClient makes a client with a static key over t; change may be nil.
func newTestClient(t testing.TB, rt http.RoundTripper, change func(*Options)) *Client {
	t.Helper()
	o := Options{BaseURL: "https://api.test", APIKey: "key-canary", Transport: rt}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func accountJSON(id int64, email string, memberships string) string {
	return fmt.Sprintf(`{"id":%d,"email":%q,"first_name":"A","last_name":"B","country_id":"CA","other_id":"00u","role":{"id":3,"name":"Manager","weight":50},
	"memberships":[%s],"default_organization_id":113,"identity_provider_id":null,"account_state":"active","accessible":true,"invite_id":null,
	"created_at":"2026-01-05T09:00:00Z","updated_at":"2026-02-01T10:00:00Z","last_login_at":null}`, id, email, memberships)
}

const activeIn113 = `{"organization_id":113,"role_id":3,"state":"active"}`

func errorJSON(code string) string {
	return fmt.Sprintf(`{"error":{"code":%q,"message":"a message","field":"f"}}`, code)
}

func inviteJSON(id, email, state string, orgs ...int64) string {
	return fmt.Sprintf(`{"Id":%q,"Email":%q,"FirstName":"A","LastName":"B","CountryId":"","OtherId":"","RoleId":5,"OrganizationIds":%s,
	"IdentityProviderId":null,"State":%q,"UserId":null,"CreatedAt":"2026-01-05T09:00:00Z","ExpiresAt":"2026-02-05T09:00:00Z"}`,
		id, email, strings.ReplaceAll(fmt.Sprint(orgs), " ", ","), state)
}
