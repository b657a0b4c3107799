package scim

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const coreURN = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`

// equate compares users as the protocol does: empty and absent are the same.
var equate = cmp.Options{cmpopts.EquateEmpty()}

// wantError checks status, scimType and a part of the detail.
func wantError(t *testing.T, err error, status int, scimType, detail string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T), want *Error", err, err)
	}
	if e.Status != status || e.Type != scimType || !strings.Contains(e.Detail, detail) {
		t.Errorf("got %d %s %q, want %d %s with %q", e.Status, e.Type, e.Detail, status, scimType, detail)
	}
}

func TestDecodeEntraUser(t *testing.T) {
	got, notes, err := newCodec(t).Decode([]byte(entraUser), DialectEntra)
	if err != nil {
		t.Fatal(err)
	}
	want := &User{
		ExternalID: "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", UserName: "joy.young@contoso.com", Active: new(true), DisplayName: "Joy Young",
		Emails:       []MultiValue{{Value: "joy.young@contoso.com", Type: "work", Primary: new(true)}},
		Name:         &Name{Formatted: "Joy Young", FamilyName: "Young", GivenName: "Joy"},
		PhoneNumbers: []MultiValue{{Value: "+1 425 555 0100", Type: "work"}},
		Roles:        []MultiValue{},
		Enterprise:   &EnterpriseUser{EmployeeNumber: "42", Department: "Sales", Manager: &Manager{Value: "26118915-6090-4610-87e4-49d8ca9f808d"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]Note{{Path: "meta", Reason: "read-only: ignored"}}, notes); d != "" {
		t.Errorf("notes (-want +got):\n%s", d)
	}
}

// nest wraps v in n arrays.
func nest(n int, v string) string { return strings.Repeat("[", n) + v + strings.Repeat("]", n) }

func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"x%d":0`, i)
	}
	return b.String()
}

