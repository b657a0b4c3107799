package badinput

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

const inTheIdP = "in the identity provider"

// users is group U: the values of a User.
func users() []attempt {
	var all []attempt
	add := func(more ...attempt) { all = append(all, more...) }
	post := func(row, body, scimType string, detail ...string) {
		add(refusedPost(row, body, 400, scimType, detail...))
	}

	add(accepted("U33 no schemas", strings.Replace(user(), `"schemas":["`+userSchema+`"],`, "", 1)),
		accepted("U33 schemas []", strings.Replace(user(), userSchema+`"`, `"`, 1)).withBody(func(b string) string { return strings.Replace(b, `[""]`, `[]`, 1) }),
		accepted("U33 schemas null", strings.Replace(user(), `["`+userSchema+`"]`, "null", 1)),
		accepted("U34 the URN in other case", strings.Replace(user(), userSchema, strings.ToUpper(userSchema), 1)),
		accepted("U34 a foreign URN beside the right one", strings.Replace(user(), `["`+userSchema+`"]`, `["`+userSchema+`","urn:example:x"]`, 1)))
	for _, schemas := range []string{`["urn:ietf:params:scim:schemas:core:2.0:Group"]`, `["urn:scim:schemas:core:1.0"]`, `["x"]`, `[""]`, `["` + enterpriseSchema + `"]`} {
		post("U34 schemas "+schemas, strings.Replace(user(), `["`+userSchema+`"]`, schemas, 1), value, "schemas", userSchema)
	}
	for _, schemas := range []string{`"` + userSchema + `"`, `{}`, `7`, `true`, `[7]`, `[null]`, `[["x"]]`, `[{}]`} {
		post("U34 schemas "+schemas, strings.Replace(user(), `["`+userSchema+`"]`, schemas, 1), value, "schemas", "array of URNs")
	}

	for _, missing := range []string{`null`, `""`} {
		post("U35 userName "+missing, named(missing), value, "userName", "required", "map an attribute")
	}
	post("U35 no userName", bodyWith(`"active":true`), value, "userName", "required", "map an attribute")
	for _, spaces := range []string{`" "`, `"\t"`, `"\u00a0"`, `"\u3000"`} {
		post("U35 userName "+spaces, named(spaces), value, "userName", "space", "remove", inTheIdP)
	}
	for _, v := range []string{"7", "-0", "1e999", "true", "false", "{}", `{"value":"x"}`, "[]", `["x"]`} {
		post("U36 userName "+v, named(v), value, "userName", "must be a string")
	}
	add(invisible()...)
	for _, v := range []string{`" a@example.com"`, `"a@example.com "`, `"\ta@example.com"`, `"a@example.com\n"`, `"\u00a0a@example.com"`, `"a@example.com\u3000"`, `"\u2007a@example.com"`} {
		post("U42 userName "+v, named(v), value, "userName", "space", "remove", inTheIdP)
	}
	add(addresses()...)
	add(activities()...)
	add(lookAlikes()...)
	add(readOnly()...)
	add(opaque()...)
	add(conflicts()...)
	return all
}

func (a attempt) withBody(change func(string) string) attempt { a.body = change(a.body); return a }

