package badinput

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

const (
	syntax  = "invalidSyntax"
	value   = "invalidValue"
	maxBody = 1 << 20
)

// framing is group J: JSON and HTTP framing.
func framing() []attempt {
	return slices.Concat(malformed("/Users", "/Users/{id}"), truncated(), behind(), encodings(), duplicates(), sizes(), mediaTypes(), transfer())
}

// malformed are bodies that are no object, or too deep or too wide, in every
// request to a collection and to one of its resources that has a body.
func malformed(collection, resource string) []attempt {
	var all []attempt
	add := func(more ...attempt) { all = append(all, more...) }
	for _, c := range []struct{ method, path string }{{"POST", collection}, {"PUT", resource}, {"PATCH", resource}} {
		on := func(row, body, scimType string, detail ...string) {
			add(attempt{row: row + " by " + c.method, method: c.method, path: c.path, body: body, status: 400, scimType: scimType, detail: detail})
		}
		on("J1 empty body", "", syntax, "no body", "send a JSON object")
		on("J1 only spaces", " \r\n\t", syntax, "empty", "must be a JSON object")
		for body, found := range map[string]string{"null": "null", "[]": "array", `"x"`: "string", "42": "number", "true": "boolean"} {
			on("J2 the body "+body, body, syntax, "must be a JSON object", found)
		}
		on("J13 depth 33", `{"x":`+nestedArrays(32)+`}`, syntax, "32")
		on("J13 depth 33 of objects", `{"x":`+nestedObjects(32)+`}`, syntax, "32")
		on("J13 depth 10 001", `{"x":`+nestedArrays(10_000)+`}`, syntax, "32")
		on("J13 depth 100 000", `{"x":`+nestedArrays(100_000)+`}`, syntax, "32")
		on("J13 depth 1 000 000, unclosed", `{"x":`+strings.Repeat("[", 1_000_000), syntax, "32")
		on("J13 depth 100 000 of objects", `{"x":`+nestedObjects(100_000)+`}`, syntax, "32")
		on("J25 1 001 members", `{`+members(1001)+`}`, syntax, "1000")
		on("J25 100 000 members", `{`+members(100_000)+`}`, syntax, "1000")
		on("J25 1 001 members of a member", `{"x":{`+members(1001)+`}}`, syntax, "1000")
	}
	return all
}

func truncated() []attempt {
	var all []attempt
	for _, body := range []string{user(`"nickName":"a\u00e9b"`, `"x":[1,true,null,-2.5e3]`, `"`+enterpriseSchema+`":{"manager":{"value":"m"},"department":"d"}`)} {
		for i := 1; i < len(body); i++ {
			all = append(all, refusedPost(fmt.Sprintf("J3 truncated after %d bytes", i), body[:i], 400, syntax, "not valid JSON"))
		}
	}
	whole := bridgetest.PatchOp(`{"op":"replace","path":"active","value":false}`)
	for i := 1; i < len(whole); i += 5 {
		a := operations(fmt.Sprintf("J3 a deactivation truncated after %d bytes", i), 400, syntax, "", "not valid JSON")
		a.body = whole[:i]
		all = append(all, a)
	}
	for _, bad := range []string{`{"userName":'x'}`, `{userName:"x"}`, `{"userName":"x",}`, `{"userName" "x"}`, `{"userName":+1}`, `{"userName":.5}`,
		`{"userName":NaN}`, `{"userName":Infinity}`, `{"userName":TRUE}`, `{"userName":"a` + "\n" + `b"}`, `{"userName":"\x41"}`, `{"userName":"\u12"}`,
		`/**/{"userName":"x"}`, `{"userName":"x"}//`, `{"emails":[{},]}`, `{,}`, `{"a":1 "b":2}`, `{"userName":"a` + "\x00" + `b"}`, "userName=x", "<User/>", `)]}',{}`} {
		all = append(all, refusedPost(fmt.Sprintf("J3 malformed %q", bad), bad, 400, syntax))
	}
	// A wrong type that stands before the fault is told first.
	for _, bad := range []string{`{"userName":01}`, `{"userName":0x10}`, `{"emails":[1,]}`} {
		all = append(all, refusedPost(fmt.Sprintf("J3 malformed behind a wrong type %q", bad), bad, 400, value, "must be", "found a number"))
	}
	return all
}