func TestDecodeRefuses(t *testing.T) {
	c := newCodec(t)
	core := func(members string) string { return `{` + coreURN + `,"userName":"a",` + members + `}` }
	const is, iv = TypeInvalidSyntax, TypeInvalidValue
	for _, tt := range []struct{ name, body, typ, detail string }{
		// JSON framing.
		{"J1 nothing", ``, is, "empty"},
		{"J1 only spaces", "  \n", is, "empty"},
		{"J1 only a byte order mark", "\xef\xbb\xbf", is, "empty"},
		{"J2 null", `null`, is, "found null"},
		{"J2 an array", `[]`, is, "found an array"},
		{"J2 a string", `"x"`, is, "found a string"},
		{"J2 a number", `42`, is, "found a number"},
		{"J3 truncated", `{"userName":"a`, is, "ends too early"},
		{"J3 truncated object", `{"userName":"a"`, is, "ends too early"},
		{"J3 truncated list", `{"userName":"a","emails":[`, is, "ends too early"},
		{"J3 truncated before the schemas", `{"schemas":`, is, "ends too early"},
		{"J3 truncated before an extension", core(`"` + EnterpriseUserSchema + `":`)[:len(core(`"`+EnterpriseUserSchema+`":`))-1], is, "ends too early"},
		{"J4 two objects", `{"userName":"a"}{}`, is, "nothing behind it"},
		{"J4 garbage behind", `{"userName":"a"} x`, is, "nothing behind it"},
		{"J6 UTF-16", "\xff\xfe{\x00", is, "not valid JSON"},
		{"J7 invalid UTF-8", "{\"userName\":\"a\xff\"}", is, "not valid JSON"},
		{"J8 half a surrogate pair", `{"userName":"a\ud800"}`, is, "not valid JSON"},
		{"J8 the body is not quoted", core(`"password":"x\ud800secret"`), is, "invalid surrogate pair in string at byte"},
		{"J3 an escape is not quoted", core(`"password":"x\u12secret"`), is, "invalid escape sequence in string at byte"},
		{"J9 the same name twice", `{"userName":"a","userName":"b"}`, is, `"userName" twice`},
		{"J9 the same name twice inside", core(`"name":{"givenName":"a","givenName":"b"}`), is, `"givenName" twice`},
		{"J9 the same unknown name twice", core(`"x":1,"x":2`), is, `"x" twice`},
		{"J10 the same attribute in two cases", `{"userName":"a","USERNAME":"b"}`, is, "userName: given twice"},
		{"the same sub-attribute in two cases", core(`"emails":[{"value":"a@b.c","VALUE":"a@b.c"}]`), is, "emails[0].value: given twice"},
		{"the same extension in two cases", core(`"` + EnterpriseUserSchema + `":{},"` + strings.ToUpper(EnterpriseUserSchema) + `":{}`), is, "twice"},
		{"J13 depth 33", core(`"x":` + nest(32, "")), is, "more than 32 deep"},
		{"J13 depth 10,001", core(`"x":` + nest(10_001, "")), is, "more than 32 deep"},
		{"J13 depth 1,000,000", `{"x":` + strings.Repeat("[", 1_000_000), is, "more than 32 deep"},
		{"J25 1,001 attributes", `{"userName":"a"` + members(1000) + `}`, is, "more than 1000 members"},
		{"J25 100,000 attributes", `{"userName":"a"` + members(100_000) + `}`, is, "more than 1000 members"},
		{"J25 1,001 members inside what is dropped", core(`"x":{"y":0` + members(1000) + `}`), is, "more than 1000 members"},
		{"J26 one huge string", core(`"title":"` + strings.Repeat("x", 1<<20) + `"`), iv, "title: 1048576 characters are too long, at most 1024"},
		{"J26 userName of 257", `{"userName":"` + strings.Repeat("é", 257) + `"}`, iv, "at most 256"},
		{"J26 displayName of 257", core(`"displayName":"` + strings.Repeat("x", 257) + `"`), iv, "displayName"},
		{"J26 externalId of 256", core(`"externalId":"` + strings.Repeat("x", 256) + `"`), iv, "at most 255"},
		{"J26 e-mail of 255", core(`"emails":[{"value":"` + strings.Repeat("x", 245) + `@b.example"}]`), iv, "emails[0].value"},
		{"201 entries", core(`"ims":[` + strings.TrimSuffix(strings.Repeat(`{"value":"x"},`, 201), ",") + `]`), iv, "ims: more than 200 entries"},
		// Values.
		{"U34 a wrong core schema", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"userName":"a"}`, iv, "schemas: lacks"},
		{"U34 an extension alone", `{"schemas":["` + EnterpriseUserSchema + `"],"userName":"a"}`, iv, "schemas: lacks"},
		{"U34 1.0 schemas", `{"schemas":["urn:scim:schemas:core:1.0"],"userName":"a"}`, iv, "schemas: lacks"},
		{"U34 schemas as a string", `{"schemas":"x","userName":"a"}`, iv, "array of URNs"},
		{"U34 schemas of numbers", `{"schemas":[1],"userName":"a"}`, iv, "array of URNs"},
		{"U35 no userName", `{` + coreURN + `}`, iv, "userName: required"},
		{"U35 an empty userName", `{"userName":""}`, iv, "userName: required"},
		{"U35 a null userName", `{"userName":null}`, iv, "userName: required"},
		{"U35 a space", `{"userName":" "}`, iv, "begins with a space"},
		{"U36 a number", `{"userName":5}`, iv, "userName: must be a string, found a number"},
		{"U36 an object", `{"userName":{}}`, iv, "found an object"},
		{"U36 an array", `{"userName":["a"]}`, iv, "found an array"},
		{"U36 a boolean", `{"userName":true}`, iv, "found a boolean"},
		{"U37 NUL", `{"userName":"a\u0000"}`, iv, "U+0000"},
		{"U37 CR", `{"userName":"a\rb"}`, iv, "U+000D"},
		{"U37 C1", `{"userName":"a\u0085b"}`, iv, "U+0085"},
		{"U37 DEL", `{"userName":"a\u007fb"}`, iv, "U+007F"},
		{"U37 NUL in any string", core(`"title":"a\u0000"`), iv, "title"},
		{"U38 zero width", `{"userName":"a\u200bb"}`, iv, "U+200B"},
		{"U38 bidi override", `{"userName":"a\u202eb"}`, iv, "U+202E"},
		{"U38 line separator", `{"userName":"a\u2028b"}`, iv, "U+2028"},
		{"U38 a grapheme joiner", `{"userName":"a\u034fb"}`, iv, "U+034F"},
		{"U38 a filler", `{"userName":"a\u3164b"}`, iv, "U+3164"},
		{"U38 a variation selector", `{"userName":"a\ufe0fb"}`, iv, "U+FE0F"},
		{"U42 a leading space", `{"userName":" a"}`, iv, "begins with a space"},
		{"U42 a trailing no-break space", `{"userName":"a\u00a0"}`, iv, "ends with a space"},
		{"U43 a@b", core(`"emails":[{"value":"a@b"}]`), iv, "emails[0].value"},
		{"U43 the second e-mail", core(`"emails":[{"value":"a@b.c"},{"value":"a@@b"}]`), iv, "emails[1].value"},
		{"U43 a header", core(`"emails":[{"value":"a@b.c\r\nBcc: x@y"}]`), iv, "emails[0].value"},
		{"U44 two primaries", core(`"emails":[{"value":"a@b.c","primary":true},{"value":"b@b.c","primary":"True"}]`), iv, "emails: two entries are primary"},
		{"U46 emails as an object", core(`"emails":{"value":"a@b.c"}`), iv, "emails: must be an array, found an object"},
		{"U46 emails as a string", core(`"emails":"a@b.c"`), iv, "emails: must be an array"},
		{"U46 emails of strings", core(`"emails":["a@b.c"]`), iv, "emails[0]: must be an object"},
		{"null in a list", core(`"emails":[null]`), iv, "emails[0]"},
		{"U48 active no", core(`"active":"no"`), iv, `active: must be true or false, found "no"`},
		{"U48 active 0", core(`"active":0`), iv, "found a number"},
		{"U48 active 1", core(`"active":1`), iv, "found a number"},
		{"U48 active []", core(`"active":[]`), iv, "found an array"},
		{"U48 active {}", core(`"active":{}`), iv, "found an object"},
		{"U48 active empty", core(`"active":""`), iv, "active"},
		{"U56 externalId as an object", core(`"externalId":{}`), iv, "externalId: must be a string"},
		{"U56 externalId as a number", core(`"externalId":1`), iv, "externalId: must be a string"},
		{"primary of junk", core(`"phoneNumbers":[{"value":"1","primary":"x"}]`), iv, "phoneNumbers[0].primary"},
		{"a manager as an array", core(`"` + EnterpriseUserSchema + `":{"manager":[{"value":"m"}]}`), iv, "manager: must be an object, found an array"},
		{"a name as a string", core(`"name":"x"`), iv, "name: must be an object"},
		{"an extension as a string", core(`"` + EnterpriseUserSchema + `":"x"`), iv, "must be an object"},
		{"an integer with a fraction", core(`"` + testURN + `":{"organizationIds":[1.5]}`), iv, "organizationIds[0]: must be an integer"},
		{"an integer beyond 64 bits", core(`"` + testURN + `":{"defaultOrganizationId":9223372036854775808}`), iv, "64 bits"},
		{"an integer as a string", core(`"` + testURN + `":{"defaultOrganizationId":"113"}`), iv, "must be a number"},
		{"a certificate that is not base64", core(`"x509Certificates":[{"value":"?"}]`), iv, "base64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, _, err := c.Decode([]byte(tt.body), DialectRFC)
			if u != nil {
				t.Errorf("an error comes with a user %+v", u)
			}
			wantError(t, err, 400, tt.typ, tt.detail)
		})
	}
}

func TestDecodeAccepts(t *testing.T) {
	c := newCodec(t)
	for _, tt := range []struct {
		name, body string
		want       User
		notes      []string
	}{
		{"J5 a byte order mark", "\xef\xbb\xbf" + `{"userName":"a"}`, User{UserName: "a"}, nil},
		{"J11 names in any case", `{"SCHEMAS":["URN:ietf:params:scim:schemas:core:2.0:user"],"USERNAME":"a","Name":{"GIVENNAME":"b"}}`,
			User{UserName: "a", Name: &Name{GivenName: "b"}}, nil},
		{"J12 a long s is not an s", `{"userName":"a","u\u017ferName":"b"}`, User{UserName: "a"}, []string{"uſerName"}},
		{"J13 depth 32", `{"userName":"a","x":` + nest(31, "") + `}`, User{UserName: "a"}, []string{"x"}},
		{"J25 1,000 attributes", `{"userName":"a"` + members(999) + `}`, User{UserName: "a"}, nil},
		{"escaped names", `{"user\u004eame":"a"}`, User{UserName: "a"}, nil},
		{"U33 no schemas", `{"userName":"a"}`, User{UserName: "a"}, nil},
		{"U33 null schemas", `{"schemas":null,"userName":"a"}`, User{UserName: "a"}, nil},
		{"U33 empty schemas", `{"schemas":[],"userName":"a"}`, User{UserName: "a"}, nil},
		{"U39 Cyrillic", `{"userName":"аdmin@x.com"}`, User{UserName: "аdmin@x.com"}, nil},
		{"U44 two work e-mails", `{"userName":"a","emails":[{"value":"a@b.c","type":"work"},{"value":"b@b.c","type":"work"}]}`,
			User{UserName: "a", Emails: []MultiValue{{Value: "a@b.c", Type: "work"}, {Value: "b@b.c", Type: "work"}}}, nil},
		{"U47 active False", `{"userName":"a","active":"False"}`, User{UserName: "a", Active: new(false)}, nil},
		{"U47 active TRUE", `{"userName":"a","active":"TRUE"}`, User{UserName: "a", Active: new(true)}, nil},
		{"U49 active null is absent", `{"userName":"a","active":null}`, User{UserName: "a"}, nil},
		{"U51 a role", `{"userName":"a","roles":[{"value":"owner"}]}`, User{UserName: "a", Roles: []MultiValue{{Value: "owner"}}}, nil},
		{"U52 U53 read-only attributes", `{"userName":"a","id":"1","meta":{"version":"x"},"groups":[{"value":"g"}]}`, User{UserName: "a"}, []string{"id", "meta", "groups"}},
		{"U53 id null", `{"userName":"a","id":null}`, User{UserName: "a"}, []string{"id"}},
		{"U55 a password", `{"userName":"a","password":"1mz050nq"}`, User{UserName: "a", Password: "1mz050nq"}, nil},
		{"U56 externalIds are opaque", `{"userName":"a","externalId":"../x"}`, User{UserName: "a", ExternalID: "../x"}, nil},
		{"U61 manager as a string", `{"userName":"a","` + EnterpriseUserSchema + `":{"manager":"m"}}`, User{UserName: "a", Enterprise: &EnterpriseUser{Manager: &Manager{Value: "m"}}}, nil},
		{"U61 manager empty", `{"userName":"a","` + EnterpriseUserSchema + `":{"manager":""}}`, User{UserName: "a"}, nil},
		{"U62 an unknown extension", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:x:User"],"userName":"a","urn:x:User":{"y":[{}]}}`,
			User{UserName: "a"}, []string{"schemas", "urn:x:User"}},
		{"U64 markup", `{"userName":"a","displayName":"<script>{{7*7}}"}`, User{UserName: "a", DisplayName: "<script>{{7*7}}"}, nil},
		{"an extension that is not listed", `{` + coreURN + `,"userName":"a","` + testURN + `":{"countryCode":"CA","organizationIds":[113],"managed":false}}`,
			User{UserName: "a", Extensions: []any{&testExtension{CountryCode: "CA", OrganizationIDs: []int64{113}}}}, []string{testURN + ":managed"}},
		{"an empty extension is absent", `{"userName":"a","` + EnterpriseUserSchema + `":{"department":""}}`, User{UserName: "a"}, nil},
		{"unknown attributes", `{"userName":"a","x":{"y":1},"name":{"z":1,"givenName":"g"}}`, User{UserName: "a", Name: &Name{GivenName: "g"}}, []string{"x", "name.z"}},
		{"empty strings are unassigned", `{"userName":"a","name":{"middleName":""},"title":""}`, User{UserName: "a"}, nil},
		{"entries without a value are left out", `{"userName":"a","phoneNumbers":[{"type":"work","value":""},{"type":"home","value":"1"}]}`,
			User{UserName: "a", PhoneNumbers: []MultiValue{{Value: "1", Type: "home"}}}, nil},
		{"an integer above 2^53", `{"userName":"a","` + testURN + `":{"defaultOrganizationId":9007199254740993}}`,
			User{UserName: "a", Extensions: []any{&testExtension{DefaultOrganizationID: new(int64(9007199254740993))}}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, notes, err := c.Decode([]byte(tt.body), DialectRFC)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&tt.want, got, equate); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if len(notes) > 10 {
				return
			}
			var paths []string
			for _, n := range notes {
				paths = append(paths, n.Path)
			}
			if d := cmp.Diff(tt.notes, paths); d != "" {
				t.Errorf("notes (-want +got):\n%s", d)
			}
		})
	}
}

