package condition

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

// jamie has every attribute that a condition may name.
func jamie() *scim.User {
	yes := true
	return &scim.User{
		ExternalID: "00u1", UserName: "jamie@example.com", DisplayName: "Jamie Jackson", NickName: "Jay", Title: "Lead",
		UserType: "Employee", PreferredLanguage: "en-CA", Locale: "en_CA", Timezone: "America/Toronto", Active: &yes,
		Name:         &scim.Name{GivenName: "Jamie", FamilyName: "Jackson"},
		Emails:       []scim.MultiValue{{Value: "j@home.example"}, {Value: ""}, {Value: "jamie@example.com", Primary: &yes}},
		Addresses:    []scim.Address{{Country: "US"}, {Country: "CA", Primary: &yes}},
		Roles:        []scim.MultiValue{{Value: "manager", Display: "Manager"}, {Display: "Analyst"}, {}},
		Entitlements: []scim.MultiValue{{Value: "vpn"}},
		Enterprise: &scim.EnterpriseUser{
			EmployeeNumber: "0042", CostCenter: "7", Organization: "Acme", Division: "Freight", Department: "Finance",
			Manager: &scim.Manager{Value: "26118915", DisplayName: "Alex"},
		},
		Extensions: []any{&mapping.UserExtension{CountryCode: "ca"}},
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want bool
	}{
		{`department == "Finance"`, true},
		{`department == "finance"`, false},
		{`lower(department) == "finance"`, true},
		{`department == 'Finance' && title != "Intern"`, true},
		{`department in ["Legal", "Finance"]`, true},
		{`department not in ["Legal", "Finance"]`, false},
		{`not (department in ["Legal"]) and !(division == "Retail")`, true},
		{`department startsWith "Fin" and department endsWith "ce" and department contains "nan"`, true},
		{`department matches "(?i)^FIN"`, true},
		{`department matches "^nan"`, false},
		{`department matches "nan"`, true},
		{`employeeNumber == "0042" and costCenter == "7" and organization == "Acme" and division == "Freight"`, true},
		{`employeeNumber >= "0040"`, true},
		{`manager == "26118915"`, true},
		{`userName == "jamie@example.com" and displayName == "Jamie Jackson" and nickName == "Jay" and title == "Lead"`, true},
		{`userType == "Employee" and preferredLanguage == "en-CA" and locale == "en_CA" and timezone == "America/Toronto"`, true},
		{`externalId == "00u1" and givenName == "Jamie" and familyName == "Jackson"`, true},
		{`active`, true},
		{`active == false`, false},
		{`email == "jamie@example.com"`, true},
		{`"j@home.example" in emails and len(emails) == 2`, true},
		{`any(emails, # endsWith "@example.com")`, true},
		{`all(emails, {# endsWith "@example.com"})`, false},
		{`none(emails, # contains "+")`, true},
		{`count(emails, # contains "example") == 2`, true},
		{`len(filter(emails, # endsWith ".com")) > 0`, true},
		{`"jamie@example.com" in filter(emails, # endsWith ".com")`, true},
		{`emails | any(# == "j@home.example")`, true},
		{`country == "CA" and countryCode == "ca"`, true},
		{`"manager" in roles and "Analyst" in roles and "Manager" not in roles and len(roles) == 2`, true},
		{`any(roles, lower(#) in ["manager", "owner"])`, true},
		{`"vpn" in entitlements`, true},
		{`upper(trim(department)) == "FINANCE"`, true},
		{"department ==\n  \"Finance\"", true},
		{`len(department) == 7`, true},
	}
	user, before := jamie(), jamie()
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			c, err := Compile(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Holds(user)
			if err != nil || got != tt.want {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
			if c.String() != tt.text {
				t.Errorf("it is shown as %q", c)
			}
		})
	}
	if d := cmp.Diff(before, user); d != "" {
		t.Errorf("the user was changed: %s", d)
	}
}

// TestHoldsOfNobody asks for every name of a user that has none of them.
func TestHoldsOfNobody(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		text := name + ` == ""`
		switch {
		case lists[name]:
			text = "len(" + name + ") == 0 and not (\"\" in " + name + ")"
		case name == "active":
			text = name
		}
		c, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range []*scim.User{nil, {}, {Extensions: []any{nil, 3}, Enterprise: &scim.EnterpriseUser{}}} {
			if holds, err := c.Holds(u); !holds || err != nil {
				t.Errorf("%s of %+v: got %v, %v", text, u, holds, err)
			}
		}
	}
	no := false
	c, err := Compile("active")
	if err != nil {
		t.Fatal(err)
	}
	if holds, _ := c.Holds(&scim.User{Active: &no}); holds {
		t.Error("a user that is not active is taken for an active one")
	}
}

