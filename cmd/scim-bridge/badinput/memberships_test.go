package badinput

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// memberships is rows 82 to 88 and 92 of group G: what is removed is removed
// upstream, and nothing else is.
func memberships() []attempt {
	var all []attempt
	for _, c := range []struct{ row, as, ops, hold string }{
		{"G82 remove by a filter", "rfc", `{"op":"remove","path":"members[value eq \"{in}\"]"}`, "too"},
		{"G82 remove by a filter from Okta", "okta", `{"op":"remove","path":"members[value eq \"{in}\"]"}`, "too"},
		{"G82 remove by a filter from Entra", "entra", `{"op":"Remove","path":"members[value eq \"{in}\"]"}`, "too"},
		{"G82 remove by a filter beside a value", "rfc", `{"op":"remove","path":"members[value eq \"{in}\"]","value":[{"value":"{too}"}]}`, "too"},
		{"G82 remove by a filter of the URN", "rfc", `{"op":"remove","path":"` + groupSchema + `:members[value eq \"{in}\"]"}`, "too"},
		{"G82 remove by a filter in capitals", "rfc", `{"op":"REMOVE","path":"MEMBERS[VALUE EQ \"{in}\"]"}`, "too"},
		{"G82 remove of two by a filter", "rfc", `{"op":"remove","path":"members[value eq \"{in}\" or value eq \"{too}\"]"}`, nobody},
		{"G82 remove by a filter of value and type", "rfc", `{"op":"remove","path":"members[value eq \"{in}\" and type eq \"User\"]"}`, "too"},
		{"G82 remove of all but one", "rfc", `{"op":"remove","path":"members[not (value eq \"{too}\")]"}`, "too"},
		{"G82 remove by the type", "rfc", `{"op":"remove","path":"members[type eq \"User\"]"}`, nobody},
		{"G82 replace of one by null", "rfc", `{"op":"replace","path":"members[value eq \"{in}\"]","value":null}`, "too"},
		{"G82 remove one, add another", "okta", `{"op":"remove","path":"members[value eq \"{in}\"]"},{"op":"add","path":"members","value":[{"value":"{out}","display":"x"}]}`, "too out"},
		{"G82 remove and add the same", "okta", `{"op":"remove","path":"members[value eq \"{in}\"]"},{"op":"add","path":"members","value":[{"value":"{in}"}]}`, held},
		{"G82 add and remove the same", "rfc", `{"op":"add","path":"members","value":[{"value":"{out}"}]},{"op":"remove","path":"members[value eq \"{out}\"]"}`, held},
		{"G83 remove of a list", "rfc", `{"op":"remove","path":"members","value":[{"value":"{in}"}]}`, "too"},
		{"G83 Remove of a list from Entra", "entra", `{"op":"Remove","path":"members","value":[{"$ref":null,"value":"{in}"}]}`, "too"},
		{"G83 remove of a list from Okta", "okta", `{"op":"remove","path":"members","value":[{"value":"{in}","display":null}]}`, "too"},
		{"G83 remove of an object", "rfc", `{"op":"remove","path":"members","value":{"value":"{in}"}}`, "too"},
		{"G83 remove of two", "entra", `{"op":"Remove","path":"members","value":[{"value":"{in}"},{"value":"{too}"}]}`, nobody},
		{"G83 remove of two in two operations", "entra", `{"op":"Remove","path":"members","value":[{"value":"{in}"}]},{"op":"Remove","path":"members","value":[{"value":"{too}"}]}`, nobody},
		{"G83 remove by the URN", "rfc", `{"op":"remove","path":"` + groupSchema + `:members","value":[{"value":"{in}"}]}`, "too"},
		{"G83 remove of one twice", "rfc", `{"op":"remove","path":"members","value":[{"value":"{in}"},{"value":"{in}"}]}`, "too"},
		{"G84 remove without a value", "rfc", `{"op":"remove","path":"members"}`, nobody},
		{"G84 Remove without a value from Entra", "entra", `{"op":"Remove","path":"members"}`, nobody},
		{"G84 remove of null", "rfc", `{"op":"remove","path":"members","value":null}`, nobody},
		{"G84 replace by an empty list", "okta", `{"op":"replace","path":"members","value":[]}`, nobody},
		{"G84 replace by null", "rfc", `{"op":"replace","path":"members","value":null}`, nobody},
		{"G84 replace by an empty list without a path", "okta", `{"op":"replace","value":{"members":[]}}`, nobody},
		{"G85 remove of an empty list", "rfc", `{"op":"remove","path":"members","value":[]}`, held},
		{"G85 Remove of an empty list from Entra", "entra", `{"op":"Remove","path":"members","value":[]}`, held},
		{"G85 remove of an empty list by the URN", "okta", `{"op":"remove","path":"` + groupSchema + `:members","value":[]}`, held},
		{"G85 add of an empty list", "rfc", `{"op":"add","path":"members","value":[]}`, held},
		{"G85 no operation", "rfc", ``, held},
		{"G87 remove of who is no member", "rfc", `{"op":"remove","path":"members[value eq \"{out}\"]"}`, held},
		{"G87 Remove of who is no member from Entra", "entra", `{"op":"Remove","path":"members","value":[{"value":"{out}"}]}`, held},
		{"G87 remove of who is nobody", "rfc", `{"op":"remove","path":"members[value eq \"nobody\"]"}`, held},
		{"G87 remove of the empty id", "rfc", `{"op":"remove","path":"members[value eq \"\"]"}`, held},
		{"G87 remove of null by a filter", "rfc", `{"op":"remove","path":"members[value eq null]"}`, held},
		{"G87 remove of a list of nobody", "entra", `{"op":"Remove","path":"members","value":[{"value":"nobody"},{"value":"{group}"}]}`, held},
		{"G87 remove of a part of an id", "rfc", `{"op":"remove","path":"members[value co \"{in}x\"]"}`, held},
		{"G88 add of a member", "rfc", `{"op":"add","path":"members","value":[{"value":"{in}"}]}`, held},
		{"G88 Add of a member from Entra", "entra", `{"op":"Add","path":"members","value":[{"$ref":null,"value":"{in}"},{"value":"{too}"},{"value":"{in}"}]}`, held},
		{"G88 add of a member by a filter", "rfc", `{"op":"add","path":"members[value eq \"{in}\"]","value":{"value":"{in}"}}`, held},
		{"G88 replace of a member by itself", "rfc", `{"op":"replace","path":"members[value eq \"{in}\"]","value":{"value":"{in}","display":"x"}}`, held},
		{"G88 add of an object", "rfc", `{"op":"add","path":"members","value":{"value":"{out}"}}`, "in too out"},
		{"G92 a rename without members from Okta", "okta", `{"op":"replace","value":{"id":"{group}","displayName":"{title}"}}`, held},
		{"G92 members that are not said", "rfc", `{"op":"replace","path":"externalId","value":"{new}"}`, held},
	} {
		all = append(all, changed(c.row, c.hold, c.ops).from(c.as).then(showsCrowd(c.hold)))
	}
	put := func(row, hold, body string) {
		a := putGroup(row, 200, "", body)
		a.gather, a.hold = true, hold
		all = append(all, a.then(showsCrowd(hold)))
	}
	put("G92 PUT without members", held, groupOf("{title}", ""))
	put("G92 PUT without members from Okta", held, groupWith(`"{title}"`, "", `"id":"{group}"`))
	put("G92 PUT with members null", held, groupOf("{title}", "null"))
	put("G84 PUT with an empty list", nobody, groupOf("{title}", "[]"))
	put("G82 PUT without one", "too", groupOf("{title}", entries("{too}")))
	put("G82 PUT with another", "too out", groupOf("{title}", entries("{out}", "{too}")))
	put("G88 PUT with one twice", held, groupOf("{title}", entries("{in}", "{too}", "{in}", "{too}")))
	put("G82 PUT that renames out of the rule", nobody, groupOf("Nobody {new}", ""))
	all = append(all, joined("G88 a user in all shapes", `{"value":"{out}","display":"x","type":"User","$ref":"{trap}/Users/{out}"}`, "")...)
	all = append(all, joined("G88 a user with null and unknown attributes", `{"value":"{out}","display":null,"type":null,"$ref":null}`, "")...)
	all = append(all, joined("G88 a user 10 001 times", `{"value":"{out}"}`, strings.Repeat(`,{"value":"{out}"}`, 10_000))...)
	return append(all, refusedRemovals()...)
}

