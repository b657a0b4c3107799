package requestlog

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// named writes p(value) as the pseudonym of value.
func named(m masker, text string) string {
	return regexp.MustCompile(`p\([^)]*\)`).ReplaceAllStringFunc(text, func(s string) string { return m.of(s[2 : len(s)-1]) })
}

func TestFilterIsShownWithoutValues(t *testing.T) {
	m := masker{testPseudonyms(t), "acme"}
	for _, tt := range []struct {
		in, want string
		names    []string
	}{
		{"", "", nil},
		{" ", "", nil},
		{`userName eq "Ada@Example.com"`, `userName eq p(ada@example.com)`, []string{"ada@example.com"}},
		{`externalId eq jyoung`, `externalId eq p(jyoung)`, []string{"jyoung"}},
		{`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq 12345`,
			`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq p(12345)`, []string{"12345"}},
		{`emails[type eq "work"].value eq "ada@example.com"`, `emails[type eq work and value eq p(ada@example.com)]`, []string{"ada@example.com"}},
		{`emails[type eq "Ada"]`, `emails[type eq p(ada)]`, []string{"ada"}},
		{`name.familyName co "Oka" and active eq true or not (title pr)`, `name.familyName co p(oka) and active eq true or not (title pr)`, nil},
		{`id eq "a" or id eq "b"`, `id eq p(a) or id eq p(b)`, []string{"a", "b"}},
		{`okafor eq "x"`, `p(okafor) eq p(x)`, []string{"x"}},
		{`name.okafor eq ""`, `name.p(okafor) eq ""`, nil},
		{`urn:okafor:ada:name pr`, `p(urn:okafor:ada):name pr`, nil},
		{`manager eq null`, `manager eq null`, nil},
		{`ada@example.com`, unreadable, nil},
		{`userName eq "ada`, unreadable, nil},
	} {
		got, names := m.filter(tt.in)
		var want []string
		for _, n := range tt.names {
			want = append(want, m.of(n))
		}
		if d := cmp.Diff(named(m, tt.want), got); d != "" {
			t.Errorf("%s (-want +got)\n%s", tt.in, d)
		}
		if d := cmp.Diff(want, names); d != "" {
			t.Errorf("%s: names (-want +got)\n%s", tt.in, d)
		}
	}
}

func TestDetailIsShownWithoutValues(t *testing.T) {
	m := masker{testPseudonyms(t), "acme"}
	const id = "5f0c0d6e-0000-5000-8000-123456789012"
	for in, want := range map[string]string{
		"":                                       "",
		"userName: required and absent or empty": "userName: required and absent or empty",
		`userName "Ada@example.com" belongs to user ` + id + `: find it with filter=userName eq "Ada@example.com"`: `userName p(ada@example.com) belongs to user ` + id + `: find it with filter=userName eq p(ada@example.com)`,
		`User "ada" does not exist`:                                                                   `User p(ada) does not exist`,
		`a value with \ and "quotes \"inside\" it"; next "unclosed okafor`:                            `a value with \ and p(quotes "inside" it); next …`,
		`schemas: lacks "urn:ietf:params:scim:schemas:core:2.0:User", the schema of a User`:           `schemas: lacks "urn:ietf:params:scim:schemas:core:2.0:User", the schema of a User`,
		`If-Match is "x": want "*"`:                                                                   `If-Match is p(x): want "*"`,
		"write to <ada@example.com>, or to us.":                                                       "write to <p(ada@example.com)>, or to us.",
		"nothing is served at /scim/v2/okafor: the SCIM base URL is https://scim.example.com/scim/v2": "nothing is served at …: the SCIM base URL is https://scim.example.com/scim/v2",
		"/scim/v2/Users/{id} does not take this method: it takes GET":                                 "/scim/v2/Users/{id} does not take this method: it takes GET",
		`no entry of members matches members[value eq 123456789 and type eq "Okafor"].display, and`:   `no entry of members matches members[value eq p(123456789) and type eq p(okafor)].display, and`,
		`Operations[12].path: emails[type eq "work"].value is readOnly`:                               `Operations[12].path: emails[type eq "work"].value is readOnly`,
		"behind the attribute, as in okafor[…].ada":                                                   "behind the attribute, as in p(okafor)[…].p(ada)",
		"the number 12345678901 is out of range":                                                      "the number … is out of range",
		"the token sarb_abcDEF is not one":                                                            "the token … is not one",
		"at most 1048576 bytes":                                                                       "at most 1048576 bytes",
		"Share A Refund refused last_name (Okafor 'x' is too: correct the value ada@x): correct the value in the identity provider": "Share A Refund refused …: correct the value in the identity provider",
		"Share A Refund refused last_name (Oka": "Share A Refund refused …",
		"Share A Refund does not allow this with the tenant's credential: it (Ada); give the credential a role": "Share A Refund does not allow this with the tenant's credential: …; give the credential a role",
		"a\x00b\nc": "a b c",
	} {
		if d := cmp.Diff(named(m, want), m.detail(in)); d != "" {
			t.Errorf("%s (-want +got)\n%s", in, d)
		}
	}
}

