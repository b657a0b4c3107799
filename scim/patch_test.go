package scim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// before is a user small enough to read in a table.
func before() *User {
	return &User{
		ID: "1", UserName: "joy@contoso.com", DisplayName: "Joy", Active: new(true), ExternalID: "e1",
		Name:       &Name{GivenName: "Joy", FamilyName: "Young"},
		Emails:     []MultiValue{{Value: "joy@contoso.com", Type: "work", Primary: new(true)}, {Value: "joy@home.example", Type: "home"}},
		Enterprise: &EnterpriseUser{Department: "Sales", Manager: &Manager{Value: "m1", Ref: "../Users/m1", DisplayName: "Max"}},
		Groups:     []GroupRef{{Value: "g1"}},
	}
}

// operations is a PATCH body.
func operations(ops string) []byte {
	return []byte(`{"schemas":["` + patchSchema + `"],"Operations":[` + ops + `]}`)
}

// expand lets tests write ENT and EXT for the extensions' URNs.
func expand(s string) string {
	return strings.NewReplacer("ENT", EnterpriseUserSchema, "EXT", testURN, "CORE", UserSchema).Replace(s)
}

func TestPatch(t *testing.T) {
	c := newCodec(t)
	work := func(u *User) *MultiValue { return &u.Emails[0] }
	for _, tt := range []struct {
		name    string
		d       Dialect
		ops     string
		want    func(u *User)
		skipped int
	}{
		// Microsoft Entra's default form.
		{"Replace active by a string", DialectRFC, `{"op":"Replace","path":"active","value":"False"}`, func(u *User) { u.Active = new(false) }, 0},
		{"Replace active by a boolean", DialectRFC, `{"op":"Replace","path":"active","value":false}`, func(u *User) { u.Active = new(false) }, 0},
		{"Add an attribute", DialectRFC, `{"op":"Add","path":"nickName","value":"Babs"}`, func(u *User) { u.NickName = "Babs" }, 0},
		{"Replace a value path", DialectRFC, `{"op":"Replace","path":"emails[type eq \"work\"].value","value":"n@c.com"}`, func(u *User) { work(u).Value = "n@c.com" }, 0},
		{"Replace a sub-attribute", DialectRFC, `{"op":"Replace","path":"name.familyName","value":"F"}`, func(u *User) { u.Name.FamilyName = "F" }, 0},
		{"Replace externalId", DialectRFC, `{"op":"Replace","path":"externalId","value":"E"}`, func(u *User) { u.ExternalID = "E" }, 0},
		{"Replace an enterprise attribute", DialectRFC, `{"op":"Replace","path":"ENT:employeeNumber","value":"42"}`, func(u *User) { u.Enterprise.EmployeeNumber = "42" }, 0},
		{"Add the manager as a string", DialectRFC, `{"op":"Add","path":"ENT:manager","value":"m2"}`, func(u *User) { u.Enterprise.Manager = &Manager{Value: "m2"} }, 0},
		{"Add the manager as an object", DialectRFC, `{"op":"Add","path":"ENT:manager","value":{"value":"m2"}}`, func(u *User) { u.Enterprise.Manager = &Manager{Value: "m2"} }, 0},
		{"Add the manager as an array", DialectEntra, `{"op":"Add","path":"ENT:manager","value":[{"$ref":"../Users/m2","value":"m2"}]}`,
			func(u *User) { u.Enterprise.Manager = &Manager{Value: "m2", Ref: "../Users/m2"} }, 0},
		{"the manager without its URN", DialectEntra, `{"op":"Add","path":"manager","value":[{"$ref":null,"value":"m2"}]},{"op":"replace","value":{"department":"D"}}`,
			func(u *User) { u.Enterprise.Manager, u.Enterprise.Department = &Manager{Value: "m2"}, "D" }, 0},
		{"an empty array clears the manager", DialectEntra, `{"op":"Add","path":"ENT:manager","value":[]}`, func(u *User) { u.Enterprise.Manager = nil }, 0},
		{"Replace the manager's value", DialectRFC, `{"op":"Replace","path":"ENT:manager.value","value":"m2"}`, func(u *User) { u.Enterprise.Manager = &Manager{Value: "m2"} }, 0},
		{"the same manager keeps its $ref", DialectRFC, `{"op":"Replace","path":"ENT:manager","value":{"value":"m1"}}`, func(*User) {}, 0},
		{"Replace the manager by an empty string", DialectRFC, `{"op":"Replace","path":"ENT:manager","value":""}`, func(u *User) { u.Enterprise.Manager = nil }, 0},
		{"Remove the manager with an empty value", DialectRFC, `{"op":"Remove","path":"ENT:manager","value":""}`, func(u *User) { u.Enterprise.Manager = nil }, 0},
		{"Add on a value path without a match", DialectRFC, `{"op":"Add","path":"phoneNumbers[type eq \"mobile\"].value","value":"1"}`,
			func(u *User) { u.PhoneNumbers = []MultiValue{{Value: "1", Type: "mobile"}} }, 0},
		{"several operations join one entry", DialectRFC, `{"op":"Add","path":"addresses[type eq \"work\"].streetAddress","value":"S"},
			{"op":"Add","path":"addresses[type eq \"work\"].locality","value":"L"},{"op":"Add","path":"addresses[type eq \"home\"].locality","value":"H"},
			{"op":"Add","path":"addresses[type eq \"work\"].country","value":"IT"}`,
			func(u *User) {
				u.Addresses = []Address{{Type: "work", StreetAddress: "S", Locality: "L", Country: "IT"}, {Type: "home", Locality: "H"}}
			}, 0},
		{"Replace on a value path without a match", DialectEntra, `{"op":"Replace","path":"emails[type eq \"other\"].value","value":"o@c.com"}`,
			func(u *User) { u.Emails = append(u.Emails, MultiValue{Value: "o@c.com", Type: "other"}) }, 0},
		{"clearing a value path without a match", DialectEntra, `{"op":"Replace","path":"emails[type eq \"other\"].value","value":""}`, func(*User) {}, 0},
		{"Remove a value path with a value", DialectRFC, `{"op":"Remove","path":"emails[type eq \"home\"].value","value":"x"}`, func(u *User) { u.Emails = u.Emails[:1] }, 0},
		{"clearing the only value of an entry", DialectRFC, `{"op":"Replace","path":"emails[type eq \"home\"].value","value":""}`, func(u *User) { u.Emails = u.Emails[:1] }, 0},
		{"null clears", DialectRFC, `{"op":"replace","path":"displayName","value":null}`, func(u *User) { u.DisplayName = "" }, 0},
		{"an empty string clears", DialectRFC, `{"op":"replace","path":"displayName","value":""}`, func(u *User) { u.DisplayName = "" }, 0},
		{"an empty string clears a complex attribute", DialectRFC, `{"op":"replace","path":"name","value":""}`, func(u *User) { u.Name = nil }, 0},
		{"roles by a quoted boolean", DialectEntra, `{"op":"Add","path":"roles[primary eq \"True\"].value","value":"Admin"}`,
			func(u *User) { u.Roles = []MultiValue{{Value: "Admin", Primary: new(true)}} }, 0},
		{"roles as JSON in a string", DialectEntra, `{"op":"Add","path":"roles","value":[{"value":"{\"id\":\"1\",\"value\":\"Admin\",\"displayName\":\"Administrator\"}"}]}`,
			func(u *User) { u.Roles = []MultiValue{{Value: "Admin", Display: "Administrator"}} }, 0},
		{"an unknown attribute is skipped", DialectEntra, `{"op":"Add","path":"nickname2","value":{"x":[1]}},{"op":"Replace","path":"active","value":"False"}`,
			func(u *User) { u.Active = new(false) }, 1},
		{"an unknown extension is skipped", DialectOkta, `{"op":"Add","path":"urn:x:User:y","value":"1"},{"op":"replace","value":{"active":false,"urn:x:User":{"y":1},"z":null}}`,
			func(u *User) { u.Active = new(false) }, 3},
		{"an unknown sub-attribute is skipped", DialectEntra, `{"op":"Add","path":"name.x","value":"1"},{"op":"Add","path":"emails[x eq \"1\"].value","value":"1"},{"op":"Add","path":"title.x","value":"1"}`,
			func(*User) {}, 3},
		// Keys that are paths, as with aadOptscim062020.
		{"dotted and URN keys", DialectRFC, `{"op":"replace","value":{"displayName":"B","name.givenName":"K","name.familyName":"U","ENT:employeeNumber":"A"}}`,
			func(u *User) {
				u.DisplayName, u.Name.GivenName, u.Name.FamilyName, u.Enterprise.EmployeeNumber = "B", "K", "U", "A"
			}, 0},
		{"value paths as keys", DialectRFC, `{"op":"replace","value":{"emails[type eq \"work\"].value":"n@c.com","EMAILS[type eq \"home\"].display":"D"}}`,
			func(u *User) { u.Emails[0].Value, u.Emails[1].Display = "n@c.com", "D" }, 0},
		{"an extension as an object", DialectRFC, `{"op":"add","value":{"ENT":{"division":"D","manager":"m2"},"EXT":{"countryCode":"CA"}}}`,
			func(u *User) {
				u.Enterprise.Division, u.Enterprise.Manager = "D", &Manager{Value: "m2"}
				u.Extensions = []any{&testExtension{CountryCode: "CA"}}
			}, 0},
		{"dotted keys in an extension", DialectRFC, `{"op":"add","value":{"ENT":{"manager.value":"m2"}}}`, func(u *User) { u.Enterprise.Manager = &Manager{Value: "m2"} }, 0},
		{"an extension as a path", DialectRFC, `{"op":"replace","path":"ENT","value":{"division":"D"}}`, func(u *User) { u.Enterprise.Division = "D" }, 0},
		{"the core schema as a path and as a key", DialectRFC, `{"op":"replace","path":"CORE","value":{"title":"T"}},{"op":"replace","value":{"CORE":{"nickName":"N"}}},{"op":"replace","path":"CORE:userType","value":"U"}`,
			func(u *User) { u.Title, u.NickName, u.UserType = "T", "N", "U" }, 0},
		{"remove an extension", DialectRFC, `{"op":"remove","path":"ENT"}`, func(u *User) { u.Enterprise = nil }, 0},
		{"null an extension", DialectRFC, `{"op":"replace","value":{"ENT":null}}`, func(u *User) { u.Enterprise = nil }, 0},
		// Okta.
		{"no path, active and userName", DialectRFC, `{"op":"replace","value":{"active":false,"userName":"x"}}`, func(u *User) { u.Active, u.UserName = new(false), "x" }, 0},
		{"read-only attributes without a path", DialectRFC, `{"op":"replace","value":{"id":"2","schemas":[],"meta":{"x":1},"groups":[],"displayName":"X"}}`,
			func(u *User) { u.DisplayName = "X" }, 3},
		{"a password", DialectRFC, `{"op":"replace","value":{"password":"pw"}}`, func(u *User) { u.Password = "pw" }, 0},
		// RFC 7644 §3.5.2.
		{"a complex attribute keeps what is not given", DialectRFC, `{"op":"replace","path":"name","value":{"givenName":"G"}}`, func(u *User) { u.Name.GivenName = "G" }, 0},
		{"null in a complex value clears", DialectRFC, `{"op":"replace","path":"name","value":{"givenName":null}}`, func(u *User) { u.Name.GivenName = "" }, 0},
		{"an empty complex value changes nothing", DialectRFC, `{"op":"replace","path":"name","value":{}}`, func(*User) {}, 0},
		{"add to a list", DialectRFC, `{"op":"add","path":"emails","value":[{"value":"o@c.com","type":"other"}]}`,
			func(u *User) { u.Emails = append(u.Emails, MultiValue{Value: "o@c.com", Type: "other"}) }, 0},
		{"add one without an array", DialectRFC, `{"op":"add","path":"emails","value":{"value":"o@c.com"}}`, func(u *User) { u.Emails = append(u.Emails, MultiValue{Value: "o@c.com"}) }, 0},
		{"add what is there", DialectRFC, `{"op":"add","path":"emails","value":[{"value":"joy@home.example","type":"home"},{"value":"joy@contoso.com"}]}`, func(*User) {}, 0},
		{"add what is there in other case", DialectRFC, `{"op":"add","path":"emails","value":[{"value":"JOY@home.example"}]}`, func(u *User) { u.Emails[1].Value = "JOY@home.example" }, 0},
		{"add completes what is there", DialectRFC, `{"op":"add","path":"emails","value":[{"value":"joy@home.example","display":"D"}]}`, func(u *User) { u.Emails[1].Display = "D" }, 0},
		{"a new primary clears the old", DialectRFC, `{"op":"add","path":"emails","value":[{"value":"o@c.com","primary":true}]}`,
			func(u *User) {
				u.Emails[0].Primary = new(false)
				u.Emails = append(u.Emails, MultiValue{Value: "o@c.com", Primary: new(true)})
			}, 0},
		{"primary by a value path", DialectRFC, `{"op":"replace","path":"emails[type eq \"home\"].primary","value":"True"}`,
			func(u *User) { u.Emails[0].Primary, u.Emails[1].Primary = new(false), new(true) }, 0},
		{"replace a list", DialectRFC, `{"op":"replace","path":"emails","value":[{"value":"o@c.com"}]}`, func(u *User) { u.Emails = []MultiValue{{Value: "o@c.com"}} }, 0},
		{"replace a list by nothing", DialectRFC, `{"op":"replace","path":"emails","value":[]}`, func(u *User) { u.Emails = nil }, 0},
		{"add nothing to a list", DialectRFC, `{"op":"add","path":"emails","value":[]}`, func(*User) {}, 0},
		{"replace entries", DialectRFC, `{"op":"replace","path":"emails[type eq \"home\"]","value":{"value":"o@c.com","display":"D"}}`,
			func(u *User) { u.Emails[1] = MultiValue{Value: "o@c.com", Type: "home", Display: "D"} }, 0},
		{"add to entries", DialectRFC, `{"op":"add","path":"emails[type eq \"work\"]","value":[{"display":"D"}]}`, func(u *User) { u.Emails[0].Display = "D" }, 0},
		{"add an entry", DialectRFC, `{"op":"add","path":"emails[type eq \"other\" and display eq \"D\"]","value":{"value":"o@c.com"}}`,
			func(u *User) {
				u.Emails = append(u.Emails, MultiValue{Value: "o@c.com", Type: "other", Display: "D"})
			}, 0},
		{"remove entries", DialectRFC, `{"op":"remove","path":"emails[not (type eq \"work\")]"}`, func(u *User) { u.Emails = u.Emails[:1] }, 0},
		{"remove a sub-attribute of entries", DialectRFC, `{"op":"remove","path":"emails[value co \"contoso\" or value pr].type"}`,
			func(u *User) { u.Emails[0].Type, u.Emails[1].Type = "", "" }, 0},
		{"a sub-attribute of all entries", DialectRFC, `{"op":"replace","path":"emails.display","value":"D"}`, func(u *User) { u.Emails[0].Display, u.Emails[1].Display = "D", "D" }, 0},
		{"a sub-attribute of no entries", DialectRFC, `{"op":"add","path":"phoneNumbers.value","value":"1"}`, func(u *User) { u.PhoneNumbers = []MultiValue{{Value: "1"}} }, 0},
		{"remove a list", DialectRFC, `{"op":"remove","path":"emails"}`, func(u *User) { u.Emails = nil }, 0},
		{"remove listed entries", DialectRFC, `{"op":"Remove","path":"emails","value":[{"value":"JOY@HOME.example"}]}`, func(u *User) { u.Emails = u.Emails[:1] }, 0},
		{"remove an empty list of entries", DialectRFC, `{"op":"remove","path":"emails","value":[]}`, func(*User) {}, 0},
		{"remove what is not there", DialectRFC, `{"op":"remove","path":"emails[type eq \"fax\"]"},{"op":"remove","path":"title"},{"op":"remove","path":"name.middleName"},
			{"op":"remove","path":"emails","value":[{"value":"x@y.z"}]},{"op":"remove","path":"EXT:countryCode"}`, func(*User) {}, 0},
		{"remove a sub-attribute", DialectRFC, `{"op":"remove","path":"name.givenName"},{"op":"remove","path":"name.familyName"}`, func(u *User) { u.Name = nil }, 0},
		{"remove a complex attribute", DialectRFC, `{"op":"remove","path":"name"}`, func(u *User) { u.Name = nil }, 0},
		{"remove externalId", DialectRFC, `{"op":"remove","path":"externalId"}`, func(u *User) { u.ExternalID = "" }, 0},
		{"a list of integers", DialectRFC, `{"op":"add","path":"EXT:organizationIds","value":[113,114]},{"op":"add","path":"EXT:organizationIds","value":114},
			{"op":"remove","path":"EXT:organizationIds","value":[113]}`, func(u *User) { u.Extensions = []any{&testExtension{OrganizationIDs: []int64{114}}} }, 0},
		{"replace on a value path with quotes and spaces", DialectRFC, `{"op":"replace","path":"emails[value eq \"joy@home.example\" and not (primary eq true)].type","value":"other"}`,
			func(u *User) { u.Emails[1].Type = "other" }, 0},
		// Absent is not false: I17.
		{"active null", DialectRFC, `{"op":"replace","path":"active","value":null}`, func(*User) {}, 1},
		{"remove active", DialectRFC, `{"op":"remove","path":"active"}`, func(*User) {}, 1},
		{"active null without a path", DialectRFC, `{"op":"replace","value":{"active":null}}`, func(*User) {}, 1},
		{"no operations", DialectRFC, ``, func(*User) {}, 0},
		{"schemas by path", DialectRFC, `{"op":"add","path":"schemas","value":["ENT"]}`, func(*User) {}, 1},
		{"a null path", DialectRFC, `{"op":"replace","path":null,"value":{"title":"T"}}`, func(u *User) { u.Title = "T" }, 0},
		{"member names in any case", DialectRFC, `{"OP":"replace","Path":"title","VALUE":"T","x":1}`, func(u *User) { u.Title = "T" }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := operations(expand(tt.ops))
			p, err := c.DecodePatch(body, tt.d)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Skipped) != tt.skipped {
				t.Errorf("skipped %v, want %d notes", p.Skipped, tt.skipped)
			}
			cur, want := before(), before()
			tt.want(want)
			// A patch can be applied again, as after a lost race.
			for range 2 {
				got, changes, err := c.Apply(p, cur)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, got, equate); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
				if d := cmp.Diff(before(), cur); d != "" {
					t.Errorf("the input was changed:\n%s", d)
				}
				if changed := !cmp.Equal(before(), want, equate); changed != (len(changes) > 0) {
					t.Errorf("changes %v", changes)
				}
				if !p.Empty() && len(got.Emails) > 0 {
					got.Emails[0].Value = "scribbled"
					got.Emails[0].Primary = nil
				}
			}
		})
	}
}

