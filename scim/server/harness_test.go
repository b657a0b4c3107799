package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sharearefund/scim-bridge/scim"
)

// I15: no request leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	publicAddress = "https://bridge.example.com"
	goodToken     = "sarb_good-token-canary-0123456789"
)

// rig is a server over a memory, with everything that it reports.
type rig struct {
	handler http.Handler
	users   *memory
	groups  *memoryGroups

	mu       sync.Mutex
	logged   bytes.Buffer
	requests int // lines about a request
	observed []Request
	failed   []FailedRequest
}

func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests += bytes.Count(p, []byte(`"msg":"request"`))
	return r.logged.Write(p)
}

func (r *rig) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.logged.String()
}

// requestLines is how many requests were logged.
func (r *rig) requestLines() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// unlimited lets one address fail as often as a table needs.
func unlimited(o *Options) { o.FailedAuthPerMinute = 1 << 30 }

func testCodec(tb testing.TB) *scim.Codec[scim.User] {
	tb.Helper()
	codec, err := scim.NewUserCodec()
	if err != nil {
		tb.Fatal(err)
	}
	return codec
}

func testGroupCodec(tb testing.TB) *scim.GroupCodec {
	tb.Helper()
	codec, err := scim.NewGroupCodec()
	if err != nil {
		tb.Fatal(err)
	}
	return codec
}

// authenticate accepts "Bearer <goodToken>" for tenant acme.
func authenticate(r *http.Request) (Identity, error) {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "bearer") && token == goodToken {
		return Identity{Tenant: "acme", Credential: "cred-1", Client: "rfc"}, nil
	}
	return Identity{}, &scim.Error{Status: 401, Detail: "the token is not known: make a new one"}
}

// newRig makes a server whose options change may adjust.
func newRig(tb testing.TB, change func(*Options)) *rig {
	tb.Helper()
	codec := testCodec(tb)
	groups := testGroupCodec(tb)
	r := &rig{users: &memory{codec: codec}, groups: &memoryGroups{codec: groups}}
	o := Options{
		PublicURL:    publicAddress,
		Users:        r.users,
		UserCodec:    codec,
		Groups:       r.groups,
		GroupCodec:   groups,
		Authenticate: authenticate,
		Logger:       slog.New(slog.NewJSONHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug})),
		NewRequestID: func() string { return "req-1" },
		Observe: func(_ context.Context, q Request) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.observed = append(r.observed, q)
		},
		Failed: func(_ context.Context, f FailedRequest) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.failed = append(r.failed, f)
		},
	}
	if change != nil {
		change(&o)
	}
	h, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	r.handler = h
	return r
}

// request makes an authenticated request. headers are "Name: value"; "-Name"
// removes one.
func request(method, target, body string, headers ...string) *http.Request {
	var req *http.Request
	if body == "" {
		req = httptest.NewRequest(method, target, nil)
	} else {
		req = httptest.NewRequest(method, target, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/scim+json")
	}
	req.Header.Set("Authorization", "Bearer "+goodToken)
	for _, h := range headers {
		if name, ok := strings.CutPrefix(h, "-"); ok {
			req.Header.Del(name)
			continue
		}
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return req
}

// do serves a request and checks what holds for every answer.
func (r *rig) do(tb testing.TB, req *http.Request) *httptest.ResponseRecorder {
	tb.Helper()
	before := r.requestLines()
	rec := httptest.NewRecorder()
	r.handler.ServeHTTP(rec, req)
	checkAnswer(tb, req, rec)
	if got := r.requestLines() - before; got != 1 {
		tb.Errorf("%s %s: %d log lines, want 1", req.Method, req.URL, got)
	}
	return rec
}

type errorBody struct {
	Schemas  []string `json:"schemas"`
	Status   string   `json:"status"`
	ScimType string   `json:"scimType"`
	Detail   string   `json:"detail"`
}

// checkAnswer checks the rules that every answer obeys.
func checkAnswer(tb testing.TB, req *http.Request, rec *httptest.ResponseRecorder) {
	tb.Helper()
	h, code := rec.Header(), rec.Code
	what := fmt.Sprintf("%s %s: %d", req.Method, req.URL, code)
	if h.Get("X-Request-Id") == "" {
		tb.Errorf("%s: no X-Request-Id", what)
	}
	if code == http.StatusNoContent || code == http.StatusNotModified {
		if rec.Body.Len() > 0 || h.Get("Content-Type") != "" {
			tb.Errorf("%s: has a body", what)
		}
		return
	}
	if got := h.Get("Content-Type"); got != "application/scim+json" {
		tb.Errorf("%s: Content-Type %q", what, got)
	}
	if retry := h.Get("Retry-After"); retry != "" || code == 429 || code == 503 {
		if n, err := strconv.Atoi(retry); err != nil || n < 1 {
			tb.Errorf("%s: Retry-After %q, want a positive integer", what, retry)
		}
	}
	if code == 401 && !strings.HasPrefix(h.Get("WWW-Authenticate"), "Bearer realm=") {
		tb.Errorf("%s: WWW-Authenticate %q", what, h.Get("WWW-Authenticate"))
	}
	if code == 405 && h.Get("Allow") == "" {
		tb.Errorf("%s: no Allow", what)
	}
	if req.Method == http.MethodHead {
		if rec.Body.Len() > 0 {
			tb.Errorf("%s: HEAD has a body", what)
		}
		return
	}
	if got := h.Get("Content-Length"); got != strconv.Itoa(rec.Body.Len()) {
		tb.Errorf("%s: Content-Length %s, body has %d bytes", what, got, rec.Body.Len())
	}
	if !json.Valid(rec.Body.Bytes()) {
		tb.Fatalf("%s: body is not JSON: %s", what, rec.Body)
	}
	if code < 400 {
		return
	}
	var e errorBody
	if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil {
		tb.Fatalf("%s: %v: %s", what, err, rec.Body)
	}
	if len(e.Schemas) != 1 || e.Schemas[0] != errorSchema || e.Status != strconv.Itoa(code) || e.Detail == "" {
		tb.Errorf("%s: not a SCIM error: %s", what, rec.Body)
	}
	if strings.Contains(rec.Body.String(), goodToken) {
		tb.Errorf("%s: the body has the token: %s", what, rec.Body)
	}
}

// want checks status and scimType of an answer.
func want(tb testing.TB, rec *httptest.ResponseRecorder, status int, scimType string) errorBody {
	tb.Helper()
	var e errorBody
	if rec.Code >= 400 && rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil {
			tb.Fatal(err)
		}
	}
	if rec.Code != status || e.ScimType != scimType {
		tb.Errorf("answer %d %q, want %d %q: %s", rec.Code, e.ScimType, status, scimType, rec.Body)
	}
	return e
}

const adaBody = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@example.com","externalId":"x-1","name":{"givenName":"Ada","familyName":"Byron"},"emails":[{"value":"ada@example.com","type":"work","primary":true}]}`

// with creates n users, the first of them adaBody's.
func (r *rig) with(tb testing.TB, n int) *rig {
	tb.Helper()
	for i := range n {
		body := adaBody
		if i > 0 {
			body = strings.ReplaceAll(adaBody, "ada@", fmt.Sprintf("user%d@", i))
		}
		want(tb, r.do(tb, request("POST", "/scim/v2/Users", body)), 201, "")
	}
	r.users.mu.Lock()
	defer r.users.mu.Unlock()
	r.users.calls = nil
	r.observed, r.failed = nil, nil
	return r
}
