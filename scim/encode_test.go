package scim

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAppendRoundTrip(t *testing.T) {
	c := newCodec(t)
	out := c.Append(nil, fullUser(), Projection{})
	var doc map[string]any
	if err := json.Unmarshal(out, &doc); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if strings.Contains(string(out), "t1meMa$heen") || doc["password"] != nil {
		t.Errorf("the password is in %s", out)
	}
	// What is shown can be sent back, as Okta's PUT does; the read-only parts
	// are ignored then.
	got, notes, err := c.Decode(out, DialectRFC)
	if err != nil {
		t.Fatal(err)
	}
	want := fullUser()
	want.ID, want.Meta, want.Groups, want.Password, want.Enterprise.Manager.DisplayName = "", Meta{}, nil, "", ""
	want.Extensions = []any{&testExtension{CountryCode: "US", OrganizationIDs: []int64{113, 114}}}
	if d := cmp.Diff(want, got, equate); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, n := range notes {
		if n.Reason != "read-only: ignored" {
			t.Errorf("note %+v", n)
		}
	}
}

func TestAppendOmitsWhatIsUnassigned(t *testing.T) {
	c := newCodec(t)
	for _, tt := range []struct {
		name string
		u    User
		want string
	}{
		{"empty", User{}, `{` + coreURN + `}`},
		{"empty containers", User{ID: "1", Name: &Name{}, Emails: []MultiValue{}, Roles: []MultiValue{{}}, Enterprise: &EnterpriseUser{Manager: &Manager{}}, Extensions: []any{nil, &testExtension{}}},
			`{` + coreURN + `,"id":"1"}`},
		{"a typed nil extension", User{ID: "1", Extensions: []any{(*testExtension)(nil)}}, `{` + coreURN + `,"id":"1"}`},
		{"false is a value", User{Active: new(false)}, `{` + coreURN + `,"active":false}`},
		{"zero is a value", User{Extensions: []any{&testExtension{DefaultOrganizationID: new(int64(0))}}},
			`{"schemas":["` + UserSchema + `","` + testURN + `"],"` + testURN + `":{"defaultOrganizationId":0}}`},
		{"escapes", User{DisplayName: "\"\\\n<é\u2028\x7f", NickName: "\xff"}, `{` + coreURN + `,"displayName":"\"\\\n<é` + "\u2028\x7f" + `","nickName":"` + "\ufffd" + `"}`},
		{"the entries that have something", User{Emails: []MultiValue{{}, {Value: "a"}, {}, {Value: "b"}, {}}}, `{` + coreURN + `,"emails":[{"value":"a"},{"value":"b"}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, string(c.Append(nil, &tt.u, Projection{}))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	if got := string(c.Append([]byte("x"), &User{}, Projection{})); !strings.HasPrefix(got, "x{") {
		t.Errorf("Append does not append: %s", got)
	}
}

func TestProjection(t *testing.T) {
	c, u := newCodec(t), fullUser()
	for _, tt := range []struct {
		name, attributes, excluded string
		want                       string
	}{
		{"one attribute", "userName", "", "id schemas userName"},
		{"in any case, with spaces", " USERNAME , displayname", "", "displayName id schemas userName"},
		{"a sub-attribute", "name.familyName,emails.value", "", "emails id name schemas"},
		{"a URN", "urn:ietf:params:scim:schemas:core:2.0:User:userName", "", "id schemas userName"},
		{"an extension", EnterpriseUserSchema, "", "id schemas " + EnterpriseUserSchema},
		{"an attribute of an extension", testURN + ":managed", "", "id schemas " + testURN},
		{"Q106 password", "password", "", "id schemas"},
		{"unknown names", "nope,name.nope,urn:x:User:y", "", "id schemas"},
		{"id alone, as Entra asks", "id", "", "id schemas"},
		{"Q106 id cannot be excluded", "", "id,schemas,groups,meta,name,emails,phoneNumbers,addresses,roles," + EnterpriseUserSchema + "," + testURN +
			",externalId,displayName,nickName,profileUrl,title,userType,preferredLanguage,locale,timezone,active", "id schemas userName"},
		{"the core schema", "", UserSchema + "," + testURN, "id schemas " + EnterpriseUserSchema},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := c.ParseProjection(tt.attributes, tt.excluded)
			if err != nil {
				t.Fatal(err)
			}
			out := c.Append(nil, u, p)
			var doc map[string]any
			if err := json.Unmarshal(out, &doc); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			var keys []string
			for k := range doc {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			if d := cmp.Diff(tt.want, strings.Join(keys, " ")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			for _, urn := range []string{EnterpriseUserSchema, testURN} {
				listed := slices.Contains(doc["schemas"].([]any), any(urn))
				if listed != (doc[urn] != nil) {
					t.Errorf("schemas %v with %s shown: %v", doc["schemas"], urn, doc[urn] != nil)
				}
			}
		})
	}
	p, err := c.ParseProjection("emails.value,"+EnterpriseUserSchema+":manager.value", "")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schemas":["` + UserSchema + `","` + EnterpriseUserSchema + `"],"id":"2819c223-7f76-453a-919d-413861904646","emails":[{"value":"bjensen@example.com"},{"value":"babs@jensen.org"}],"` +
		EnterpriseUserSchema + `":{"manager":{"value":"26118915-6090-4610-87e4-49d8ca9f808d"}}}`
	if d := cmp.Diff(want, string(c.Append(nil, u, p))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestProjectionErrorsAndIncludes(t *testing.T) {
	c := newCodec(t)
	for _, tt := range []struct{ attributes, excluded, want string }{
		{"userName", "id", "mutually exclusive"},
		{"a b", "", "attributes: "},
		{"", "emails[type eq \"work\"]", "excludedAttributes: "},
	} {
		_, err := c.ParseProjection(tt.attributes, tt.excluded)
		wantError(t, err, 400, TypeInvalidValue, tt.want)
	}
	only, err := c.ParseProjection("emails.value,groups", "")
	if err != nil {
		t.Fatal(err)
	}
	except, err := c.ParseProjection("", "groups,emails.value")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path               string
		zero, only, except bool
	}{
		{"groups", true, true, false}, {"groups.value", true, true, false}, {"emails", true, true, true}, {"emails.value", true, true, false},
		{"emails.type", true, false, true}, {"id", true, true, true}, {"userName", true, false, true}, {"password", false, false, false},
		{EnterpriseUserSchema, true, false, true}, {EnterpriseUserSchema + ":manager", true, false, true},
	} {
		zero := Projection{}
		if got := [...]bool{zero.Shows(tt.path), only.Shows(tt.path), except.Shows(tt.path)}; got != [...]bool{tt.zero, tt.only, tt.except} {
			t.Errorf("Includes(%q) = %v", tt.path, got)
		}
	}
	if only.Shows("nope") || only.Shows("a b") {
		t.Error("an unknown path is included")
	}
}

func TestAllocations(t *testing.T) {
	c, u := newCodec(t), fullUser()
	buf := make([]byte, 0, 1<<16)
	f, err := c.ParseFilter(`emails[type eq "work"].value eq "bjensen@example.com"`, DialectRFC)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		most float64
		run  func() error
	}{
		{"decode an Entra user", 40, func() error { _, _, err := c.Decode([]byte(entraUser), DialectEntra); return err }},
		{"append", 0, func() error { buf = c.Append(buf[:0], u, Projection{}); return nil }},
		{"parse a filter", 5, func() error { _, err := c.ParseFilter(`userName eq "bjensen@example.com"`, DialectRFC); return err }},
		{"match", 0, func() error { c.Match(f, u); return nil }},
	} {
		n := testing.AllocsPerRun(50, func() {
			if err := tt.run(); err != nil {
				t.Fatal(err)
			}
		})
		if n > tt.most {
			t.Errorf("%s: %v allocations, at most %v are budgeted", tt.name, n, tt.most)
		}
	}
}