// invisible are the rows 37 and 38: every control character, and every one
// that has no width or turns the direction of writing.
func invisible() []attempt {
	var all []attempt
	refuse := func(row string, r rune) {
		detail := []string{fmt.Sprintf("U+%04X", r)}
		v := `"ad` + escape(r) + `min@example.com"`
		all = append(all,
			refusedPost(fmt.Sprintf("%s U+%04X in userName", row, r), named(v), 400, value, append(detail, "userName")...),
			refusedPost(fmt.Sprintf("%s U+%04X in an e-mail", row, r), bodyWith(`"userName":"{new}"`, `"emails":[{"type":"work","value":`+v+`}]`), 400, value, append(detail, "emails[0].value")...),
			operations(fmt.Sprintf("%s U+%04X in a PATCH of userName", row, r), 400, value, `{"op":"replace","path":"userName","value":`+v+`}`, append(detail, "userName")...))
	}
	for r := range rune(0x20) {
		refuse("U37", r)
	}
	for r := rune(0x7f); r < 0xa0; r++ {
		refuse("U37", r)
	}
	for _, span := range [][2]rune{
		{0xad, 0xad}, {0x34f, 0x34f}, {0x600, 0x605}, {0x61c, 0x61c}, {0x6dd, 0x6dd}, {0x70f, 0x70f}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180e},
		{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x2064}, {0x2066, 0x206f}, {0x3164, 0x3164}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0},
		{0xfff9, 0xfffb}, {0xe0001, 0xe0001}, {0xe0020, 0xe007f}, {0xe0100, 0xe0103}, {0xe01ef, 0xe01ef},
	} {
		for r := span[0]; r <= span[1]; r++ {
			refuse("U38", r)
		}
	}
	return append(all,
		refusedPost("U37 NUL in displayName", user(`"displayName":"a\u0000b"`), 400, value, "displayName", "U+0000"),
		refusedPost("U37 NUL in a phone number", user(`"phoneNumbers":[{"value":"a\u0000b"}]`), 400, value, "phoneNumbers[0].value", "U+0000"),
		refusedPost("U37 NUL in a department", user(`"`+enterpriseSchema+`":{"department":"a\u0000b"}`), 400, value, "department", "U+0000"),
		refusedPost("U37 NUL in a manager", user(`"`+enterpriseSchema+`":{"manager":"a\u0000b"}`), 400, value, "manager", "U+0000"),
		refusedPost("U37 NUL in externalId", user(`"externalId":"a\u0000b"`), 400, value, "externalId", "U+0000"),
		accepted("U37 a line break in an address", user(`"addresses":[{"type":"work","formatted":"1 Road\r\nTown"}]`)).then(shows(map[string]any{"addresses.0.formatted": "1 Road\r\nTown"})),
	)
}

