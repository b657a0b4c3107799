package badinput

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// renames are the shapes in which clients say what a group is called, but for a
// create; {value} stands for the name as JSON.
var renames = []struct{ name, as, method, body string }{
	{"PATCH", "rfc", "PATCH", bridgetest.PatchOp(`{"op":"replace","path":"displayName","value":{value}}`)},
	{"PATCH add", "rfc", "PATCH", bridgetest.PatchOp(`{"op":"add","path":"displayName","value":{value}}`)},
	{"PATCH by the URN", "rfc", "PATCH", bridgetest.PatchOp(`{"op":"replace","path":"` + groupSchema + `:displayName","value":{value}}`)},
	{"PATCH from Entra", "entra", "PATCH", bridgetest.PatchOp(`{"op":"Replace","path":"displayName","value":{value}}`)},
	{"PATCH from Okta", "okta", "PATCH", bridgetest.PatchOp(`{"op":"replace","value":{"id":"{group}","displayName":{value}}}`)},
	{"PATCH behind a removal", "okta", "PATCH", bridgetest.PatchOp(`{"op":"remove","path":"members[value eq \"{in}\"]"}`, `{"op":"replace","value":{"id":"{group}","displayName":{value}}}`)},
	{"PUT", "rfc", "PUT", groupWith("{value}", "")},
	{"PUT that empties the group", "okta", "PUT", groupWith("{value}", "[]")},
}

// renamed says a name in all shapes but a create.
func renamed(row, name string, status int, scimType string, detail ...string) []attempt {
	var all []attempt
	for _, c := range renames {
		all = append(all, attempt{row: row + " by " + c.name, as: c.as, method: c.method, path: "/Groups/{group}",
			body: strings.ReplaceAll(c.body, "{value}", name), status: status, scimType: scimType, detail: detail})
	}
	return all
}

// groupNames is rows 93 and 95.
func groupNames() []attempt {
	var all []attempt
	refuse := func(row, name string, detail ...string) {
		detail = append(detail, "displayName")
		all = append(all, postGroup(row+" by POST", 400, value, groupWith(name, entries("{out}")), detail...))
		all = append(all, renamed(row, name, 400, value, detail...)...)
	}
	refuse("G95 an empty name", `""`, "required")
	refuse("G95 the name null", `null`, "required")
	for _, v := range []string{"7", "true", "[]", `["x"]`, "{}", `{"value":"x"}`} {
		refuse("G95 the name "+v, v, "must be a string")
	}
	for _, v := range []string{`" "`, `"    "`, `"\t"`, `"\u00a0"`, `"\u3000"`, `" x"`, `"x "`, `"x\n"`, `"\r\nx"`} {
		refuse("G95 the name "+v, v, "space", "remove", inTheIdP)
	}
	for _, v := range []string{`"../"`, `"../x"`, `"x/../../y"`, `".."`} {
		refuse("G95 the name "+v, v, "path", "rename the group", inTheIdP)
	}
	refuse("G95 a name with NUL", `"Managers\u0000 1"`, "U+0000", "remove", inTheIdP)
	for _, span := range [][2]rune{{0x01, 0x1f}, {0x7f, 0x9f}, {0x2028, 0x2029}} {
		for r := span[0]; r <= span[1]; r++ {
			v := `"Mana` + escape(r) + `gers"`
			detail := []string{"displayName", fmt.Sprintf("U+%04X", r), inTheIdP}
			all = append(all, postGroup(fmt.Sprintf("G95 U+%04X by POST", r), 400, value, groupWith(v, entries("{out}")), detail...),
				putGroup(fmt.Sprintf("G95 U+%04X by PUT", r), 400, value, groupWith(v, ""), detail...),
				onGroup(fmt.Sprintf("G95 U+%04X by PATCH", r), 400, value, `{"op":"replace","path":"displayName","value":`+v+`}`, detail...))
		}
	}
	for _, n := range []int{257, 10_000, 1_000_000} {
		refuse(fmt.Sprintf("G95 a name of %d", n), `"`+long(n)+`"`, "256", fmt.Sprint(n))
	}
	refuse("G95 a name of 257 letters of two bytes", `"`+strings.Repeat(`\u00e9`, 257)+`"`, "256", "257")
	all = append(all,
		postGroup("G95 no name", 400, value, `{"schemas":["`+groupSchema+`"],"members":[{"value":"{out}"}]}`, "displayName", "required", "map an attribute"),
		putGroup("G95 no name by PUT", 400, value, `{"schemas":["`+groupSchema+`"],"members":[]}`, "displayName", "required"),
		onGroup("G95 remove of the name", 400, "mutability", `{"op":"remove","path":"members"},{"op":"remove","path":"displayName"}`, "Operations[1].path", "displayName", "required"),
		onGroup("G95 Remove of the name from Entra", 400, "mutability", `{"op":"Remove","path":"displayName","value":"{title}"}`, "displayName", "required").from("entra"),
		postGroup("G95 an externalId of 256", 400, value, groupWith(`"{new}"`, "", `"externalId":"`+long(256)+`"`), "externalId", "255"),
		onGroup("G95 an externalId of 256 by PATCH", 400, value, `{"op":"replace","path":"externalId","value":"`+long(256)+`"}`, "externalId", "255"),
	)
	for _, v := range []string{"7", "true", "[]", `{}`, `["x"]`} {
		all = append(all, postGroup("G95 an externalId "+v, 400, value, groupWith(`"{new}"`, "", `"externalId":`+v), "externalId", "must be a string"),
			putGroup("G95 an externalId "+v+" by PUT", 400, value, groupWith(`"{title}"`, "", `"externalId":`+v), "externalId", "must be a string"),
			onGroup("G95 an externalId "+v+" by PATCH", 400, value, `{"op":"replace","path":"externalId","value":`+v+`}`, "externalId", "must be a string"))
	}
	for _, v := range []string{`["` + userSchema + `"]`, `["x"]`, `[""]`} {
		all = append(all, postGroup("G95 schemas "+v, 400, value, strings.Replace(groupOf("{new}", entries("{out}")), `["`+groupSchema+`"]`, v, 1), "schemas", groupSchema),
			putGroup("G95 schemas "+v+" by PUT", 400, value, strings.Replace(groupOf("{title}", "[]"), `["`+groupSchema+`"]`, v, 1), "schemas", groupSchema))
	}
	for _, v := range []string{`"` + groupSchema + `"`, `{}`, `7`, `[7]`, `[null]`} {
		all = append(all, postGroup("G95 schemas "+v, 400, value, strings.Replace(groupOf("{new}", entries("{out}")), `["`+groupSchema+`"]`, v, 1), "schemas", "array of URNs"))
	}
	return append(append(all, oddNames()...), takenNames()...)
}

