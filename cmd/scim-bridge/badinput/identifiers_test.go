package badinput

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// identifiers is row 109: ids that are none, in every method that takes one.
func identifiers() []attempt {
	put := strings.Replace(userOf("{name}", `"active":false`), `,"active":true`, "", 1)
	return append(badIDs("/Users", "{id}", put, bridgetest.PatchOp(off)), paths109()...)
}

// badIDs asks for resources of a collection by ids that are none; own stands
// for one that is.
func badIDs(collection, own, put, patch string) []attempt {
	var all []attempt
	// The names that are filled in have as many bytes as these.
	filled := strings.NewReplacer("{name}", "new00000@example.com", "{title}", "Managers-00000")
	for _, id := range []string{
		"..%2f..%2ft2", "%2e%2e", "%2e", "..", ".", "../Users", "./{id}", "a%00b", "%00", "{id}%00", "a/b", "{id}/", "{id}//", "/{id}", "%2F{id}", "{id}%2f", "{id}%20", "%20{id}", "{id};x=1", "{id}.json", "{id},{id}",
		"*", "%7Bx%7D", "%7bid%7d", ":", ":id", "%25", "%252e%252e", "%2525", "%zz%", "a%", "a'b", "a%22b", "a%5cb", "%5c..%5c", "a@b", "a+b", "a=b", "a~b", "a!b", "a$b", "a(b)", "ü", "%C3%BC", "%ff", "%E2%80%8B",
		"%F0%9F%92%A5", "%D9%A1", "{id}%E2%80%8B", long(65), long(10_000), strings.Repeat("%61", 3000), "0", "1", "-1", "null", "undefined", "admin", "me", "Me", ".search2", "00000000-0000-0000-0000-000000000000", "{name}", "{ext}", "__proto__", "%0d%0aSet-Cookie:%20a=b", "{id}%0a",
	} {
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "HEAD"} {
			a := attempt{row: "I109 " + method + " id " + id[:min(len(id), 40)], method: method, path: collection + "/" + strings.ReplaceAll(id, "{id}", own), status: 404}
			a.body = map[string]string{"PUT": put, "PATCH": patch}[method]
			if strings.HasPrefix(id, "%zz") || id == "a%" || id == "ü" {
				// No client library sends these: they go as bytes.
				a.raw = request(method, "/scim/v2"+a.path, a.body, fmt.Sprintf("Content-Length: %d", len(filled.Replace(a.body))))
				if id != "ü" {
					a.wire, a.status, a.closes = true, 400, true
				}
			}
			if id == "{id}/" || a.wire && method == "HEAD" {
				continue // a slash at the end is tolerated, as below; net/http answers a malformed HEAD with a text
			}
			all = append(all, a)
		}
	}
	return append(all, attempt{row: "I109 a slash at the end", method: "GET", path: collection + "/" + own + "/", status: 200, check: isThere})
}

// isThere checks that the answer is a resource.
func isThere(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	if res.ID() == "" || res.JSON("active") == false {
		t.Errorf("no active resource: %s", excerpt(res.Body))
	}
}