// showsCrowd checks that the bridge shows what the sandbox holds, where the
// group was not removed from its rule.
func showsCrowd(hold string) func(*testing.T, *rig, bridgetest.Response, []sandbox.Entry) {
	return func(t *testing.T, r *rig, res bridgetest.Response, _ []sandbox.Entry) {
		t.Helper()
		if name, _ := res.JSON("displayName").(string); res.Status == 200 && !strings.HasPrefix(name, "Managers") {
			hold = held
		}
		shown(t, r, r.met, hold)
	}
}

// refusedRemovals begin with one that is good: it must not be carried out.
func refusedRemovals() []attempt {
	var all []attempt
	good := `{"op":"remove","path":"members[value eq \"{in}\"]"},`
	for _, c := range []struct{ row, scimType, op, detail string }{
		{"G82 a path that ends early", "invalidPath", `{"op":"remove","path":"members[value eq \"{in}\""}`, "Operations[1].path"},
		{"G82 a path without quotes", "invalidPath", `{"op":"remove","path":"members[value eq {in}]"}`, "Operations[1].path"},
		{"G82 an empty filter", "invalidPath", `{"op":"remove","path":"members[]"}`, "Operations[1].path"},
		{"G82 an index", "invalidPath", `{"op":"remove","path":"members[0]"}`, "Operations[1].path"},
		{"G82 a dotted id", "invalidPath", `{"op":"remove","path":"members.{in}"}`, "Operations[1].path"},
		{"G82 a filter of what a member lacks", "invalidPath", `{"op":"remove","path":"members[favourite eq \"x\"]"}`, "favourite"},
		{"G82 a filter of a number", "invalidFilter", `{"op":"remove","path":"members[value eq 7]"}`, "Operations[1].path"},
		{"G82 the value of a member", "mutability", `{"op":"remove","path":"members[value eq \"{too}\"].value"}`, "members.value"},
		{"G82 the value of all members", "mutability", `{"op":"remove","path":"members.value"}`, "members.value"},
		{"G82 another value for a member", "mutability", `{"op":"replace","path":"members[value eq \"{in}\"]","value":{"value":"{out}"}}`, "cannot be changed"},
		{"G82 another value in a member", "mutability", `{"op":"replace","path":"members[value eq \"{in}\"].value","value":"{out}"}`, "members.value"},
		{"G82 remove without a path", "noTarget", `{"op":"remove","value":{"members":[{"value":"{in}"}]}}`, "Operations[1].path"},
		{"G82 a filter that names nobody to add", "noTarget", `{"op":"add","path":"members[display eq \"x\"]","value":{"type":"User"}}`, "Operations[1].path"},
		{"G83 remove of a text", value, `{"op":"remove","path":"members","value":"{in}"}`, "members"},
		{"G83 remove of a list of texts", value, `{"op":"remove","path":"members","value":["{in}"]}`, "members[0]"},
		{"G83 remove of a number", value, `{"op":"remove","path":"members","value":[{"value":7}]}`, "members[0].value"},
		{"G83 remove of an entry without a value", value, `{"op":"remove","path":"members","value":[{"display":"x"}]}`, "members[0].value"},
		{"G83 remove of an entry with an empty value", value, `{"op":"remove","path":"members","value":[{"value":""}]}`, "members[0].value"},
		{"G83 remove of a false", value, `{"op":"remove","path":"members","value":false}`, "members"},
		{"G83 remove of an empty object", value, `{"op":"remove","path":"members","value":{}}`, "members"},
		{"G83 remove of a list of null", value, `{"op":"remove","path":"members","value":[null]}`, "members[0]"},
		{"G84 replace by an empty object", value, `{"op":"replace","path":"members","value":{}}`, "members"},
		{"G84 replace by an empty text", value, `{"op":"replace","path":"members","value":""}`, "members"},
		{"G84 replace by false", value, `{"op":"replace","path":"members","value":false}`, "members"},
		{"G84 replace without a value", value, `{"op":"replace","path":"members"}`, "Operations[1].value"},
		{"G84 replace without a value or path", value, `{"op":"replace"}`, "Operations[1].value"},
		{"G84 remove of the schema", "mutability", `{"op":"remove","path":"` + groupSchema + `"}`, "cannot be removed"},
		{"G84 another member of the object", "invalidPath", `{"op":"replace","value":{"member":[]}}`, "member"},
		{"G90 a member that is nobody", value, `{"op":"add","path":"members","value":[{"value":"{out}"},{"value":"nobody"}]}`, `"nobody"`},
		{"G90 somebody else by a filter", value, `{"op":"add","path":"members[value eq \"nobody\"]","value":{"value":"nobody"}}`, `"nobody"`},
		{"G90 a replacement with nobody", value, `{"op":"replace","path":"members","value":[{"value":"nobody"}]}`, `"nobody"`},
	} {
		all = append(all, onGroup(c.row+": "+fmt.Sprint(c.op[:min(30, len(c.op))]), 400, c.scimType, good+c.op, c.detail))
	}
	for _, path := range []string{"id", "meta", "meta.version", "schemas.x", "groups", "members.display", `members[value eq \"{in}\"].display`, `members[value eq \"{in}\"].type`, `members[value eq \"{in}\"].$ref`} {
		for _, op := range []string{"add", "replace"} {
			a := onGroup("G82 "+op+" "+path, 400, "mutability", good+`{"op":"`+op+`","path":"`+path+`","value":"User"}`, "Operations[1].path")
			if path == "schemas.x" || path == "groups" {
				a.scimType = "invalidPath"
			}
			all = append(all, a)
		}
	}
	return all
}

