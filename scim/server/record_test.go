package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sharearefund/scim-bridge/scim"
)

// slow is a handler hook that waits, or gives up with the context.
func slow(d time.Duration) func(context.Context, string) error {
	return func(ctx context.Context, _ string) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestOneLineARequest(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := newRig(t, func(o *Options) {
		o.Now = func() time.Time { now = now.Add(1500 * time.Microsecond); return now }
	})
	want(t, r.do(t, request("GET", "/scim/v2/Users/nobody?filter=secret", "")), 404, "")
	var line map[string]any
	if err := json.Unmarshal([]byte(r.log()), &line); err != nil {
		t.Fatalf("not one line: %v: %s", err, r.log())
	}
	delete(line, "time")
	if diff := cmp.Diff(map[string]any{
		"level": "INFO", "msg": "request", "request_id": "req-1", "tenant": "acme", "credential": "cred-1", "method": "GET",
		"route": "/scim/v2/Users/{id}", "status": 404.0, "dur_ms": 1.5, "err": `User "…" does not exist`,
	}, line); diff != "" {
		t.Error(diff)
	}
}

// I14: nothing that identifies a person or opens a door is logged, whatever
// becomes of the request.
func TestTheLogHoldsNoSecretsAndNoPeople(t *testing.T) {
	canaries := []string{goodToken, "pass-canary", "ada@", "example.com/", "query-canary", "Byron"}
	body := strings.Replace(adaBody, "{", `{"password":"pass-canary",`, 1)
	causes := map[string]error{
		"none":      nil,
		"conflict":  scim.Conflict("userName %q is taken", "ada@example.org"),
		"cause":     scim.Unavailable(time.Second, "later").Because(fmt.Errorf("upstream said: ada@example.org (%s) is odd", goodToken)),
		"unknown":   errors.New("bad token " + goodToken + " for <ada@example.org>"),
		"escapes":   scim.BadRequest(scim.TypeInvalidValue, "displayName %q", `Byron \" Byron`),
		"injection": scim.Forbidden("a\n{\"level\":\"admin\"}\x1b[31m\u2028"),
	}
	for name, cause := range causes {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.users.before = func(context.Context, string) error { return cause }
			for _, req := range []*http.Request{
				request("POST", "/scim/v2/Users", body),
				request("PUT", "/scim/v2/Users/user-1", body),
				request("PATCH", "/scim/v2/Users/user-1", strings.ReplaceAll(patchBody, `"Ada"`, `"pass-canary"`)),
				request("PATCH", "/scim/v2/Users/user-1", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"emails[value eq \"ada@example.org\"].nosuch","value":"Byron"}]}`),
				request("POST", "/scim/v2/Users", `{"userName":"ada@example.org","userName":"Byron"}`),
				request("GET", "/scim/v2/Users?filter=userName+eq+%22ada@example.org%22&x=query-canary", ""),
				request("GET", "/scim/v2/Users?count=query-canary", ""),
				request("GET", "/scim/v2/Users?filter=nosuch+eq+%22query-canary%22", ""),
				request("GET", "/scim/v2/Users?access_token="+goodToken, ""),
				request("GET", "/scim/v2/Users", "", "User-Agent: "+goodToken, "X-Request-Id: query-canary"),
				request("GET", "/scim/v2/Users", "", "Authorization: Basic "+goodToken),
				request("GET", "/scim/v2/Users", "", "If-None-Match: query-canary", "Cookie: "+goodToken),
			} {
				r.do(t, req)
			}
			for _, c := range canaries {
				if i := strings.Index(r.log(), c); i >= 0 {
					t.Errorf("the log has %q: %s", c, r.log()[max(0, i-200):i+20])
				}
			}
			for line := range strings.Lines(r.log()) {
				var m map[string]any
				if err := json.Unmarshal([]byte(line), &m); err != nil || m["level"] == "admin" {
					t.Errorf("a line that is not ours: %s", line)
				}
				if strings.ContainsAny(line, "\x1b") {
					t.Errorf("control characters: %q", line)
				}
			}
		})
	}
}

func TestMasks(t *testing.T) {
	for in, want := range map[string]string{
		`User "a" and "b\"c" gone`: `User "…" and "…" gone`, `open "never closed`: `open "`, "plain": "plain", "": "", `""`: `"…"`, `"\`: `"`,
	} {
		if got := maskQuoted(in); got != want {
			t.Errorf("maskQuoted(%s) = %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"a b@c d": "a …@… d", "<x@y>, (z@w)": "<…@…>, (…@…)", "@": "…@…", "none": "none", "": "", "mailto:a@b": "…@…",
	} {
		if got := maskAddresses(in); got != want {
			t.Errorf("maskAddresses(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestObserve(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	const user = "/scim/v2/Users/user-1"
	r.do(t, request("GET", user, ""))
	r.do(t, request("GET", "/scim/v2/Users?count=x", ""))
	r.do(t, request("PROPFIND", "/scim/v2/Users", ""))
	r.do(t, request("GET", "/some/where", ""))
	r.do(t, request("GET", "/scim/v2/%2e", ""))
	r.do(t, request("GET", user, "", "-Authorization"))
	r.do(t, request("GET", "/scim/v2/Groups/g1", ""))
	r.do(t, request("POST", "/scim/v2/Bulk", "{}"))
	id, list := "/scim/v2/Users/{id}", "/scim/v2/Users"
	if diff := cmp.Diff([]Request{
		{RequestID: "req-1", Tenant: "acme", Credential: "cred-1", Method: "GET", Route: id, ID: "user-1", Status: 200},
		{RequestID: "req-1", Tenant: "acme", Credential: "cred-1", Method: "GET", Route: list, Status: 400, Type: "invalidValue"},
		{RequestID: "req-1", Tenant: "acme", Credential: "cred-1", Method: "other", Route: list, Status: 405},
		{RequestID: "req-1", Tenant: "acme", Credential: "cred-1", Method: "GET", Route: "unmatched", Status: 404},
		{RequestID: "req-1", Method: "GET", Route: "unmatched", Status: 404},
		{RequestID: "req-1", Method: "GET", Route: id, ID: "user-1", Status: 401},
		{RequestID: "req-1", Tenant: "acme", Credential: "cred-1", Method: "GET", Route: "/scim/v2/Groups/{id}", ID: "g1", Status: 404},
		{RequestID: "req-1", Tenant: "acme", Credential: "cred-1", Method: "POST", Route: "/scim/v2/Bulk", Status: 400, Type: "invalidSyntax"},
	}, r.observed, cmpopts.IgnoreFields(Request{}, "Duration", "Start", "Detail")); diff != "" {
		t.Error(diff)
	}
}

func TestFailedMutationsAreRecorded(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	const user = "/scim/v2/Users/user-1"
	r.do(t, request("GET", "/scim/v2/Users/nobody", ""))
	r.do(t, request("POST", "/scim/v2/Users", adaBody, "Authorization: Bearer wrong"))
	r.do(t, request("PATCH", user, patchBody))
	if len(r.failed) != 0 {
		t.Fatalf("recorded %+v", r.failed)
	}
	r.do(t, request("POST", "/scim/v2/Users", adaBody))
	r.do(t, request("PUT", user, "x", "Content-Type: text/plain"))
	r.do(t, request("DELETE", user, "", `If-Match: "0"`))
	r.do(t, request("POST", "/scim/v2/Groups", `{"displayName":""}`))
	r.do(t, request("DELETE", "/scim/v2/Groups/g1", ""))
	r.do(t, request("POST", "/scim/v2/Bulk", "{}"))
	r.users.before = func(context.Context, string) error { return errors.New("secret cause") }
	r.do(t, request("DELETE", user, ""))
	caller := scim.Caller{Tenant: "acme", Credential: "cred-1", RequestID: "req-1"}
	id, list := "/scim/v2/Users/{id}", "/scim/v2/Users"
	if diff := cmp.Diff([]FailedRequest{
		{Caller: caller, Method: "POST", Route: list, Status: 409, Type: "uniqueness", Detail: `userName "ada@example.com" is taken`},
		{Caller: caller, Method: "PUT", Route: id, ID: "user-1", Status: 415},
		{Caller: caller, Method: "DELETE", Route: id, ID: "user-1", Status: 412},
		{Caller: caller, Method: "POST", Route: "/scim/v2/Groups", Status: 400, Type: "invalidValue"},
		{Caller: caller, Method: "DELETE", Route: "/scim/v2/Groups/{id}", ID: "g1", Status: 404, Detail: `Group "g1" does not exist`},
		{Caller: caller, Method: "POST", Route: "/scim/v2/Bulk", Status: 400, Type: "invalidSyntax"},
		{Caller: caller, Method: "DELETE", Route: id, ID: "user-1", Status: 500},
	}, r.failed, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Detail" }, cmp.Comparer(func(a, b string) bool {
		return a == b || a == "" || b == ""
	}))); diff != "" {
		t.Error(diff)
	}
	for _, f := range r.failed {
		if f.Detail == "" || strings.Contains(f.Detail, "secret") {
			t.Errorf("detail %q", f.Detail)
		}
	}
}