func behind() []attempt {
	var all []attempt
	for _, more := range []string{"{}", " {}", "x", "]", "}", ",", "null", "\x00", "\n42", ` "x"`} {
		all = append(all, refusedPost(fmt.Sprintf("J4 %q behind the body", more), user()+more, 400, syntax))
	}
	a := operations("J4 a second PATCH behind the first", 400, syntax, "")
	a.body = bridgetest.PatchOp(`{"op":"replace","path":"title","value":"x"}`) + bridgetest.PatchOp(`{"op":"replace","path":"active","value":false}`)
	return append(all, a)
}

func encodings() []attempt {
	all := []attempt{
		accepted("J5 byte order mark", "\xef\xbb\xbf"+user()),
		refusedPost("J5 two byte order marks", "\xef\xbb\xbf\xef\xbb\xbf"+user(), 400, syntax),
	}
	ascii := utf16.Encode([]rune(userOf("utf16@example.com")))
	little, big := make([]byte, 0, 2*len(ascii)), make([]byte, 0, 2*len(ascii))
	for _, u := range ascii {
		little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
	}
	for name, body := range map[string]string{
		"LE": string(little), "BE": string(big), "LE with mark": "\xff\xfe" + string(little), "BE with mark": "\xfe\xff" + string(big),
		"32 LE": "{\x00\x00\x00}\x00\x00\x00", "7": "+AHsAfQ-",
	} {
		all = append(all, refusedPost("J6 UTF-16 "+name, body, 400, syntax, "not valid JSON"))
	}
	for _, bad := range []string{"\xff", "\xc0\x80", "\xc3", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xfe"} {
		all = append(all,
			refusedPost(fmt.Sprintf("J7 %q in userName", bad), named(`"a`+bad+`b@example.com"`), 400, syntax, "UTF-8"),
			refusedPost(fmt.Sprintf("J7 %q in an unknown attribute", bad), user(`"x":"`+bad+`"`), 400, syntax, "UTF-8"),
			refusedPost(fmt.Sprintf("J7 %q in a name", bad), user(`"x`+bad+`":1`), 400, syntax, "UTF-8"),
			operations(fmt.Sprintf("J7 %q in a PATCH value", bad), 400, syntax, `{"op":"replace","path":"title","value":"`+bad+`"}`, "UTF-8"),
			operations(fmt.Sprintf("J7 %q in a PATCH path", bad), 400, syntax, `{"op":"replace","path":"ti`+bad+`tle","value":"x"}`, "UTF-8"))
	}
	for _, bad := range []string{`\ud800`, `\udc00`, `\ud800x`, `\udfff\ud800`, `\ud800\ud800`, `\uDBFF`} {
		all = append(all,
			refusedPost("J8 lone surrogate "+bad+" in userName", named(`"a`+bad+`b@example.com"`), 400, syntax, "surrogate"),
			refusedPost("J8 lone surrogate "+bad+" in a name", user(`"x`+bad+`":1`), 400, syntax, "surrogate"),
			operations("J8 lone surrogate "+bad+" in a PATCH", 400, syntax, `{"op":"replace","path":"title","value":"`+bad+`"}`, "surrogate"))
	}
	for _, v := range []string{`"x\ud800h0rse"`, `"x\u12zh0rse"`, `"x\qh0rse"`, "\"x\x01h0rse\"", `'h0rse'`, `h0rse`} {
		all = append(all, refusedPost("J8 a password that cannot be read is not told: "+v, user(`"password":`+v), 400, syntax),
			operations("J8 a password that cannot be read is not told by PATCH: "+v, 400, syntax, `{"op":"replace","path":"password","value":`+v+`}`))
	}
	return append(all, accepted("J8 surrogate pair", user(`"nickName":"\ud83d\ude00"`)).then(shows(map[string]any{"nickName": "😀"})))
}