// addresses is row 43 to 46.
func addresses() []attempt {
	var all []attempt
	for _, v := range []string{
		`a@b`, `a@@example.com`, `\"a b\"@example.com`, `a b@example.com`, `a@[127.0.0.1]`, `a@[IPv6:::1]`, `@example.com`, `a@`, `a`, `a@.com`, `a@example..com`, `a@-example.com`,
		`a@example-.com`, `.a@example.com`, `a.@example.com`, `a..b@example.com`, `a@example.com,b@example.com`, `a@example.com;b@example.com`, `A <a@example.com>`, `mailto:a@example.com`,
		`a@exa mple.com`, `a@b.c\r\nBcc: x@y.example`, `a@b.c\u0000`, `a@ex\u0430mple.com`, `a@example.com.`, `a@127.0.0.1:25`, `a(comment)@example.com`, `a@example.com\n`, `a\\@example.com`,
		`<script>@example.com`, `a@example.com>`, `a@exam_ple.com`, `a%00@example.com\u007f`,
		strings.Repeat("a", 65) + `@example.com`, `a@` + strings.Repeat("b", 64) + `.com`, `a@` + strings.Repeat("b.", 126) + `com`, strings.Repeat("a", 243) + `@example.com`,
	} {
		short := v[:min(len(v), 30)]
		all = append(all,
			refusedPost("U43 e-mail "+short, bodyWith(`"userName":"{new}"`, `"emails":[{"primary":true,"type":"work","value":"`+v+`"}]`), 400, value, "emails[0].value"),
			operations("U43 e-mail "+short+" in a PATCH", 400, value, `{"op":"replace","path":"emails[type eq \"work\"].value","value":"`+v+`"}`, "emails.value", "Operations[0]"))
	}
	for _, v := range []string{`[{"value":"a@example.com","primary":true},{"value":"b@example.com","primary":true}]`,
		`[{"value":"a@example.com","type":"work","primary":"True"},{"value":"b@example.com","type":"home","primary":true}]`} {
		all = append(all, refusedPost("U44 two primary e-mails", bodyWith(`"userName":"{new}"`, `"emails":`+v), 400, value, "emails", "primary", "at most one"),
			operations("U44 two primary e-mails in a PATCH", 400, value, `{"op":"replace","path":"emails","value":`+v+`}`, "emails", "primary", "at most one"))
	}
	for _, v := range []string{`"a@example.com"`, `{"value":"a@example.com"}`, `7`, `true`} {
		all = append(all, refusedPost("U46 emails "+v, bodyWith(`"userName":"{new}"`, `"emails":`+v), 400, value, "emails", "must be an array"))
	}
	for _, v := range []string{`["a@example.com"]`, `[7]`, `[null]`, `[[]]`, `[true]`, `[{"value":"a@example.com"},"b@example.com"]`} {
		all = append(all, refusedPost("U46 emails "+v, bodyWith(`"userName":"{new}"`, `"emails":`+v), 400, value, "emails[", "must be an object"))
	}
	return append(all,
		refusedPost("U43 no address at all", bodyWith(`"userName":"nobody"`), 400, value, "e-mail", `"nobody"`, "map an e-mail address"),
		refusedPost("U43 the name of a deleted Entra user", bodyWith(`"userName":"0123456789abcdef0123456789abcdefa@example.com"`), 400, value, "0123456789abcdef", "deleted user", "send the person's own"),
		refusedPost("U43 a user name that is no address, and no e-mails", bodyWith(`"userName":"a@b"`), 400, value, "userName", `"a@b"`),
		accepted("U45 two work e-mails", bodyWith(`"userName":"{new}"`, `"active":true`, `"emails":[{"value":"{new}","type":"work"},{"value":"second-{new}","type":"work"}]`)),
		accepted("U46 emails as an object from OneLogin", bodyWith(`"userName":"{new}"`, `"active":true`, `"emails":{"value":"{new}","type":"work"}`)).from("onelogin"),
	)
}

// activities is rows 47 to 50: what is no boolean never deactivates (I17).
func activities() []attempt {
	var all []attempt
	for _, v := range []string{`"no"`, `"0"`, `"1"`, `"yes"`, `""`, `" false"`, `"falſe"`, `0`, `1`, `-1`, `0.0`, `1e3`, `[]`, `{}`, `[false]`, `[true]`, `{"value":false}`, `["False"]`, `"null"`} {
		all = append(all,
			refusedPost("U48 active "+v, user2(`"active":`+v), 400, value, "active", "true or false"),
			attempt{row: "U48 active " + v + " by PUT", method: "PUT", path: "/Users/{id}", body: strings.ReplaceAll(user2(`"active":`+v), "{new}", "{name}"), status: 400, scimType: value, detail: []string{"active", "true or false"}},
			operations("U48 active "+v+" by PATCH", 400, value, `{"op":"replace","path":"active","value":`+v+`}`, "Operations[0]", "active", "true or false"),
			operations("U48 active "+v+" by PATCH without a path", 400, value, `{"op":"replace","value":{"active":`+v+`}}`, "Operations[0]", "active", "true or false"),
			operations("U48 active "+v+" from Entra", 400, value, `{"op":"Replace","path":"active","value":`+v+`}`, "Operations[0]", "active", "true or false").from("entra"))
	}
	for _, v := range []string{`"True"`, `"true"`, `"TRUE"`, `true`, `null`} {
		all = append(all, accepted("U47 active "+v, user2(`"active":`+v)), patched("U47 PATCH active "+v, 0, `{"op":"replace","path":"active","value":`+v+`}`))
	}
	for _, v := range []string{`"False"`, `"false"`, `"FALSE"`, `false`} {
		all = append(all,
			attempt{row: "U47 active " + v, body: user2(`"active":` + v), status: 201, check: shows(map[string]any{"active": false})},
			attempt{row: "U47 PATCH active " + v, method: "PATCH", path: "/Users/{id}", fresh: true, body: bridgetest.PatchOp(`{"op":"Replace","path":"active","value":` + v + `}`), status: 200, effects: 1, check: deactivated},
			attempt{row: "U47 PUT active " + v, method: "PUT", path: "/Users/{id}", fresh: true, body: strings.ReplaceAll(user2(`"active":`+v), "{new}", "{name}"), status: 200, effects: 1, check: deactivated})
	}
	put := strings.ReplaceAll(user2(), "{new}", "{name}")
	return append(all,
		attempt{row: "U49 PUT without active", method: "PUT", path: "/Users/{id}", fresh: true, body: put, status: 200, check: staysActive},
		attempt{row: "U49 PUT with active null", method: "PUT", path: "/Users/{id}", fresh: true, body: put[:len(put)-1] + `,"active":null}`, status: 200, check: staysActive},
		patched("U49 remove active", 0, `{"op":"remove","path":"active"}`),
		patched("U49 PATCH that does not mention active", 0, `{"op":"replace","path":"title","value":"x"}`),
	)
}

