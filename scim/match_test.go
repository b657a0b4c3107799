package scim

import (
	"slices"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	c, u := newCodec(t), fullUser()
	for _, tt := range []struct {
		filter string
		want   bool
	}{
		{`userName eq "BJENSEN@example.com"`, true},
		{`userName eq "bjensen"`, false},
		{`USERNAME Eq "bjensen@example.com"`, true},
		{`urn:ietf:params:scim:schemas:core:2.0:User:userName eq "bjensen@example.com"`, true},
		{`id eq "2819c223-7f76-453a-919d-413861904646"`, true},
		{`id eq "2819C223-7f76-453a-919d-413861904646"`, false},
		{`externalId eq "701984"`, true},
		{`name.familyName co "ENS"`, true},
		{`name.familyName sw "j" and name.familyName ew "N"`, true},
		{`name.familyName sw "e"`, false},
		{`title pr`, true},
		{`name pr`, true},
		{`entitlements pr`, false},
		{`not (entitlements pr)`, true},
		{`emails eq "BABS@jensen.org"`, true},
		{`emails.value eq "babs@jensen.org"`, true},
		{`emails.type eq "work" and emails.value co "jensen.org"`, true},
		{`emails[type eq "work" and value co "jensen.org"]`, false},
		{`emails[type eq "WORK" and not (value co "jensen.org")]`, true},
		{`emails[type eq "home" or (type eq "other" and primary eq true)]`, true},
		{`emails[type eq "work"].value eq "bjensen@example.com"`, true},
		{`emails[type eq "home"].value eq "bjensen@example.com"`, false},
		{`emails[primary eq "True"].value eq "bjensen@example.com"`, true},
		{`emails[primary pr]`, true},
		{`active eq true`, true},
		{`active eq "TRUE"`, true},
		{`active ne true`, false},
		{`active ne false`, true},
		{`groups.value eq "e9e30dba-f08f-4109-8486-d5c6a331660a"`, true},
		{`groups eq "E9e30dba-f08f-4109-8486-d5c6a331660a"`, false},
		{EnterpriseUserSchema + `:department eq "tour operations"`, true},
		{strings.ToUpper(EnterpriseUserSchema) + `:DEPARTMENT eq "tour operations"`, true},
		{EnterpriseUserSchema + `:manager eq "26118915-6090-4610-87e4-49d8ca9f808d"`, true},
		{EnterpriseUserSchema + `:manager.value eq "26118915-6090-4610-87e4-49d8ca9f808d"`, true},
		{EnterpriseUserSchema + `:manager[value pr and displayName eq "john smith"]`, true},
		{testURN + `:organizationIds eq 114`, true},
		{testURN + `:organizationIds gt 114`, false},
		{testURN + `:organizationIds ge 113.5`, true},
		{testURN + `:effectiveRole.weight lt 1e2`, true},
		{testURN + `:memberships[organizationId eq 113 and state eq "active"]`, true},
		{testURN + `:invite.expiresAt lt "2026-02-01T00:00:01Z"`, true},
		{testURN + `:managed eq true`, true},
		{testURN + `:notApplied co "nickname"`, true},
		{`meta.lastModified gt "2026-05-13T04:42:33Z"`, true},
		{`meta.lastModified gt "2026-05-13T06:42:34+02:00"`, false},
		{`meta.resourceType eq "User"`, true},
		{`meta pr`, true},
		{`schemas eq "` + EnterpriseUserSchema + `"`, true},
		{`schemas eq "` + GroupSchema + `"`, false},
		{`photos.value eq "x"`, false},
		{`photos.value ne "x"`, true},
		{`photos eq null`, true},
		{`userType eq null`, false},
		{`userType ne null`, true},
		{`displayName gt "A" and displayName le "babs jensen"`, true},
		{`userName eq "x" or active eq true and title eq "tour guide"`, true},
		{`(userName eq "x" or active eq true) and title eq "x"`, false},
		{`roles.primary eq true`, false},
		{`id eq "2819c223-7f76-453a-919d-413861904646" and ` + EnterpriseUserSchema + `:manager eq "x"`, false},
	} {
		f, err := c.ParseFilter(tt.filter, DialectRFC)
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		if got := c.Match(f, u); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.filter, got, tt.want)
		}
		again, err := c.ParseFilter(f.String(), DialectRFC)
		if err != nil || c.Match(again, u) != tt.want {
			t.Errorf("%s printed as %s: %v", tt.filter, f, err)
		}
	}
}