func duplicates() []attempt {
	twice := "once"
	all := []attempt{
		refusedPost("J9 duplicate key", user(`"userName":"other@example.com"`), 400, syntax, "userName", "twice", twice),
		refusedPost("J9 duplicate key in other case", user(`"USERNAME":"other@example.com"`), 400, syntax, "userName", twice),
		refusedPost("J9 duplicate key by an escape", user(`"user\u004eame":"other@example.com"`), 400, syntax, "userName", twice),
		refusedPost("J9 duplicate active", user(`"active":false`), 400, syntax, "active", twice),
		refusedPost("J9 duplicate active in other case", user(`"Active":"False"`), 400, syntax, "active", twice),
		refusedPost("J9 duplicate unknown key", user(`"x":1`, `"x":2`), 400, syntax, "x", twice),
		refusedPost("J9 duplicate sub-attribute", bodyWith(`"userName":"{new}"`, `"name":{"givenName":"A","givenName":"B"}`), 400, syntax, "givenName", twice),
		refusedPost("J9 duplicate sub-attribute in other case", bodyWith(`"userName":"{new}"`, `"name":{"givenName":"A","GIVENNAME":"B"}`), 400, syntax, "givenName", twice),
		refusedPost("J9 duplicate in an entry", bodyWith(`"userName":"{new}"`, `"emails":[{"value":"a@example.com","Value":"b@example.com"}]`), 400, syntax, "emails[0].value", twice),
		refusedPost("J9 duplicate extension", user(`"`+enterpriseSchema+`":{"department":"A"}`, `"`+strings.ToUpper(enterpriseSchema)+`":{"department":"B"}`), 400, syntax, enterpriseSchema, twice),
		operations("J9 duplicate op", 400, syntax, `{"op":"add","op":"replace","path":"active","value":false}`, "op", twice),
		operations("J9 duplicate op in other case", 400, syntax, `{"op":"add","Op":"replace","path":"active","value":false}`, "op", twice),
		operations("J9 duplicate path", 400, syntax, `{"op":"replace","path":"title","PATH":"active","value":false}`, "path", twice),
		operations("J9 duplicate value", 400, syntax, `{"op":"replace","path":"active","value":true,"Value":false}`, "value", twice),
		operations("J9 duplicate key without a path", 400, syntax, `{"op":"replace","value":{"active":true,"Active":false}}`, "active", twice),
		operations("J9 duplicate in a value", 400, syntax, `{"op":"replace","path":"name","value":{"givenName":"A","givenname":"B"}}`, "givenName", twice),
	}
	both := operations("J9 duplicate Operations", 400, syntax, "", "Operations", twice)
	both.body = `{"Operations":[],"operations":[{"op":"replace","path":"active","value":false}]}`
	return append(all, both,
		accepted("J11 username", strings.Replace(user(), "userName", "username", 1)),
		accepted("J11 USERNAME", strings.Replace(user(), "userName", "USERNAME", 1)),
		refusedPost("J11 U+017F is no s", strings.Replace(user(), "userName", "u\u017ferName", 1), 400, value, "userName", "required", "map an attribute"),
		refusedPost("J11 U+212A is no k", user(`"nic\u212aName":1`, `"nickName":7`), 400, value, "nickName", "string"),
	)
}

