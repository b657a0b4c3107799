package tenantconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/mapping/condition"
	"github.com/sharearefund/scim-bridge/store"
)

func regex(t *testing.T, expression string) *mapping.Match {
	t.Helper()
	m, err := mapping.MatchRegex(expression)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func when(t *testing.T, text string) *condition.Condition {
	t.Helper()
	c, err := condition.Compile(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParseRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     func(*Config)
	}{
		{"a text is an exact match", "rules: [{match: Managers, role: Manager}]", func(c *Config) {
			c.Rules = []Rule{{Match: mapping.MatchExact("Managers"), Role: "Manager"}}
		}},
		{"names of digits need no quotes", "rules: [{match: 42, role: 7}, {match: {external_id: 0042}, role: 7}]", func(c *Config) {
			c.Rules = []Rule{{Match: mapping.MatchExact("42"), Role: "7"}, {Match: mapping.MatchExternalID("0042"), Role: "7"}}
		}},
		{"every match", `
rules:
  - {match: {exact: "a: b"}, role: A}
  - {match: {glob: "SAR *"}, role: B, organizations: [114, 113]}
  - {match: {regex: 'a(b|c)\d'}, role: C}
  - {match: {external_id: " x "}, role: " D "}
`, func(c *Config) {
			c.Rules = []Rule{
				{Match: mapping.MatchExact("a: b"), Role: "A"},
				{Match: mapping.MatchGlob("SAR *"), Role: "B", Organizations: []int64{114, 113}},
				{Match: regex(t, `a(b|c)\d`), Role: "C"},
				{Match: mapping.MatchExternalID(" x "), Role: "D"},
			}
		}},
		{"conditions", "rules:\n  - when: department == \"Finance\"\n    role: A\n  - match: x\n    when: |\n      active and\n      title != \"\"\n    role: B\n", func(c *Config) {
			c.Rules = []Rule{
				{When: when(t, `department == "Finance"`), Role: "A"},
				{Match: mapping.MatchExact("x"), When: when(t, "active and\ntitle != \"\"\n"), Role: "B"},
			}
		}},
		{"no rules", "rules: []\nceiling: ''\ndefault_organizations: ~", func(*Config) {}},
		{"the switches", "rules: [{match: x, role: A}]\nrequire_group: true\nroles_attribute: true\nceiling: ' Owner '\ndefault_organizations: [114]\ninvites: {resend_expired: 0}", func(c *Config) {
			c.Rules = []Rule{{Match: mapping.MatchExact("x"), Role: "A"}}
			c.RequireGroup, c.RolesAttribute, c.Ceiling, c.DefaultOrganizations, c.Invites = true, true, "Owner", []int64{114}, Invites{}
		}},
		{"guards in part", "guards: {deactivations: off, role_losses: {limit: 0}, invites: {window: 90m}}", func(c *Config) {
			c.Guards.Deactivations, c.Guards.RoleLosses.Limit, c.Guards.Invites.Window = Guard{Off: true}, 0, 90*time.Minute
		}},
		{"guards in full", `guards: {deactivations: {limit: 1, percent: 100, window: 1m}, invites: "off", protected: {user_ids: [7, 1], emails: [Root@Example.com], role: Owner}}`, func(c *Config) {
			c.Guards.Deactivations, c.Guards.Invites = Guard{Limit: 1, Percent: 100, Window: time.Minute}, Guard{Off: true}
			c.Guards.Protected = Protected{UserIDs: []int64{7, 1}, Emails: []string{"root@example.com"}, Role: "Owner"}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want, err := Parse([]byte(minimal), env, readFile)
			if err != nil {
				t.Fatal(err)
			}
			tt.want(want)
			got, err := Parse([]byte(minimal+tt.in), env, readFile)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			row, err := got.ToStore(sealFor)
			if err != nil {
				t.Fatal(err)
			}
			back, err := FromStore(row, openFor)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, back); d != "" {
				t.Errorf("it does not come back from the store: %s", d)
			}
		})
	}
}