func TestMatchOnAnEmptyUser(t *testing.T) {
	c, u := newCodec(t), &User{}
	for filter, want := range map[string]bool{
		`userName eq ""`: false, `userName ne "x"`: true, `userName eq null`: true, `userName pr`: false, `emails.value ne "x"`: true, `emails[value ne "x"]`: false,
		`active eq false`: false, `active ne false`: true, `name.givenName ne "x"`: true, `name pr`: false, `name eq null`: true,
		EnterpriseUserSchema + `:department ne "x"`: true, EnterpriseUserSchema + `:department pr`: false, EnterpriseUserSchema + `:manager[value pr]`: false,
		`meta.created lt "2026-01-01T00:00:00Z"`: false, testURN + `:organizationIds eq null`: true,
	} {
		f, err := c.ParseFilter(filter, DialectRFC)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := c.Match(f, u); got != want {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
	}
}

func TestParseFilterRefuses(t *testing.T) {
	c := newCodec(t)
	for _, tt := range []struct{ name, filter, want string }{
		{"Q98 a long filter", `userName eq "` + strings.Repeat("x", 100_000) + `"`, "at most 4096"},
		{"Q99 1,000 parentheses", strings.Repeat("(", 1000), "nested more than 16"},
		{"Q99 1,000 ands", strings.Repeat("a pr and ", 400) + "a pr", "more than 64"},
		{"Q100 no operator", `userName`, "expected operator"},
		{"Q100 no value", `userName eq`, "expected a value"},
		{"Q100 no attribute", `eq "x"`, "expected operator"},
		{"Q100 an open quote", `userName eq "x`, "not closed"},
		{"Q100 single quotes", `userName eq 'x'`, "double quotes"},
		{"Q100 an unknown operator", `userName xx "y"`, "have eq, ne"},
		{"Q102 password pr", `password pr`, "never returned"},
		{"Q102 password sw", `password sw "a"`, "never returned"},
		{"Q102 password in a value path", `password[value pr]`, "no sub-attributes"},
		{"Q103 an unknown attribute", `nope eq "x"`, `unknown attribute "nope"`},
		{"an unknown sub-attribute", `name.nope eq "x"`, `unknown sub-attribute "nope" of name`},
		{"an unknown schema", `urn:x:User:userName eq "x"`, `unknown schema "urn:x:User"`},
		{"an unquoted word", `externalId eq jyoung`, `found "jyoung"`},
		{"a string on a boolean", `active eq "no"`, "active is a boolean"},
		{"a number on a boolean", `active eq 1`, "active is a boolean"},
		{"an order of booleans", `active gt true`, "cannot be compared with gt"},
		{"a part of a boolean", `active co "t"`, "cannot be compared with co"},
		{"a number on a string", `userName eq 1`, "userName is a string"},
		{"a boolean on a string", `userName eq true`, "userName is a string"},
		{"an order against null", `userName gt null`, "eq and ne"},
		{"a string on an integer", testURN + `:organizationIds eq "113"`, "integer"},
		{"a part of an integer", testURN + `:organizationIds sw 1`, "cannot be compared with sw"},
		{"a huge exponent", testURN + `:organizationIds eq 1e999999999`, "out of range"},
		{"a small number", testURN + `:organizationIds eq 1e-999`, "out of range"},
		{"a tiny number", testURN + `:organizationIds eq 1e-999999`, "out of range"},
		{"a tiny exponent", testURN + `:organizationIds eq 1e-999999999`, "out of range"},
		{"no date", `meta.created gt "yesterday"`, "date and time"},
		{"a complex attribute without a value", `name eq "x"`, "no value of its own"},
		{"an order of certificates", `x509Certificates gt "x"`, "binary"},
		{"a path inside brackets", `emails[emails.value eq "x"]`, "must be a sub-attribute of emails"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.ParseFilter(tt.filter, DialectRFC)
			wantError(t, err, 400, TypeInvalidFilter, tt.want)
		})
	}
}

