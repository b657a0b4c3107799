package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/scim"
)

// groupText is the body of a group with members u0, u1, ….
func groupText(members int) string {
	list := make([]string, members)
	for i := range list {
		list[i] = fmt.Sprintf(`{"value":"u%d","display":"Person %d"}`, i, i)
	}
	return `{"schemas":["` + scim.GroupSchema + `"],"displayName":"Managers","externalId":"e-1","members":[` + strings.Join(list, ",") + `]}`
}

// withGroup creates group-1 with members.
func (r *rig) withGroup(tb testing.TB, members int) *rig {
	tb.Helper()
	want(tb, r.do(tb, request("POST", "/scim/v2/Groups?excludedAttributes=members", groupText(members))), 201, "")
	r.groups.mu.Lock()
	defer r.groups.mu.Unlock()
	r.groups.calls, r.groups.read = nil, 0
	r.observed, r.failed = nil, nil
	return r
}

func patchText(ops string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + ops + `]}`
}

func TestLifeOfAGroup(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	const path, location = "/scim/v2/Groups/group-1", publicAddress + "/scim/v2/Groups/group-1"
	member := func(id string) map[string]any {
		return map[string]any{"value": id, "$ref": publicAddress + "/scim/v2/Users/" + id, "type": "User"}
	}
	show := func(version string, members ...any) map[string]any {
		g := map[string]any{
			"schemas": []any{scim.GroupSchema}, "id": "group-1", "displayName": "Managers", "externalId": "e-1",
			"meta": map[string]any{
				"resourceType": "Group", "created": "2023-11-14T22:13:20Z", "lastModified": "2023-11-14T22:13:2" + version + "Z",
				"location": location, "version": `W/"` + version + `"`,
			},
		}
		if len(members) > 0 {
			g["members"] = members
		}
		return g
	}

	rec := r.do(t, request("POST", "/scim/v2/Groups", groupText(2)))
	want(t, rec, 201, "")
	if rec.Header().Get("Location") != location || rec.Header().Get("ETag") != `W/"1"` {
		t.Errorf("headers %v", rec.Header())
	}
	if diff := cmp.Diff(show("1", member("u0"), member("u1")), object(t, rec.Body.Bytes())); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	want(t, r.do(t, request("POST", "/scim/v2/Groups", strings.Replace(groupText(0), "Managers", "MANAGERS", 1))), 409, "uniqueness")

	rec = r.do(t, request("PATCH", path, patchText(`{"op":"Remove","path":"members","value":[{"value":"u0"}]}`)))
	want(t, rec, 200, "")
	if diff := cmp.Diff(show("2", member("u1")), object(t, rec.Body.Bytes())); diff != "" || rec.Header().Get("ETag") != `W/"2"` {
		t.Errorf("patched, %v (-want +got):\n%s", rec.Header(), diff)
	}
	rec = r.do(t, request("PATCH", path+"?attributes=displayName,members.value", patchText(`{"op":"add","path":"members","value":[{"value":"u7"}]}`)))
	want(t, rec, 200, "")
	if diff := cmp.Diff(map[string]any{
		"schemas": []any{scim.GroupSchema}, "id": "group-1", "displayName": "Managers",
		"members": []any{map[string]any{"value": "u1"}, map[string]any{"value": "u7"}},
	}, object(t, rec.Body.Bytes())); diff != "" {
		t.Errorf("patched (-want +got):\n%s", diff)
	}

	rec = r.do(t, request("GET", path, ""))
	want(t, rec, 200, "")
	if diff := cmp.Diff(show("3", member("u1"), member("u7")), object(t, rec.Body.Bytes())); diff != "" || rec.Header().Get("ETag") != `W/"3"` {
		t.Errorf("read, %v (-want +got):\n%s", rec.Header(), diff)
	}

	rec = r.do(t, request("PUT", path, `{"schemas":["`+scim.GroupSchema+`"],"id":"other","displayName":"Managers","externalId":"e-1"}`))
	want(t, rec, 200, "")
	if r.groups.last.group.Members != nil || r.groups.last.group.ID != "" {
		t.Errorf("the handler got %+v", r.groups.last.group)
	}
	if diff := cmp.Diff(show("4", member("u1"), member("u7")), object(t, rec.Body.Bytes())); diff != "" {
		t.Errorf("replaced (-want +got):\n%s", diff)
	}
	rec = r.do(t, request("PUT", path, groupText(0)))
	want(t, rec, 200, "")
	if diff := cmp.Diff(show("5"), object(t, rec.Body.Bytes())); diff != "" {
		t.Errorf("emptied (-want +got):\n%s", diff)
	}

	want(t, r.do(t, request("DELETE", path, "")), 204, "")
	want(t, r.do(t, request("DELETE", path, "")), 404, "")
	want(t, r.do(t, request("GET", path, "")), 404, "")
	want(t, r.do(t, request("PATCH", path, patchText(``))), 404, "")
}