// user2 is user without active.
func user2(more ...string) string { return strings.Replace(user(more...), `,"active":true`, "", 1) }

// deactivated checks that the person lost access upstream, and nothing else
// happened.
func deactivated(t *testing.T, _ *rig, res bridgetest.Response, now []sandbox.Entry) {
	t.Helper()
	if res.JSON("active") != false {
		t.Errorf("active is %v", res.JSON("active"))
	}
	if len(now) != 1 || now[0].After == nil {
		t.Fatalf("the ledger has %s", describe(now))
	}
	for _, m := range now[0].After.Memberships {
		if m.State != sandbox.StateSuspended {
			t.Errorf("the membership of %d is %s", m.OrganizationID, m.State)
		}
	}
}

// lookAlikes is rows 39 and 41.
func lookAlikes() []attempt {
	other := func(row, first, second string) attempt {
		a := accepted(row, mailed(second))
		a.check = nil
		return a.then(func(t *testing.T, r *rig, res bridgetest.Response, _ []sandbox.Entry) {
			made := r.quietly(t, "POST", "/Users", mailed(first))
			if made.Status != 201 || made.ID() == res.ID() {
				t.Errorf("%q is not somebody else than %q: status %d %s", first, second, made.Status, excerpt(made.Body))
			}
			for name, id := range map[string]string{first: made.ID(), second: res.ID()} {
				found := r.quietly(t, "GET", "/Users?filter="+url.QueryEscape(fmt.Sprintf("userName eq %q", name)), "")
				if found.JSON("totalResults") != 1.0 || found.JSON("Resources.0.id") != id {
					t.Errorf("a filter for %q finds %s", name, excerpt(found.Body))
				}
			}
		})
	}
	same := func(row, first, second string) attempt {
		a := accepted(row, mailed(first))
		a.check = nil
		return a.then(func(t *testing.T, r *rig, res bridgetest.Response, _ []sandbox.Entry) {
			before := len(r.Sandbox.Ledger())
			again := r.quietly(t, "POST", "/Users", mailed(second))
			if again.Status != 409 || again.JSON("scimType") != "uniqueness" {
				t.Errorf("%q beside %q: status %d %s", second, first, again.Status, excerpt(again.Body))
			}
			if n := len(r.Sandbox.Ledger()) - before; n != 0 {
				t.Errorf("%d effects upstream of a 409", n)
			}
			found := r.quietly(t, "GET", "/Users?filter="+url.QueryEscape(fmt.Sprintf("userName eq %q", second)), "")
			if found.JSON("Resources.0.id") != res.ID() {
				t.Errorf("a filter for %q does not find the user of the 409: %s", second, excerpt(found.Body))
			}
		})
	}
	return []attempt{
		other("U39 Cyrillic а", "admin39", "\u0430dmin39"),
		other("U41 full-width ａ", "abc41", "\uff41bc41"),
		other("U41 ß is not ss", "strasse41", "straße41"),
		other("U41 ı is not i", "i41", "\u013141"),
		other("U41 İ is not i", "ii41", "\u0130i41"),
		same("U41 case", "MiXed41", "mIxED41"),
		same("U41 the Kelvin sign", "kelvin41", "\u212aelvin41"),
		same("U41 long s", "sharp41", "\u017fharp41"),
		same("U41 NFC and NFD", "jos\u00e941", "jose\u030141"),
		same("U41 É and é", "\u00c9t\u00e941", "\u00e9T\u00c941"),
		same("U41 final sigma", "\u03c3\u03c241", "\u03a3\u03c341"),
	}
}

