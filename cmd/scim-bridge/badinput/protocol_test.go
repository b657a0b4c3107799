package badinput

import (
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// protocol is group M.
func protocol() []attempt {
	var all []attempt
	body := map[string]string{"PUT": userOf("{name}", `"title":"x"`), "PATCH": bridgetest.PatchOp(off), "DELETE": ""}
	all = append(all, conditions("/Users/{id}", body)...)
	all = append(all,
		attempt{row: "M153 If-None-Match malformed by GET", method: "GET", path: "/Users/{id}", header: []string{"If-None-Match", "x"}, status: 400, scimType: "invalidVers", detail: []string{"If-None-Match"}},
		attempt{row: "M153 If-None-Match of the version by GET", method: "GET", path: "/Users/{id}", header: []string{"If-None-Match", "*"}, status: 304},
		attempt{row: "M153 If-Match * by PATCH", method: "PATCH", path: "/Users/{id}", fresh: true, body: bridgetest.PatchOp(`{"op":"replace","path":"title","value":"x"}`), header: []string{"If-Match", "*"}, status: 200, check: staysActive},
	)
	for path, status := range map[string]int{"/Users": 200, "/Users/{id}": 200, "/Users/nobody": 404, "/Schemas": 200, "/ServiceProviderConfig": 200, "/ResourceTypes": 200, "/Groups": 200, "/Groups/nobody": 404, "/Roles": 200, "/Me": 501, "/Nothing": 404} {
		a := attempt{row: "M154 HEAD " + path, method: "HEAD", path: path, status: status, check: silent, calls: status == 404}
		if path == "/Groups" {
			a.check = bodyless // nobody counts what a GET would stream
		}
		all = append(all, a)
	}
	for path, status := range map[string]int{"/Users/nobody": 405, "/Groups": 405, "/Groups/nobody": 405, "/Roles": 405, "/Bulk": 405, "/Nothing": 404} {
		all = append(all, attempt{row: "M154 OPTIONS " + path, method: "OPTIONS", path: path, status: status})
	}
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
		all = append(all, attempt{row: "M158 " + method + " of nobody", method: method, path: "/Users/3f0c9a3e-0000-4000-8000-000000000000", body: body[method], status: 404, detail: []string{"User", "3f0c9a3e-0000-4000-8000-000000000000", "does not exist"}})
	}
	return append(all,
		attempt{row: "M157 DELETE twice", method: "DELETE", path: "/Users/{id}", fresh: true, status: 204, effects: 3, check: goneForGood},
		attempt{row: "M158 GET of somebody deactivated", method: "PATCH", path: "/Users/{id}", fresh: true, body: bridgetest.PatchOp(off), status: 200, effects: 1, check: deactivated}.
			then(func(t *testing.T, r *rig, res bridgetest.Response, _ []sandbox.Entry) {
				if got := r.quietly(t, "GET", "/Users/"+res.ID(), ""); got.Status != 200 || got.JSON("active") != false {
					t.Errorf("status %d %s", got.Status, excerpt(got.Body))
				}
			}),
		attempt{row: "M157 DELETE with a body", method: "DELETE", path: "/Users/{id}", fresh: true, body: `{"x":`, status: 204, effects: 3},
		attempt{row: "M158 GET with a body", method: "GET", path: "/Users/{id}", body: `{"x":`, status: 200},
	)
}

// conditions is row 153: entity tags that are stale, or none, on what changes
// the resource at path by the bodies of each method.
func conditions(path string, body map[string]string) []attempt {
	var all []attempt
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		on := func(row string, status int, scimType string, detail []string, header ...string) {
			all = append(all, attempt{row: row + " by " + method, method: method, path: path, body: body[method], header: header, status: status, scimType: scimType, detail: detail, calls: status == 412})
		}
		for _, tag := range []string{`W/"stale"`, `"stale"`, `W/"a", W/"b"`, `W/""`} {
			on("M153 If-Match "+tag, 412, "", []string{"If-Match", "read the resource again"}, "If-Match", tag)
		}
		on("M153 If-None-Match *", 412, "", []string{"If-None-Match"}, "If-None-Match", "*")
		for _, tag := range []string{`stale`, `W/stale`, `"stale`, `stale"`, `W/"a" W/"b"`, `*,*`, `w"a"`, `"a b"`, ``, `,`, `"` + "\x7f" + `"`, manyTags(40)} {
			if tag == `"`+"\x7f"+`"` {
				continue // net/http refuses to send it
			}
			on("M153 If-Match "+tag[:min(len(tag), 20)], 400, "invalidVers", []string{"If-Match", "entity tags"}, "If-Match", tag)
		}
		on("M153 If-None-Match malformed", 400, "invalidVers", []string{"If-None-Match", `"stale"`, "entity tags"}, "If-None-Match", "stale")
	}
	return all
}

func manyTags(n int) string {
	var s strings.Builder
	s.WriteString(`"a"`)
	for range n {
		s.WriteString(`,"a"`)
	}
	return s.String()
}

func silent(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	if len(res.Body) > 0 {
		t.Errorf("a HEAD with a body: %s", excerpt(res.Body))
	}
	if n := res.Header.Get("Content-Length"); n == "" || n == "0" {
		t.Errorf("Content-Length %q, want that of a GET", n)
	}
}

// goneForGood checks that somebody deleted is gone, and can only be made anew.
func goneForGood(t *testing.T, r *rig, res bridgetest.Response, now []sandbox.Entry) {
	t.Helper()
	id := r.aim.id
	before := len(r.Sandbox.Ledger())
	for _, method := range []string{"DELETE", "GET", "PATCH", "PUT", "DELETE"} {
		body := ""
		switch method {
		case "PATCH":
			body = bridgetest.PatchOp(off)
		case "PUT":
			body = userOf(r.aim.name)
		}
		if got := r.quietly(t, method, "/Users/"+id, body); got.Status != 404 || got.JSON("status") != "404" {
			t.Errorf("%s after DELETE: status %d %s", method, got.Status, excerpt(got.Body))
		}
	}
	if n := len(r.Sandbox.Ledger()) - before; n != 0 {
		t.Errorf("%d effects upstream after a DELETE", n)
	}
	again := r.quietly(t, "POST", "/Users", userOf(r.aim.name))
	if again.Status != 201 || again.ID() == id {
		t.Errorf("created again: status %d, id %s (was %s)", again.Status, again.ID(), id)
	}
}
