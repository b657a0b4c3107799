package badinput

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/scim/filter"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// queries is group Q.
func queries() []attempt {
	var all []attempt
	add := func(more ...attempt) { all = append(all, more...) }
	get := func(row, query string, status int, scimType string, detail ...string) attempt {
		return attempt{row: row, method: "GET", path: "/Users?" + query, status: status, scimType: scimType, detail: detail}
	}
	add(paging("/Users")...)
	add(filters()...)
	add(get("Q105 filter twice", `filter=userName+pr&filter=active+eq+true`, 400, "invalidFilter", "filter", "more than once"),
		get("Q105 filter twice, the same", `filter=userName+pr&filter=userName+pr`, 400, "invalidFilter", "filter", "more than once"),
		get("Q105 filter twice in other case", `filter=userName+pr&FILTER=userName+pr`, 400, "invalidFilter", "filter", "more than once"),
		get("Q105 sortBy twice", `sortBy=userName&sortBy=id`, 400, value, "sortby", "more than once"),
		get("Q105 sortOrder twice", `sortOrder=ascending&sortOrder=descending`, 400, value, "sortorder", "more than once"),
		get("Q96 a malformed escape", `filter=%zz`, 400, value, "percent-encode"),
		get("Q96 a malformed escape in a name", `fil%zzter=x`, 400, value, "percent-encode"),
		get("Q96 invalid UTF-8", `filter=userName+eq+%22%ff%22`, 400, value, "filter", "UTF-8"),
		get("Q96 an unknown parameter", `frobnicate=%ff&x=1&x=2`, 200, "").then(aList),
		get("Q96 a semicolon", `count=1;startIndex=2`, 400, value, "count", "integer"),
		get("Q96 10 000 parameters", strings.Repeat("a=1&", 10_000), 200, "").then(aList),
		get("Q107 sortBy of what cannot be sorted by", `sortBy=favouriteColour`, 200, "").then(aList),
		get("Q107 sortBy of an expression", url.QueryEscape(`sortBy`)+`=`+url.QueryEscape(`emails[type eq "work"].value`), 200, "").then(aList),
		get("Q107 sortOrder alone", `sortOrder=descending`, 200, "").then(aList),
		get("Q107 sortOrder sideways", `sortBy=userName&sortOrder=sideways`, 400, value, "sortOrder", `"sideways"`, "ascending or descending"),
	)
	add(projections("/Users", "/Users/{id}")...)
	add(attempt{row: "Q106 a projection of a POST that cannot be read", path: "/Users?attributes=" + url.QueryEscape(`a b`), body: user(), status: 400, scimType: value, detail: []string{"attributes"}},
		attempt{row: "Q106 a projection of a PATCH that cannot be read", method: "PATCH", path: "/Users/{id}?attributes=" + url.QueryEscape(`a b`), body: bridgetest.PatchOp(off), status: 400, scimType: value, detail: []string{"attributes"}},
		attempt{row: "Q105 filter twice on a DELETE", method: "DELETE", path: "/Users/{id}?filter=a&filter=b", status: 400, scimType: "invalidFilter", detail: []string{"filter", "more than once"}})
	for _, method := range []string{"POST", "GET", "PUT", "PATCH", "DELETE"} {
		add(attempt{row: "Q108 " + method + " /Me", method: method, path: "/Me", body: `{"Operations":[{"method":"DELETE","path":"/Users/{id}"}]}`, status: 501, detail: []string{"/Users/{id}"}})
	}
	add(searches()...)
	add(cursors()...)
	for _, path := range []string{"/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/Schemas/" + userSchema, "/ResourceTypes/User"} {
		add(attempt{row: "Q103 a filter of " + path, method: "GET", path: path + "?filter=id+pr", status: 403, detail: []string{"filter", "leave the parameter"}})
	}
	return append(all,
		attempt{row: "Q103 an unknown schema", method: "GET", path: "/Schemas/urn:x", status: 404, detail: []string{"Schema", `"urn:x"`}},
		attempt{row: "Q103 an unknown resource type", method: "GET", path: "/ResourceTypes/Car", status: 404, detail: []string{"ResourceType", `"Car"`}})
}

