package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArgument {
		runChild(os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

// epoch is the time at which the tests' clocks start.
var epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// clock is a time that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: epoch} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// contract checks that answers are as openapi.yaml says, and that nothing it forbids is accepted.
type contract struct {
	t      testing.TB
	router routers.Router
	next   http.Handler
}

var loadRouter = sync.OnceValues(func() (routers.Router, error) {
	text, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

func newContract(t testing.TB, next http.Handler) *contract {
	router, err := loadRouter()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	return &contract{t, router, next}
}

func (c *contract) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		c.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	options := &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true,
		SkipSettingDefaults: true,
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	invalid := openapi3filter.ValidateRequest(r.Context(), in)
	rec := httptest.NewRecorder()
	c.next.ServeHTTP(rec, r)
	if rec.Code < 400 && invalid != nil {
		c.t.Errorf("%s answered %d to a request that openapi.yaml forbids: %v", route.Operation.OperationID, rec.Code, invalid)
	}
	if err := openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: rec.Code, Header: rec.Header(), Options: options,
		Body: io.NopCloser(bytes.NewReader(rec.Body.Bytes())),
	}); err != nil {
		c.t.Errorf("%s answered %d %s: %v", route.Operation.OperationID, rec.Code, rec.Body, err)
	}
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// world is a sandbox under test with a clock of its own; every call is checked against openapi.yaml.
type world struct {
	*Sandbox
	t       testing.TB
	clock   *clock
	handler http.Handler
}

func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	c := newClock()
	if o.Now == nil {
		o.Now = c.Now
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &world{s, t, c, newContract(t, s.Handler())}
}

// reply is an answer of the API, decoded.
type reply struct {
	t      testing.TB
	call   string
	status int
	header http.Header
	text   string
}

const (
	acme   = "sak_acme"
	globex = "sak_globex"
)

// do makes a call; token "" sends none, body "" sends none.
func (w *world) do(token, method, path, body string) reply {
	w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body == "" {
		r = httptest.NewRequest(method, path, nil)
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return w.send(r)
}

func (w *world) send(r *http.Request) reply {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return reply{w.t, r.Method + " " + r.URL.String(), rec.Code, rec.Header(), rec.Body.String()}
}

func (w *world) form(values url.Values) reply {
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.send(r)
}

// is fails the test unless the answer has that status and, for an error, that code.
func (r reply) is(status int, code string) reply {
	r.t.Helper()
	if r.status != status || code != "" && r.failure().Code != code {
		r.t.Fatalf("%s: got %d %s, want %d %s", r.call, r.status, r.text, status, code)
	}
	return r
}

func (r reply) failure() apiError {
	r.t.Helper()
	var body struct{ Error apiError }
	r.into(&body)
	return body.Error
}

func (r reply) into(v any) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.text), v, json.MatchCaseInsensitiveNames(true)); err != nil {
		r.t.Fatalf("%s: %d %q: %v", r.call, r.status, r.text, err)
	}
}

func (r reply) account() Account {
	r.t.Helper()
	var a Account
	r.into(&a)
	return a
}

func (r reply) invite() Invite {
	r.t.Helper()
	var i Invite
	r.into(&i)
	return i
}

type result struct {
	Email, Status string
	InviteID      string `json:"InviteId"`
	UserID        int64  `json:"UserId"`
	Error         apiError
}

func (r reply) results() []result {
	r.t.Helper()
	r.is(200, "")
	var body struct{ Results []result }
	r.into(&body)
	return body.Results
}

// invite invites one person as a Viewer and returns the result.
func (w *world) invite(token, email string, organizationIDs ...int64) result {
	w.t.Helper()
	ids := strings.Join(strings.Fields(fmt.Sprint(organizationIDs)), ",")
	return w.do(token, "POST", "/platform/invites",
		fmt.Sprintf(`{"Users":[{"Email":%q,"RoleId":5}],"OrganizationIds":%s}`, email, ids)).results()[0]
}

// join invites the person and accepts, and returns the account.
func (w *world) join(token, email string, organizationIDs ...int64) Account {
	w.t.Helper()
	w.invite(token, email, organizationIDs...)
	if err := w.Accept(email); err != nil {
		w.t.Fatal(err)
	}
	return *w.State().Account(email)
}

func (w *world) find(email string) Account {
	w.t.Helper()
	a := w.State().Account(email)
	if a == nil {
		w.t.Fatalf("no account %q", email)
	}
	return *a
}

// memberships is "113:active 114:suspended".
func memberships(a Account) string {
	var out []string
	for _, m := range a.Memberships {
		out = append(out, fmt.Sprintf("%d:%s", m.OrganizationID, m.State))
	}
	return strings.Join(out, " ")
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// operationsOf is the operation of every ledger entry.
func operationsOf(entries []Entry) []string {
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Operation)
	}
	return out
}

func mailsTo(s *Sandbox, to string) (kinds []string) {
	for _, m := range s.Outbox() {
		if m.To == to {
			kinds = append(kinds, m.Kind)
		}
	}
	return slices.Clip(kinds)
}