func TestGroupQueries(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, name := range []string{"Owners", "Managers", "Analysts"} {
		want(t, r.do(t, request("POST", "/scim/v2/Groups", strings.Replace(groupText(1), "Managers", name, 1))), 201, "")
	}
	for _, tt := range []struct {
		query string
		want  []string
		has   string
		lacks string
	}{
		{"", []string{"Owners", "Managers", "Analysts"}, `"members":[{"value":"u0","$ref":"` + publicAddress + `/scim/v2/Users/u0","type":"User"}]`, "display\":"},
		{"?startIndex=1&count=100", []string{"Owners", "Managers", "Analysts"}, `"totalResults":3,"startIndex":1,"itemsPerPage":3,`, ""},
		{"?excludedAttributes=members&filter=displayName+eq+%22managers%22", []string{"Managers"}, `"itemsPerPage":1,`, "members"},
		{"?filter=displayName+eq+%22Nobody%22", nil, `"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]`, ""},
		{"?filter=externalId+eq+%22e-1%22&sortBy=displayName", []string{"Analysts", "Managers", "Owners"}, "", ""},
		{"?filter=id+eq+%22group-2%22+and+members+eq+%22u0%22&attributes=id", []string{""}, `"id":"group-2"`, "members"},
		{"?filter=members%5Bvalue+eq+%22u1%22%5D", nil, `"Resources":[]`, ""},
		{"?attributes=displayName,members.value&startIndex=2&count=1", []string{"Managers"}, `"members":[{"value":"u0"}]`, "$ref"},
		{"?attributes=displayName,members.display&count=1", []string{"Owners"}, "", "members"},
		{"?count=0", nil, `"totalResults":3,`, ""},
	} {
		rec := r.do(t, request("GET", "/scim/v2/Groups"+tt.query, ""))
		want(t, rec, 200, "")
		var list struct {
			Resources []struct{ DisplayName string }
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, g := range list.Resources {
			names = append(names, g.DisplayName)
		}
		if diff := cmp.Diff(tt.want, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.query, diff)
		}
		if body := rec.Body.String(); !strings.Contains(body, tt.has) || tt.lacks != "" && strings.Contains(body, tt.lacks) {
			t.Errorf("%s: want %q and no %q in %s", tt.query, tt.has, tt.lacks, body)
		}
	}
	want(t, r.do(t, request("GET", "/scim/v2/Groups?filter=userName+pr", "")), 400, "invalidFilter")
	want(t, r.do(t, request("GET", "/scim/v2/Groups?attributes=a&excludedAttributes=b", "")), 400, "invalidValue")
	want(t, r.do(t, request("GET", "/scim/v2/Groups/.search", "")), 405, "")
}

