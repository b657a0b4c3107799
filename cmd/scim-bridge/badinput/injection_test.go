package badinput

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// forged is in every text that would be a line of the log, or a header, of the
// client's own.
const forged = "f0rged"

// forgeries are texts that a careless log would take for another line, or a
// terminal for a command.
var forgeries = []struct{ name, text string }{
	{"a line of JSON", "ada\n{\"level\":\"ERROR\",\"msg\":\"" + forged + "\"}\n"},
	{"an end of JSON", "ada\"}\r\n{\"msg\":\"" + forged + "\",\"x\":\""},
	{"an ANSI escape", "ada\x1b[2J\x1b[31m" + forged},
	{"a terminal's title", "ada\x1b]0;" + forged + "\x07"},
	{"a C1 escape", "ada\u009b31m" + forged},
	{"U+0085", "ada\u0085" + forged},
	{"U+2028", "ada\u2028" + forged},
	{"U+2029", "ada\u2029" + forged},
	{"U+202E", "ada\u202e" + forged},
	{"a carriage return", "ada\r" + forged},
	{"a backspace", "ada\b\b\b" + forged},
}

// logInjection is row 141: texts that look like lines of a log, wherever a
// client can put one.
func logInjection() []attempt {
	var all []attempt
	for _, f := range forgeries {
		text, err := json.Marshal(f.text)
		if err != nil {
			panic(err)
		}
		quoted, inQuery, inPath := string(text), url.QueryEscape(`"`+strings.ReplaceAll(f.text, `"`, `\"`)+`"`), url.PathEscape(f.text)
		add := func(where string, a attempt) {
			a.row = "L141 " + f.name + " in " + where
			all = append(all, a.then(oneLine).then(unquoted))
		}
		// upstreams is a text that only upstream refuses, in words of its own.
		upstreams := func(where string, good, bad attempt) {
			if !strings.ContainsFunc(f.text, unicode.IsControl) {
				add(where, good)
				return
			}
			bad.row, bad.calls = "L141 "+f.name+" in "+where, true
			all = append(all, bad.then(oneLine).then(unquoted))
		}
		add("userName", refusedPost("", named(quoted), 400, value, "userName"))
		add("an e-mail", refusedPost("", bodyWith(`"userName":"{new}"`, `"emails":[{"value":`+quoted+`}]`), 400, value, "emails[0].value"))
		add("displayName", accepted("", user(`"displayName":`+quoted)))
		add("a department", accepted("", user(`"`+enterpriseSchema+`":{"department":`+quoted+`}`)))
		given := `{"op":"replace","path":"name.givenName","value":` + quoted + `}`
		upstreams("givenName", patched("", 1, given), operations("", 400, value, given, "first_name"))
		external := user(`"externalId":` + quoted)
		upstreams("externalId", accepted("", external), refusedPost("", external, 400, value, "OtherId"))
		add("active", refusedPost("", bodyWith(`"userName":"{new}"`, `"active":`+quoted), 400, value, "active"))
		add("schemas", refusedPost("", strings.Replace(user(), `"`+userSchema+`"`, quoted, 1), 400, value, "schemas"))
		add("the name of an op", operations("", 400, syntax, `{"op":`+quoted+`,"path":"title","value":"x"}`, "op"))
		add("a path", operations("", 400, "invalidPath", `{"op":"replace","path":`+quoted+`,"value":"x"}`, "path"))
		group := attempt{path: "/Groups", body: `{"schemas":["` + groupSchema + `"],"displayName":` + quoted + `}`, status: 400, scimType: value, detail: []string{"displayName"}}
		filter := attempt{method: "GET", path: "/Users?filter=userName+eq+" + inQuery, status: 400, scimType: "invalidFilter"}
		if f.name == "U+202E" {
			group.status = 201 // part of names in some scripts
		}
		if !strings.ContainsFunc(f.text, func(c rune) bool { return c < ' ' }) {
			filter.status = 200 // a JSON string may hold it as it is
		}
		add("the name of a group", group)
		add("a filter", filter)
		add("sortBy", attempt{method: "GET", path: "/Users?count=1&sortBy=" + inQuery, status: 200})
		add("an id", attempt{method: "GET", path: "/Users/" + inPath, status: 404})
		add("a path that is none", attempt{method: "GET", path: "^/scim/v2/" + inPath, status: 404})
		add("an id without a token", attempt{method: "DELETE", path: "/Users/" + inPath, header: []string{"-Authorization", ""}, status: 404})
		add("a query that is tolerated", attempt{method: "GET", path: "/Users/{id}?x=" + inQuery + "&" + url.QueryEscape(f.text) + "=1", status: 200})
		if !strings.ContainsAny(f.text, "\r\n\x1b\x07\b") {
			// net/http sends no control characters; C1 and separators it does.
			add("headers", attempt{method: "GET", path: "/Users/{id}", header: []string{"User-Agent", f.text, "X-Request-Id", f.text, "X-Forwarded-For", f.text, "Referer", f.text}, status: 200})
			add("a token", attempt{method: "GET", path: "/Users/{id}", header: []string{"Authorization", "Bearer " + f.text}, status: 401})
			add("a media type", refusedPost("", user(), 415, "", "Content-Type").with("Content-Type", f.text))
			add("an entity tag", operations("", 400, "invalidVers", off, "If-Match").with("If-Match", f.text))
		}
	}
	return all
}