// memberValues is row 90 and what members can be made of, in all shapes.
func memberValues() []attempt {
	var all []attempt
	add := func(row, list string, detail ...string) {
		all = append(all, refusedMembers(row, list, 400, value, append([]string{"members"}, detail...)...)...)
	}
	const first = "provision the user first"
	add("G90 an unknown member", entries("3f0c9a3e-0000-4000-8000-000000000000"), `"3f0c9a3e-0000-4000-8000-000000000000"`, first)
	add("G90 an unknown member behind a known one", entries("{out}", "nobody"), `"nobody"`, first)
	add("G90 a group that is a member of itself", entries("{group}"), "nested groups")
	add("G90 another group", entries("{taken}"), "nested groups")
	add("G90 a group that says what it is", `[{"value":"{taken}","type":"Group"}]`, "[0].type", `"Group"`, "nested groups")
	add("G90 a user that says to be a group", `[{"value":"{out}","type":"Group"}]`, "[0].type", `"Group"`, "nested groups")
	for _, kind := range []string{"group", "Direct", "ServicePrincipal", "Üser", long(300)} {
		add("G90 a member of type "+kind[:min(len(kind), 20)], `[{"value":"{out}","type":"`+kind+`"}]`, "[0].type")
	}
	for _, v := range []string{"{name}", "{ext}", "{id}x", " {id}", "{id} ", "1001", "1004", "0", "-1", "*", "%", "..", "../{id}", "..%2f", "' OR 1=1 --", "owner113@sharearefund.example", "{trap}/Users/{id}", "💥", "null", `\u200b{id}`} {
		add("G90 a member by "+v, entries("{out}", v), first)
	}
	add("G90 a member by its id in capitals", entries("3F0C9A3E-0000-4000-8000-000000000000"), first)
	add("G90 a value of 257 letters", entries(long(257)), "[0].value", "256")
	add("G90 a value of 100 KB", entries(long(100_000)), "[0].value", "256")
	add("G90 a value with NUL", entries(`{out}\u0000`), "[0].value", "U+0000")
	add("G90 an empty value", entries(""), "[0].value", "id of a User")
	add("G90 10 001 members who are nobody", `[`+strings.TrimSuffix(strings.Repeat(`{"value":"{out}"},`, 10_000), ",")+`,{"value":"nobody"}]`, `"nobody"`)
	for _, v := range []string{"null", "7", "-0", "true", "[]", `["{out}"]`, "{}", `{"value":"{out}"}`} {
		detail := "[1].value"
		add("J12 a value of "+v, `[{"value":"{out}"},{"value":`+v+`}]`, detail)
	}
	for _, v := range []string{"null", "7", "true", `"{out}"`, `["{out}"]`, `[{"value":"{out}"}]`} {
		add("J12 a member of "+v, `[{"value":"{out}"},`+v+`]`, "[1]", "must be an object")
	}
	for _, entry := range []string{`{}`, `{"$ref":"{trap}/Users/{out}"}`, `{"display":"x"}`, `{"id":"{out}"}`, `{"type":"User"}`} {
		add("J12 a member without a value "+entry, `[`+entry+`]`, "[0].value", "id of a User")
	}
	for _, list := range []string{`"{out}"`, "7", "true", "false", `""`} {
		add("J12 members are "+list, list, "must be an array")
	}
	for _, w := range ways {
		if w.method != "PATCH" {
			a := w.with("J12 members are an object", `{"value":"{out}"}`)
			a.status, a.scimType, a.detail = 400, value, []string{"members", "must be an array"}
			all = append(all, a)
		}
	}
	return all
}