func TestFilterEqual(t *testing.T) {
	c := newCodec(t)
	for _, tt := range []struct {
		filter, attr, value string
		whole, ok           bool
	}{
		{`userName eq "X"`, "userName", "X", true, true},
		{`urn:ietf:params:scim:schemas:core:2.0:user:USERNAME eq "x"`, "userName", "x", true, true},
		{`emails eq "x"`, "emails.value", "x", true, true},
		{`emails.value eq "x"`, "emails.value", "x", true, true},
		{`emails[type eq "work"].value eq "x"`, "emails.value", "x", false, true},
		{`emails[value eq "x"]`, "emails.value", "x", false, true},
		{`id eq "G" and groups eq "U"`, "id", "G", false, true},
		{`emails eq "e" and userName eq "u" and externalId eq "x"`, "userName", "u", false, true},
		{`active eq true and externalId eq "x"`, "externalId", "x", false, true},
		{`displayName eq "d" and title eq "t"`, "displayName", "d", false, true},
		{EnterpriseUserSchema + `:employeeNumber eq "1"`, EnterpriseUserSchema + ":employeeNumber", "1", true, true},
		{`userName eq "a" or userName eq "b"`, "", "", false, false},
		{`not (userName eq "a")`, "", "", false, false},
		{`userName ne "a"`, "", "", false, false},
		{`userName sw "a"`, "", "", false, false},
		{`userName eq null`, "", "", false, false},
		{`active eq true`, "", "", false, false},
		{`emails[type eq "work"]`, "", "", false, false},
	} {
		f, err := c.ParseFilter(tt.filter, DialectRFC)
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		attr, value, whole, ok := f.Equal()
		if attr != tt.attr || value != tt.value || whole != tt.whole || ok != tt.ok {
			t.Errorf("%s: %q %q %v %v, want %q %q %v %v", tt.filter, attr, value, whole, ok, tt.attr, tt.value, tt.whole, tt.ok)
		}
	}
}

// TestEveryAttributeIsSortable walks the schemas: whatever a query may compare
// can be sorted by, too.
func TestEveryAttributeIsSortable(t *testing.T) {
	c := newCodec(t)
	n := 0
	for _, a := range c.b.all {
		_, err := c.ParseSort(a.path)
		sortable := !a.hidden() && a != c.b.schemas && (a.kind != kindComplex || a.value != nil)
		if a.parent != nil && a.parent.hidden() {
			sortable = false
		}
		if (err == nil) != sortable {
			t.Errorf("%s: %v", a.path, err)
		}
		if sortable {
			n++
		}
	}
	if n < 60 {
		t.Errorf("only %d attributes can be sorted by", n)
	}
}

func TestSort(t *testing.T) {
	c := newCodec(t)
	users := []*User{
		{ID: "a", UserName: "charlie", Active: new(true), Emails: []MultiValue{{Value: "z@x.yy"}, {Value: "a@x.yy", Primary: new(true)}}, Title: "Éa"},
		{ID: "b", UserName: "Bob", Active: new(false), Emails: []MultiValue{{Value: "B@x.yy"}, {Value: "a@x.yy"}}, Enterprise: &EnterpriseUser{Department: "x"}},
		{ID: "C", UserName: "alice", Name: &Name{FamilyName: "A"}, Title: "éb", Extensions: []any{&testExtension{DefaultOrganizationID: new(int64(10))}}},
		{ID: "d", UserName: "alice", Name: &Name{FamilyName: "B"}, Extensions: []any{&testExtension{DefaultOrganizationID: new(int64(9))}}},
	}
	for _, tt := range []struct{ by, want string }{
		{"userName", "C d b a"},
		{"USERNAME", "C d b a"},
		{"id", "C a b d"},
		{"emails", "a b C d"},
		{"emails.value", "a b C d"},
		{"active", "b a C d"},
		{"name.familyName", "C d a b"},
		{"title", "a C b d"},
		{EnterpriseUserSchema + ":department", "b a C d"},
		{testURN + ":defaultOrganizationId", "d C a b"},
		{"meta.created", "a b C d"},
	} {
		k, err := c.ParseSort(tt.by)
		if err != nil {
			t.Errorf("%s: %v", tt.by, err)
			continue
		}
		sorted := slices.Clone(users)
		slices.SortStableFunc(sorted, func(a, b *User) int { return CompareSortValues(c.SortValue(a, k), c.SortValue(b, k)) })
		var got []string
		for _, u := range sorted {
			got = append(got, u.ID)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("by %s: %s, want %s", tt.by, s, tt.want)
		}
	}
	for by, want := range map[string]string{
		"nope": "unknown attribute", "password": "cannot be sorted", "addresses": "no value of its own", "emails[type eq \"work\"]": "value filter", "": "expected an attribute",
		"schemas": "cannot be sorted",
	} {
		_, err := c.ParseSort(by)
		wantError(t, err, 400, TypeInvalidValue, want)
	}
}