// oneLine checks that a request has one line in the log, that it is an object
// on one line with nothing that a terminal obeys, and that nothing else in the
// log or in the headers is what was forged.
func oneLine(t *testing.T, r *rig, res bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	id := res.Header.Get("X-Request-Id")
	line := r.log.line(t, id)
	if n := r.log.count(id); n != 1 {
		t.Errorf("%d lines", n)
	}
	var said struct {
		Level, Msg string
		Status     int
	}
	if err := json.Unmarshal([]byte(line), &said); err != nil || said.Level != "INFO" || said.Msg != "request" || said.Status != res.Status {
		t.Errorf("the log line is not that of the request (%v): %q", err, line)
	}
	for what, text := range map[string]string{"the log line": strings.TrimSuffix(line, "\n"), "the body": strings.TrimSuffix(string(res.Body), "\n")} {
		if i := strings.IndexFunc(text, commands); i >= 0 && (what == "the log line" || text[i] < ' ') {
			t.Errorf("%s has a character that is not escaped at %d: %q", what, i, text)
		}
	}
	for what, text := range map[string]string{"the headers": fmt.Sprint(res.Header), "another line of the log": strings.Join(r.log.asides(), "")} {
		if strings.Contains(text, forged) {
			t.Errorf("%s shows what was forged: %q", what, text)
		}
	}
}

// unquoted checks that the log line does not even quote what was forged.
func unquoted(t *testing.T, r *rig, res bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	if line := r.log.line(t, res.Header.Get("X-Request-Id")); strings.Contains(line, forged) {
		t.Errorf("the log line shows what was forged: %q", line)
	}
}

// commands reports what ends lines or is obeyed by terminals.
func commands(c rune) bool {
	return c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' || c == '\u202e'
}