// paths109 is row 109 for what comes before an id.
func paths109() []attempt {
	var all []attempt
	for _, path := range []string{"^//scim/v2/Users", "^/scim//v2/Users", "^/scim/v2//Users", "^/scim/v2/./Users", "^/scim/v2/../v2/Users", "^/scim/v2/%55sers", "^/%73cim/v2/Users", "^/scim/v2/Users;x=1", "^/SCIM/V2/Users",
		"^/scim/v2/users", "^/scim/v2/USERS", "^/scim/v2/Users%2f", "^/scim/v2%2fUsers", "^/scim/v2/t1/Users", "^/scim/v2/acme/Users", "^/", "^/scim", "^/scim/", "^/scim/v2/Foo", "^/scim/v2/Users/{id}/emails",
		"^/scim/v2/Users/{id}/../{id}", "^/scim/v2/Users/x/../{id}", "^/healthz/../scim/v2/Users", "^/metrics/x", "^/%6detrics", "^/admin", "^/console", "^/.env", "^/oauth/token", "^/debug/pprof/", "^/scim/v2/" + long(600)} {
		all = append(all, attempt{row: "I109 path " + path[1:min(len(path), 40)], method: "GET", path: path, status: 404, check: noRedirect},
			attempt{row: "I109 path " + path[1:min(len(path), 40)] + " without a token", method: "GET", path: path, header: []string{"-Authorization", ""}, check: noRedirect,
				status: unauthenticated(path)})
	}
	for _, path := range []string{"^/scim/v1", "^/scim/v1/", "^/scim/v1/Users", "^/scim/v1/Users/{id}"} {
		all = append(all, attempt{row: "M155 " + path[1:], method: "GET", path: path, status: 404, detail: []string{"SCIM 2.0", "/scim/v2"}})
	}
	return append(all,
		attempt{row: "M155 /v1/Users", method: "GET", path: "^/v1/Users", status: 404, detail: []string{"/v1/Users", "/scim/v2"}},
		attempt{row: "M155 POST /scim/v1/Users", path: "^/scim/v1/Users", body: user(), status: 404, detail: []string{"SCIM 2.0"}})
}

// unauthenticated is the status of a path without a token: 404 only where the
// path names nothing under any reading.
func unauthenticated(path string) int {
	if strings.Contains(path, "//") || strings.Contains(path, "%") || strings.Contains(path, "/.") && path != "^/.env" || strings.Contains(path, ";") || len(path) > 512 {
		return 404
	}
	return 401
}

func noRedirect(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	if l := res.Header.Get("Location"); l != "" {
		t.Errorf("Location %q", l)
	}
}

