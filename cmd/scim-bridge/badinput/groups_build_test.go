package badinput

import (
	"strings"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
)

// groupOf is the body of a create or PUT; members is an array, or "" for none.
func groupOf(name, members string) string { return groupWith(`"`+name+`"`, members) }

// groupWith is groupOf with the name written as a JSON value, and more members
// of the object.
func groupWith(name, members string, more ...string) string {
	if members != "" {
		more = append(more, `"members":`+members)
	}
	return `{"schemas":["` + groupSchema + `"],` + strings.Join(append([]string{`"displayName":` + name}, more...), ",") + `}`
}

// entries is an array of members.
func entries(ids ...string) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = `{"value":"` + id + `"}`
	}
	return `[` + strings.Join(list, ",") + `]`
}

// onGroup is a PATCH of the group that is aimed at.
func onGroup(row string, status int, scimType string, ops string, detail ...string) attempt {
	return attempt{row: row, method: "PATCH", path: "/Groups/{group}", body: bridgetest.PatchOp(ops), status: status, scimType: scimType, detail: detail}
}

// answers is the status of success: where a client other than Okta or Entra
// changes a group by PATCH, the group is shown.
func answers(status int, as, method, path string) int {
	if status == 204 && method == "PATCH" && strings.HasPrefix(path, "/Groups/") && as != "okta" && as != "entra" {
		return 200
	}
	return status
}

// changed is a PATCH of a new group that succeeds, after which the role is held
// by hold.
func changed(row, hold, ops string) attempt {
	a := onGroup(row, 204, "", ops)
	a.gather, a.hold = true, hold
	return a
}

// putGroup is a PUT of the group that is aimed at.
func putGroup(row string, status int, scimType, body string, detail ...string) attempt {
	return attempt{row: row, method: "PUT", path: "/Groups/{group}", body: body, status: status, scimType: scimType, detail: detail}
}

// postGroup is a create.
func postGroup(row string, status int, scimType, body string, detail ...string) attempt {
	return attempt{row: row, path: "/Groups", body: body, status: status, scimType: scimType, detail: detail}
}

// way is one of the shapes in which clients say who is in a group.
type way struct {
	name, as, method, path, body string
	whole                        bool // says all members, not those that come to it
	status                       int  // of success
}

// ways are those shapes; {list} stands for the array of members.
var ways = func() []way {
	patch := func(name, as, ops string, whole bool) way {
		return way{name, as, "PATCH", "/Groups/{group}", bridgetest.PatchOp(ops), whole, 204}
	}
	return []way{
		patch("PATCH add", "rfc", `{"op":"add","path":"members","value":{list}}`, false),
		patch("PATCH add without a path", "rfc", `{"op":"add","value":{"members":{list}}}`, false),
		patch("PATCH add by the URN", "rfc", `{"op":"add","path":"`+groupSchema+`:members","value":{list}}`, false),
		patch("PATCH Add from Entra", "entra", `{"op":"Add","path":"members","value":{list}}`, false),
		patch("PATCH add and rename from Okta", "okta", `{"op":"replace","value":{"id":"{group}","displayName":"{title}"}},{"op":"add","path":"members","value":{list}}`, false),
		patch("PATCH replace", "rfc", `{"op":"replace","path":"members","value":{list}}`, true),
		patch("PATCH Replace from Entra", "entra", `{"op":"Replace","path":"members","value":{list}}`, true),
		patch("PATCH replace without a path from Okta", "okta", `{"op":"replace","value":{"id":"{group}","displayName":"{title}","members":{list}}}`, true),
		patch("PATCH remove all and add", "rfc", `{"op":"remove","path":"members"},{"op":"add","path":"members","value":{list}}`, true),
		{"PUT", "rfc", "PUT", "/Groups/{group}", groupOf("{title}", "{list}"), true, 200},
		{"PUT from Okta", "okta", "PUT", "/Groups/{group}", groupWith(`"{title}"`, "{list}", `"id":"{group}"`), true, 200},
		{"POST", "rfc", "POST", "/Groups", groupOf("Managers-{new}", "{list}"), false, 201},
		{"POST from Entra", "entra", "POST", "/Groups", `{"schemas":["` + groupSchema + `","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],"externalId":"{new}","displayName":"Managers-{new}","members":{list},"meta":{"resourceType":"Group"}}`, false, 201},
	}
}()

// with is an attempt to say a list of members in the way w.
func (w way) with(row, list string) attempt {
	return attempt{row: row + " by " + w.name, as: w.as, method: w.method, path: w.path, body: strings.ReplaceAll(w.body, "{list}", list)}
}

// refusedMembers says the list in all ways, and each is refused as a whole.
func refusedMembers(row, list string, status int, scimType string, detail ...string) []attempt {
	var all []attempt
	for _, w := range ways {
		a := w.with(row, list)
		a.status, a.scimType, a.detail = status, scimType, detail
		all = append(all, a)
	}
	return all
}

// joined says in all ways that {out}, of whom entry is written, is a member
// too; rest is what else is in the list.
func joined(row, entry, rest string) []attempt {
	var all []attempt
	for _, w := range ways {
		list := "[" + entry + rest + "]"
		if w.whole {
			list = `[{"value":"{in}"},{"value":"{too}"},` + entry + rest + "]"
		}
		a := w.with(row, list)
		a.status, a.gather, a.hold = w.status, true, "in too out"
		all = append(all, a)
	}
	return all
}