// oddNames only look bad: they are kept as they are.
func oddNames() []attempt {
	var all []attempt
	for _, v := range []string{`<script>alert(1)</script>`, `{{7*7}}${7*7}`, `=cmd|' /C calc'!A0`, `javascript:alert(1)`, `%2e%2e%2f`, `..x`, `a/b`, `*`, `"; DROP TABLE groups; --`, `👩‍👩‍👧`, `Ａdmin`, `null`, `7`,
		`{"level":"admin"}`, long(256), strings.Repeat("é", 256)} {
		text := quoteJSON(v + "{new}")
		if len(v) > 200 {
			text = quoteJSON(v)
		}
		all = append(all, postGroup("G95 an odd name "+v[:min(len(v), 20)], 201, "", groupWith(text, entries("{out}"))).
			then(func(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
				t.Helper()
				if got, _ := res.JSON("displayName").(string); !strings.HasPrefix(got, v) {
					t.Errorf("displayName %q, want %q", got, v)
				}
			}))
	}
	return append(all,
		postGroup("G95 what only we say", 201, "", groupWith(`"{new}"`, "", `"id":"mine"`, `"meta":{"location":"http://evil.example/","version":"W/\"9\"","created":"1970-01-01T00:00:00Z"}`, `"groups":[]`, `"x":{"y":1}`)).
			then(lacks("evil.example", "1970", `"mine"`, `"x"`)),
		postGroup("G95 addresses of a metadata service", 201, "", groupWith(`"{new}"`, `[{"value":"{out}","$ref":"http://169.254.169.254/latest/meta-data/"}]`, `"$ref":"{trap}/group"`)).then(lacks("169.254")),
		postGroup("G95 no schemas", 201, "", `{"displayName":"{new}"}`),
		postGroup("G95 externalId of 255", 201, "", groupWith(`"{new}"`, "", `"externalId":"`+long(255)+`"`)))
}

// takenNames is row 93: a name is a group's alone, in any case.
func takenNames() []attempt {
	const unique = "uniqueness"
	var all []attempt
	for _, name := range []string{`"Taken Ünit"`, `"TAKEN ÜNIT"`, `"taken \u00fcnit"`} {
		detail := []string{"displayName", "exists already", "find it with filter=displayName eq"}
		all = append(all, postGroup("G93 POST of "+name, 409, unique, groupWith(name, ""), detail...),
			postGroup("G93 POST with members of "+name, 409, unique, groupWith(name, entries("{out}"), `"externalId":"{new}"`), detail...))
		all = append(all, renamed("G93 a rename to "+name, name, 409, unique, detail...)...)
	}
	all = append(all, postGroup("G93 POST of a privileged name", 409, unique, groupOf("OWNERS", ""), "exists already"))
	own := changed("G93 its own name in other case", nobody, `{"op":"replace","path":"displayName","value":"Own {new}"},{"op":"replace","path":"displayName","value":"OWN {new}"}`)
	return append(all, own,
		changed("G93 its own name again", held, `{"op":"replace","path":"displayName","value":"{title}"}`),
		postGroup("G93 an externalId that a group has", 201, "", groupWith(`"{new}"`, "", `"externalId":"twice"`)),
		postGroup("G93 an externalId that two groups have", 201, "", groupWith(`"{new}"`, "", `"externalId":"twice"`)))
}

