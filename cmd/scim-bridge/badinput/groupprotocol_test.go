package badinput

import (
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// groupIdentifiers is row 109 for groups, and ids of other things.
func groupIdentifiers() []attempt {
	all := badIDs("/Groups", "{group}", groupOf("{title}", "[]"), bridgetest.PatchOp(wipe))
	for method, body := range map[string]string{"GET": "", "HEAD": "", "DELETE": "", "PUT": groupOf("{title}", "[]"), "PATCH": bridgetest.PatchOp(wipe)} {
		for _, id := range []string{"{in}", "{id}", "nobody"} {
			all = append(all, attempt{row: "I110 " + method + " of a group by a user's id " + id, method: method, path: "/Groups/" + id, body: body, status: 404})
		}
	}
	for method, body := range map[string]string{"GET": "", "HEAD": "", "DELETE": "", "PUT": userOf("{name}"), "PATCH": bridgetest.PatchOp(off)} {
		all = append(all, attempt{row: "I110 " + method + " of a user by a group's id", method: method, path: "/Users/{group}", body: body, status: 404, detail: []string{}})
	}
	for _, path := range []string{"^/scim/v2/groups", "^/scim/v2/GROUPS", "^/scim/v2/%47roups", "^/scim/v2/Groups/{group}/members", "^/scim/v2/Groups/{group}/members/{in}", "^/scim/v2/Users/{in}/groups", "^/scim/v2//Groups", "^/scim/v2/Groups;x=1", "^/scim/v1/Groups", "^/v1/Groups"} {
		for method, body := range map[string]string{"GET": "", "DELETE": "", "PATCH": bridgetest.PatchOp(wipe)} {
			all = append(all, attempt{row: "I109 " + method + " " + path[1:], method: method, path: path, body: body, status: 404, check: noRedirect})
		}
	}
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/Groups", ""}, {"GET", "/Groups/{group}", ""}, {"POST", "/Groups", groupOf("{new}", entries("{out}"))}, {"PUT", "/Groups/{group}", groupOf("{title}", "[]")}, {"PATCH", "/Groups/{group}", bridgetest.PatchOp(wipe)}, {"DELETE", "/Groups/{group}", ""},
		{"GET", "/Roles", ""}, {"GET", "/Roles/1", ""}, {"GET", "/IdentityProviders", ""}, {"GET", "/Organizations", ""}, {"GET", "/Groups/{group}/", ""}, {"GET", "/Groups?x=/healthz", ""},
	} {
		for _, header := range [][]string{{"-Authorization", ""}, {"Authorization", "Bearer"}, {"Authorization", "Bearer sarb_" + long(48)}, {"Authorization", "Basic {token}"}, {"Authorization", "Bearer {expired}"}, {"Authorization", "Bearer {revoked}"}} {
			all = append(all, attempt{row: "I113 " + c.method + " " + c.path + " with " + header[1], method: c.method, path: c.path, body: c.body, header: header, status: 401})
		}
	}
	return all
}

// catalogue are the collections that nobody can change, and one that each has.
var catalogue = map[string]string{"/Roles": "1", "/IdentityProviders": "idp-2", "/Organizations": "org-113"}