// TestMembersAreReadOnlyWhenShown: a group's members may be many, so nobody
// reads them in vain.
func TestMembersAreReadOnlyWhenShown(t *testing.T) {
	t.Parallel()
	const path = "/scim/v2/Groups/group-1"
	for _, tt := range []struct {
		name    string
		req     *http.Request
		status  int
		members bool // what the handler is asked for
		read    int
	}{
		{"GET", request("GET", path, ""), 200, true, 3},
		{"GET of some attributes", request("GET", path+"?attributes=members.value", ""), 200, true, 3},
		{"GET of others", request("GET", path+"?attributes=displayName", ""), 200, false, 0},
		{"GET without members", request("GET", path+"?excludedAttributes=members", ""), 200, false, 0},
		{"GET without any part of members", request("GET", path+"?excludedAttributes=members.value,members.$ref,members.type,members.display", ""), 200, false, 0},
		{"GET of what is known", request("GET", path, "", `If-None-Match: W/"1"`), 304, true, 0},
		{"HEAD", request("HEAD", path, ""), 200, false, 0},
		{"HEAD of the list", request("HEAD", "/scim/v2/Groups", ""), 200, false, 0},
		{"list", request("GET", "/scim/v2/Groups", ""), 200, false, 3},
		{"list without members", request("GET", "/scim/v2/Groups?excludedAttributes=MEMBERS", ""), 200, false, 0},
		{"POST without members", request("POST", "/scim/v2/Groups?excludedAttributes=members", strings.Replace(groupText(3), "Managers", "Others", 1)), 201, false, 0},
		{"PUT without members", request("PUT", path+"?excludedAttributes=members", groupText(3)), 200, false, 0},
		{"PATCH", request("PATCH", path, patchText(`{"op":"add","path":"members","value":[{"value":"x"}]}`)), 200, true, 4},
		{"PATCH for members", request("PATCH", path+"?attributes=members", patchText(`{"op":"add","path":"members","value":[{"value":"x"}]}`)), 200, true, 4},
		{"PATCH without members", request("PATCH", path+"?excludedAttributes=members", patchText(`{"op":"add","path":"members","value":[{"value":"x"}]}`)), 200, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil).withGroup(t, 3)
			want(t, r.do(t, tt.req), tt.status, "")
			if r.groups.last.members != tt.members || r.groups.read != tt.read {
				t.Errorf("asked for members: %v, read %d; want %v, %d", r.groups.last.members, r.groups.read, tt.members, tt.read)
			}
		})
	}
}

// TestPatchOfAGroupIsAnsweredBriefly: not with more members than anybody wants to
// read, and to Okta and Entra with none.
func TestPatchOfAGroupIsAnsweredBriefly(t *testing.T) {
	t.Parallel()
	rename := patchText(`{"op":"replace","path":"displayName","value":"X"}`)
	for _, tt := range []struct {
		client  string
		members int
		query   string
		status  int
	}{
		{"rfc", patchedMembers, "", 200},
		{"rfc", patchedMembers + 1, "", 204},
		{"rfc", patchedMembers + 1, "?attributes=members", 200},
		{"rfc", patchedMembers + 1, "?excludedAttributes=members", 200},
		{"jumpcloud", 1, "", 200},
		{"okta", 1, "", 204},
		{"okta", 1, "?attributes=displayName", 200},
		{"entra", 1, "", 204},
	} {
		r := newRig(t, func(o *Options) {
			o.Authenticate = func(*http.Request) (Identity, error) {
				return Identity{Tenant: "acme", Credential: "c", Client: tt.client}, nil
			}
		}).withGroup(t, tt.members)
		rec := httptest.NewRecorder() // the body of a large one has no length
		r.handler.ServeHTTP(rec, request("PATCH", "/scim/v2/Groups/group-1"+tt.query, rename))
		shown := strings.Count(rec.Body.String(), `"value":`)
		if rec.Code != tt.status || tt.query == "" && tt.status == 200 && shown != tt.members || tt.status == 204 && shown != 0 {
			t.Errorf("%s%s of %d members: %d with %d", tt.client, tt.query, tt.members, rec.Code, shown)
		}
	}
}