// paging is rows 96 and 97 and those of row 105 that belong to them.
func paging(collection string) []attempt {
	var all []attempt
	add := func(more ...attempt) { all = append(all, more...) }
	get := func(row, query string, status int, scimType string, detail ...string) attempt {
		return attempt{row: row, method: "GET", path: collection + "?" + query, status: status, scimType: scimType, detail: detail}
	}
	for _, c := range []struct {
		query string
		want  map[string]any
	}{
		{"startIndex=0&count=1", map[string]any{"startIndex": 1.0, "itemsPerPage": 1.0}},
		{"startIndex=-1&count=1", map[string]any{"startIndex": 1.0, "itemsPerPage": 1.0}},
		{"startIndex=-99999999999999999999&count=1", map[string]any{"startIndex": 1.0}},
		{"count=-1", map[string]any{"itemsPerPage": 0.0}},
		{"count=0", map[string]any{"itemsPerPage": 0.0}},
		{"count=2147483648", map[string]any{"startIndex": 1.0}},
		{"count=99999999999999999999", map[string]any{"startIndex": 1.0}},
		{"startIndex=2147483648", map[string]any{"itemsPerPage": 0.0}},
		{"startIndex=99999999999999999999&count=99999999999999999999", map[string]any{"itemsPerPage": 0.0}},
		{"startIndex=9223372036854775807&count=9223372036854775807", map[string]any{"itemsPerPage": 0.0}},
		{"startIndex=&count=", map[string]any{"startIndex": 1.0}},
		{"startIndex=1000000", map[string]any{"itemsPerPage": 0.0}},
		{"STARTINDEX=1&COUNT=1", map[string]any{"itemsPerPage": 1.0}},
	} {
		row := "Q96 "
		if c.query == "startIndex=1000000" {
			row = "Q97 "
		}
		add(get(row+c.query, c.query, 200, "").then(shows(c.want)).then(aList))
	}
	for _, name := range []string{"startIndex", "count"} {
		for _, v := range []string{"abc", "1.5", "1e3", "0x10", "１", "1_000", "--1", "-", "1 000", "true", "null", "NaN", long(5000)} {
			add(get("Q96 "+name+"="+v[:min(len(v), 20)], name+"="+url.QueryEscape(v), 400, value, name, "integer"))
		}
		add(get("Q105 "+name+" twice", name+"=1&"+name+"=2", 400, value, strings.ToLower(name), "more than once"),
			get("Q105 "+name+" twice in other case", name+"=1&"+strings.ToUpper(name)+"=1", 400, value, strings.ToLower(name), "more than once"))
	}
	return all
}

func aList(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	all, ok := res.JSON("Resources").([]any)
	if !ok || res.JSON("itemsPerPage") != float64(len(all)) || res.JSON("totalResults") == nil {
		t.Errorf("no list: %s", excerpt(res.Body))
	}
}

// projections is row 106 for what is read.
func projections(paths ...string) []attempt {
	var all []attempt
	add := func(more ...attempt) { all = append(all, more...) }
	for _, p := range paths {
		on := func(row, query string, status int, detail ...string) attempt {
			a := attempt{row: "Q106 " + row + " of " + p, method: "GET", path: p + "?" + query, status: status, detail: detail}
			if status == 400 {
				a.scimType = value
			}
			return a
		}
		add(on("attributes=password", "attributes=password", 200).then(lacks("password", "userName", "displayName")).then(hasID),
			on("attributes=Password,userName", "attributes=Password,userName", 200).then(lacks("assword")).then(hasID),
			on("excludedAttributes=id", "excludedAttributes=id,schemas", 200).then(hasID),
			on("attributes of nothing", "attributes=favouriteColour,,", 200).then(hasID),
			on("attributes of everything there is not", "attributes="+strings.Repeat("x,", 2000), 200).then(hasID),
			on("attributes that cannot be read", "attributes="+url.QueryEscape(`emails[type eq`), 400, "attributes"),
			on("attributes with a filter", "attributes="+url.QueryEscape(`emails[type eq "work"].value`), 400, "attributes", "name the attribute alone"),
			on("both", "attributes=userName&excludedAttributes=name", 400, "attributes", "excludedAttributes", "send one"),
			on("excludedAttributes that cannot be read", "excludedAttributes="+url.QueryEscape(`a b`), 400, "excludedAttributes"))
	}
	return all
}

func hasID(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	if res.ID() == "" && (res.JSON("Resources.0.id") == nil || res.JSON("Resources.0.schemas") == nil) {
		t.Errorf("no id: %s", excerpt(res.Body))
	}
}

// malformedFilters is row 100.
var malformedFilters = []string{
	`userName eq`, `eq "x"`, `userName eq "x`, `userName eq x"`, `userName eq 'x'`, `userName eq x`, `userName xx "y"`, `userName = "y"`, `userName == "y"`, `userName "x"`, `userName`,
	`userName eq "x" and`, `and userName eq "x"`, `userName eq "x" or`, `userName eq "x" userName eq "y"`, `userName eq "x" && id pr`, `not userName eq "x"`, `not`, `not ()`, `()`, `(`, `)`, `(userName eq "x"`,
	`userName eq "x")`, `userName eq "\x"`, `userName eq "\ud800"`, `userName eq "a` + "\n" + `b"`, `userName eq "a` + "\x00" + `b"`, `userName pr "x"`, `userName eq {"a":1}`, `userName eq ["x"]`,
	`userName in ("a","b")`, `userName like "x"`, `userName eq "x";`, `userName eq "x" --`, `1 eq 1`, `"x" eq userName`, `userName..x eq "x"`, `.userName eq "x"`, `userName. eq "x"`,
	`emails[type eq "work"`, `emails[type eq "work"] eq "x"`, `emails[]`, `emails[type]`, `emails type eq "work"]`, `emails[type eq "work"].value`, `emails[[type eq "x"]]`, `emails[emails[type eq "x"]]`,
	`urn: eq "x"`, `urn:x eq`, `*`, `%`, `userName eq "x" and (`, `userName eq "x" or or id pr`, `userName eq tru`, `userName eq nul`, `userName eq 01`, `userName eq 1.`, `userName eq 1e`, `userName eq --1`,
	"userName\teq\t\"x\"", "userName eq\n\"x\"", `userName eq"x"`, `userNameeq "x"`, `userName eq "x"and id pr`, `eq`, `pr`, `userName  `, `;`, `$filter`, `userName eq "x" xor id pr`, `!userName`,
}