// Whatever a client says, and wherever a detail or a filter quotes it, it does
// not get into a row.
func TestRowsShowNoValue(t *testing.T) {
	m := masker{testPseudonyms(t), "acme"}
	rapid.Check(t, func(t *rapid.T) {
		canary := "Canary" + rapid.StringOfN(rapid.RuneFrom([]rune(`ab"\'[]()@. 0é/:;`)), 0, 12, -1).Draw(t, "value") + "Canary"
		format := rapid.SampledFrom([]string{
			`User %q does not exist`, `%q and %[1]q`, `found %q)`, `members[value eq %q]`, `[%q`, `x[y eq %q and z`, `unknown attribute %q;`,
			`Share A Refund refused it (%s): correct the value`,
		}).Draw(t, "format")
		e := &Entry{
			Tenant: "acme", ID: strings.Map(func(r rune) rune {
				if r < 'A' || r > 'z' {
					return '-'
				}
				return r
			}, canary), Name: canary, Filter: fmt.Sprintf(`userName eq %q`, canary), Status: 404, Detail: fmt.Sprintf(format, canary),
		}
		if rapid.Bool().Draw(t, "cut") {
			e.Detail = e.Detail[:rapid.IntRange(0, len(e.Detail)).Draw(t, "length")]
		}
		e.bound()
		if shown := fmt.Sprintf("%+v", m.row(e)); strings.Contains(strings.ToLower(shown), "canary") {
			t.Errorf("%q shows in %s", canary, shown)
		}
	})
}

func TestRowKeepsIDsThatExist(t *testing.T) {
	m := masker{testPseudonyms(t), "acme"}
	const id = "5f0c0d6e-0000-5000-8000-123456789012"
	for _, tt := range []struct {
		id     string
		status int
		want   string
	}{
		{"", 201, ""}, {id, 200, id}, {id, 404, id}, {"113", 200, "113"}, {"113", 304, "113"}, {"ada", 404, "p(ada)"}, {id + "0", 503, "p(" + id + "0)"},
	} {
		if got := m.row(&Entry{ID: tt.id, Status: tt.status}).ResourceID; got != named(m, tt.want) {
			t.Errorf("%q with %d: %q", tt.id, tt.status, got)
		}
	}
}

func BenchmarkRow(b *testing.B) {
	m := masker{testPseudonyms(b), "acme"}
	e := &Entry{Tenant: "acme", Name: "ada@example.com", Filter: `userName eq "ada@example.com"`, Status: 409,
		Detail: `userName "ada@example.com" belongs to user 5f0c0d6e-0000-5000-8000-123456789012: find it with filter=userName eq "ada@example.com"`}
	b.ReportAllocs()
	for b.Loop() {
		m.row(e)
	}
}