func TestPatchRefuses(t *testing.T) {
	c := newCodec(t)
	op := func(s string) string { return string(operations(expand(s))) }
	const is, iv, ip = TypeInvalidSyntax, TypeInvalidValue, TypeInvalidPath
	for _, tt := range []struct {
		name, body, typ, detail string
		status                  int
	}{
		{"nothing", ``, is, "empty", 400},
		{"null", `null`, is, "found null", 400},
		{"trailing data", op(``) + `{}`, is, "nothing behind", 400},
		{"P65 no Operations", `{"schemas":["` + patchSchema + `"]}`, is, "Operations: missing", 400},
		{"P65 not an array", `{"Operations":{}}`, is, "must be an array, found an object", 400},
		{"P65 null", `{"Operations":null}`, is, "must be an array, found null", 400},
		{"Operations twice", `{"Operations":[],"operations":[]}`, is, "twice", 400},
		{"wrong schemas", `{"schemas":["urn:x"],"Operations":[]}`, iv, "schemas: lacks", 400},
		{"P66 1,001 operations", op(strings.Repeat(`{"op":"remove","path":"title"},`, 1000) + `{"op":"remove","path":"title"}`), "", "more than 1000", 413},
		{"P67 no op", op(`{"path":"title","value":"x"}`), is, "Operations[0].op: missing", 400},
		{"P67 an unknown op", op(`{"op":"add","path":"title","value":"x"},{"op":"move","path":"title"}`), is, `Operations[1].op: unknown operation "move"`, 400},
		{"op twice", op(`{"op":"add","OP":"replace","path":"title","value":"x"}`), is, "twice", 400},
		{"an operation that is a string", op(`"add"`), is, "Operations[0]: must be an object", 400},
		{"a path that is a number", op(`{"op":"add","path":1,"value":"x"}`), is, "Operations[0].path: must be a string", 400},
		{"P69 remove without a path", op(`{"op":"remove"}`), TypeNoTarget, "Operations[0].path: missing", 400},
		{"P70 a broken path", op(`{"op":"remove","path":"emails[type eq"}`), ip, "Operations[0].path: at 14: expected a value", 400},
		{"P71 an unknown attribute", op(`{"op":"replace","path":"active","value":true},{"op":"replace","path":"nickname2","value":"x"}`), ip, `Operations[1].path: unknown attribute "nickname2"`, 400},
		{"an unknown attribute without a path", op(`{"op":"replace","value":{"nickname2":"x"}}`), ip, `Operations[0].value: unknown attribute "nickname2"`, 400},
		{"P75 a dotted key of an unknown attribute", op(`{"op":"replace","value":{"nickname2.x":"x"}}`), ip, `Operations[0].value: unknown attribute "nickname2.x"`, 400},
		{"P75 a value path without a match as a key", op(`{"op":"replace","value":{"emails[type eq \"other\"].value":"a@b.cc"}}`), TypeNoTarget, "no entry of emails matches", 400},
		{"P75 a key that is no path", op(`{"op":"replace","value":{"emails[type eq":"x"}}`), ip, `unknown attribute "emails[type eq"`, 400},
		{"the manager without its URN", op(`{"op":"replace","path":"manager","value":"m"}`), ip, `unknown attribute "manager"`, 400},
		{"an unknown schema", op(`{"op":"replace","path":"urn:x:y","value":"x"}`), ip, `unknown schema "urn:x"`, 400},
		{"an unknown sub-attribute", op(`{"op":"replace","path":"name.x","value":"x"}`), ip, `unknown sub-attribute "x" of name`, 400},
		{"a sub-attribute of a string", op(`{"op":"replace","path":"title.x","value":"x"}`), ip, "title has no sub-attributes", 400},
		{"P72 id", op(`{"op":"replace","path":"id","value":"x"}`), TypeMutability, "id is readOnly", 400},
		{"P72 meta", op(`{"op":"replace","path":"meta.version","value":"x"}`), TypeMutability, "meta is readOnly", 400},
		{"P72 groups", op(`{"op":"add","path":"groups","value":[{"value":"x"}]}`), TypeMutability, "groups is readOnly", 400},
		{"P72 a read-only sub-attribute", op(`{"op":"replace","path":"ENT:manager.displayName","value":"x"}`), TypeMutability, "manager.displayName is readOnly", 400},
		{"P72 a read-only extension attribute", op(`{"op":"replace","path":"EXT:managed","value":true}`), TypeMutability, "managed is readOnly", 400},
		{"P73 remove userName", op(`{"op":"remove","path":"userName"}`), TypeMutability, "userName is required", 400},
		{"userName empty", op(`{"op":"replace","path":"userName","value":""}`), iv, "userName: required", 400},
		{"userName null without a path", op(`{"op":"replace","value":{"userName":null}}`), iv, "userName: required", 400},
		{"P74 replace without a match", op(`{"op":"replace","path":"emails[type eq \"fax\"].value","value":"x@y.zz"}`), TypeNoTarget, "no entry of emails matches", 400},
		{"add without a match on a filter that describes nothing", op(`{"op":"add","path":"emails[type ne \"work\" and type ne \"home\"].value","value":"x@y.zz"}`), TypeNoTarget, "does not say what to create", 400},
		{"P76 no path and a string", op(`{"op":"replace","value":"x"}`), iv, "must be an object", 400},
		{"P77 no value", op(`{"op":"add","path":"title"}`), iv, "Operations[0].value: missing", 400},
		{"P77 no value and no path", op(`{"op":"replace"}`), iv, "Operations[0].value: missing", 400},
		{"P78 the second is invalid", op(`{"op":"replace","path":"active","value":false},{"op":"replace","path":"title","value":1}`), iv, "Operations[1].value: title: must be a string", 400},
		{"P80 active in an array", op(`{"op":"replace","path":"active","value":[false]}`), iv, "Operations[0].value: active: must be true or false, found an array", 400},
		{"active junk", op(`{"op":"replace","path":"active","value":"no"}`), iv, "active", 400},
		{"active 0", op(`{"op":"replace","path":"active","value":0}`), iv, "active", 400},
		{"active empty", op(`{"op":"replace","path":"active","value":""}`), iv, "active", 400},
		{"P81 a long path", op(`{"op":"remove","path":"` + strings.Repeat("a", 10_000) + `"}`), ip, "at most 4096", 400},
		{"P81 a deep path", op(`{"op":"remove","path":"emails[` + strings.Repeat("(", 1000) + `"}`), ip, "nested more than 16", 400},
		{"the same attribute twice", op(`{"op":"replace","value":{"title":"x","TITLE":"y"}}`), is, "title: given twice", 400},
		{"a filter on a single attribute", op(`{"op":"replace","path":"name[givenName eq \"x\"].familyName","value":"x"}`), ip, "value filter cannot apply", 400},
		{"a filter of the wrong type", op(`{"op":"replace","path":"emails[primary eq \"x\"].value","value":"x@y.zz"}`), TypeInvalidFilter, "boolean", 400},
		{"two primaries", op(`{"op":"replace","path":"emails","value":[{"value":"a@b.cc","primary":true},{"value":"b@b.cc","primary":true}]}`), iv, "two entries are primary", 400},
		{"two primaries by a filter", op(`{"op":"replace","path":"emails[value pr].primary","value":true}`), iv, "two entries", 400},
		{"an e-mail that is none", op(`{"op":"replace","path":"emails[type eq \"work\"].value","value":"a@b"}`), iv, "emails.value", 400},
		{"a userName with a space", op(`{"op":"replace","path":"userName","value":" x"}`), iv, "begins with a space", 400},
		{"an entry as a string", op(`{"op":"replace","path":"emails[type eq \"work\"]","value":"x@y.zz"}`), iv, "must be an object", 400},
		{"two entries for one", op(`{"op":"replace","path":"emails[type eq \"work\"]","value":[{"value":"a@b.cc"},{"value":"b@b.cc"}]}`), iv, "array of several", 400},
		{"emails as a string", op(`{"op":"replace","path":"emails","value":"x@y.zz"}`), iv, "emails", 400},
		{"remove the core schema", op(`{"op":"remove","path":"CORE"}`), TypeMutability, "cannot be removed", 400},
		{"a deep value", op(`{"op":"replace","path":"name","value":{"x":` + nest(40, "") + `}}`), is, "more than 32 deep", 400},
		{"duplicate names in a value", op(`{"op":"replace","path":"name","value":{"givenName":"a","givenName":"b"}}`), is, "twice", 400},
		{"201 entries", op(`{"op":"replace","path":"ims","value":[` + strings.TrimSuffix(strings.Repeat(`{"value":"x"},`, 201), ",") + `]}`), iv, "more than 200", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cur := before()
			p, err := c.DecodePatch([]byte(tt.body), DialectRFC)
			if err == nil {
				var next *User
				if next, _, err = c.Apply(p, cur); next != nil {
					t.Errorf("an error comes with a user")
				}
			}
			wantError(t, err, tt.status, tt.typ, tt.detail)
			if d := cmp.Diff(before(), cur); d != "" {
				t.Errorf("the input was changed:\n%s", d)
			}
		})
	}
}