func TestGroupPreconditionsAndDialects(t *testing.T) {
	t.Parallel()
	const path = "/scim/v2/Groups/group-1"
	for method, body := range map[string]string{"PUT": groupText(1), "PATCH": patchText(`{"op":"replace","path":"displayName","value":"X"}`), "DELETE": ""} {
		r := newRig(t, nil).withGroup(t, 1)
		want(t, r.do(t, request(method, path, body, `If-Match: W/"0"`)), 412, "")
		want(t, r.do(t, request(method, path, body, `If-Match: 1`)), 400, "invalidVers")
		if rec := r.do(t, request(method, path, body, `If-Match: W/"1"`)); rec.Code >= 300 {
			t.Errorf("%s: %d", method, rec.Code)
		}
	}
	r := newRig(t, func(o *Options) {
		o.Authenticate = func(*http.Request) (Identity, error) { return Identity{Tenant: "acme", Credential: "c"}, nil }
	}).withGroup(t, 1)
	want(t, r.do(t, request("PATCH", path, patchText(`{"op":"Add","path":"nope","value":"x"},{"op":"Add","path":"members","value":[{"$ref":null,"value":"u5"}]}`))), 204, "")
	if r.groups.last.caller.Dialect != scim.DialectEntra || len(r.groups.last.patch.Skipped) != 1 {
		t.Errorf("caller %+v, patch %+v", r.groups.last.caller, r.groups.last.patch)
	}
	if last := r.observed[len(r.observed)-1]; len(last.Notes) != 1 || last.Route != "/scim/v2/Groups/{id}" {
		t.Errorf("observed %+v", last)
	}
}

func TestGroupBodiesMayBeLarger(t *testing.T) {
	t.Parallel()
	fill := func(n int) string {
		text := `{"displayName":"x"}`
		return text + strings.Repeat(" ", n-len(text))
	}
	small := func(o *Options) { o.MaxGroupBody = 1 << 12 }
	for _, tt := range []struct {
		name         string
		change       func(*Options)
		method, path string
		size, status int
	}{
		{"as large as may be", nil, "POST", "/scim/v2/Groups", 8 << 20, 201},
		{"larger", nil, "POST", "/scim/v2/Groups", 8<<20 + 1, 413},
		{"a larger replacement", nil, "PUT", "/scim/v2/Groups/group-1", 8<<20 + 1, 413},
		{"a larger patch", small, "PATCH", "/scim/v2/Groups/group-1", 1<<12 + 1, 413},
		{"as large as is set", small, "POST", "/scim/v2/Groups", 1 << 12, 201},
		{"larger than is set", small, "POST", "/scim/v2/Groups", 1<<12 + 1, 413},
		{"a user's", small, "POST", "/scim/v2/Users", 1<<12 + 1, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.change)
			if rec := r.do(t, request(tt.method, tt.path, fill(tt.size))); rec.Code != tt.status {
				t.Errorf("%d, want %d: %s", rec.Code, tt.status, rec.Body)
			}
		})
	}
}

// TestDefectsOfAGroupHandlerAre500 checks what no handler may return.
func TestDefectsOfAGroupHandlerAre500(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]*scim.GroupView{
		"nil": nil, "no id": {}, "strange id": {Group: scim.Group{ID: "a/b"}},
		"members that are held": {Group: scim.Group{ID: "g", Members: []scim.Member{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *Options) { o.Groups = oddGroups{view: v} })
			want(t, r.do(t, request("POST", "/scim/v2/Groups", groupText(0))), 500, "")
			want(t, r.do(t, request("GET", "/scim/v2/Groups", "")), 500, "")
			want(t, r.do(t, request("PATCH", "/scim/v2/Groups/g", patchText(""))), 500, "")
		})
	}
	r := newRig(t, func(o *Options) { o.Groups = oddGroups{page: &scim.Page[scim.GroupView]{Rendered: [][]byte{nil}}} })
	want(t, r.do(t, request("GET", "/scim/v2/Groups", "")), 500, "")
}

// oddGroups returns what no handler may.
type oddGroups struct {
	scim.GroupHandler
	view *scim.GroupView
	page *scim.Page[scim.GroupView]
}

func (o oddGroups) CreateGroup(context.Context, scim.Caller, *scim.Group, bool) (*scim.GroupView, error) {
	return o.view, nil
}

func (o oddGroups) PatchGroup(context.Context, scim.Caller, string, *scim.GroupPatch, scim.Preconditions, bool) (*scim.GroupView, error) {
	return o.view, nil
}

func (o oddGroups) ListGroups(context.Context, scim.Caller, scim.Query) (*scim.Page[scim.GroupView], error) {
	if o.page != nil || o.view == nil {
		return o.page, nil
	}
	return &scim.Page[scim.GroupView]{Total: 1, Resources: []*scim.GroupView{o.view}}, nil
}
