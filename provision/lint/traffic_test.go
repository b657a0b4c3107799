package lint

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// user is the body of a user who gives no reason for a finding, but for what
// more says: pairs of a member and its JSON, "" to leave it out.
func user(more ...string) string {
	members := map[string]string{
		"schemas":    `["urn:ietf:params:scim:schemas:core:2.0:User"]`,
		"externalId": `"` + guid + `"`, "userName": `"jamie@example.com"`, "active": "true",
		"name":   `{"givenName":"Jamie","familyName":"Jackson"}`,
		"emails": `[{"value":"jamie@example.com","type":"work","primary":true}]`,
	}
	for i := 0; i < len(more); i += 2 {
		members[more[i]] = more[i+1]
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if members[name] != "" {
			fmt.Fprintf(&b, ",%q:%s", name, members[name])
		}
	}
	return "{" + b.String()[1:] + "}"
}

// deleted is how Entra renames a deleted person.
const deleted = `"0123456789abcdef0123456789abcdefjamie@example.com"`

var (
	tooMany       = scim.TooManyRequests(time.Minute, "held")
	badMember     = scim.BadRequest(scim.TypeInvalidValue, "members: …")
	noAddress     = scim.BadRequest(scim.TypeInvalidValue, "no e-mail address")
	exists        = scim.Conflict("a user exists")
	notOurs       = scim.Forbidden("was not provisioned by this bridge")
	usersRoute    = "/scim/v2/Users"
	userRoute     = "/scim/v2/Users/{id}"
	groupRoute    = "/scim/v2/Groups/{id}"
	addsRole      = `{"op":"Add","path":"roles","value":[{"primary":false,"type":"WindowsAzureActiveDirectoryRole","display":"Manager","value":"Manager"}]}`
	addsPacked    = `{"op":"Add","path":"roles","value":[{"value":"{\"id\":\"1\",\"value\":\"Manager\",\"displayName\":\"M\"}"}]}`
	assertsRoles  = `{"op":"replace","path":"roles","value":[{"value":"Manager"},{"value":"Analyst"}]}`
	replacesOne   = `{"op":"Replace","path":"roles[primary eq \"True\"].value","value":"Analyst"}`
	setsTitle     = `{"op":"replace","value":{"title":"Buyer"}}`
	setsPassword  = `{"op":"replace","value":{"password":"s3cret-Pa55"}}`
	addsMember    = `{"op":"Add","path":"members","value":[{"$ref":null,"value":"ada"},{"$ref":null,"value":"nobody"}]}`
	removesMember = `{"op":"Remove","path":"members","value":[{"value":"stranger"}]}`
	nests         = `{"op":"Add","path":"members","value":[{"value":"inner"}]}`
)