// privileged is row 94 and finding A14: whatever puts somebody under a rule
// above the ceiling is refused as a whole.
func privileged() []attempt {
	var all []attempt
	detail := []string{"Owner", "ceiling", "tenant.yaml"}
	for _, w := range ways {
		a := w.with("G94 add to a privileged group", `[{"value":"{out}"}]`)
		a.status, a.detail, a.path = 403, detail, strings.ReplaceAll(a.path, "{group}", "{owners}")
		a.body = strings.NewReplacer("{group}", "{owners}", "{title}", "owners").Replace(a.body)
		switch a.as + a.method {
		case "rfcPOST":
			a.body = strings.Replace(a.body, `"members"`, `"externalId":"owners-0","members"`, 1)
		case "entraPOST":
			a.body = strings.Replace(a.body, `"externalId":"{new}"`, `"externalId":"owners-0"`, 1)
		}
		all = append(all, a)
	}
	for _, name := range []string{`"Owners {new}"`, `"OWNERS-{new}"`, `"ownersx"`} {
		all = append(all, postGroup("G94 a create of "+name, 403, "", groupWith(name, entries("{out}")), detail...))
		all = append(all, renamed("G94 a rename to "+name, name, 403, "", detail...)...)
	}
	for _, c := range []struct{ name, as, method, body string }{
		{"PATCH", "rfc", "PATCH", bridgetest.PatchOp(`{"op":"replace","path":"externalId","value":"owners-0"}`)},
		{"PATCH from Okta", "okta", "PATCH", bridgetest.PatchOp(`{"op":"replace","value":{"id":"{group}","externalId":"owners-0"}}`)},
		{"PATCH from Entra", "entra", "PATCH", bridgetest.PatchOp(`{"op":"Replace","path":"externalId","value":"owners-0"}`)},
		{"PATCH with another member", "rfc", "PATCH", bridgetest.PatchOp(`{"op":"remove","path":"members"}`, `{"op":"add","path":"members","value":[{"value":"{out}"}]}`, `{"op":"add","path":"externalId","value":"owners-0"}`)},
		{"PUT", "rfc", "PUT", groupWith(`"{title}"`, "", `"externalId":"owners-0"`)},
		{"PUT with another member", "rfc", "PUT", groupWith(`"{title}"`, entries("{out}"), `"externalId":"owners-0"`)},
	} {
		all = append(all, attempt{row: "G94 a privileged externalId by " + c.name, as: c.as, method: c.method, path: "/Groups/{group}", body: c.body, status: 403, detail: detail})
	}
	gone := bridgetest.PatchOp(`{"op":"replace","path":"externalId","value":"owners-0"}`, `{"op":"remove","path":"members"}`)
	all = append(all,
		attempt{row: "G94 a privileged externalId for a group that is emptied", method: "PATCH", path: "/Groups/{group}", body: gone, status: 403, detail: detail},
		postGroup("G94 an empty group may be made so", 201, "", groupWith(`"{new}"`, "", `"externalId":"owners-0"`)),
		postGroup("A1 a number as externalId is no id of a role", 201, "", groupWith(`"Managers-{new}"`, "", `"externalId":"1"`)),
	)
	for _, name := range []string{"\u041ewners", "Own\u0435rs", "Owners"[:5], "x-owners", "\uff2fwners", "Owner\u200bs", "Managers", "XManagers-1", "Managers\u20101"} {
		a := postGroup("G94 a name that only looks like one, "+name, 201, "", groupWith(`"`+name+`"`, entries("{out}")))
		a.gather, a.hold = true, held
		all = append(all, a)
	}
	for _, v := range []string{`[{"value":"{group}"}]`, `[{"value":"{group}","display":"{title}","type":"direct"}]`, `["{title}"]`, `"{group}"`} {
		all = append(all, accepted("U52 groups of a User give nothing: "+v, user(`"groups":`+v)),
			attempt{row: "U52 groups of a User by PUT give nothing: " + v, method: "PUT", path: "/Users/{out}", gather: true, body: userOf("{outname}", `"groups":`+v), status: 200})
	}
	for _, op := range []string{"add", "replace"} {
		all = append(all, operations("P72 "+op+" of groups", 400, "mutability", `{"op":"`+op+`","path":"groups","value":[{"value":"{group}"}]}`, "groups", "readOnly"))
	}
	for _, ext := range []string{"0", "1", "3", "2", "1001", "113", "{in}", "{group}", "admin", "05", "5.0", " 5", "5x", "OWNERS-0", "owners-0 "} {
		a := postGroup("A1 externalId "+ext+" gives nothing", 201, "", groupWith(`"{new}"`, entries("{out}"), `"externalId":"`+ext+`"`))
		a.gather, a.hold = true, held
		all = append(all, a)
	}
	return all
}
