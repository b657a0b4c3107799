package badinput

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/scim/filter"
)

// groupQueries is group Q for groups.
func groupQueries() []attempt {
	all := append(paging("/Groups"), projections("/Groups", "/Groups/{group}")...)
	// What stands for something else is filled in afterwards.
	words := strings.NewReplacer("%7Bin%7D", "{in}", "%7Btoo%7D", "{too}", "%7Bout%7D", "{out}", "%7Bgroup%7D", "{group}", "%7Btitle%7D", "{title}", "%7Bname%7D", "{name}", "%7Bext%7D", "{ext}")
	filtered := func(row, text string) attempt {
		return attempt{row: row, method: "GET", path: "/Groups?filter=" + words.Replace(url.QueryEscape(text))}
	}
	refuse := func(row, text string, detail ...string) {
		a := filtered(row, text)
		a.status, a.scimType, a.detail = 400, "invalidFilter", append(detail, "filter")
		all = append(all, a)
	}
	of := strings.NewReplacer("userName", "displayName", "emails", "members", `type eq "work"`, `value eq "{in}"`)
	for _, text := range malformedFilters {
		refuse(fmt.Sprintf("Q100 %q", of.Replace(text)), of.Replace(text), " at ")
	}
	refuse("Q98 a filter of 4 KiB+1", `displayName eq "`+long(filter.MaxLength+1-17)+`"`, "4097 bytes", "4096")
	refuse("Q98 a filter of 60 KB of members", `members eq "{in}"`+strings.Repeat(` or members eq "{in}"`, 3000), "4096")
	refuse("Q99 65 members", `members eq "{in}"`+strings.Repeat(` or members eq "{in}"`, 64), "64")
	refuse("Q99 17 parentheses", strings.Repeat("(", 17)+"displayName pr"+strings.Repeat(")", 17), "16")
	for _, name := range []string{"userName", "emails", "active", "password", "favouriteColour", "members.favourite", "members.value.x", "displayName.x", "groups", "role", "ſchemas", userSchema + ":displayName", bridgetest.ExtensionURN + ":managed"} {
		for _, op := range []string{`eq "x"`, "pr", `co "x"`} {
			refuse("Q103 unknown "+name+" "+op, name+" "+op)
			refuse("Q103 unknown "+name+" "+op+" behind a known one", `displayName eq "{title}" and `+name+" "+op)
		}
	}
	for _, text := range []string{`members eq 7`, `members eq true`, `members gt 1`, `members[value eq 7]`, `members[favourite eq "x"]`, `members[members[value eq "x"]]`, `members[displayName eq "x"]`, `members.value eq 7`,
		`members.$ref eq 7`, `displayName eq 7`, `displayName eq false`, `externalId eq 7`, `meta.created eq "yesterday"`, `displayName[value eq "x"]`, `members[value eq "{in}"] eq "x"`} {
		refuse("Q103 "+text, text)
	}
	for text, n := range map[string]float64{
		`members eq "{in}"`: 1, `members.value eq "{in}"`: 1, `members[value eq "{in}"]`: 1, `MEMBERS EQ "{in}"`: 1, `members.value sw "{in}"`: 1, `members[value eq "{in}" and type eq "user"]`: 1,
		`id eq "{group}" and members eq "{in}"`: 1, `members eq "{in}" and id eq "{group}"`: 1, `displayName eq "{title}"`: 1, `id eq "{group}" and members eq "{out}"`: 0,
		`members eq "{out}" and displayName eq "{title}"`: 0, `members eq "nobody"`: 0, `members eq ""`: 0, `members eq "{group}"`: 0, `members eq "{name}"`: 0, `members eq "{ext}"`: 0, `members eq "1001"`: 0, `members eq "*"`: 0, `members eq "' OR 1=1 --"`: 0,
		`id eq "{in}"`: 0, `id eq "nobody"`: 0, `id eq "../{group}"`: 0, `displayName eq "{title} "`: 0, `displayName eq "%"`: 0, `displayName sw "_anagers"`: 0, `externalId eq "{ext}"`: 0, `externalId eq ""`: 0,
		`members[value eq "{in}" and value eq "{too}"]`: 0, `members eq "{in}" and members eq "{too}"`: 1, `members eq "{in}" and not (members eq "{too}")`: 0,
		`members eq "{in}" and displayName eq "owners"`: 0, `members.type eq "Group"`: 0, `members.display eq "nobody"`: 0, `displayName eq "` + long(filter.MaxLength-17) + `"`: 0,
	} {
		a := filtered("Q100 "+text[:min(len(text), 60)], text)
		a.status, a.check = 200, shows(map[string]any{"totalResults": n})
		all = append(all, a)
	}
	get := func(row, query string, status int, scimType string, detail ...string) attempt {
		return attempt{row: row, method: "GET", path: "/Groups?" + query, status: status, scimType: scimType, detail: detail}
	}
	return append(all,
		get("Q100 an empty filter", "filter=", 400, "invalidFilter", "filter", "empty", "leave the parameter out"),
		get("Q105 filter twice", "filter=members+eq+%22x%22&filter=displayName+pr", 400, "invalidFilter", "filter", "more than once"),
		get("Q107 sortBy of what cannot be sorted by", "sortBy=favouriteColour", 200, "").then(aList),
		get("Q107 sortBy of members", "sortBy=members&count=1", 200, "").then(aList),
		get("Q107 sortOrder sideways", "sortBy=displayName&sortOrder=sideways", 400, value, "sortOrder", `"sideways"`),
		get("Q106 without members", "excludedAttributes=members&count=1", 200, "").then(lacks(`"members"`)),
		get("Q106 a part of members", "attributes=members.value&count=1", 200, "").then(lacks(`"$ref"`, "displayName")),
		get("Q106 members without id", "attributes=members&excludedAttributes=id", 400, value, "attributes", "excludedAttributes"),
		onGroup("Q106 a projection of a PATCH that cannot be read", 400, value, wipe, "attributes").at("/Groups/{group}?attributes=a+b"),
		putGroup("Q106 a projection of a PUT that cannot be read", 400, value, groupOf("{title}", "[]"), "attributes").at("/Groups/{group}?attributes=a+b"),
		changed("Q106 what a PATCH asks for", "too", `{"op":"remove","path":"members[value eq \"{in}\"]"}`).at("/Groups/{group}?attributes=members.value,displayName").then(lacks(`"$ref"`, `"meta"`)),
		changed("Q106 what a PATCH leaves out", "too", `{"op":"remove","path":"members[value eq \"{in}\"]"}`).at("/Groups/{group}?excludedAttributes=members").then(lacks(`"members"`)),
		attempt{row: "Q105 filter twice on a DELETE", method: "DELETE", path: "/Groups/{group}?filter=a&filter=b", status: 400, scimType: "invalidFilter", detail: []string{"filter", "more than once"}},
	)
}

// at aims an attempt at another path.
func (a attempt) at(path string) attempt { a.path = path; return a }
