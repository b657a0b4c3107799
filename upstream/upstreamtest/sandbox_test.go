package upstreamtest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"go.uber.org/goleak"

	"github.com/sharearefund/scim-bridge/upstream"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
	"github.com/sharearefund/scim-bridge/upstream/upstreamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSandbox runs the suite over the sandbox, with both answers to the question when an invited person becomes an
// account. Every call is checked against openapi.yaml.
func TestSandbox(t *testing.T) {
	router := contract(t)
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			upstreamtest.Run(t, upstreamtest.Opts{New: func(t testing.TB) upstreamtest.Env {
				s := start(t, sandbox.Options{Invites: mode, Users: 450}, func(next http.Handler) http.Handler { return &checked{t, router, next} })
				return s.env(t)
			}})
		})
	}
}

// service is a sandbox on a loopback port.
type service struct {
	*sandbox.Sandbox
	url string
}

func start(t testing.TB, o sandbox.Options, wrap func(http.Handler) http.Handler) *service {
	t.Helper()
	s, err := sandbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	h := s.Handler()
	if wrap != nil {
		h = wrap(h)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return &service{s, server.URL}
}

func (s *service) client(t testing.TB, id string, change func(*upstream.Options)) *upstream.Client {
	t.Helper()
	o := upstream.Options{BaseURL: s.url, ClientID: id, ClientSecret: upstream.Secret(id + "-secret"), AttemptTimeout: 30 * time.Second}
	if change != nil {
		change(&o)
	}
	c, err := upstream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (s *service) env(t testing.TB) upstreamtest.Env {
	var seq atomic.Int64
	var owner int64
	for _, a := range s.State().Accounts {
		if a.Membership(113).RoleID == 1 {
			owner = a.ID
		}
	}
	return upstreamtest.Env{
		Client: s.client(t, "acme", nil), Stranger: s.client(t, "globex", nil),
		OrganizationIDs: []int64{113, 114}, LowRoleID: 5, HighRoleID: 3, TooHighRoleID: 1, ProviderID: 2, OwnerID: owner,
		IDToken: func(subject string) upstream.Secret {
			return upstream.Secret(s.IDToken(sandbox.Identity{ProviderID: 2, Subject: subject}))
		},
		Email: func(name string) string { return fmt.Sprintf("%s.%d@example.com", name, seq.Add(1)) },
	}
}

func contract(t *testing.T) routers.Router {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(upstream.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// checked fails the test for a call that openapi.yaml does not describe: the client's own request, unless the service
// refuses it, and every answer.
type checked struct {
	t      testing.TB
	router routers.Router
	next   http.Handler
}

func (c *checked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		c.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		return
	}
	options := &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true, SkipSettingDefaults: true,
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	requestErr := openapi3filter.ValidateRequest(r.Context(), in)
	rec := httptest.NewRecorder()
	c.next.ServeHTTP(rec, r)
	if requestErr != nil && rec.Code < 400 {
		c.t.Errorf("%s: the client sends what openapi.yaml forbids: %v", route.Operation.OperationID, requestErr)
	}
	if err := openapi3filter.ValidateResponse(context.WithoutCancel(r.Context()), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: rec.Code, Header: rec.Header(), Options: options, Body: io.NopCloser(bytes.NewReader(rec.Body.Bytes())),
	}); err != nil {
		c.t.Errorf("%s answers %d: %v", route.Operation.OperationID, rec.Code, err)
	}
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// TestOperationsAreThoseOfTheContract keeps the client's table and openapi.yaml together.
func TestOperationsAreThoseOfTheContract(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(upstream.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			described[op.OperationID] = true
		}
	}
	for _, name := range upstream.Operations() {
		if !described[name] {
			t.Errorf("openapi.yaml lacks %s", name)
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("the client lacks %s", name)
	}
}