// mailed is a create of somebody whose address is not the user name.
func mailed(userName string) string {
	return fmt.Sprintf(`{"schemas":[%q],"userName":%q,"emails":[{"type":"work","primary":true,"value":"m%x@example.com"}]}`, userSchema, userName, userName)
}

// readOnly is rows 51 to 55 and 62 to 64.
func readOnly() []attempt {
	ext := bridgetest.ExtensionURN
	put := func(row, more string) attempt {
		body := userOf("{name}", `"externalId":"{ext}"`, more)
		return attempt{row: row, method: "PUT", path: "/Users/{id}", fresh: true, body: body, status: 200, check: staysActive}
	}
	sameID := func(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
		t.Helper()
		if strings.HasPrefix(res.ID(), "mine") || res.ID() == "" || !strings.HasSuffix(fmt.Sprint(res.JSON("meta.location")), "/Users/"+res.ID()) {
			t.Errorf("the id is %q at %v", res.ID(), res.JSON("meta.location"))
		}
	}
	const script = `<script>alert(1)</script>`
	return []attempt{
		accepted("U51 roles from the client grant nothing", user(`"roles":[{"value":"Owner","primary":true}]`)).then(shows(map[string]any{"roles.0.value": "Owner"})),
		accepted("U51 an owner's role id grants nothing", user(`"roles":[{"value":"1","display":"Owner","type":"owner"}]`)),
		accepted("U51 entitlements grant nothing", user(`"entitlements":[{"value":"admin"}]`)),
		accepted("U52 groups are ignored", user(`"groups":[{"value":"admins","display":"Owners"}]`)).then(shows(map[string]any{"groups": nil})),
		put("U52 groups are ignored by PUT", `"groups":[{"value":"admins"}]`).then(shows(map[string]any{"groups": nil})),
		accepted("U53 id and meta are ignored", user(`"id":"mine"`, `"meta":{"resourceType":"Group","location":"http://evil.example/","version":"W/\"9\"","created":"1970-01-01T00:00:00Z"}`)).
			then(sameID).then(lacks("evil.example", "1970")),
		accepted("U53 an id of a wrong type is ignored", user(`"id":{"a":[1]}`, `"meta":7`)).then(sameID),
		accepted("U53 a null id", user(`"id":null`)).then(sameID),
		put("U54 another id in a PUT", `"id":"mine","meta":7`).then(sameID),
		accepted("U54 what only we say is ignored", user(`"`+ext+`":{"managed":false,"accountState":"blocked","effectiveRole":{"id":1},"memberships":[{"organizationId":200}]}`)),
		accepted("U55 password", user(`"password":"`+canary+`"`)).then(lacks(`"password"`)),
		put("U55 password by PUT", `"password":"`+canary+`"`),
		refusedPost("U55 password of a wrong type is not told", user(`"password":{"x":"c0rrect-h0rse"}`), 400, value, "password", "must be a string"),
		accepted("U62 an unknown extension", user(`"urn:example:params:scim:schemas:extension:x:2.0:User":{"a":1}`)).then(lacks("urn:example")),
		accepted("U62 an unknown attribute", user(`"favouriteColour":"red"`)).then(lacks("favouriteColour")),
		accepted("U63 addresses of pictures and pages", user(`"photos":[{"value":"http://169.254.169.254/latest/meta-data/"},{"value":"{trap}/photo"}]`, `"profileUrl":"{trap}/profile"`)),
		accepted("U63 $ref of a manager", user(`"`+enterpriseSchema+`":{"manager":{"value":"x","$ref":"{trap}/manager"}}`)),
		accepted("U63 $ref of a group", user(`"groups":[{"value":"x","$ref":"{trap}/group"}]`)),
		accepted("U64 a script as displayName", user(`"displayName":"`+script+`"`)).then(shows(map[string]any{"displayName": script})),
		accepted("U64 a template", user(`"displayName":"{{7*7}}${7*7}<%= 7*7 %>"`)).then(shows(map[string]any{"displayName": "{{7*7}}${7*7}<%= 7*7 %>"})),
		accepted("U64 a formula", user(`"title":"=cmd|' /C calc'!A0"`)).then(shows(map[string]any{"title": "=cmd|' /C calc'!A0"})),
		accepted("U64 a script as profileUrl", user(`"profileUrl":"javascript:alert(1)"`)).then(shows(map[string]any{"profileUrl": "javascript:alert(1)"})),
		refusedPost("U64 a country that is none", user(`"`+ext+`":{"countryCode":"ZZ9"}`), 400, value, "countryCode", `"ZZ9"`, "ISO 3166"),
		refusedPost("U64 another tenant's organization", user(`"`+ext+`":{"organizationIds":[200]}`), 400, value, "organizationIds", "200", "have 113, 114"),
		refusedPost("U64 an organization number out of range", user(`"`+ext+`":{"organizationIds":[99999999999999999999]}`), 400, value, "organizationIds", "99999999999999999999"),
		refusedPost("U64 an organization number with a fraction", user(`"`+ext+`":{"organizationIds":[113.5]}`), 400, value, "organizationIds", "113.5", "integer"),
		refusedPost("U64 an organization number with an exponent", user(`"`+ext+`":{"defaultOrganizationId":1e400}`), 400, value, "defaultOrganizationId", "1e400", "integer"),
		refusedPost("U64 a default organization that is not the person's", user(`"`+ext+`":{"organizationIds":[113],"defaultOrganizationId":114}`), 400, value, "defaultOrganizationId", "114", "113"),
	}
}