// credentialRows is rows 113 to 115.
func credentialRows() []attempt {
	var all []attempt
	good := "{token}"
	for _, c := range []struct {
		row    string
		header []string
		detail []string
	}{
		{"I113 no Authorization", []string{"-Authorization", ""}, []string{"no Authorization header", "Bearer <token>"}},
		{"I113 empty Authorization", []string{"Authorization", ""}, []string{"Authorization", "Bearer <token>"}},
		{"I113 Bearer alone", []string{"Authorization", "Bearer"}, []string{"Authorization", "Bearer <token>"}},
		{"I113 Bearer and a space", []string{"Authorization", "Bearer "}, []string{"Authorization", "Bearer <token>"}},
		{"I113 Bearer and spaces", []string{"Authorization", "Bearer    "}, []string{"Authorization", "Bearer <token>"}},
		{"I113 Bearer null", []string{"Authorization", "Bearer null"}, []string{"token"}},
		{"I113 Bearer undefined", []string{"Authorization", "Bearer undefined"}, []string{"token"}},
		{"I113 Bearer {token}", []string{"Authorization", "Bearer {SCIM_TOKEN}"}, []string{"token"}},
		{"I113 two spaces", []string{"Authorization", "Bearer  " + good}, []string{"Authorization", "Bearer <token>"}},
		{"I113 a tab", []string{"Authorization", "Bearer\t" + good}, []string{"Authorization", "Bearer <token>"}},
		{"I113 Basic", []string{"Authorization", "Basic dXNlcjpwYXNz"}, []string{"Bearer"}},
		{"I113 Basic with the token", []string{"Authorization", "Basic " + good}, []string{"Bearer"}},
		{"I113 no scheme", []string{"Authorization", good}, []string{"Bearer <token>"}},
		{"I113 Digest", []string{"Authorization", `Digest username="x"`}, []string{"Bearer"}},
		{"I113 Token", []string{"Authorization", "Token " + good}, []string{"Bearer"}},
		{"I113 SSWS", []string{"Authorization", "SSWS " + good}, []string{"Bearer"}},
		{"I113 Bearer:", []string{"Authorization", "Bearer:" + good}, []string{"Bearer <token>"}},
		{"I113 two headers", []string{"+Authorization", "Bearer " + good}, []string{"more than one", "once"}},
		{"I113 two headers, the first good", []string{"+Authorization", "Bearer x"}, []string{"more than one"}},
		{"I113 joined by a comma", []string{"Authorization", "Bearer " + good + ", Bearer " + good}, []string{"malformed"}},
		{"I113 joined without a space", []string{"Authorization", "Bearer " + good + ",x"}, []string{"malformed"}},
		{"I113 something behind it", []string{"Authorization", "Bearer " + good + " x"}, []string{"malformed"}},
		{"I113 a character more", []string{"Authorization", "Bearer " + good + "x"}, []string{"token"}},
		{"I113 quotes", []string{"Authorization", `Bearer "` + good + `"`}, []string{"token"}},
		{"I113 a token of 300 bytes", []string{"Authorization", "Bearer " + long(300)}, []string{"token"}},
		{"I113 a token of 10 KB", []string{"Authorization", "Bearer " + long(10_000)}, []string{"too long"}},
		{"I113 a token of 30 KB", []string{"Authorization", "Bearer " + long(30_000)}, []string{"too long"}},
		{"I113 bytes above ASCII", []string{"Authorization", "Bearer sarb_\xff\xfe" + long(40)}, []string{"token"}},
		{"I113 an empty name", []string{"Authorization", " Bearer"}, []string{"Authorization"}},
		{"I114 access_token in the query", []string{"X-Query", "1", "-Authorization", ""}, []string{"query string", "revoke that token", "Authorization"}},
		{"I114 access_token in the query beside a good header", []string{"X-Query", "1"}, []string{"query string", "revoke that token"}},
		{"I115 an expired token", []string{"Authorization", "Bearer {expired}"}, []string{"expired at", "create a new one"}},
		{"I115 a revoked token", []string{"Authorization", "Bearer {revoked}"}, []string{"revoked at", "successor"}},
		{"I115 an unknown token", []string{"Authorization", "Bearer sarb_" + long(48)}, []string{"token"}},
		{"I115 the sandbox's key", []string{"Authorization", "Bearer sak_acme"}, []string{"token"}},
	} {
		for _, target := range []struct{ method, path, body string }{{"GET", "/Users/{id}", ""}, {"PATCH", "/Users/{id}", bridgetest.PatchOp(off)}, {"DELETE", "/Users/{id}", ""}, {"POST", "/Users", user()}, {"GET", "/Schemas", ""}} {
			path := target.path
			if c.header[0] == "X-Query" {
				path += "?access_token=" + good
			}
			all = append(all, attempt{row: c.row + ": " + target.method + " " + target.path, method: target.method, path: path, body: target.body, header: c.header, status: 401, detail: c.detail,
				check: lacks("sarb_")}.unless(c.row))
		}
	}
	for _, scheme := range []string{"bearer", "BEARER", "bEaReR"} {
		all = append(all, attempt{row: "I113 " + scheme, method: "GET", path: "/Users/{id}", header: []string{"Authorization", scheme + " " + good}, status: 200})
	}
	return append(all,
		attempt{row: "I113 a token of 70 KB", method: "GET", header: []string{"Authorization", "Bearer " + long(70_000)}, status: 431, detail: []string{"65536"}},
		attempt{row: "I113 a token of 1 MB", status: 431, wire: true, closes: true, raw: "GET /scim/v2/Users HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer " + long(1<<20) + "\r\n\r\n"},
		attempt{row: "I114 token in the query by another name", method: "GET", path: "/Users/{id}?token=" + good + "&apikey=" + good, header: []string{"-Authorization", ""}, status: 401, detail: []string{"no Authorization header"}},
		attempt{row: "A8 a public path in the query", method: "GET", path: "/Users?x=/healthz", header: []string{"-Authorization", ""}, status: 401},
	)
}

// unless leaves the check of the body to those rows whose refusal explains
// what a token looks like.
func (a attempt) unless(row string) attempt {
	if strings.HasPrefix(row, "I113") || strings.HasPrefix(row, "I115") {
		a.check = nil
	}
	return a
}