func TestPatchEntriesAreBounded(t *testing.T) {
	c, u := newCodec(t), before()
	for i := range maxEntries {
		u.IMs = append(u.IMs, MultiValue{Value: fmt.Sprint(i)})
	}
	p, err := c.DecodePatch(operations(`{"op":"add","path":"ims","value":[{"value":"more"}]}`), DialectRFC)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.Apply(p, u)
	wantError(t, err, 400, TypeInvalidValue, "more than 200 entries")
}

func TestPatchMentions(t *testing.T) {
	c := newCodec(t)
	p, err := c.DecodePatch(operations(expand(`{"op":"replace","path":"name.givenName","value":"x"},{"op":"add","path":"emails[type eq \"work\"].value","value":"a@b.cc"},
		{"op":"replace","value":{"active":false,"ENT:department":"x","nope":1}}`)), DialectEntra)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"name": true, "name.givenName": true, "NAME.givenname": true, "name.familyName": false, "emails": true, "emails.value": true, "active": true,
		EnterpriseUserSchema: true, EnterpriseUserSchema + ":department": true, EnterpriseUserSchema + ":manager": false, "password": false, "nope": false,
		"nam": false, "userName": false, "email": false,
	} {
		if got := p.Mentions(path); got != want {
			t.Errorf("Mentions(%q) = %v", path, got)
		}
	}
	if p.Empty() {
		t.Error("the patch is not empty")
	}
	if p, err = c.DecodePatch(operations(`{"op":"replace","value":{"id":"1","active":null}}`), DialectRFC); err != nil || !p.Empty() || p.Mentions("active") {
		t.Errorf("a patch of nothing: %+v, %v", p, err)
	}
}

