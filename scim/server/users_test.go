package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/scim"
)

const patchBody = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":"Ada"}]}`

func object(tb testing.TB, body []byte) map[string]any {
	tb.Helper()
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		tb.Fatalf("%v: %s", err, body)
	}
	return m
}

func TestLifeOfAUser(t *testing.T) {
	r := newRig(t, nil)
	const location = publicAddress + "/scim/v2/Users/user-1"

	rec := r.do(t, request("POST", "/scim/v2/Users", adaBody))
	want(t, rec, 201, "")
	if got := rec.Header().Get("Location"); got != location {
		t.Errorf("Location %q", got)
	}
	if got := rec.Header().Get("ETag"); got != `W/"1"` {
		t.Errorf("ETag %q", got)
	}
	u := object(t, rec.Body.Bytes())
	if u["id"] != "user-1" || u["userName"] != "ada@example.com" || u["active"] != true {
		t.Errorf("created %v", u)
	}
	meta, _ := u["meta"].(map[string]any)
	if meta["location"] != location || meta["resourceType"] != "User" || meta["version"] != `W/"1"` {
		t.Errorf("meta %v", meta)
	}

	want(t, r.do(t, request("POST", "/scim/v2/Users", strings.ReplaceAll(adaBody, "ada@", "ADA@"))), 409, "uniqueness")

	rec = r.do(t, request("PATCH", "/scim/v2/Users/user-1", patchBody))
	want(t, rec, 200, "")
	if u := object(t, rec.Body.Bytes()); u["displayName"] != "Ada" || u["userName"] != "ada@example.com" || rec.Header().Get("ETag") != `W/"2"` {
		t.Errorf("patched %v, ETag %s", u, rec.Header().Get("ETag"))
	}

	rec = r.do(t, request("PUT", "/scim/v2/Users/user-1", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"someone-else","userName":"ada@example.org"}`))
	want(t, rec, 200, "")
	if u := object(t, rec.Body.Bytes()); u["id"] != "user-1" || u["userName"] != "ada@example.org" || u["displayName"] != nil || u["active"] != true {
		t.Errorf("replaced %v", u)
	}

	rec = r.do(t, request("GET", "/scim/v2/Users/user-1", ""))
	want(t, rec, 200, "")
	if rec.Header().Get("ETag") != `W/"3"` || rec.Header().Get("Location") != "" {
		t.Errorf("headers %v", rec.Header())
	}

	want(t, r.do(t, request("DELETE", "/scim/v2/Users/user-1", "")), 204, "")
	want(t, r.do(t, request("DELETE", "/scim/v2/Users/user-1", "")), 404, "")
	want(t, r.do(t, request("GET", "/scim/v2/Users/user-1", "")), 404, "")
}

// I17: what a PUT does not mention arrives as absent.
func TestAbsentIsNotFalse(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	want(t, r.do(t, request("PUT", "/scim/v2/Users/user-1", adaBody)), 200, "")
	if u := r.users.last.user; u.Active != nil || u.ID != "" {
		t.Errorf("the handler got active %v, id %q", u.Active, u.ID)
	}
	want(t, r.do(t, request("PUT", "/scim/v2/Users/user-1", strings.Replace(adaBody, "{", `{"active":false,"id":"other",`, 1))), 200, "")
	if u := r.users.last.user; u.Active == nil || *u.Active || u.ID != "" {
		t.Errorf("the handler got active %v, id %q", u.Active, u.ID)
	}
}

func TestCallerComesFromTheCredential(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	r.do(t, request("GET", "/scim/v2/Users/user-1?tenant=other", "", "X-Tenant: other", "X-Request-Id: mine"))
	want := scim.Caller{Tenant: "acme", Credential: "cred-1", Dialect: scim.DialectRFC, RequestID: "req-1"}
	if diff := cmp.Diff(want, r.users.last.caller); diff != "" {
		t.Error(diff)
	}
}

func TestPreconditions(t *testing.T) {
	bodies := map[string]string{"PUT": adaBody, "PATCH": patchBody, "DELETE": ""}
	tests := []struct {
		header   string
		status   int // of a mutation of version W/"1"; 0: success
		scimType string
	}{
		{`If-Match: W/"1"`, 0, ""},
		{`If-Match: "1"`, 0, ""},
		{`If-Match: w/"1"`, 0, ""},
		{`If-Match: *`, 0, ""},
		{`If-Match: W/"0", W/"1"`, 0, ""},
		{`If-Match: ,W/"0" ,, W/"1",`, 0, ""},
		{`If-Match: W/"0"`, 412, ""},
		{`If-None-Match: W/"1"`, 412, ""},
		{`If-None-Match: *`, 412, ""},
		{`If-None-Match: W/"0"`, 0, ""},
		{`If-Match: 1`, 400, "invalidVers"},
		{`If-Match: W/1`, 400, "invalidVers"},
		{`If-Match: "1`, 400, "invalidVers"},
		{`If-Match: W/"1" W/"2"`, 400, "invalidVers"},
		{`If-Match: W/"1",*`, 400, "invalidVers"},
		{`If-Match: W/"a b"`, 400, "invalidVers"},
		{`If-Match: `, 400, "invalidVers"},
		{`If-Match: ,`, 400, "invalidVers"},
		{`If-Match: "` + strings.Repeat(`1","`, 40) + `1"`, 400, "invalidVers"},
		{`If-None-Match: x`, 400, "invalidVers"},
	}
	for _, tt := range tests {
		for method, body := range bodies {
			t.Run(method+" "+clip(tt.header), func(t *testing.T) {
				r := newRig(t, nil).with(t, 1)
				rec := r.do(t, request(method, "/scim/v2/Users/user-1", body, tt.header))
				switch {
				case tt.status != 0:
					want(t, rec, tt.status, tt.scimType)
					if r.users.users[0].Meta.Version != `W/"1"` {
						t.Error("the user was changed")
					}
				case rec.Code != 200 && rec.Code != 204:
					t.Errorf("%d: %s", rec.Code, rec.Body)
				}
			})
		}
	}
	r := newRig(t, nil).with(t, 1)
	for header, status := range map[string]int{
		`If-None-Match: W/"1"`: 304, `If-None-Match: "1"`: 304, `If-None-Match: *`: 304, `If-None-Match: W/"x", W/"1"`: 304,
		`If-None-Match: W/"2"`: 200, `If-None-Match: 1`: 400,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			rec := r.do(t, request(method, "/scim/v2/Users/user-1", "", header))
			if rec.Code != status {
				t.Errorf("%s %s: %d, want %d", method, header, rec.Code, status)
			}
			if status < 400 && rec.Header().Get("ETag") != `W/"1"` {
				t.Errorf("%s %s: ETag %q", method, header, rec.Header().Get("ETag"))
			}
		}
	}
	want(t, r.do(t, request("GET", "/scim/v2/Users/nobody", "", `If-None-Match: *`)), 404, "")
}