func sizes() []attempt {
	over := maxBody + 1 - len(user(`"x":""`)) + len("{new}")*3
	all := []attempt{
		refusedPost("J14 1 MiB+1", user(`"x":"`+long(over)+`"`), 413, "", "1048576", "bytes", "send less"),
		refusedPost("J14 8 MiB", user(`"x":"`+long(8<<20)+`"`), 413, "", "1048576"),
		{row: "J14 1 MiB+1 by PUT", method: "PUT", path: "/Users/{id}", body: user(`"x":"` + long(over) + `"`), status: 413},
		{row: "J14 1 MiB+1 by PATCH", method: "PATCH", path: "/Users/{id}", body: bridgetest.PatchOp(`{"op":"replace","path":"active","value":false}`) + strings.Repeat(" ", maxBody), status: 413},
		accepted("J13 depth 32", user(`"x":`+nestedArrays(31))),
		accepted("J25 1 000 members", user(members(1000-5))),
		operations("J13 depth 33 in a PATCH value", 400, syntax, `{"op":"replace","path":"x","value":`+nestedArrays(40)+`}`, "32").from("entra"),
		operations("J13 depth 33 behind the path of an entry", 400, syntax, `{"op":"add","value":{"x":`+nestedArrays(40)+`}}`, "32").from("entra"),
		operations("J13 depth 100 000 in a PATCH value", 400, syntax, `{"op":"replace","path":"title","value":`+nestedArrays(100_000)+`}`),
		operations("J25 1 001 members in a PATCH value", 400, syntax, `{"op":"replace","value":{`+members(1001)+`}}`, "1000").from("entra"),
	}
	for _, c := range []struct {
		attribute, body string
		most            int
	}{
		{"userName", named(`"` + long(1_000_000) + `"`), 256},
		{"userName", named(`"` + long(257) + `"`), 256},
		{"userName", named(`"` + strings.Repeat(`\u00e9`, 257) + `"`), 256},
		{"displayName", user(`"displayName":"` + long(1_000_000) + `"`), 256},
		{"displayName", user(`"displayName":"` + long(257) + `"`), 256},
		{"externalId", user(`"externalId":"` + long(256) + `"`), 255},
		{"nickName", user(`"nickName":"` + long(1025) + `"`), 1024},
		{"title", user(`"title":"` + long(500_000) + `"`), 1024},
		{"password", user(`"password":"` + long(500_000) + `"`), 1024},
		{"name.givenName", bodyWith(`"userName":"{new}"`, `"name":{"givenName":"`+long(100_000)+`"}`), 1024},
		{"phoneNumbers[0].value", user(`"phoneNumbers":[{"value":"` + long(100_000) + `"}]`), 1024},
		{"addresses[0].streetAddress", user(`"addresses":[{"streetAddress":"` + long(100_000) + `"}]`), 1024},
		{"profileUrl", user(`"profileUrl":"https://example.com/` + long(100_000) + `"`), 2048},
		{"photos[0].value", user(`"photos":[{"value":"https://example.com/` + long(100_000) + `"}]`), 2048},
		{"x509Certificates[0].value", user(`"x509Certificates":[{"value":"` + long(20_000) + `"}]`), 16384},
		{enterpriseSchema + ":department", user(`"` + enterpriseSchema + `":{"department":"` + long(2000) + `"}`), 1024},
		{enterpriseSchema + ":manager.value", user(`"` + enterpriseSchema + `":{"manager":"` + long(2000) + `"}`), 1024},
	} {
		all = append(all, refusedPost(fmt.Sprintf("J26 %s of more than %d", c.attribute, c.most), c.body, 400, value, c.attribute, fmt.Sprint(c.most)))
	}
	many := func(n int) string { return `[` + strings.TrimSuffix(strings.Repeat(`{"value":"1"},`, n), ",") + `]` }
	all = append(all,
		refusedPost("J26 201 entries", user(`"phoneNumbers":`+many(201)), 400, value, "phoneNumbers", "200"),
		refusedPost("J26 50 000 entries", user(`"phoneNumbers":`+many(50_000)), 400, value, "phoneNumbers", "200"),
		accepted("J26 100 000 entries without anything in them", user(`"phoneNumbers":[`+strings.Repeat(`{},`, 100_000)+`{}]`)).then(lacks("phoneNumbers")),
		operations("J26 201 entries in a PATCH", 400, value, `{"op":"add","path":"phoneNumbers","value":`+many(201)+`}`, "phoneNumbers", "200"),
		operations("J26 a value of 100 000", 400, value, `{"op":"replace","path":"title","value":"`+long(100_000)+`"}`, "title", "1024"),
		accepted("J26 displayName of 256", user(`"displayName":"`+long(256)+`"`)),
		accepted("J26 256 letters of two bytes", user(`"displayName":"`+strings.Repeat(`é`, 256)+`"`)),
		accepted("J26 externalId of 255", user(`"externalId":"`+long(255)+`"`)),
		accepted("J26 200 entries", user(`"phoneNumbers":`+many(200))),
	)
	return all
}