// headerInjection is row 144: ids, and what else a header could be made of,
// that would end one and begin another.
func headerInjection() []attempt {
	var all []attempt
	for _, id := range []string{
		"%0d%0aSet-Cookie:%20f0rged=1", "{id}%0d%0aSet-Cookie:%20f0rged=1", "{id}%0aLocation:%20http:%2f%2ff0rged.example", "{id}%0d%0a%0d%0a<script>f0rged", "{id}%0d", "{id}%0dX-F0rged:%201",
		"%E5%98%8D%E5%98%8ASet-Cookie:f0rged=1", "{id}%E5%98%8A%E5%98%8DX-F0rged:1", "{id}%c0%8d%c0%8af0rged", "{id}%C4%8D%C4%8AX-F0rged:1", "{id}%5cr%5cnX-F0rged:1", "{id}%250d%250aX-F0rged:1", "%22f0rged%22", "{id}%22,%20W%2f%22f0rged",
		"{id}%C2%85f0rged", "{id}%E2%80%A8f0rged", "f0rged", "f0rged%3f", "f0rged%23",
	} {
		for _, collection := range []string{"/Users/", "/Groups/"} {
			for method, body := range map[string]string{"GET": "", "HEAD": "", "PUT": userOf("{name}"), "PATCH": bridgetest.PatchOp(off), "DELETE": ""} {
				if collection == "/Groups/" {
					body = strings.ReplaceAll(strings.ReplaceAll(body, userSchema, groupSchema), `"userName":"{name}"`, `"displayName":"x"`)
					if method == "PATCH" {
						body = bridgetest.PatchOp(`{"op":"replace","path":"displayName","value":"x"}`)
					}
				}
				all = append(all, attempt{row: "L144 " + method + " " + collection + id, method: method, path: collection + id, body: body, status: 404, check: ownHeaders})
			}
		}
	}
	good := func(row string, header ...string) {
		all = append(all, attempt{row: "L144 " + row, method: "GET", path: "/Users/{id}", header: header, status: 200, check: ownHeaders})
	}
	good("X-Forwarded-Host", "X-Forwarded-Host", "f0rged.example", "X-Forwarded-Proto", "f0rged", "X-Original-Url", "/f0rged", "Forwarded", "host=f0rged.example")
	good("X-Request-Id", "X-Request-Id", "f0rged")
	good("Origin", "Origin", "http://f0rged.example")
	good("Accept-Language", "Accept-Language", "f0rged", "Accept-Charset", "f0rged")
	good("If-None-Match of another", "If-None-Match", `W/"f0rged"`)
	created := user(`"externalId":"f0rged"`, `"id":"f0rged"`, `"meta":{"location":"http://f0rged.example","version":"W/\"f0rged\""}`)
	all = append(all,
		attempt{row: "L144 a Host of another", method: "GET", path: "/Users/{id}", status: 200, check: ownHeaders,
			raw: "GET /scim/v2/Users/{id} HTTP/1.1\r\nHost: f0rged.example\r\nAuthorization: Bearer {token}\r\n\r\n"},
		accepted("L144 location, version and id in a create", created).then(ownHeaders),
		patched("L144 location and version in a PATCH", 0, `{"op":"replace","value":{"title":"x","externalId":"f0rged-{name}"}}`).then(ownHeaders),
	)
	return all
}

// headerNames are the headers that answers have.
var headerNames = regexp.MustCompile(`^(Allow|Cache-Control|Connection|Content-Length|Content-Type|Date|Etag|Location|Content-Location|Retry-After|Strict-Transport-Security|Transfer-Encoding|Vary|Www-Authenticate|X-Content-Type-Options|X-Request-Id)$`)

// entityTag is what versions look like.
var entityTag = regexp.MustCompile(`^W/"[0-9A-Za-z_-]+"$`)

// ownHeaders checks that an answer has the bridge's own headers and no other,
// and that Location and ETag are made of ids and versions of the bridge.
func ownHeaders(t *testing.T, r *rig, res bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	for name, values := range res.Header {
		if !headerNames.MatchString(name) || len(values) != 1 || strings.IndexFunc(values[0], commands) >= 0 || strings.Contains(strings.ToLower(values[0]), forged) {
			t.Errorf("the header %q: %q", name, values)
		}
	}
	location, tag := res.Header.Get("Location"), res.Header.Get("ETag")
	if res.Status >= 400 {
		if location != "" || tag != "" {
			t.Errorf("a refusal with Location %q, ETag %q", location, tag)
		}
		return
	}
	if location != "" && location != r.Base+"/Users/"+res.ID() || location == "" && res.Status == http.StatusCreated {
		t.Errorf("Location %q of %s", location, res.ID())
	}
	if !entityTag.MatchString(tag) {
		t.Errorf("ETag %q", tag)
	}
	if at := res.JSON("meta.location"); at != r.Base+"/Users/"+res.ID() {
		t.Errorf("meta.location %v of %s", at, res.ID())
	}
}