func TestProjectionOnEveryVerb(t *testing.T) {
	for _, tt := range []struct {
		query string
		keys  string
	}{
		{"attributes=userName", "id schemas userName"},
		{"attributes=userName,nosuchattribute", "id schemas userName"},
		{"attributes=userName&attributes=active", "active id schemas userName"},
		{"attributes=password", "id schemas"},
		{"excludedAttributes=id,schemas,meta,name,emails,externalId,displayName", "active id schemas userName"},
		{"Attributes=userName", "id schemas userName"},
	} {
		r := newRig(t, nil)
		for _, step := range []struct{ method, path, body string }{
			{"POST", "/scim/v2/Users", adaBody},
			{"GET", "/scim/v2/Users/user-1", ""},
			{"PUT", "/scim/v2/Users/user-1", adaBody},
			{"PATCH", "/scim/v2/Users/user-1", patchBody},
			{"GET", "/scim/v2/Users", ""},
		} {
			rec := r.do(t, request(step.method, step.path+"?"+tt.query, step.body))
			u := object(t, rec.Body.Bytes())
			if list, ok := u["Resources"].([]any); ok {
				u = list[0].(map[string]any)
			}
			if got := keys(u); got != tt.keys {
				t.Errorf("%s ?%s shows %q, want %q", step.method, tt.query, got, tt.keys)
			}
		}
	}
	r := newRig(t, nil).with(t, 1)
	for _, m := range []string{"GET", "PUT", "PATCH"} {
		body := map[string]string{"PUT": adaBody, "PATCH": patchBody}[m]
		want(t, r.do(t, request(m, "/scim/v2/Users/user-1?attributes=id&excludedAttributes=name", body)), 400, "invalidValue")
	}
	if n := r.users.callCount(); n != 0 {
		t.Errorf("%d handler calls", n)
	}
}

func keys(m map[string]any) string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestNotesReachObserversAndTheLog(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	want(t, r.do(t, request("PUT", "/scim/v2/Users/user-1", strings.Replace(adaBody, "{", `{"id":"other","shoeSize":42,`, 1))), 200, "")
	notes := r.observed[len(r.observed)-1].Notes
	text := fmt.Sprint(notes)
	if !strings.Contains(text, "{id read-only") || !strings.Contains(text, "shoeSize") {
		t.Errorf("notes %v", notes)
	}
	if log := r.log(); !strings.Contains(log, `"msg":"note"`) || !strings.Contains(log, "shoeSize") {
		t.Errorf("log %s", log)
	}
}