func TestParseRulesFaults(t *testing.T) {
	t.Parallel()
	const ways = "give exact, glob, regex or external_id; for other groups write another rule"
	tests := []struct{ name, in, want string }{
		{"not a list", "rules: Managers", `rules: "Managers": is a text, not a list; write it as [a, b] or as lines that begin with -`},
		{"not a rule", "rules: [x]", "rules[0]: is a text, not a mapping; write it as key: value lines"},
		{"misspelt key", "rules: [{mach: x, role: A}]", `rules[0].mach: unknown key; did you mean "match"?`},
		{"misspelt match", "rules: [{match: {globe: x}, role: A}]", `rules[0].match.globe: unknown key; did you mean "glob"?`},
		{"two matches", "rules: [{match: {glob: x, exact: y}, role: A}]", "rules[0].match: is not exactly one way to match; " + ways},
		{"no match in it", "rules: [{match: {}, role: A}]", "rules[0].match: is not exactly one way to match; " + ways},
		{"a match of nothing", "rules: [{match: {glob: ~}, role: A}]", "rules[0].match: is not exactly one way to match; " + ways},
		{"empty match", `rules: [{match: "", role: A}]`, "rules[0].match: empty; give the name, pattern or id of the groups, or leave match out"},
		{"match a list", "rules: [{match: [a, b], role: A}]", "rules[0].match: is a list, not a text; write a text, in quotes if need be"},
		{"match with a control character", `rules: [{match: "a\tb", role: A}]`, `rules[0].match: "a\tb": longer than 1024 bytes, or contains a control character; write what the identity provider sends as the group's displayName or externalId`},
		{"bad regex", "rules: [{match: {regex: '('}, role: A}]", "rules[0].match.regex: \"(\": missing closing ): `(`; write an RE2 expression, which has no lookaround and no backreferences"},
		{"large regex", "rules: [{match: {regex: '(a{30}){30}b{300}'}, role: A}]", `rules[0].match.regex: "(a{30}){30}b{300}": too large a pattern; make its repetitions smaller, or use * and +`},
		{"neither match nor when", "rules: [{role: A}]", "rules[0]: picks nobody in particular; give match, when or both; what everybody gets is default_role"},
		{"no role", "rules: [{match: x}]", "rules[0].role: missing; name the upstream role that the rule gives, such as Manager"},
		{"unknown name", "rules: [{match: x, role: A}, {when: departement == 'x', role: A}]", `rules[1].when: "departement == 'x'": column 1: unknown name "departement"; did you mean "department"?`},
		{"condition not a text", "rules: [{when: true, role: A}]", `rules[0].when: "true": is true or false, not a text; write a text, in quotes if need be`},
		{"condition empty", "rules: [{when: '', role: A}]", `rules[0].when: column 1: empty; write it like department == "Finance"`},
		{"another's organization", "rules: [{match: x, role: A, organizations: [113, 200]}]", `rules[0].organizations[1]: "200": not among this tenant's organizations; have 113, 114`},
		{"organization twice", "rules: [{match: x, role: A, organizations: [113, 113]}]", `rules[0].organizations[1]: "113": repeated; list each organization once`},
		{"no organization", "rules: [{match: x, role: A, organizations: []}]", "rules[0].organizations: is empty; list some of organizations, or leave it out"},
		{"require_group without a match", "rules: [{when: active, role: A}]\nrequire_group: true", `require_group: "true": nobody could get access: no rule matches a group; give at least one rule a match, or leave require_group out`},
		{"too many rules", "rules:\n" + strings.Repeat("  - {match: x, role: A}\n", 501), "rules: 501 rules, more than 500; join rules of the same role by a glob or regex"},
		{"default organizations empty", "default_organizations: []", "default_organizations: is empty; list some of organizations, or leave it out"},
		{"default organization another's", "default_organizations: [200]", `default_organizations[0]: "200": not among this tenant's organizations; have 113, 114`},
		{"ceiling a number list", "ceiling: [1]", "ceiling: is a list, not a text; write a text, in quotes if need be"},
		{"resends", "invites: {resend_expired: 11}", `invites.resend_expired: "11": out of range; give a number from 0 to 10`},
		{"guard a word", "guards: {deactivations: on}", `guards.deactivations: "on": is neither off nor a mapping; write off, or limit, percent and window`},
		{"guard false", "guards: {invites: false}", `guards.invites: "false": is neither off nor a mapping; write off, or limit and window`},
		{"percent of invites", "guards: {invites: {percent: 5}}", "guards.invites.percent: unknown key; have limit, window"},
		{"percent", "guards: {role_losses: {percent: 101}}", `guards.role_losses.percent: "101": out of range; give a number from 0 to 100`},
		{"limit", "guards: {role_losses: {limit: -1}}", `guards.role_losses.limit: "-1": out of range; give a number from 0 to 1000000`},
		{"window without unit", "guards: {role_losses: {window: 60}}", `guards.role_losses.window: "60": not a duration; write a number with its unit, such as 90m or 1h`},
		{"window too short", "guards: {role_losses: {window: 59s}}", `guards.role_losses.window: "59s": out of range; give a duration from 1m to 24h`},
		{"window too long", "guards: {role_losses: {window: 25h}}", `guards.role_losses.window: "25h": out of range; give a duration from 1m to 24h`},
		{"protected ids", "guards: {protected: {user_ids: [0, 7, 7]}}", `guards.protected.user_ids[0]: "0": not a positive id; write the account's id as upstream shows it
guards.protected.user_ids[2]: "7": repeated; list each account once`},
		{"protected addresses", "guards: {protected: {emails: [root, 'R <r@example.com>', a@example.com, A@EXAMPLE.com]}}", `guards.protected.emails[0]: "root": not an e-mail address; write an address such as admin@example.com
guards.protected.emails[1]: "R <r@example.com>": not an e-mail address; write an address such as admin@example.com
guards.protected.emails[3]: "A@EXAMPLE.com": repeated; list each address once`},
		{"all at once", "rules: [{match: {regex: '['}, role: ''}, {when: x == 1, role: A, organizations: [1]}]\nguards: {invites: {limit: many}}", "rules[0].match.regex: \"[\": missing closing ]: `[`; write an RE2 expression, which has no lookaround and no backreferences\n" +
			`rules[1].when: "x == 1": column 1: unknown name "x"; a text stands in quotes, "x"; the names are ` + strings.Join(condition.Names(), ", ") + `
guards.invites.limit: "many": is not a whole number that fits; write a whole number, without quotes
rules[0].role: missing; name the upstream role that the rule gives, such as Manager
rules[1].organizations[0]: "1": not among this tenant's organizations; have 113, 114`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(minimal+tt.in+"\n"), env, readFile)
			faults, ok := errors.AsType[Faults](err)
			if !ok {
				t.Fatalf("error %v is not Faults", err)
			}
			if d := cmp.Diff(tt.want, faults.Error()); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestStoredBefore reads what was stored before there were rules and guards.
func TestStoredBefore(t *testing.T) {
	t.Parallel()
	spec := `{"slug":"acme","name":"acme","upstream":{"base_url":"https://api.example.com","client_id":"acme"},"organizations":[113,114],` +
		`"default_role":"Viewer","provisioning":"create","send_mail":false,"adopt":"never","reset_password":false}`
	got, err := FromStore(&store.Tenant{Slug: "acme", Spec: json.RawMessage(spec)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Slug: "acme", Name: "acme", Upstream: Upstream{BaseURL: "https://api.example.com", ClientID: "acme"},
		Organizations: []int64{113, 114}, DefaultRole: "Viewer", Provisioning: Create, Adopt: mapping.AdoptNever,
		Invites: Invites{ResendExpired: 3}, Guards: defaultGuards(),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestStoredRulesDamaged(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"unknown match", `"rules":[{"match":{"prefix":"x"},"role":"A"}]`, `a rule of role "A" has an unknown match "prefix"`},
		{"two matches", `"rules":[{"match":{"glob":"x","exact":"y"},"role":"A"}]`, `a rule of role "A" has an unknown match`},
		{"bad regex", `"rules":[{"match":{"regex":"("},"role":"A"}]`, `a rule of role "A": match: "(": missing closing )`},
		{"bad condition", `"rules":[{"when":"shoeSize == 1","role":"A"}]`, `a rule of role "A": when: "shoeSize == 1": column 1: unknown name "shoeSize"`},
		{"guard without window", `"guards":{"invites":{"limit":1}}`, "a guard of limit 1, percent 0, window \"\" is out of range"},
		{"guard a word", `"guards":{"invites":"on"}`, "cannot unmarshal string"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := FromStore(&store.Tenant{Slug: "acme", Spec: json.RawMessage(`{"slug":"acme",` + tt.in + `}`)}, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "apply its tenant.yaml again") {
				t.Errorf("got error %v, want one with %q and the remedy", err, tt.want)
			}
		})
	}
}

// TestStoredForm is what a stored tenant and its JSON on the command line have.
func TestStoredForm(t *testing.T) {
	t.Parallel()
	c, err := Parse([]byte(minimal+"rules: [{match: {glob: 'a*'}, when: 'len(roles) < 2', role: A, organizations: [114]}, {match: b, role: B}]\nguards: {deactivations: off, invites: {window: 90m}}\n"), env, readFile)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(map[string]any{"rules": c.Rules, "invites": c.Invites, "guards": c.Guards})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"guards":{"deactivations":"off","role_losses":{"limit":10,"percent":20,"window":"1h0m0s"},"invites":{"limit":500,"window":"1h30m0s"},"addresses":{"limit":10,"percent":10,"window":"1h0m0s"}},` +
		`"invites":{"resend_expired":3},` +
		`"rules":[{"match":{"glob":"a*"},"when":"len(roles) \u003c 2","role":"A","organizations":[114]},{"match":{"exact":"b"},"role":"B"}]}`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
}

// TestExample proves that docs/tenant.example.yaml is a document, that it has
// every key, and that what it calls a default is one.
func TestExample(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/tenant.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(data, env, readFile)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[mapping.MatchKind]bool{}
	both := false
	for _, rule := range c.Rules {
		if rule.Match != nil {
			kinds[rule.Match.Kind()] = true
		}
		both = both || rule.Match != nil && rule.When != nil
	}
	if len(kinds) != len(matchKinds) || !both {
		t.Errorf("the rules show the matches %v, both with a condition: %v", kinds, both)
	}
	plain := defaults()
	protected := c.Guards.Protected
	c.Guards.Protected = plain.Guards.Protected
	if len(protected.UserIDs) == 0 || len(protected.Emails) == 0 || protected.Role == "" {
		t.Errorf("protected: %+v", protected)
	}
	got := []any{c.Guards, c.Invites, c.RequireGroup, c.RolesAttribute, c.Provisioning, c.SendMail, c.Adopt, c.ResetPassword}
	want := []any{plain.Guards, plain.Invites, plain.RequireGroup, plain.RolesAttribute, plain.Provisioning, plain.SendMail, plain.Adopt, plain.ResetPassword}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("not the defaults: %s", d)
	}
	for _, name := range condition.Names() {
		if !regexp.MustCompile(`(?m)^ *#.*\b` + name + `\b`).Match(data) {
			t.Errorf("it does not mention that conditions know %s", name)
		}
	}
	for _, object := range []string{"%s", "upstream: {%s}", "rules: [{%s}]", "rules: [{match: {%s}}]", "invites: {%s}", "guards: {%s}", "guards: {deactivations: {%s}}", "guards: {protected: {%s}}"} {
		for _, key := range keysOf(t, object) {
			if !regexp.MustCompile(`(?m)^[ #-]*` + key + `: |[{,] ?` + key + `: |^[ #-]*` + key + `:$`).Match(data) {
				t.Errorf("it does not have %s", fmt.Sprintf(object, key))
			}
		}
	}
}

// keysOf are the keys of an object of the document, as a fault lists them.
func keysOf(t *testing.T, object string) []string {
	t.Helper()
	_, err := Parse(fmt.Appendf(nil, object, "xyzzyplughfrotz: 1"), env, readFile)
	faults, _ := errors.AsType[Faults](err)
	for _, f := range faults {
		if list, ok := strings.CutPrefix(f.Remedy, "have "); ok && f.Wrong == "unknown key" {
			return strings.Split(list, ", ")
		}
	}
	t.Fatalf("no fault lists the keys of %s: %v", object, err)
	return nil
}