// RFC 7644 §3.10: an attribute may be named with its schema, in any case.
func TestNamesInFull(t *testing.T) {
	c := newCodec(t)
	const core, ent = "urn:ietf:params:scim:schemas:core:2.0:User", EnterpriseUserSchema
	want, _, err := c.Decode([]byte(`{"userName":"a@example.com","nickName":"A","name":{"givenName":"G"},"`+ent+`":{"department":"D","employeeNumber":"1"}}`), DialectRFC)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		`{"` + core + `":{"userName":"a@example.com","nickName":"A","name":{"givenName":"G"}},"` + ent + `":{"department":"D","employeeNumber":"1"}}`,
		`{"userName":"a@example.com","` + core + `:nickName":"A","` + core + `:name":{"givenName":"G"},"` + ent + `":{"department":"D","employeeNumber":"1"}}`,
		`{"` + strings.ToUpper(core) + `:USERNAME":"a@example.com","nickName":"A","name":{"givenName":"G"},"` + ent + `:department":"D","` + ent + `":{"employeeNumber":"1"}}`,
		`{"userName":"a@example.com","` + core + `":{"nickName":"A"},"name":{"givenName":"G"},"` + ent + `":{"employeeNumber":"1"},"` + ent + `:Department":"D","id":"x","` + core + `:meta":{"x":1}}`,
	} {
		got, _, err := c.Decode([]byte(body), DialectRFC)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if d := cmp.Diff(want, got, equate); d != "" {
			t.Errorf("%s (-want +got):\n%s", body, d)
		}
	}
	for body, detail := range map[string]string{
		`{"userName":"a@example.com","` + core + `:userName":"b@example.com"}`:                                    "twice",
		`{"` + core + `":{"userName":"a@example.com"},"userName":"b@example.com"}`:                                "twice",
		`{"userName":"a@example.com","` + ent + `:department":"D","` + ent + `":{"department":"E"}}`:              "twice",
		`{"userName":"a@example.com","` + ent + `":{"department":"E"},"` + ent + `:department":"D"}`:              "twice",
		`{"userName":"a@example.com","` + ent + `:department":"D","` + strings.ToUpper(ent) + `:department":"D"}`: "twice",
		`{"userName":"a@example.com","` + core + `:displayName":"D","` + core + `":{"displayName":"E"}}`:          "twice",
	} {
		_, _, err := c.Decode([]byte(body), DialectRFC)
		wantError(t, err, 400, TypeInvalidSyntax, detail)
	}
	for _, unknown := range []string{core + ":nosuch", ent + ":nosuch", "urn:x:y:userName", core + ":schemas", "urn:"} {
		_, notes, err := c.Decode([]byte(`{"userName":"a@example.com","`+unknown+`":1}`), DialectRFC)
		if err != nil || len(notes) != 1 || notes[0].Tolerance != UnknownAttributeDropped {
			t.Errorf("%s: %v %v", unknown, notes, err)
		}
	}
}