// groupProtocol is group M for groups and for what is read-only.
func groupProtocol() []attempt {
	body := map[string]string{"PUT": groupOf("{title}", "[]"), "PATCH": bridgetest.PatchOp(wipe), "DELETE": ""}
	all := conditions("/Groups/{group}", body)
	paths := []string{"/Groups", "/Groups/{group}"}
	for collection, id := range catalogue {
		paths = append(paths, collection, collection+"/"+id)
		for _, bad := range []string{"nobody", "0", "-1", "999", "01", "1e0", "%31%30", "a%00b", "..%2fUsers", long(65), "{group}", "{id}", "200", "1001"} {
			all = append(all, attempt{row: "I109 " + collection + " " + bad, method: "GET", path: collection + "/" + bad, status: 404, calls: true})
		}
		all = append(all, attempt{row: "Q103 a filter of " + collection, method: "GET", path: collection + "?filter=password+pr", status: 400, scimType: "invalidFilter", detail: []string{"password"}},
			attempt{row: "Q100 a malformed filter of " + collection, method: "GET", path: collection + "?filter=displayName+eq", status: 400, scimType: "invalidFilter", detail: []string{"filter"}},
			attempt{row: "Q100 a filter that finds nothing of " + collection, method: "GET", path: collection + "?filter=displayName+eq+%22nobody%22", status: 200, check: shows(map[string]any{"totalResults": 0.0})},
			attempt{row: "Q96 paging of " + collection, method: "GET", path: collection + "?startIndex=-1&count=99999999999999999999", status: 200, check: aList},
			attempt{row: "Q97 beyond the end of " + collection, method: "GET", path: collection + "?startIndex=1000000", status: 200, check: aList},
			attempt{row: "Q107 a sort of " + collection, method: "GET", path: collection + "?sortBy=favouriteColour&sortOrder=descending", status: 200, check: aList},
			attempt{row: "M153 a malformed If-None-Match at " + collection, method: "GET", path: collection + "/" + id, header: []string{"If-None-Match", "x"}, status: 400, scimType: "invalidVers", detail: []string{"If-None-Match"}},
			attempt{row: "M153 If-None-Match * at " + collection, method: "GET", path: collection + "/" + id, header: []string{"If-None-Match", "*"}, status: 304},
			attempt{row: "M154 HEAD " + collection + "/" + id, method: "HEAD", path: collection + "/" + id, status: 200, check: silent},
			attempt{row: "I110 organizations of others at " + collection, method: "GET", path: collection, status: 200, check: lacks("Globex", `"200"`)})
	}
	all = methods(paths, all...)
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
		all = append(all, attempt{row: "M158 " + method + " of no group", method: method, path: "/Groups/3f0c9a3e-0000-4000-8000-000000000000", body: body[method], status: 404, detail: []string{"Group", "3f0c9a3e-0000-4000-8000-000000000000", "does not exist"}})
	}
	for _, h := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		all = append(all, attempt{row: "J30 " + h + " on GET", method: "GET", path: "/Groups/{group}", header: []string{h, "DELETE"}, status: 200, check: isThere},
			attempt{row: "J30 " + h + " on POST", path: "/Groups/{group}", body: bridgetest.PatchOp(wipe), header: []string{h, "PATCH"}, status: 405, detail: []string{"method", "PATCH"}})
	}
	deleted := attempt{row: "M157 DELETE twice", method: "DELETE", path: "/Groups/{group}", gather: true, status: 204, hold: nobody, check: groupGoneForGood}
	return append(all, deleted,
		attempt{row: "M157 DELETE with a body", method: "DELETE", path: "/Groups/{group}", gather: true, body: `{"x":`, status: 204, hold: nobody},
		attempt{row: "M158 GET with a body", method: "GET", path: "/Groups/{group}", body: `{"x":`, status: 200},
		attempt{row: "M154 HEAD of a group", method: "HEAD", path: "/Groups/{group}", status: 200, check: bodyless},
		attempt{row: "M153 If-None-Match * by GET", method: "GET", path: "/Groups/{group}", header: []string{"If-None-Match", "*"}, status: 304},
		attempt{row: "M153 If-None-Match malformed by GET", method: "GET", path: "/Groups/{group}", header: []string{"If-None-Match", "x"}, status: 400, scimType: "invalidVers", detail: []string{"If-None-Match"}},
		changed("M153 If-Match * by PATCH", "too", `{"op":"remove","path":"members[value eq \"{in}\"]"}`).with("If-Match", "*"),
		changed("M153 the version that a change made old", "too", `{"op":"remove","path":"members[value eq \"{in}\"]"}`).then(staleTag),
	)
}

func bodyless(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	if len(res.Body) > 0 {
		t.Errorf("a HEAD with a body: %s", excerpt(res.Body))
	}
}

// staleTag changes the group again and again with the version of before.
func staleTag(t *testing.T, r *rig, _ bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	path := "/Groups/" + r.met.id
	tag := r.quietly(t, "GET", path, "").Header.Get("ETag")
	add := bridgetest.PatchOp(`{"op":"add","path":"members","value":[{"value":"` + r.met.in.id + `"}]}`)
	if res := r.quietly(t, "PATCH", path, add, "If-Match", tag); res.Status != 200 || res.Header.Get("ETag") == tag {
		t.Errorf("with the version that it has: status %d, ETag %s (was %s)", res.Status, res.Header.Get("ETag"), tag)
	}
	before := len(r.Sandbox.Ledger())
	for method, body := range map[string]string{"PATCH": bridgetest.PatchOp(wipe), "PUT": groupOf(r.met.title, "[]"), "DELETE": ""} {
		if res := r.quietly(t, method, path, body, "If-Match", tag); res.Status != 412 {
			t.Errorf("%s with a version that is gone: status %d %s", method, res.Status, excerpt(res.Body))
		}
	}
	if n := len(r.Sandbox.Ledger()) - before; n != 0 || r.holders(t, r.met) != held {
		t.Errorf("%d effects upstream, %s hold the role", n, r.holders(t, r.met))
	}
}

// groupGoneForGood checks that a group that was deleted is gone, and that its
// name is free.
func groupGoneForGood(t *testing.T, r *rig, _ bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	c, before := r.met, len(r.Sandbox.Ledger())
	for _, method := range []string{"DELETE", "GET", "PATCH", "PUT", "DELETE"} {
		body := map[string]string{"PATCH": bridgetest.PatchOp(wipe), "PUT": groupOf(c.title, entries(c.in.id))}[method]
		if got := r.quietly(t, method, "/Groups/"+c.id, body); got.Status != 404 || got.JSON("status") != "404" {
			t.Errorf("%s after DELETE: status %d %s", method, got.Status, excerpt(got.Body))
		}
	}
	if n := len(r.Sandbox.Ledger()) - before; n != 0 {
		t.Errorf("%d effects upstream after a DELETE", n)
	}
	if again := r.mustGroup(t, groupOf(c.title, "")); again == c.id {
		t.Errorf("the new group has the id %s of the old one", again)
	}
}
