package badinput

import (
	"net/url"
	"strings"
)

// searchPaths are where a query is sent as a body.
var searchPaths = []string{"/.search", "/Users/.search", "/Groups/.search", "/Roles/.search"}

// searches is row 108 for /.search, and those of J and Q that its body repeats.
func searches() []attempt {
	const syntax, value, filter = "invalidSyntax", "invalidValue", "invalidFilter"
	var all []attempt
	for _, path := range searchPaths {
		refuse := func(row, body, scimType string, detail ...string) {
			all = append(all, attempt{row: "Q108 " + path + ": " + row, path: path, body: body, status: 400, scimType: scimType, detail: detail})
		}
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"} {
			all = append(all, attempt{row: "Q108 " + method + " " + path, method: method, path: path, status: 405})
		}
		refuse("J2 an array", `[]`, syntax, "must be a JSON object")
		refuse("J2 null", `null`, syntax, "must be a JSON object")
		refuse("J2 a number", `42`, syntax, "must be a JSON object")
		refuse("J3 cut short", `{"filter":"id pr"`, syntax, "ends too early")
		refuse("J4 two objects", `{}{}`, syntax, "nothing behind it")
		refuse("J6 UTF-16", "{\x00\"\x00", syntax)
		refuse("J7 invalid UTF-8", `{"filter":"`+"\xff"+`"}`, syntax)
		refuse("J8 half a pair", `{"filter":"\ud800"}`, syntax)
		refuse("J9 a member twice", `{"count":1,"count":2}`, syntax, "twice")
		refuse("J9 a member twice in other case", `{"count":1,"COUNT":2}`, syntax, "twice")
		refuse("J13 too deep", `{"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`, syntax, "32 deep")
		refuse("J25 too many members", `{"x":1`+membersOf(1000)+`}`, syntax, "1000 members")
		refuse("another schema", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}`, value, "SearchRequest")
		refuse("Q100 a filter that is cut", `{"filter":"id eq"}`, filter)
		refuse("Q100 no filter", `{"filter":"  "}`, filter, "empty")
		refuse("a filter that is a list", `{"filter":["id pr"]}`, syntax, "filter: must be a string")
		refuse("Q98 a filter of 100 kB", `{"filter":"id eq \"`+strings.Repeat("x", 100_000)+`\""}`, filter)
		refuse("Q99 a thousand brackets", `{"filter":"`+strings.Repeat("(", 1000)+"id pr"+strings.Repeat(")", 1000)+`"}`, filter)
		refuse("Q99 a thousand terms", `{"filter":"id pr`+strings.Repeat(" and id pr", 1000)+`"}`, filter)
		refuse("Q103 an unknown attribute", `{"filter":"favouriteColour eq \"red\""}`, filter, "favouriteColour")
		refuse("Q96 count", `{"count":1.5}`, value, "count")
		refuse("Q96 a count in words", `{"count":"many"}`, value, "count")
		refuse("Q96 startIndex", `{"startIndex":{}}`, value, "startIndex")
		refuse("Q106 attributes", `{"attributes":["a b"]}`, value, "attributes")
		refuse("Q106 attributes that are numbers", `{"attributes":[1]}`, syntax, "attributes[0]")
		refuse("Q106 both lists", `{"attributes":["id"],"excludedAttributes":["id"]}`, value, "exclude")
		refuse("Q107 an order", `{"sortOrder":"sideways"}`, value, "ascending or descending")
		for name, body := range map[string]string{
			"Q106 the password": `{"attributes":["password"]}`, "Q96 a huge count": `{"count":99999999999999999999}`, "Q96 a negative count": `{"count":-1}`,
			"Q107 an unknown order": `{"sortBy":"favouriteColour"}`, "J11 names in capitals": `{"COUNT":1,"SORTBY":"id"}`, "unknown members": `{"filter":null,"x":{"filter":"id pr"}}`,
			"J5 a byte order mark": "\xef\xbb\xbf{}",
		} {
			all = append(all, attempt{row: "Q108 " + path + ": " + name, path: path, body: body, status: 200}.then(aList))
		}
		all = append(all,
			attempt{row: "Q108 " + path + ": J1 nothing", path: path, status: 400, scimType: syntax},
			attempt{row: "Q108 " + path + ": a query in the address, too", path: path + "?filter=id+pr", body: `{}`, status: 400, scimType: value, detail: []string{"in the body"}},
			attempt{row: "Q108 " + path + ": J14 a body of more than 1 MiB", path: path, body: `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413},
			attempt{row: "Q108 " + path + ": J20 a text", path: path, header: []string{"Content-Type", "text/plain"}, body: `{}`, status: 415})
	}
	for _, path := range []string{"/.search", "/Users/.search"} {
		all = append(all, attempt{row: "Q102 " + path + ": the password", path: path, body: `{"filter":"password sw \"a\""}`, status: 400, scimType: filter, detail: []string{"password"}})
	}
	return all
}

// membersOf are so many members of an object, behind another one.
func membersOf(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"m` + strings.Repeat("i", i) + `":0`)
	}
	return b.String()
}

// cursors are cursors that nobody was given, and what stands beside one.
func cursors() []attempt {
	const cursor, value = "invalidCursor", "invalidValue"
	var all []attempt
	for _, path := range []string{"/Users", "/Groups", "/Roles", "/"} {
		refuse := func(row, query, scimType string, detail ...string) {
			all = append(all, attempt{row: "Q97 " + path + ": " + row, method: "GET", path: path + "?" + query, status: 400, scimType: scimType, detail: detail})
		}
		for name, text := range map[string]string{
			"a number": "5", "a word": "next", "base64 of JSON": "eyJxIjoxfQ", "a long one": strings.Repeat("A", 5000), "a path": "../../x", "a quote": `"`, "NUL": "\x00", "null": "null",
		} {
			refuse("a cursor that is "+name, "cursor="+url.QueryEscape(text), cursor, "cursor")
		}
		refuse("a cursor with startIndex", "cursor&startIndex=1", value, "exclude each other")
		refuse("two cursors", "cursor&cursor", value, "more than once")
		all = append(all, attempt{row: "Q97 " + path + ": a cursor of nothing", method: "GET", path: path + "?cursor=&count=0", status: 200}.then(aList))
	}
	return append(all, attempt{row: "Q97 /: a sorted query by cursor", method: "GET", path: "/?cursor&sortBy=userName", status: 400, scimType: value, detail: []string{"sort"}})
}