func mediaTypes() []attempt {
	var all []attempt
	for _, coding := range []string{"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "gzip, identity", "identity, gzip", "GZIP", "foo"} {
		all = append(all, refusedPost("J19 Content-Encoding "+coding, user(), 415, "", "Content-Encoding", "uncompressed").with("Content-Encoding", coding))
	}
	all = append(all, refusedPost("J19 a gzip bomb", gzipped(strings.Repeat("a", 64<<20)), 415, "", "Content-Encoding", `"gzip"`, "uncompressed").with("Content-Encoding", "gzip"),
		refusedPost("J19 gzip that is not announced", gzipped(user()), 400, syntax, "not valid JSON"),
		accepted("J19 Content-Encoding identity", user()).with("Content-Encoding", "identity"))
	for _, ct := range []string{"text/plain", "application/xml", "text/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/html", "application/octet-stream",
		"application/jsonx", "application/vnd.api+json", "*/*", "json", "application/json, text/plain", ";", "application/", "application/scim+xml", "application/scim+json/x"} {
		all = append(all, refusedPost("J20 Content-Type "+ct, user(), 415, "", "Content-Type", "application/scim+json").with("Content-Type", ct))
	}
	all = append(all, refusedPost("J20 two Content-Types", user(), 415, "", "Content-Type", "application/scim+json").with("+Content-Type", "text/plain"),
		accepted("J21 no Content-Type", user()).with("-Content-Type", ""))
	for _, charset := range []string{"latin1", "iso-8859-1", "utf-16", "us-ascii", "utf-7", `"utf-16"`} {
		all = append(all, refusedPost("J22 charset "+charset, user(), 415, "", "charset", "UTF-8").with("Content-Type", "application/json; charset="+charset))
	}
	for _, ct := range []string{"application/json", "application/json; charset=UTF-8", "application/scim+json;charset=utf8", `APPLICATION/SCIM+JSON; charset="utf-8"`, "application/json; odata=verbose"} {
		all = append(all, accepted("J22 Content-Type "+ct, user()).with("Content-Type", ct))
	}
	for _, accept := range []string{"text/html", "application/xml", "*/*;q=0", "image/png", ",", ";;;", long(1000)} {
		all = append(all,
			attempt{row: "J23 Accept " + accept[:min(len(accept), 20)], method: "GET", path: "/Users/{id}", header: []string{"Accept", accept}, status: 200},
			refusedPost("J23 Accept "+accept[:min(len(accept), 20)]+" with an error", "{}", 400, value).with("Accept", accept))
	}
	return all
}

func transfer() []attempt {
	create := userOf("{new}")
	chunked := func(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body) }
	// The names that are filled in have as many bytes as this one.
	length := len(strings.ReplaceAll(create, "{new}", "new00000@example.com"))
	sized := strings.Repeat("x", length)
	all := []attempt{
		{row: "J16 a chunked body of 2 MiB", status: 413, closes: true,
			raw: request("POST", "/scim/v2/Users", chunked(`{"x":"`+long(2<<20)+`"}`), "Transfer-Encoding: chunked", "Content-Type: application/json")},
		// RFC 9112 §6.1: the chunks count, and the length is as good as absent.
		{row: "J18 Content-Length and Transfer-Encoding", status: 400, scimType: syntax, detail: []string{"no body"},
			raw: request("POST", "/scim/v2/Users", "0\r\n\r\n", fmt.Sprintf("Content-Length: %d", 5+length), "Transfer-Encoding: chunked") + create},
		{row: "J18 two Content-Lengths", status: 400, wire: true, closes: true, raw: request("POST", "/scim/v2/Users", "{}", "Content-Length: 2", "Content-Length: 3")},
		{row: "J18 Content-Length abc", status: 400, wire: true, closes: true, raw: request("POST", "/scim/v2/Users", "{}", "Content-Length: abc")},
		{row: "J18 Content-Length -1", status: 400, wire: true, closes: true, raw: request("POST", "/scim/v2/Users", "{}", "Content-Length: -1")},
		{row: "J18 Content-Length +2", status: 400, wire: true, closes: true, raw: request("POST", "/scim/v2/Users", "{}", "Content-Length: +2")},
		{row: "J18 Transfer-Encoding gzip, chunked", status: 501, wire: true, closes: true, raw: request("POST", "/scim/v2/Users", chunked("{}"), "Transfer-Encoding: gzip, chunked")},
		{row: "J18 Transfer-Encoding xchunked", status: 501, wire: true, closes: true, raw: request("POST", "/scim/v2/Users", chunked("{}"), "Transfer-Encoding: xchunked")},
		{row: "J18 no Host", status: 400, wire: true, closes: true, raw: "GET /scim/v2/Users HTTP/1.1\r\n\r\n"},
		{row: "J18 a header without a colon", status: 400, wire: true, closes: true, raw: request("GET", "/scim/v2/Users", "", "X")},
		{row: "J18 a space before the colon", status: 400, wire: true, closes: true, raw: request("POST", "/scim/v2/Users", "{}", "Content-Length : 2")},
		{row: "J18 HTTP/9.9", status: 505, wire: true, closes: true, raw: "GET /scim/v2/Users HTTP/9.9\r\nHost: x\r\n\r\n"},
		{row: "J18 a body cut short", status: 400, scimType: syntax, raw: "", body: "{"},
		{row: "J27 headers of 70 KB", method: "GET", header: many("X-Filler", 70, 1<<10), status: 431, detail: []string{"header", "65536"}},
		{row: "J27 one header of 70 KB", method: "GET", header: []string{"X-Filler", long(70 << 10)}, status: 431, detail: []string{"header", "65536"}},
		{row: "J27 10 000 headers", method: "GET", header: many("X-Filler", 10_000, 1), status: 431, detail: []string{"header", "65536"}},
		{row: "J27 headers of 1 MB", status: 431, wire: true, closes: true, raw: request("GET", "/scim/v2/Users", "", "X-Filler: "+long(1<<20))},
		{row: "J29 HTTP/1.0", method: "GET", status: 200, closes: true, raw: "GET /scim/v2/Users/{id} HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n"},
		{row: "J29 an absolute target with another host", method: "GET", status: 200,
			raw:   "GET http://evil.example/scim/v2/Users/{id} HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer {token}\r\n\r\n",
			check: lacks("evil.example")},
		{row: "J29 spaces before the request line", status: 400, wire: true, closes: true, raw: " GET /scim/v2/Users HTTP/1.1\r\nHost: x\r\n\r\n"},
		{row: "J32 Expect: 100-continue with a Content-Length too large", status: 413, detail: []string{"1048576"}, closes: true,
			raw: request("POST", "/scim/v2/Users", "", "Content-Length: 1073741824", "Expect: 100-continue", "Content-Type: application/json")},
		{row: "J32 Expect: something else", status: 417, wire: true, closes: true,
			raw: request("POST", "/scim/v2/Users", sized, fmt.Sprintf("Content-Length: %d", length), "Expect: 200-ok")},
		{row: "J32 Expect: 100-continue without a token", status: 401, raw: "POST /scim/v2/Users HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"},
	}
	for _, h := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		all = append(all,
			attempt{row: "J30 " + h + " on GET", method: "GET", path: "/Users/{id}", header: []string{h, "DELETE"}, status: 200, check: staysActive},
			attempt{row: "J30 " + h + " on POST", path: "/Users/{id}", body: "{}", header: []string{h, "PATCH"}, status: 405, detail: []string{"method", "PATCH"}})
	}
	all = append(all, attempt{row: "J30 _method in the query", method: "GET", path: "/Users/{id}?_method=DELETE", status: 200, check: staysActive})
	return append(all, methods([]string{"/Users", "/Users/{id}", "/ServiceProviderConfig", "/Schemas", "/ResourceTypes/User"},
		attempt{row: "J31 CONNECT", status: 404, raw: "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n", method: "CONNECT"},
		attempt{row: "J31 OPTIONS *", status: 200, wire: true, raw: "OPTIONS * HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"},
	)...)
}