func TestHoldsOfAHugeUser(t *testing.T) {
	t.Parallel()
	u := jamie()
	for range maxUser {
		u.Roles = append(u.Roles, scim.MultiValue{Value: "x"})
	}
	c, err := Compile(`"manager" in roles`)
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := c.Holds(u); holds || err == nil || !strings.Contains(err.Error(), "attributes to look at") {
		t.Errorf("got %v, %v", holds, err)
	}
	other, err := Compile(`department == "Finance"`)
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := other.Holds(u); !holds || err != nil {
		t.Errorf("a condition on something else: got %v, %v", holds, err)
	}
}

func TestCompileFaults(t *testing.T) {
	t.Parallel()
	list := strings.Join(Names(), ", ")
	const all = "have all, any, count, filter, len, lower, none, trim, upper"
	const have = "have == != < <= > >= and && or || not ! in contains startsWith endsWith matches"
	const compare = "compare a text with a text in quotes, a list by in, any(…) or len(…)"
	const form = `write it like department == "Finance" and "manager" in roles`
	tests := []struct{ name, in, want string }{
		{"empty", " ", `column 1: empty; write it like department == "Finance"`},
		{"too long", strings.Repeat(" ", 1024) + "x", "column 1: 1025 bytes long, more than 1024; shorten it, or write several rules"},
		{"not UTF-8", "title == \"\xff\"", `column 1: not UTF-8; write it like department == "Finance"`},
		{"misspelt name", `title == "x" and departement == "Finance"`, `column 18: unknown name "departement"; did you mean "department"?`},
		{"other case", `costcenter == "7"`, `column 1: unknown name "costcenter"; did you mean "costCenter"?`},
		{"on a second line", "title == \"é\" and\n  shoeSize == \"7\"", `line 2, column 3: unknown name "shoeSize"; a text stands in quotes, "shoeSize"; the names are ` + list},
		{"text without quotes", `department == Finance`, `column 15: unknown name "Finance"; a text stands in quotes, "Finance"; the names are ` + list},
		{"the environment", `$env == 1`, `column 1: unknown name "$env"; a text stands in quotes, "$env"; the names are ` + list},
		{"path of an attribute", `name.givenName == "Jamie"`, `column 6: attributes have no parts here; write givenName alone`},
		{"index", `emails[0] == "x"`, `column 7: attributes have no parts here; the entries of a list are texts: email == "…", any(roles, # == "…"); the names are ` + list},
		{"slice", `title[1:] == "x"`, "column 6: conditions do not have this form; write comparisons joined by and, or, not"},
		{"entry's part", `any(roles, .value == "x")`, `column 13: attributes have no parts here; the entries of a list are texts: email == "…", any(roles, # == "…"); the names are ` + list},
		{"entry's index", `any(roles, #index == 1)`, "column 12: #index is not known; write # for the entry"},
		{"nil", `title == nil`, `column 10: there is no nil here; compare with "": an absent attribute is an empty text`},
		{"number for a text", `employeeNumber == 42`, "column 16: invalid operation: == (mismatched types string and int); " + compare},
		{"broken number", `employeeNumber == 4.2`, "column 19: not a whole number; attributes are texts; write it in quotes"},
		{"list for a text", `roles == "manager"`, "column 7: invalid operation: == (mismatched types []string and string); " + compare},
		{"not a truth", `department`, `column 1: the whole is neither true nor false; compare it with something, such as department == "Finance"`},
		{"in a text", `"Fin" in department`, `column 10: what stands behind in is not a list; write ["Finance", "Legal"] or the name of a list; a part of a text is found by contains`},
		{"list of numbers", `costCenter in [7, 8]`, `column 16: an entry of the list is not a text in quotes; write ["Finance", "Legal"]`},
		{"bad pattern", `title matches "("`, "column 15: missing closing ): `(`; write an RE2 expression, which has no lookaround and no backreferences"},
		{"lookaround", `title matches "(?=x)"`, "column 15: invalid or unsupported Perl syntax: `(?=`; write an RE2 expression, which has no lookaround and no backreferences"},
		{"large pattern", `title matches "(a{50}){20}"`, "column 15: too large a pattern; make its repetitions smaller, or use * and +"},
		{"large patterns", `title matches "a{600}" or title matches "b{600}"`, "column 41: too large patterns together; make their repetitions smaller, or write several rules"},
		{"pattern from the user", `title matches department`, `column 15: the pattern of matches is not a text in quotes; write the pattern in quotes: matches "^Fin"`},
		{"repetition", `repeat(title, 9) == "x"`, `column 1: unknown function "repeat"; ` + all},
		{"clock", `now() == now()`, `column 1: unknown function "now"; did you mean "none"?`},
		{"unknown function", `tolower(title) == "x"`, `column 1: unknown function "tolower"; did you mean "lower"?`},
		{"method", `title.lower() == "x"`, "column 7: attributes have no functions of their own; " + all},
		{"if", `if active { true } else { false }`, "column 4: unexpected token Identifier(\"active\"); " + form},
		{"choice", `active ? true : false`, "column 21: conditions do not have this form; write comparisons joined by and, or, not"},
		{"variable", `let x = title; x == "a"`, "column 5: conditions do not have this form; write comparisons joined by and, or, not"},
		{"sequence", `active; active`, "column 1: conditions do not have this form; write comparisons joined by and, or, not"},
		{"range", `len(1..9) == 1`, "column 6: conditions do not have the operator ..; " + have},
		{"sum", `title + title == "x"`, "column 7: conditions do not have the operator +; " + have},
		{"minus", `len(title) == -1`, "column 15: conditions do not have the operator -; " + have},
		{"map", `title in {"a": 1}`, `column 10: what stands behind in is not a list; write ["Finance", "Legal"] or the name of a list; a part of a text is found by contains`},
		{"a loop in a loop", `any(roles, any(["a"], # == "x"))`, "column 23: any, all, none, count and filter cannot stand inside each other; join two of them by and or or"},
		{"an attribute in a loop", `any(roles, # in emails)`, "column 17: emails cannot stand inside any, all, none, count or filter; compare the entry # with a text in quotes"},
		{"chain", `"a" < title < "c"`, "column 7: comparisons cannot be chained; write a < b and b < c"},
		{"syntax", `department == `, `column 14: it ends too early; complete it; in a YAML file put the whole in quotes, since " #" begins a comment there`},
		{"one equals sign", `department = "Finance"`, "column 12: = is not an operator; compare by =="},
		{"a SCIM filter", `department eq "Finance"`, "column 12: eq is not an operator; compare by =="},
		{"a SCIM filter of presence", `title pr`, `column 7: pr is not an operator; compare with "": title != ""`},
		{"open quote", `department == "Fin`, "column 19: literal not terminated; " + form},
		{"too many nodes", "active" + strings.Repeat(" or active", 70), "column 648: more than 128 names, values and operators; write a comparison with many values as department in [\"Finance\", \"Legal\"], or several rules"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := Compile(tt.in)
			if _, ok := errors.AsType[*Error](err); !ok || c != nil {
				t.Fatalf("got %v, error %v of type %T, want a *Error alone", c, err, err)
			}
			if d := cmp.Diff(tt.want, err.Error()); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestCompileEndsQuickly has texts whose trees repeat a part at every level.
func TestCompileEndsQuickly(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		strings.Repeat("1<(", 170) + "1" + strings.Repeat(")<1", 170),
		strings.Repeat("(", 512) + "active" + strings.Repeat(")", 500),
		strings.Repeat("!", 1000) + "active",
		strings.Repeat("not ", 250) + "active",
	} {
		if c, err := Compile(text); c != nil && err != nil || c == nil && err == nil {
			t.Errorf("Compile(%q…) = %v, %v", text[:20], c, err)
		}
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	compile := func(text string) *Condition {
		c, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const everything = `lower(upper(trim(title))) matches "^x" and len(filter(roles, # in ["a", "b"])) == count(emails, # != "") or all(roles, # > "a")`
	a, b, other := compile(everything), compile(everything), compile("active")
	if !cmp.Equal(a, b) || cmp.Equal(a, other) || a.Equal(nil) || !(*Condition)(nil).Equal(nil) {
		t.Error("conditions are not told apart by their texts")
	}
}

func TestHoldsAtOnce(t *testing.T) {
	t.Parallel()
	c, err := Compile(`department matches "^Fin" and any(roles, lower(#) == "manager")`)
	if err != nil {
		t.Fatal(err)
	}
	u := jamie()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if holds, err := c.Holds(u); !holds || err != nil {
					t.Errorf("got %v, %v", holds, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`department == "Finance" and "manager" in roles`, `any(emails, # endsWith "@example.com")`, `title matches "(a*)*b"`,
		`len(filter(roles, # > "a")) >= 1 or not active`, `1<(1<2)<3`, `emails | count(# == 'x') > 2`, `name?.x[1:2]`, `let x = 1; {a: #}`, "`\n`",
	} {
		f.Add(s)
	}
	user := jamie()
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Compile(text)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok || err.Error() == "" {
				t.Fatalf("Compile(%q): error %#v is not a *Error", text, err)
			}
			return
		}
		for _, u := range []*scim.User{user, nil} {
			first, err := c.Holds(u)
			if first && err != nil {
				t.Fatalf("%q holds with an error: %v", text, err)
			}
			if again, _ := c.Holds(u); again != first {
				t.Fatalf("%q holds or does not", text)
			}
		}
	})
}

func BenchmarkHolds(b *testing.B) {
	c, err := Compile(`department == "Finance" and title contains "Lead" and "manager" in roles`)
	if err != nil {
		b.Fatal(err)
	}
	u := jamie()
	b.ReportAllocs()
	for b.Loop() {
		if holds, err := c.Holds(u); !holds || err != nil {
			b.Fatal(holds, err)
		}
	}
}
