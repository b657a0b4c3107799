package badinput

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

const off = `{"op":"replace","path":"active","value":false}`

// patches is group P. Many of them begin with a deactivation: what is refused
// must not have done its first half.
func patches() []attempt {
	var all []attempt
	add := func(more ...attempt) { all = append(all, more...) }
	body := func(row, body string, detail ...string) {
		add(attempt{row: row, method: "PATCH", path: "/Users/{id}", body: body, status: 400, scimType: syntax, detail: detail})
	}
	body("P65 no Operations", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}`, "Operations", "missing")
	body("P65 a User instead", strings.Replace(userOf("x@example.com"), `"schemas":["`+userSchema+`"],`, "", 1), "Operations", "missing")
	body("P65 Operations null", `{"Operations":null}`, "Operations", "array")
	for _, v := range []string{off, `"x"`, "7", "true"} {
		body("P65 Operations "+v, `{"Operations":`+v+`}`, "Operations", "must be an array")
	}
	for _, v := range []string{`"x"`, "7", "null", "[]", "[" + off + "]"} {
		add(operations("P65 an operation "+v, 400, syntax, off+","+v, "Operations[1]", "must be an object"))
	}
	empty := patched("P65 an empty array", 0, "")
	add(empty)
	for _, v := range []string{`["urn:ietf:params:scim:schemas:core:2.0:User"]`, `["x"]`, `"x"`, `[7]`, `[[]]`, `{}`} {
		add(attempt{row: "P65 schemas " + v, method: "PATCH", path: "/Users/{id}", body: `{"schemas":` + v + `,"Operations":[` + off + `]}`, status: 400, scimType: value, detail: []string{"schemas"}})
	}
	ops := func(n int, op string) string { return strings.TrimSuffix(strings.Repeat(op+",", n), ",") }
	title := `{"op":"replace","path":"title","value":"x"}`
	add(patched("P66 1 000 operations", 0, ops(1000, title)).then(shows(map[string]any{"title": "x"})),
		operations("P66 1 001 operations", 413, "", ops(1001, off), "Operations", "1000", "several requests"),
		operations("P66 20 000 operations", 413, "", ops(20_000, title), "Operations", "1000"))
	for _, op := range []string{`{"path":"active","value":false}`, `{"op":null,"path":"active","value":false}`, `{"op":"","path":"active","value":false}`, `{}`} {
		add(operations("P67 no op "+op, 400, syntax, off+","+op, "Operations[1].op", "add, replace or remove"))
	}
	for _, op := range []string{"delete", "set", "replac", "add ", "ＡＤＤ", "test", "move", `a\u0000dd`, long(10_000)} {
		add(operations("P67 op "+op[:min(len(op), 20)], 400, syntax, off+`,{"op":"`+op+`","path":"active","value":false}`, "Operations[1].op", "add, replace, remove"))
	}
	for _, op := range []string{"7", "true", "[]", "{}"} {
		add(operations("P67 op "+op, 400, syntax, `{"op":`+op+`,"path":"active","value":false}`, "Operations[0].op", "string"),
			operations("P70 path "+op, 400, syntax, `{"op":"replace","path":`+op+`,"value":false}`, "Operations[0].path", "string"))
	}
	for _, op := range []string{"Add", "ADD", "Replace", "rEpLaCe", "REPLACE"} {
		add(patched("P68 op "+op, 0, `{"op":"`+op+`","path":"nickName","value":"n"}`).then(shows(map[string]any{"nickName": "n"})))
	}
	add(patched("P68 op Remove", 0, `{"op":"Remove","path":"nickName"}`),
		operations("P68 unknown without a capital from auto", 400, "invalidPath", `{"op":"replace","path":"favouriteColour","value":"x"}`, "favouriteColour").from("auto").chain(),
		patched("P68 a capital from auto is Entra's", 0, `{"op":"Replace","path":"favouriteColour","value":"x"}`).from("auto").chain(),
		patched("P68 and is remembered", 0, `{"op":"replace","path":"favouriteColour","value":"x"}`).from("auto").chain())
	for _, op := range []string{`{"op":"remove"}`, `{"op":"remove","path":""}`, `{"op":"remove","path":null}`, `{"op":"Remove","value":{"active":false}}`} {
		add(operations("P69 "+op, 400, "noTarget", off+","+op, "Operations[1].path", "missing"))
	}
	add(paths()...)
	add(immovable()...)
	add(targets()...)
	add(values()...)
	return all
}

// paths is rows 70, 71 and 81.
func paths() []attempt {
	var all []attempt
	set := func(path string) string {
		return fmt.Sprintf(`{"op":"replace","path":%s,"value":"x"}`, quoteJSON(path))
	}
	for _, path := range []string{
		`emails[type eq`, `emails[type eq "work"`, `emails[type eq "work"].`, `emails[type eq "work"]value`, `emails[]`, `emails[type]`, `emails[type eq work]`, `emails[type eq 'work']`,
		`emails[type eq "work"]].value`, `emails[[type eq "work"]]`, `emails[type eq "wo`, `.value`, `emails.`, `emails..value`, `emails.value.x`, `name givenName`, `name/givenName`, `/name`, `$`, ` `,
		`1name`, `name[0]`, `emails[0].value`, `emails[type eq "work"].value.x`, `emails[type eq "work" and].value`, `emails[(type eq "work"].value`, `emails[type eq "work")].value`,
		`urn:`, `urn:ietf:params:scim:schemas:core:2.0:User:`, `:active`, `active;`, `active\n`, `"active"`, `active'`, `naïve`, `\u0000`, `../active`, `%61ctive`, `active eq false`,
		`emails[type eq "work"][type eq "home"].value`, `emails.value[type eq "work"]`, `emails[emails[type eq "x"]]`, `(active)`, `*`,
		`emails[type eq "(((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((("`,
		`emails[` + strings.Repeat("(", 1000) + `type eq "work"` + strings.Repeat(")", 1000) + `].value`,
		`emails[type eq "work"` + strings.Repeat(` and type eq "work"`, 64) + `].value`,
		strings.Repeat("a", 10_000), strings.Repeat("a.", 5000), strings.Repeat("[", 4000), `emails[type eq "` + long(5000) + `"].value`, strings.Repeat("urn:", 1500) + "x",
	} {
		row := "P70 path " + path[:min(len(path), 40)]
		if len(path) > 200 {
			row = "P81 path " + path[:20]
		}
		scimType := "invalidPath"
		all = append(all, operations(row, 400, scimType, off+","+set(path), "Operations[1].path"))
		if path == `emails[type eq work]` {
			continue // Entra's documentation shows a value without quotes
		}
		all = append(all, operations(row+" from Entra", 400, scimType, off+","+set(path), "Operations[1].path").from("entra"))
	}
	for _, path := range []string{"favouriteColour", "name.favourite", "emails.favourite", `emails[type eq "work"].favourite`, `emails[favourite eq "x"].value`, "urn:example:x:2.0:User:y",
		enterpriseSchema + ":favourite", "active.value", "userName.x", "members", "urn:ietf:params:scim:schemas:core:2.0:Group:displayName", "ſchemas", "aſctive"} {
		if strings.ContainsRune(path, 'ſ') {
			all = append(all, operations("P71 "+path, 400, "invalidPath", set(path), "Operations[0].path"))
			continue
		}
		all = append(all, operations("P71 unknown "+path, 400, "invalidPath", off+","+set(path), "Operations[1].path", "unknown", "remove its mapping").withIf(path == "active.value" || path == "userName.x", "no sub-attributes"))
		for _, kind := range []string{"entra", "okta"} {
			a := patched("P71 unknown "+path+" from "+kind, 0, set(path)).from(kind)
			off := attempt{row: "P71 a deactivation beside unknown " + path + " from " + kind, method: "PATCH", path: "/Users/{id}", fresh: true,
				body: bridgetest.PatchOp(set(path), off), status: 200, effects: 1, check: deactivated}.from(kind)
			all = append(all, a, off)
		}
	}
	return all
}

// withIf replaces what detail must say, where a case says it in other words.
func (a attempt) withIf(differs bool, part string) attempt {
	if differs {
		a.detail = []string{a.detail[0], part, "remove its mapping"}
	}
	return a
}

func quoteJSON(s string) string {
	return `"` + strings.NewReplacer(`\n`, `\n`, `\u`, `\u`, `"`, `\"`).Replace(s) + `"`
}

// immovable is rows 72 and 73.
func immovable() []attempt {
	var all []attempt
	ext := bridgetest.ExtensionURN
	for _, path := range []string{"id", "meta", "meta.version", "meta.created", "groups", "groups.value", `groups[value eq \"x\"]`, `groups[value eq \"x\"].display`, ext + ":managed", ext + ":accountState",
		ext + ":invite", ext + ":invite.state", ext + ":effectiveRole.id", ext + ":memberships", ext + ":memberships.roleId", "ID", userSchema + ":id", enterpriseSchema + ":manager.displayName"} {
		for _, op := range []string{"add", "replace", "remove"} {
			all = append(all, operations("P72 "+op+" "+path, 400, "mutability", off+`,{"op":"`+op+`","path":"`+path+`","value":"x"}`, "Operations[1].path", "readOnly"))
		}
	}
	for _, path := range []string{"userName", "USERNAME", userSchema + ":userName"} {
		all = append(all, operations("P73 remove "+path, 400, "mutability", off+`,{"op":"remove","path":"`+path+`"}`, "Operations[1].path", "userName", "required"))
	}
	for _, v := range []string{"null", `""`} {
		all = append(all, operations("P73 replace userName by "+v, 400, value, off+`,{"op":"replace","path":"userName","value":`+v+`}`, "Operations[1]", "userName", "required"),
			operations("P73 replace userName by "+v+" without a path", 400, value, `{"op":"replace","value":{"active":false,"userName":`+v+`}}`, "Operations[0]", "userName", "required"))
	}
	return append(all,
		operations("P73 remove the core schema", 400, "mutability", off+`,{"op":"remove","path":"`+userSchema+`"}`, "Operations[1].path", "cannot be removed"),
		patched("P72 read-only attributes without a path", 0, `{"op":"replace","value":{"id":"x","meta":{"version":"y"},"groups":[],"title":"t"}}`).then(shows(map[string]any{"title": "t"})),
		patched("P72 schemas", 0, `{"op":"replace","path":"schemas","value":["x"]}`),
		patched("P73 remove active", 0, `{"op":"remove","path":"active"}`),
		patched("P73 active null", 0, `{"op":"replace","value":{"active":null}}`),
	)
}

// targets is rows 74 and 75.
func targets() []attempt {
	work := `emails[type eq \"home\"].value`
	return []attempt{
		operations("P74 replace without a match", 400, "noTarget", off+`,{"op":"replace","path":"`+work+`","value":"h@example.com"}`, "Operations[1].path", "emails").asking(),
		operations("P74 replace of an entry without a match", 400, "noTarget", off+`,{"op":"replace","path":"phoneNumbers[type eq \"fax\"]","value":{"value":"1"}}`, "Operations[1].path", "phoneNumbers").asking(),
		patched("P74 from Entra it creates the entry", 0, `{"op":"Replace","path":"`+work+`","value":"h@example.com"}`).from("entra").then(shows(map[string]any{"emails.1.value": "h@example.com", "emails.1.type": "home"})),
		operations("P74 from Entra, a filter that does not say what to create", 400, "noTarget", off+`,{"op":"Replace","path":"emails[type ne \"work\"].value","value":"h@example.com"}`, "Operations[1].path", "emails").from("entra").asking(),
		patched("P74 add creates the entry", 0, `{"op":"add","path":"phoneNumbers[type eq \"mobile\"].value","value":"1"}`).then(shows(map[string]any{"phoneNumbers.0.value": "1", "phoneNumbers.0.type": "mobile"})),
		patched("P74 remove without a match", 0, `{"op":"remove","path":"`+work+`"}`),
		patched("P74 remove of what is absent", 0, `{"op":"remove","path":"phoneNumbers"}`),
		patched("P74 remove of a list that does not match", 0, `{"op":"remove","path":"emails","value":[{"value":"x@example.com"}]}`),
		patched("P75 dotted and URN keys", 1, `{"op":"replace","value":{"name.givenName":"Renamed","`+enterpriseSchema+`:department":"D","title":"T"}}`).
			from("entra").then(shows(map[string]any{"name.givenName": "Renamed", "title": "T"})),
		patched("P75 an extension as a container", 0, `{"op":"add","value":{"`+enterpriseSchema+`":{"department":"D"}}}`),
		patched("P75 a value path as a key", 0, `{"op":"replace","value":{"emails[type eq \"work\"].display":"W"}}`).from("entra").then(shows(map[string]any{"emails.0.display": "W"})),
		operations("P75 an unknown key", 400, "invalidPath", `{"op":"replace","value":{"active":false,"favouriteColour":"x"}}`, "Operations[0].value", "favouriteColour", "remove its mapping"),
		operations("P75 a key that is no path", 400, "invalidPath", `{"op":"replace","value":{"active":false,"emails[type eq":"x"}}`, "Operations[0].value", "remove its mapping"),
		operations("P75 an empty key", 400, "invalidPath", `{"op":"replace","value":{"active":false,"":"x"}}`, "Operations[0].value"),
		{row: "P75 a deactivation beside an unknown key from Okta", as: "okta", method: "PATCH", path: "/Users/{id}", fresh: true, body: bridgetest.PatchOp(`{"op":"replace","value":{"active":false,"favouriteColour":"x"}}`), status: 200, effects: 1, check: deactivated},
	}
}

// values is rows 76 to 80.
func values() []attempt {
	var all []attempt
	for _, v := range []string{`"x"`, "7", "true", "false", "[]", `[{"active":false}]`, "null"} {
		all = append(all, operations("P76 without a path, value "+v, 400, value, off+`,{"op":"replace","value":`+v+`}`, "Operations[1].value", "must be an object"))
	}
	for _, op := range []string{"add", "replace"} {
		all = append(all,
			operations("P77 "+op+" without a value", 400, value, off+`,{"op":"`+op+`","path":"title"}`, "Operations[1].value", "missing", "send null"),
			operations("P77 "+op+" of active without a value", 400, value, `{"op":"`+op+`","path":"active"}`, "Operations[0].value", "missing"),
			operations("P77 "+op+" without path and value", 400, value, off+`,{"op":"`+op+`"}`, "Operations[1].value", "missing"))
	}
	for _, second := range []string{`{"op":"replace","path":"name.givenName","value":7}`, `{"op":"replace","path":"emails[type eq \"work\"].value","value":"a@b"}`,
		`{"op":"add","path":"emails","value":[{"value":"x@example.com","primary":"maybe"}]}`, `{"op":"replace","path":"title","value":{"a":1}}`, `{"op":"replace","path":"displayName","value":"` + long(257) + `"}`} {
		all = append(all, operations("P78 a valid operation before "+second[:40], 400, value, off+","+second, "Operations[1]"))
	}
	all = append(all,
		operations("P78 an operation that cannot be applied at the end", 400, "noTarget",
			`{"op":"replace","path":"name.givenName","value":"Changed"},`+off+`,{"op":"replace","path":"addresses[type eq \"work\"].locality","value":"x"}`, "Operations[2].path", "addresses").asking(),
		operations("P78 another tenant's organization at the end", 400, value, `{"op":"replace","path":"name.givenName","value":"Changed"},{"op":"replace","path":"`+bridgetest.ExtensionURN+`:organizationIds","value":[200]}`, "organizationIds", "200").asking(),
		operations("P78 two entries made primary", 400, value, off+`,{"op":"add","path":"emails","value":[{"value":"{new}","type":"other"}]},{"op":"replace","path":"emails.primary","value":true}`, "primary", "at most one").asking(),
		attempt{row: "P78 a deactivation is not held up by an organization that is not the tenant's", method: "PATCH", path: "/Users/{id}", fresh: true,
			body: bridgetest.PatchOp(off, `{"op":"replace","path":"`+bridgetest.ExtensionURN+`:organizationIds","value":[200]}`), status: 200, effects: 1, check: deactivated},
		operations("P80 active [false]", 400, value, `{"op":"replace","path":"active","value":[false]}`, "Operations[0]", "active", "true or false", "array"),
		operations("P80 active [false] without a path", 400, value, `{"op":"replace","value":{"active":[false]}}`, "active", "true or false", "array"),
		operations("P80 active [false] from Entra", 400, value, `{"op":"Replace","path":"active","value":[false]}`, "active", "true or false", "array").from("entra"),
		operations("P80 active of an object", 400, value, `{"op":"replace","path":"active","value":{"value":false}}`, "active", "true or false", "object"),
		attempt{row: "P79 active false and a rename without a path", method: "PATCH", path: "/Users/{id}", fresh: true,
			body: bridgetest.PatchOp(`{"op":"replace","value":{"userName":"renamed-{new}","name":{"givenName":"Renamed"},"active":false}}`), status: 200, effects: 2, check: deactivatedFirst},
	)
	return all
}

func deactivatedFirst(t *testing.T, r *rig, res bridgetest.Response, now []sandbox.Entry) {
	t.Helper()
	if res.JSON("active") != false || !strings.HasPrefix(fmt.Sprint(res.JSON("userName")), "renamed-") || res.JSON("name.givenName") != "Renamed" {
		t.Errorf("not both: %s", excerpt(res.Body))
	}
	if len(now) != 2 || now[0].Operation != "deactivate_user" {
		t.Fatalf("the ledger has %s, want the deactivation first", describe(now))
	}
	for _, m := range now[0].After.Memberships {
		if m.State != sandbox.StateSuspended {
			t.Errorf("the membership of %d is %s after the first step", m.OrganizationID, m.State)
		}
	}
	found := r.quietly(t, "GET", "/Users?filter="+url.QueryEscape(fmt.Sprintf("userName eq %q", res.JSON("userName"))), "")
	if found.JSON("Resources.0.id") != res.ID() {
		t.Errorf("the new name finds %s", excerpt(found.Body))
	}
}