// methods asks for what paths do not serve.
func methods(paths []string, all ...attempt) []attempt {
	for _, path := range paths {
		for _, method := range []string{"TRACE", "PROPFIND", "FOO", "get", "OPTIONS", "LOCK", "SEARCH", "QUERY"} {
			all = append(all, attempt{row: "J31 " + method + " " + path, method: method, path: path, status: 405, detail: []string{"GET"}, check: allowed(path)})
		}
	}
	for _, path := range paths {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			if !strings.Contains(allow(path), method) {
				all = append(all, attempt{row: "J31 " + method + " " + path, method: method, path: path, body: "{}", status: 405, detail: []string{allow(path)}, check: allowed(path)})
			}
		}
	}
	return all
}

func many(name string, n, size int) []string {
	var h []string
	for range n {
		h = append(h, "+"+name, long(size))
	}
	return h
}

// allow is what the header Allow says of a path.
func allow(path string) string {
	switch path {
	case "/Users", "/Groups":
		return "GET, HEAD, POST"
	case "/Users/{id}", "/Groups/{group}":
		return "DELETE, GET, HEAD, PATCH, PUT"
	}
	return "GET, HEAD"
}

// allowed checks the header Allow.
func allowed(path string) func(*testing.T, *rig, bridgetest.Response, []sandbox.Entry) {
	want := allow(path)
	return func(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
		t.Helper()
		if got := res.Header.Get("Allow"); got != want {
			t.Errorf("Allow %q, want %q", got, want)
		}
		if res.Header.Get("Content-Type") == "message/"+strings.ToLower(http.MethodTrace) {
			t.Error("the request was echoed")
		}
	}
}