// opaque is rows 56 and 61.
func opaque() []attempt {
	var all []attempt
	for _, v := range []string{"1", "0", "admin", "../x", "..%2f..", "{id}", "{name}", "*", "' OR 1=1 --", "113", "{ext}", "💥"} {
		all = append(all, attempt{row: "U56 externalId " + v, body: user(`"externalId":"` + v + `"`), fresh: v == "{ext}", status: 201, effects: 1, check: invited}.
			then(func(t *testing.T, r *rig, res bridgetest.Response, _ []sandbox.Entry) {
				if res.ID() == r.bound.id || res.JSON("externalId") == nil {
					t.Errorf("id %s, externalId %v", res.ID(), res.JSON("externalId"))
				}
				if !strings.ContainsAny(v, "{%.*' 💥") {
					if got := r.quietly(t, "GET", "/Users/"+v, ""); got.Status != 404 {
						t.Errorf("an externalId is a key: GET /Users/%s is %d", v, got.Status)
					}
				}
			}))
	}
	for _, v := range []string{"7", "{}", "[]", "true", `["x"]`} {
		all = append(all, refusedPost("U56 externalId "+v, user(`"externalId":`+v), 400, value, "externalId", "must be a string"))
	}
	manager := func(v string) string { return user(`"` + enterpriseSchema + `":{"manager":` + v + `}`) }
	shown := shows(map[string]any{"active": true})
	for _, v := range []string{`"unknown"`, `{"value":"unknown"}`, `"{id}"`, `{"value":"{id}","displayName":"x"}`, `""`, `null`, `{}`} {
		all = append(all, accepted("U61 manager "+v, manager(v)).then(shown))
	}
	for _, v := range []string{`[{"value":"unknown"}]`, `["unknown"]`, `[]`} {
		all = append(all, accepted("U61 manager "+v+" from Entra", manager(v)).from("entra").then(shown),
			refusedPost("U61 manager "+v, manager(v), 400, value, "manager", "must be"))
	}
	for _, v := range []string{`7`, `true`, `["a","b"]`, `[7]`, `{"value":7}`, `{"value":["x"]}`, `[[]]`} {
		all = append(all, refusedPost("U61 manager "+v, manager(v), 400, value, "manager", "must be"))
	}
	return all
}