// filters is rows 98 to 103.
func filters() []attempt {
	const invalid = "invalidFilter"
	var all []attempt
	add := func(row, text string, detail ...string) {
		all = append(all, attempt{row: row, method: "GET", path: "/Users?filter=" + url.QueryEscape(text), status: 400, scimType: invalid, detail: detail})
	}
	add("Q98 a filter of 4 KiB+1", `userName eq "`+long(filter.MaxLength+1-14)+`"`, "4097 bytes", "4096")
	add("Q98 a filter of 60 KB", `userName eq "`+long(60_000)+`"`, "4096")
	add("Q98 a filter of 100 KB", `userName eq "`+long(100_000)+`"`, "4096")
	all = append(all, attempt{row: "Q98 a filter of 4 KiB", method: "GET", path: "/Users?filter=" + url.QueryEscape(`userName eq "`+long(filter.MaxLength-14)+`"`), status: 200, check: shows(map[string]any{"totalResults": 0.0})})
	for _, n := range []int{17, 100, 1000} {
		add(fmt.Sprintf("Q99 %d parentheses", n), strings.Repeat("(", n)+"active pr"+strings.Repeat(")", n), "16")
		add(fmt.Sprintf("Q99 %d times not", n), strings.Repeat("not (", n)+"active pr"+strings.Repeat(")", n))
	}
	for _, n := range []int{65, 200, 280} {
		add(fmt.Sprintf("Q99 %d and", n), "id pr"+strings.Repeat(" and id pr", n-1), "64")
		add(fmt.Sprintf("Q99 %d or", n), "id pr"+strings.Repeat(" or id pr", n-1), "64")
	}
	add("Q99 1 000 and", "id pr"+strings.Repeat(" and id pr", 999), "4096")
	for n, ok := range map[string]string{"64 terms": "id pr" + strings.Repeat(" and id pr", 63), "16 parentheses": strings.Repeat("(", 16) + "active pr" + strings.Repeat(")", 16)} {
		all = append(all, attempt{row: "Q99 " + n, method: "GET", path: "/Users?count=1&filter=" + url.QueryEscape(ok), status: 200, check: aList})
	}
	for _, text := range malformedFilters {
		add("Q100 "+fmt.Sprintf("%q", text), text, "filter", " at ")
	}
	add("Q100 an empty filter", "", "filter", "empty", "leave the parameter out")
	add("Q100 spaces", "   ", "filter", "empty")
	all = append(all, attempt{row: "Q100 a value without quotes from Entra", as: "entra", method: "GET", path: "/Users?filter=externalId+eq+{ext}", status: 200, check: shows(map[string]any{"totalResults": 1.0})})
	for _, op := range []string{`eq "a"`, `ne "a"`, `co "a"`, `sw "a"`, `ew "a"`, `gt "a"`, `ge "a"`, `lt "a"`, `le "a"`, `pr`, `eq null`} {
		add("Q102 password "+op, "password "+op, "password")
		add("Q102 not password "+op, "userName pr and not (PASSWORD "+op+")", "password")
		add("Q102 password by its URN "+op, userSchema+":password "+op, "password")
	}
	for _, name := range []string{"favouriteColour", "name.favourite", "emails.favourite", "urn:example:x:y", "members", "userName.x", "displayname2", "ſchemas"} {
		add("Q103 unknown "+name, name+` eq "x"`, "filter")
		add("Q103 unknown "+name+" behind a known one", `userName eq "{name}" and `+name+` pr`, "filter")
	}
	for _, text := range []string{`emails[favourite eq "x"]`, `userName[type eq "x"]`, `active gt true`, `active eq "maybe"`, `active co "t"`, `active eq 1`, `meta.created eq "yesterday"`, `meta.created co "2026"`,
		`userName eq 7`, `userName eq true`, `name eq "x"`, `name gt "x"`, bridgetest.ExtensionURN + `:defaultOrganizationId eq "x"`, bridgetest.ExtensionURN + `:defaultOrganizationId eq 1e999`} {
		add("Q103 "+text, text, "filter")
	}
	return all
}