func TestAnEmptyArrayIsNotAbsent(t *testing.T) {
	u, _, err := newCodec(t).Decode([]byte(`{"userName":"a","roles":[],"emails":null}`), DialectRFC)
	if err != nil {
		t.Fatal(err)
	}
	if u.Roles == nil || u.Emails != nil || u.PhoneNumbers != nil {
		t.Errorf("roles %#v, emails %#v, phoneNumbers %#v", u.Roles, u.Emails, u.PhoneNumbers)
	}
}

// TestErrorsHideThePassword: I14.
func TestErrorsHideThePassword(t *testing.T) {
	c := newCodec(t)
	const canary = "s3cr3t-canary"
	for _, body := range []string{
		`{"userName":"a","password":"` + strings.Repeat(canary, 100) + `"}`,
		`{"userName":"a","password":{"x":"` + canary + `"}}`,
		`{"userName":"a","password":["` + canary + `"]}`,
		`{"userName":"a","password":"` + canary + `","password":"x"}`,
		`{"userName":"a","password":"` + canary + `\u0000"}`,
		`{"userName":"a","password":"` + canary + `"`,
		`{"userName":"a","password":"\q` + canary + `"}`,
		`{"userName":"a","password":"\u12` + canary + `"}`,
		`{"userName":"a","password":` + canary + `}`,
	} {
		_, _, err := c.Decode([]byte(body), DialectRFC)
		if err == nil {
			t.Errorf("%.60s was accepted", body)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("the password is in %q", err)
		}
	}
	for _, value := range []string{`{"password":["` + canary + `"]}`, `{"password":"` + strings.Repeat(canary, 100) + `"}`} {
		_, err := c.DecodePatch([]byte(`{"Operations":[{"op":"replace","value":`+value+`}]}`), DialectRFC)
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("PATCH: error %v", err)
		}
	}
}

func TestLoadIsLenient(t *testing.T) {
	c := newCodec(t)
	u, err := c.Load([]byte(`{"title":"` + strings.Repeat("x", 5000) + `","gone":[{}],"name":{"gone":1},"emails":[{"value":"a@b"}],"urn:gone":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(u.Title) != 5000 || len(u.Emails) != 1 || u.UserName != "" {
		t.Errorf("%+v", u)
	}
	for _, stored := range []string{``, `[]`, `{`, `{"userName":1}`} {
		if _, err := c.Load([]byte(stored)); err == nil {
			t.Errorf("%q was loaded", stored)
		}
	}
}