// trafficCases are what clients send, with all that is found of it.
var trafficCases = []struct {
	name   string
	tenant []string
	send   func(r *rig)
	want   []string
}{
	{name: "Entra without the flag", want: []string{"entra-without-flag"}, send: func(r *rig) {
		r.request("entra", Request{Method: "GET", Route: usersRoute, Status: 200, Filter: `userName eq "x"`})
	}},
	{name: "Entra with the flag, and on-demand provisioning, which leaves it out", send: func(r *rig) {
		r.request("entra", Request{Method: "PATCH", Route: userRoute, ID: "a", Status: 200, EntraFlag: true})
		r.after(6 * day)
		r.request("entra", Request{Method: "PATCH", Route: userRoute, ID: "a", Status: 200})
	}},
	{name: "others without the flag", send: func(r *rig) {
		for _, kind := range []string{"okta", "onelogin", "jumpcloud", "rfc", "auto"} {
			r.request(kind, Request{Method: "PATCH", Route: userRoute, ID: "a", Status: 200})
		}
	}},
	{name: "nobody in particular, and what is no resource", send: func(r *rig) {
		r.Request(&Request{Method: "PATCH", Route: userRoute, Status: 401, Dialect: scim.DialectEntra})
		r.request("entra", Request{Method: "GET", Route: "/scim/v2/Schemas", Status: 200})
	}},
	{name: "the flag with a token for Okta", want: []string{"client-kind-differs"}, send: func(r *rig) {
		r.request("okta", Request{Method: "GET", Route: usersRoute, Status: 200, EntraFlag: true})
	}},
	{name: "Entra and Okta with one token", want: []string{"several-clients", "entra-without-flag"}, send: func(r *rig) {
		r.request("auto", Request{Method: "GET", Route: usersRoute, Status: 200})
		r.request("auto", Request{Method: "GET", Route: usersRoute, Status: 200, Dialect: scim.DialectOkta})
		r.request("auto", Request{Method: "GET", Route: usersRoute, Status: 200, Dialect: scim.DialectEntra})
	}},
	{name: "a token that was recognised at its second request", send: func(r *rig) {
		r.request("auto", Request{Method: "GET", Route: usersRoute, Status: 200})
		r.request("auto", Request{Method: "GET", Route: usersRoute, Status: 200, Dialect: scim.DialectOkta})
	}},

	{name: "Entra's mailNickname", want: []string{"entra-external-id"}, send: func(r *rig) { r.post("entra", "a", user("externalId", `"jamie.jackson"`)) }},
	{name: "mailNickname by PATCH", want: []string{"entra-external-id"}, send: func(r *rig) {
		r.patch("entra", "a", user(), `{"op":"Replace","path":"externalId","value":"jamie"}`)
	}},
	{name: "Entra's object id", send: func(r *rig) { r.post("entra", "a", user("externalId", `"`+strings.ToUpper(guid)+`"`)) }},
	{name: "Entra without an externalId", send: func(r *rig) { r.post("entra", "a", user("externalId", "")) }},
	{name: "Okta's id", send: func(r *rig) { r.post("okta", "a", user("externalId", `"00ujl29u0le5T6Aj10h7"`)) }},
	{name: "an externalId of a create that failed", send: func(r *rig) {
		r.err = tooMany
		r.post("entra", "", user("externalId", `"jamie.jackson"`))
	}},

	{name: "no address at all", want: []string{"no-email"}, send: func(r *rig) {
		r.err = noAddress
		r.post("okta", "", user("userName", `"jamie"`, "emails", ""))
	}},
	{name: "no address any more", want: []string{"no-email"}, send: func(r *rig) { r.put("okta", "a", user("userName", `"jamie"`, "emails", "")) }},
	{name: "400 for something else", send: func(r *rig) {
		r.err = noAddress
		r.post("okta", "", user())
		r.put("okta", "a", user())
	}},
	{name: "userName is no address, emails has one", want: []string{"user-name-not-email"}, send: func(r *rig) { r.post("okta", "a", user("userName", `"jamie"`)) }},
	{name: "userName is the only address", send: func(r *rig) { r.post("okta", "a", user("emails", "")) }},

	{name: "a deleted person of Entra", want: []string{"entra-deleted-name"}, send: func(r *rig) {
		r.patch("entra", "a", user(), `{"op":"Replace","path":"active","value":"False"},{"op":"Replace","path":"userName","value":`+deleted+`}`)
	}},
	{name: "a name with many digits", send: func(r *rig) {
		r.post("entra", "a", user("userName", `"0123456789abcdef@example.com"`))
		r.post("okta", "b", user("userName", deleted))
	}},
	{name: "no family name", want: []string{"name-missing"}, send: func(r *rig) { r.post("onelogin", "a", user("name", `{"givenName":"Jamie"}`)) }},
	{name: "no name", want: []string{"name-missing"}, send: func(r *rig) { r.post("jumpcloud", "a", user("name", "")) }},
	{name: "OneLogin's address without type and primary", want: []string{"email-not-work"}, send: func(r *rig) {
		r.post("onelogin", "a", user("emails", `[{"value":"jamie@example.com"}]`))
	}},
	{name: "a primary address without type", send: func(r *rig) {
		r.post("okta", "a", user("emails", `[{"value":"jamie@example.com","primary":true}]`))
	}},
	{name: "a primary address without type from Entra", want: []string{"email-not-work"}, send: func(r *rig) {
		r.post("entra", "a", user("emails", `[{"value":"jamie@example.com","primary":true,"type":"other"}]`))
	}},

	{name: "roles that are not read", want: []string{"roles-not-read"}, send: func(r *rig) {
		r.post("entra", "a", user("roles", `[{"primary":true,"type":"WindowsAzureActiveDirectoryRole","value":"Manager"}]`))
	}},
	{name: "roles by PATCH that are not read", want: []string{"roles-not-read"}, send: func(r *rig) { r.patch("entra", "a", user(), addsRole) }},
	{name: "Entra's empty roles, and an echo of what was there", send: func(r *rig) {
		r.post("entra", "a", user("roles", `[]`))
		r.put("okta", "b", user("roles", `[{"value":"Manager"}]`))
		r.patch("okta", "b", user("roles", `[{"value":"Manager"}]`), setsTitle)
		r.patch("entra", "c", user("roles", `[{"value":"Manager"}]`), `{"op":"Remove","path":"roles"}`)
	}},
	{name: "roles that are read", tenant: []string{"roles_attribute: true"}, send: func(r *rig) {
		r.post("okta", "a", user("roles", `[{"value":"Manager"}]`))
		r.patch("okta", "a", user(), addsRole)
	}},
	{name: "AppRoleAssignmentsComplex", tenant: []string{"roles_attribute: true"}, want: []string{"entra-roles-stay"}, send: func(r *rig) {
		r.patch("entra", "a", user(), addsRole)
	}},
	{name: "AppRoleAssignmentsComplex with JSON in a string", tenant: []string{"roles_attribute: true"}, want: []string{"entra-roles-stay"}, send: func(r *rig) {
		r.patch("entra", "a", user("roles", `[{"value":"Analyst"}]`), addsPacked)
	}},
	{name: "AssertiveAppRoleAssignmentsComplex and SingleAppRoleAssignment", tenant: []string{"roles_attribute: true"}, send: func(r *rig) {
		r.patch("entra", "a", user(), assertsRoles)
		r.patch("entra", "b", user(), replacesOne)
		r.patch("entra", "c", user("roles", `[{"value":"Manager","primary":true}]`), replacesOne)
	}},

	{name: "Okta's password sync", want: []string{"password-not-used"}, send: func(r *rig) { r.patch("okta", "a", user(), setsPassword) }},
	{name: "a password by PUT", want: []string{"password-not-used"}, send: func(r *rig) { r.put("okta", "a", user("password", `"s3cret-Pa55"`)) }},
	{name: "Okta's random password on create", send: func(r *rig) { r.post("okta", "a", user("password", `"1mz050nq"`)) }},
	{name: "passwords that are passed on", tenant: []string{"reset_password: true"}, send: func(r *rig) { r.patch("okta", "a", user(), setsPassword) }},

	{name: "attributes that are not known", want: []string{"attribute-unknown"}, send: func(r *rig) {
		r.request("okta", Request{Method: "PUT", Route: userRoute, ID: "a", Status: 200, Notes: []scim.Note{
			{Path: "costCentre", Tolerance: scim.UnknownAttributeDropped},
			{Path: `Operations[1].path: emails[type eq "jamie@example.com"].since`, Tolerance: scim.UnknownAttributeSkipped},
		}})
	}},
	{name: "an address for an attribute", want: []string{"attribute-unknown"}, send: func(r *rig) {
		r.request("okta", Request{Method: "PUT", Route: userRoute, ID: "a", Status: 200, Notes: []scim.Note{
			{Path: "jamie@example.com", Tolerance: scim.UnknownAttributeDropped},
		}})
	}},
	{name: "what is tolerated otherwise", send: func(r *rig) {
		r.request("okta", Request{Method: "PUT", Route: userRoute, ID: "a", Status: 200, Notes: []scim.Note{
			{Path: "schemas", Tolerance: scim.ForeignSchemas}, {Path: "meta", Reason: "read-only: ignored"},
		}})
	}},

	{name: "a filter that is refused", want: []string{"filter-refused"}, send: func(r *rig) {
		r.request("rfc", Request{Method: "GET", Route: usersRoute, Status: 400, Type: scim.TypeInvalidFilter, Filter: `shoeSize eq "44"`})
	}},
	{name: "a filter without quotes", want: []string{"filter-unquoted"}, send: func(r *rig) {
		r.request("rfc", Request{Method: "GET", Route: usersRoute, Status: 400, Type: scim.TypeInvalidFilter, Filter: `externalId eq jyoung`})
	}},
	{name: "a filter without quotes that is tolerated, and other 400s", send: func(r *rig) {
		r.request("okta", Request{Method: "GET", Route: usersRoute, Status: 200, Filter: `externalId eq jyoung`})
		r.request("okta", Request{Method: "GET", Route: usersRoute, Status: 400, Type: scim.TypeInvalidValue, Filter: `userName eq "x"`})
	}},
	{name: "a filter that is none", want: []string{"filter-refused"}, send: func(r *rig) {
		r.request("okta", Request{Method: "GET", Route: usersRoute, Status: 400, Type: scim.TypeInvalidFilter, Filter: `"jamie@example.com"`})
	}},

	{name: "a person who was created anew", want: []string{"user-recreated"}, send: func(r *rig) {
		r.person(store.Person{ID: "old", UserName: "Jamie@example.com", ExternalID: "00u1", Managed: true})
		r.err = exists
		r.post("okta", "", user("externalId", `"00u2"`))
	}},
	{name: "a create that is repeated", send: func(r *rig) {
		r.person(store.Person{ID: "old", UserName: "jamie@example.com", ExternalID: "00u1", Managed: true})
		r.err = exists
		r.post("okta", "", user("externalId", `"00u1"`))
		r.post("okta", "", user("externalId", ""))
		r.post("okta", "", user("userName", `"other@example.com"`))
	}},
	{name: "an account that nobody handed over, by a create", want: []string{"account-not-adopted"}, send: func(r *rig) {
		r.person(store.Person{ID: "owner", UserName: "jamie@example.com"})
		r.err = exists
		r.post("okta", "", user())
	}},
	{name: "an account that nobody handed over, by PATCH and PUT", want: []string{"account-not-adopted"}, send: func(r *rig) {
		r.person(store.Person{ID: "owner"})
		r.err = notOurs
		r.put("okta", "owner", user())
		r.patch("okta", "owner", user(), setsTitle)
	}},
	{name: "403 for a person who is managed", send: func(r *rig) {
		r.person(store.Person{ID: "boss", Managed: true})
		r.err = notOurs
		r.patch("okta", "boss", user(), setsTitle)
		r.patch("okta", "gone", user(), setsTitle)
	}},

	{name: "a group before its members", want: []string{"group-before-members"}, send: func(r *rig) {
		r.person(store.Person{ID: "ada"})
		r.err = badMember
		r.patchGroup("okta", "g1", addsMember)
		r.postGroup("okta", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Managers","members":[{"value":"nobody"}]}`)
	}},
	{name: "members who are known, who leave, and other refusals of a group", send: func(r *rig) {
		r.person(store.Person{ID: "ada", Managed: true})
		r.person(store.Person{ID: "nobody", Managed: true})
		r.err = badMember
		r.patchGroup("okta", "g1", addsMember)
		r.patchGroup("okta", "g2", removesMember)
		r.err = tooMany
		r.patchGroup("okta", "g3", nests)
	}},
	{name: "a group in a group", want: []string{"group-nested"}, send: func(r *rig) {
		r.group("inner", "Inner")
		r.err = badMember
		r.patchGroup("entra", "outer", nests)
	}},
	{name: "a group in a group that says so", want: []string{"group-nested"}, send: func(r *rig) {
		r.request("okta", Request{Method: "PATCH", Route: groupRoute, ID: "outer", Status: 400, Type: scim.TypeInvalidValue,
			Detail: `members.type: "Group" cannot be a member, only a User can: nested groups are not supported`})
	}},

	{name: "changes of somebody who is gone", want: []string{"id-unknown"}, send: func(r *rig) {
		for range 2 {
			r.request("okta", Request{Method: "PATCH", Route: userRoute, ID: "gone", Status: 404})
		}
	}},
	{name: "one such change, deletes and reads", send: func(r *rig) {
		r.request("okta", Request{Method: "PATCH", Route: userRoute, ID: "gone", Status: 404})
		for range 5 {
			r.request("okta", Request{Method: "DELETE", Route: userRoute, ID: "gone", Status: 404})
			r.request("okta", Request{Method: "GET", Route: userRoute, ID: "gone", Status: 404})
		}
	}},
	{name: "the same refused again", want: []string{"refused-again"}, send: func(r *rig) {
		for range 3 {
			r.request("okta", Request{Method: "PUT", Route: userRoute, ID: "a", Status: 403})
			r.request("okta", Request{Method: "POST", Route: usersRoute, Name: "jamie@example.com", Status: 400, Type: scim.TypeInvalidValue})
		}
	}},
	{name: "different ones refused once, what the client solves, and what is not its fault", send: func(r *rig) {
		for i := range 9 {
			r.request("okta", Request{Method: "PUT", Route: userRoute, ID: fmt.Sprint(i), Status: 400})
			r.request("okta", Request{Method: "POST", Route: usersRoute, Name: fmt.Sprint(i), Status: 403})
			r.request("okta", Request{Method: "POST", Route: usersRoute, Name: "jamie@example.com", Status: 409})
			r.request("okta", Request{Method: "PUT", Route: userRoute, ID: "b", Status: 429})
			r.request("okta", Request{Method: "PUT", Route: userRoute, ID: "b", Status: 503})
			r.request("okta", Request{Method: "PUT", Route: userRoute, ID: "b", Status: 412})
			r.request("okta", Request{Method: "GET", Route: userRoute, ID: "b", Status: 400})
		}
	}},
	{name: "what is refused for a reason that is found", want: []string{"group-before-members"}, send: func(r *rig) {
		r.err = badMember
		for range 3 {
			r.patchGroup("okta", "g1", addsMember)
			r.request("okta", Request{Method: "PATCH", Route: groupRoute, ID: "g1", Status: 400, Type: scim.TypeInvalidValue})
		}
	}},
	{name: "the rate limit", want: []string{"rate-limited"}, send: func(r *rig) {
		for range 10 {
			r.RateLimited("acme", "okta")
		}
	}},
	{name: "the rate limit, now and then", send: func(r *rig) {
		for range 9 {
			r.RateLimited("acme", "okta")
		}
	}},
}

var anyPseudonym = regexp.MustCompile(`\b` + pseudonym + `[0-9a-z]{12}\b`)

func TestTraffic(t *testing.T) {
	fires, silent := map[string]bool{}, 0
	for _, tt := range trafficCases {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.tenant...)
			tt.send(r)
			got := []string{}
			for _, f := range r.found() {
				got = append(got, f.Code)
				text := fmt.Sprintf("%+v %s", f, f.About())
				if strings.Contains(text, "jamie") || strings.Contains(text, "s3cret") || anyPseudonym.MatchString(text) {
					t.Errorf("it shows personal data: %s", text)
				}
			}
			if diff := cmp.Diff(append([]string{}, tt.want...), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
		for _, code := range tt.want {
			fires[code] = true
		}
		if len(tt.want) == 0 {
			silent++
		}
	}
	for _, r := range trafficRules {
		if !fires[r.Code] {
			t.Errorf("nothing makes %s fire", r.Code)
		}
	}
	if silent == 0 {
		t.Error("everything fires")
	}
}

func TestUnquoted(t *testing.T) {
	for filter, want := range map[string]bool{
		`externalId eq jyoung`: true, `(userName eq a@b.cc)`: true, `userName SW J`: true, `id eq 2819c223-7f76`: true, `x eq -a`: true,
		`externalId eq "jyoung"`: false, `age gt 12`: false, `x eq 1.5e3`: false, `x eq -4`: false, `active eq True`: false, `title pr`: false, ``: false, `userName eq`: false,
	} {
		if got := unquoted(filter); got != want {
			t.Errorf("%s: %v", filter, got)
		}
	}
}
