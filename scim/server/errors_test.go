package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

const errorHead = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],`

// Every status that a client can meet, byte by byte.
func TestErrorBodies(t *testing.T) {
	handler := func(err error) func(*rig) *httptest.ResponseRecorder {
		return func(r *rig) *httptest.ResponseRecorder {
			r.users.before = func(context.Context, string) error { return err }
			return r.do(t, request("GET", "/scim/v2/Users/user-1", ""))
		}
	}
	send := func(method, target, body string, headers ...string) func(*rig) *httptest.ResponseRecorder {
		return func(r *rig) *httptest.ResponseRecorder { return r.do(t, request(method, target, body, headers...)) }
	}
	const internal = `"detail":"internal error: the operator finds the cause in the log under the request id req-1","status":"500"}`
	var none *scim.Error
	tests := []struct {
		name   string
		do     func(*rig) *httptest.ResponseRecorder
		status int
		body   string // after errorHead
		header string
	}{
		{"400", handler(scim.BadRequest(scim.TypeInvalidValue, "userName is missing")), 400, `"scimType":"invalidValue","detail":"userName is missing","status":"400"}`, ""},
		{"400 of a query", send("GET", "/scim/v2/Users?count=abc", ""), 400, `"scimType":"invalidValue","detail":"count is \"abc\": want an integer","status":"400"}`, ""},
		{"401 of a token", send("GET", "/scim/v2/Users", "", "Authorization: Bearer sarb_other"), 401, `"detail":"the token is not known: make a new one","status":"401"}`, `WWW-Authenticate: Bearer realm="scim", error="invalid_token"`},
		{"401", send("GET", "/scim/v2/Users", "", "-Authorization"), 401, `"detail":"the request has no Authorization header: send the header \"Authorization: Bearer <token>\"","status":"401"}`, `WWW-Authenticate: Bearer realm="scim"`},
		{"403", handler(scim.Forbidden("the last administrator stays")), 403, `"detail":"the last administrator stays","status":"403"}`, ""},
		{"404 of a resource", handler(scim.NotFound("User", "user-1")), 404, `"detail":"User \"user-1\" does not exist","status":"404"}`, ""},
		{"404 of an id", send("GET", "/scim/v2/Users/a.b", ""), 404, `"detail":"User \"a.b\" does not exist","status":"404"}`, ""},
		{"404 of a path", send("GET", "/scim/v2/Nothing", ""), 404, `"detail":"nothing is served at /scim/v2/Nothing: the SCIM base URL is https://bridge.example.com/scim/v2","status":"404"}`, ""},
		{"404 of SCIM 1", send("GET", "/scim/v1/Users", ""), 404, `"detail":"SCIM 1 is not served: set the client to SCIM 2.0 and its base URL to https://bridge.example.com/scim/v2","status":"404"}`, ""},
		{"405", send("DELETE", "/scim/v2/Users", ""), 405, `"detail":"/scim/v2/Users does not take this method: it takes GET, HEAD, POST","status":"405"}`, "Allow: GET, HEAD, POST"},
		{"409", handler(scim.Conflict("userName %q is taken", "ada")), 409, `"scimType":"uniqueness","detail":"userName \"ada\" is taken","status":"409"}`, ""},
		{"412", handler(scim.PreconditionFailed("read it again")), 412, `"detail":"read it again","status":"412"}`, ""},
		{"413", send("POST", "/scim/v2/Users", `{"x":"`+strings.Repeat("a", 1<<20)+`"}`), 413, `"detail":"the body is larger than 1048576 bytes: send less at once","status":"413"}`, "Connection: close"},
		{"415", send("POST", "/scim/v2/Users", adaBody, "Content-Type: text/plain"), 415, `"detail":"the Content-Type \"text/plain\" is not accepted: send application/scim+json in UTF-8","status":"415"}`, ""},
		{"429", handler(scim.TooManyRequests(1001*time.Millisecond, "slow down")), 429, `"detail":"slow down","status":"429"}`, "Retry-After: 2"},
		{"429 without a time", handler(&scim.Error{Status: 429, Detail: "slow down"}), 429, `"detail":"slow down","status":"429"}`, "Retry-After: 5"},
		{"431", send("GET", "/scim/v2/Users", "", "X-Long: "+strings.Repeat("a", 70_000-75)), 431, `"detail":"the request headers have 69984 bytes: at most 65536 are accepted","status":"431"}`, "Connection: close"},
		{"500 of an unknown error", handler(errors.New("pq: password authentication failed for user \"bridge\"")), 500, internal, ""},
		{"500 of a nil error value", handler(none), 500, internal, ""},
		{"500 of a status that is none", handler(&scim.Error{Status: 200, Detail: "fine"}), 500, internal, ""},
		{"500 of a handler's 401", handler(&scim.Error{Status: 401, Detail: "upstream says no"}), 500, internal, ""},
		{"413 of a group", send("POST", "/scim/v2/Groups", `{"x":"`+strings.Repeat("a", 8<<20)+`"}`), 413, `"detail":"the body is larger than 8388608 bytes: send less at once","status":"413"}`, "Connection: close"},
		{"501 me", send("GET", "/scim/v2/Me", ""), 501, `"detail":"/Me is the person who signed in, and this credential belongs to a provisioning client: find people with /Users?filter=userName eq \"name\" and address them as /Users/{id}","status":"501"}`, ""},
		{"503", handler(scim.Unavailable(time.Nanosecond, "the directory is being read")), 503, `"detail":"the directory is being read","status":"503"}`, "Retry-After: 1"},
		{"503 of a deadline", handler(fmt.Errorf("upstream: %w", context.DeadlineExceeded)), 503, `"detail":"the request could not be finished in time; send it again","status":"503"}`, "Retry-After: 5"},
		{"wrapped", handler(fmt.Errorf("provision: %w", scim.Forbidden("protected"))), 403, `"detail":"protected","status":"403"}`, ""},
		{"strange characters", handler(scim.Forbidden("a \"quote\"\n\x00 <b> \xff é \u2028")), 403, "\"detail\":\"a \\\"quote\\\"\\n\\u0000 <b> \ufffd é \u2028\",\"status\":\"403\"}", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			rec := tt.do(r)
			if got := rec.Body.String(); rec.Code != tt.status || got != errorHead+tt.body {
				t.Errorf("%d %s\nwant %d %s", rec.Code, got, tt.status, errorHead+tt.body)
			}
			if name, value, ok := strings.Cut(tt.header, ": "); ok && rec.Header().Get(name) != value {
				t.Errorf("%s: %q, want %q", name, rec.Header().Get(name), value)
			}
		})
	}
}

func TestPanicsAreAnswered(t *testing.T) {
	for name, value := range map[string]any{
		"string": "secret " + goodToken, "error": errors.New("secret " + goodToken), "abort": http.ErrAbortHandler, "struct": struct{ Password string }{"secret-canary"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil).with(t, 1)
			r.users.before = func(context.Context, string) error { panic(value) }
			for _, m := range []string{"GET", "PUT", "PATCH", "DELETE"} {
				body := ""
				if m == "PUT" || m == "PATCH" {
					body = patchBody
				}
				if m == "PUT" {
					body = adaBody
				}
				want(t, r.do(t, request(m, "/scim/v2/Users/user-1", body)), 500, "")
			}
			if last := r.observed[len(r.observed)-1]; !last.Panicked {
				t.Error("the panic was not reported")
			}
			if len(r.failed) != 3 {
				t.Errorf("%d failed mutations, want 3", len(r.failed))
			}
			if log := r.log(); strings.Contains(log, "canary") || !strings.Contains(log, "stack") {
				t.Errorf("log: %s", log)
			}
			r.users.before = nil
			want(t, r.do(t, request("GET", "/scim/v2/Users/user-1", "")), 200, "")
		})
	}
	t.Run("in authentication", func(t *testing.T) {
		r := newRig(t, func(o *Options) {
			o.Authenticate = func(*http.Request) (Identity, error) { return []Identity{}[len(o.PublicURL)], nil }
		})
		want(t, r.do(t, request("GET", "/scim/v2/Users", "")), 500, "")
		if !strings.Contains(r.log(), "index out of range") {
			t.Errorf("the log hides a runtime error: %s", r.log())
		}
	})
	t.Run("in listeners", func(t *testing.T) {
		r := newRig(t, func(o *Options) {
			o.Observe = func(context.Context, Request) { panic("observe") }
			o.Failed = func(context.Context, FailedRequest) { panic("failed") }
		})
		want(t, r.do(t, request("DELETE", "/scim/v2/Users/nobody", "")), 404, "")
		if n := strings.Count(r.log(), "listener panicked"); n != 2 {
			t.Errorf("%d lines about listeners: %s", n, r.log())
		}
	})
}

func TestDefectsOfAHandlerAre500(t *testing.T) {
	for name, users := range map[string]scim.UserHandler{
		"nil user":   odd{},
		"no id":      odd{user: &scim.User{}},
		"strange id": odd{user: &scim.User{ID: "a\r\nSet-Cookie: x"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Users = users })
			want(t, r.do(t, request("POST", "/scim/v2/Users", adaBody)), 500, "")
			want(t, r.do(t, request("GET", "/scim/v2/Users/user-1", "", `If-None-Match: *`)), map[bool]int{true: 500, false: 304}[name == "nil user"], "")
			want(t, r.do(t, request("GET", "/scim/v2/Users", "")), 500, "")
		})
	}
}

// odd returns what no handler may.
type odd struct {
	scim.UserHandler
	user *scim.User
}

func (o odd) CreateUser(context.Context, scim.Caller, *scim.User) (*scim.User, error) {
	return o.user, nil
}
func (o odd) GetUser(context.Context, scim.Caller, string) (*scim.User, error) { return o.user, nil }
func (o odd) ListUsers(context.Context, scim.Caller, scim.Query) (*scim.Page[scim.User], error) {
	if o.user == nil {
		return nil, nil
	}
	return &scim.Page[scim.User]{Total: 1, Resources: []*scim.User{o.user}}, nil
}

// I16: no request outlives its time, whatever the handler does.
func TestRequestsAreAnsweredInTime(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stuck bool
		want  time.Duration
	}{{"a handler that heeds its context", false, 25 * time.Second}, {"a handler that does not", true, 30 * time.Second}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				release := make(chan struct{})
				r.users.before = func(ctx context.Context, _ string) error {
					if tt.stuck {
						<-release
						return nil
					}
					<-ctx.Done()
					return ctx.Err()
				}
				for _, req := range []*http.Request{request("GET", "/scim/v2/Users", ""), request("POST", "/scim/v2/Users", adaBody)} {
					start := time.Now()
					want(t, r.do(t, req), 503, "")
					if took := time.Since(start); took != tt.want {
						t.Errorf("%s was answered after %v", req.Method, took)
					}
				}
				close(release)
				synctest.Wait()
			})
		})
	}
}

func TestOnlyMutationsOutliveTheClient(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	for _, tt := range []struct {
		method, target, body string
		outlives             bool
	}{
		{"GET", "/scim/v2/Users/user-1", "", false},
		{"HEAD", "/scim/v2/Users/user-1", "", false},
		{"GET", "/scim/v2/Users", "", false},
		{"PUT", "/scim/v2/Users/user-1", adaBody, true},
		{"PATCH", "/scim/v2/Users/user-1", patchBody, true},
		{"POST", "/scim/v2/Users", strings.ReplaceAll(adaBody, "ada@", "new@"), true},
		{"DELETE", "/scim/v2/Users/user-1", "", true},
	} {
		gone, hangUp := context.WithCancel(context.Background())
		r.users.before = func(ctx context.Context, _ string) error {
			hangUp()
			if tt.outlives != (ctx.Err() == nil) {
				t.Errorf("%s: the context's error is %v after the client hung up", tt.method, ctx.Err())
			}
			if _, ok := ctx.Deadline(); !ok {
				t.Errorf("%s: the context has no deadline", tt.method)
			}
			return ctx.Err()
		}
		r.do(t, request(tt.method, tt.target, tt.body).WithContext(gone))
	}
	if got := r.users.callCount(); got != 7 {
		t.Errorf("%d handler calls", got)
	}
}