func TestPatchPassword(t *testing.T) {
	c := newCodec(t)
	for _, tt := range []struct {
		ops  string
		want Secret
		ok   bool
	}{
		{`{"op":"replace","value":{"password":"a"}}`, "a", true},
		{`{"op":"replace","path":"password","value":"a"},{"op":"replace","path":"PASSWORD","value":"b"}`, "b", true},
		{`{"op":"replace","path":"password","value":""}`, "", false},
		{`{"op":"remove","path":"password"}`, "", false},
		{`{"op":"replace","path":"title","value":"a"}`, "", false},
	} {
		p, err := c.DecodePatch(operations(tt.ops), DialectRFC)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := p.Password(); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %v", tt.ops, ok)
		}
		if next, changes, err := c.Apply(p, before()); err != nil || next.Password != tt.want {
			t.Errorf("%s: %v", tt.ops, err)
		} else if tt.ok && !cmp.Equal(changes, []Change{{"password", ChangeAdd}}) {
			t.Errorf("changes %v", changes)
		}
	}
}

func TestChanges(t *testing.T) {
	c := newCodec(t)
	p, err := c.DecodePatch(operations(expand(`{"op":"replace","path":"name.givenName","value":"x"},{"op":"remove","path":"displayName"},{"op":"add","path":"title","value":"T"},
		{"op":"remove","path":"emails[type eq \"home\"]"},{"op":"remove","path":"ENT:manager"},{"op":"add","path":"EXT:countryCode","value":"CA"}`)), DialectRFC)
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := c.Apply(p, before())
	if err != nil {
		t.Fatal(err)
	}
	want := []Change{
		{"name.givenName", ChangeReplace}, {"displayName", ChangeRemove}, {"title", ChangeAdd}, {"emails", ChangeReplace},
		{EnterpriseUserSchema + ":manager.value", ChangeRemove}, {EnterpriseUserSchema + ":manager.$ref", ChangeRemove}, {testURN + ":countryCode", ChangeAdd},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