// conflicts is rows 58 to 60.
func conflicts() []attempt {
	const unique = "uniqueness"
	find := "find it with filter="
	conflict := func(row, method, path, body string, detail ...string) attempt {
		return attempt{row: row, method: method, path: path, body: body, status: 409, scimType: unique, detail: append(detail, find), calls: true}
	}
	other := strings.ReplaceAll(user(), "{new}", "{name}")
	return []attempt{
		conflict("U58 POST of an existing userName", "POST", "/Users", other, "userName"),
		conflict("U58 in other case", "POST", "/Users", strings.Replace(other, `"userName":"{name}"`, `"userName":"OTHER{name}"`, 1), "emails.value"),
		conflict("U58 POST of an existing e-mail", "POST", "/Users", strings.Replace(other, `"userName":"{name}"`, `"userName":"{new}"`, 1), "emails.value"),
		conflict("U58 POST of an existing userName with active false", "POST", "/Users", strings.Replace(other, `"active":true`, `"active":false`, 1), "userName"),
		attempt{row: "U59 POST of somebody inactive", method: "PATCH", path: "/Users/{id}", fresh: true, body: bridgetest.PatchOp(`{"op":"replace","path":"active","value":false}`), status: 200, effects: 1, check: deactivated}.
			then(func(t *testing.T, r *rig, res bridgetest.Response, _ []sandbox.Entry) {
				name := fmt.Sprint(res.JSON("userName"))
				before := len(r.Sandbox.Ledger())
				if again := r.quietly(t, "POST", "/Users", userOf(name)); again.Status != 409 || again.JSON("scimType") != unique {
					t.Errorf("status %d %s", again.Status, excerpt(again.Body))
				}
				if n := len(r.Sandbox.Ledger()) - before; n != 0 {
					t.Errorf("%d effects upstream of a 409", n)
				}
				found := r.quietly(t, "GET", "/Users?filter="+url.QueryEscape(`userName eq "`+name+`"`), "")
				if found.JSON("Resources.0.id") != res.ID() || found.JSON("Resources.0.active") != false {
					t.Errorf("the filter finds %s", excerpt(found.Body))
				}
			}),
		conflict("U60 PUT to a taken userName", "PUT", "/Users/{id}", strings.Replace(other, `"userName":"{name}"`, `"userName":"taken@example.com"`, 1), "userName", `"taken@example.com"`),
		conflict("U60 PUT to a taken e-mail", "PUT", "/Users/{id}", strings.Replace(other, `"value":"{name}"`, `"value":"taken@example.com"`, 1), "e-mail", `"taken@example.com"`),
		conflict("U60 PUT to both", "PUT", "/Users/{id}", userOf("taken@example.com"), `"taken@example.com"`),
		conflict("U60 PATCH to a taken userName", "PATCH", "/Users/{id}", bridgetest.PatchOp(`{"op":"replace","path":"userName","value":"TAKEN@example.com"}`), "userName"),
		conflict("U60 PATCH to a taken e-mail", "PATCH", "/Users/{id}", bridgetest.PatchOp(`{"op":"replace","path":"emails[type eq \"work\"].value","value":"taken@example.com"}`), "e-mail"),
	}
}
