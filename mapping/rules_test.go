package mapping_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

// The roles of upstream that rules give; peer weighs what analyst does.
var (
	owner   = mapping.Role{ID: 1, Name: "Owner", Weight: 100}
	admin   = mapping.Role{ID: 2, Name: "Administrator", Weight: 80}
	manager = mapping.Role{ID: 3, Name: "Manager", Weight: 50}
	analyst = mapping.Role{ID: 4, Name: "Analyst", Weight: 30}
	peer    = mapping.Role{ID: 7, Name: "Auditor", Weight: 30}
	viewer  = mapping.Role{ID: 5, Name: "Viewer", Weight: 10}
	listed  = []mapping.Role{owner, admin, manager, analyst, viewer, peer}
)

// titled holds of whoever has the title.
type titled string

func (c titled) Holds(u *scim.User) (bool, error) { return u.Title == string(c), nil }
func (c titled) String() string                   { return `title == "` + string(c) + `"` }

// unjudged is a condition that cannot be judged.
type unjudged struct{}

func (unjudged) Holds(*scim.User) (bool, error) { return true, errors.New("no such attribute") }
func (unjudged) String() string                 { return "unjudged" }

func group(name string) mapping.Group { return mapping.Group{ID: "id of " + name, DisplayName: name} }

func toGroup(name string, role mapping.Role, orgs ...int64) mapping.Rule {
	return mapping.Rule{Match: mapping.MatchExact(name), Role: role, Organizations: orgs}
}

func toTitle(title string, role mapping.Role, orgs ...int64) mapping.Rule {
	return mapping.Rule{When: titled(title), Role: role, Organizations: orgs}
}

func ruled(rules ...mapping.Rule) *mapping.Policy {
	p := testPolicy()
	p.Roles, p.DefaultRole, p.Rules = listed, viewer, rules
	return p
}

func buyer() *scim.User { return &scim.User{UserName: "jay@example.com", Title: "Buyer"} }

func ruledDue(org int64, role mapping.Role, because string) mapping.DueRole {
	return mapping.DueRole{OrganizationID: org, Role: role, Because: because, Ruled: true}
}

func defaultDue(org int64) mapping.DueRole {
	return mapping.DueRole{OrganizationID: org, Role: viewer, Because: "default role"}
}

// both is what is due in each of the two organizations alike.
func both(role mapping.Role, because string) []mapping.DueRole {
	return []mapping.DueRole{ruledDue(113, role, because), ruledDue(114, role, because)}
}

func naming(names ...string) *scim.User {
	u := buyer()
	for _, n := range names {
		u.Roles = append(u.Roles, scim.MultiValue{Value: n})
	}
	return u
}

func TestRolesDue(t *testing.T) {
	unruled := []mapping.DueRole{defaultDue(113), defaultDue(114)}
	capped := func(p *mapping.Policy) { p.Ceiling = manager }
	attribute := func(p *mapping.Policy) { p.RolesAttribute = true }
	for _, tt := range []struct {
		name   string
		rules  []mapping.Rule
		policy func(*mapping.Policy)
		user   *scim.User
		groups []string
		want   []mapping.DueRole
	}{
		// what a rule looks at
		{name: "no rule matches", rules: []mapping.Rule{toGroup("Managers", manager)}, groups: []string{"Analysts"}, want: unruled},
		{name: "a group", rules: []mapping.Rule{toGroup("Managers", manager)}, groups: []string{"Analysts", "managers"}, want: both(manager, `rules[0]: group "managers"`)},
		{name: "the group by externalId", rules: []mapping.Rule{{Match: mapping.MatchExternalID("x of Managers"), Role: manager}}, groups: []string{"Managers"}, want: both(manager, `rules[0]: group "Managers"`)},
		{name: "a condition", rules: []mapping.Rule{toTitle("Buyer", analyst)}, want: both(analyst, `rules[0]: title == "Buyer"`)},
		{name: "a condition that does not hold", rules: []mapping.Rule{toTitle("Seller", analyst)}, want: unruled},
		{name: "a condition that cannot be judged does not hold", rules: []mapping.Rule{{When: unjudged{}, Role: analyst}}, want: unruled},
		{name: "both", rules: []mapping.Rule{{Match: mapping.MatchGlob("Man*"), When: titled("Buyer"), Role: manager}}, groups: []string{"Managers"},
			want: both(manager, `rules[0]: group "Managers": title == "Buyer"`)},
		{name: "only the group of both", rules: []mapping.Rule{{Match: mapping.MatchGlob("Man*"), When: titled("Seller"), Role: manager}}, groups: []string{"Managers"}, want: unruled},
		{name: "only the condition of both", rules: []mapping.Rule{{Match: mapping.MatchGlob("Man*"), When: titled("Buyer"), Role: manager}}, groups: []string{"Analysts"}, want: unruled},

		// which wins
		{name: "the highest weight, whatever the order of the rules", rules: []mapping.Rule{toGroup("A", analyst), toGroup("B", manager), toTitle("Buyer", viewer)}, groups: []string{"A", "B"},
			want: both(manager, `rules[1]: group "B"`)},
		{name: "whatever the order of the groups", rules: []mapping.Rule{toGroup("A", analyst), toGroup("B", manager)}, groups: []string{"B", "A"}, want: both(manager, `rules[1]: group "B"`)},
		{name: "the lower id among equals", rules: []mapping.Rule{toGroup("A", peer), toGroup("B", analyst)}, groups: []string{"A", "B"}, want: both(analyst, `rules[1]: group "B"`)},
		{name: "the earlier rule among the same", rules: []mapping.Rule{toGroup("B", analyst), toGroup("A", analyst)}, groups: []string{"A", "B"}, want: both(analyst, `rules[0]: group "B"`)},
		{name: "a rule before the default, if it gives less", policy: func(p *mapping.Policy) { p.DefaultRole = manager }, rules: []mapping.Rule{toGroup("A", viewer)}, groups: []string{"A"},
			want: both(viewer, `rules[0]: group "A"`)},
		{name: "each organization by itself", rules: []mapping.Rule{toGroup("A", manager, 114), toGroup("B", analyst)}, groups: []string{"A", "B"},
			want: []mapping.DueRole{ruledDue(113, analyst, `rules[1]: group "B"`), ruledDue(114, manager, `rules[0]: group "A"`)}},
		{name: "the default where no rule says", rules: []mapping.Rule{toGroup("A", manager, 114)}, groups: []string{"A"},
			want: []mapping.DueRole{defaultDue(113), ruledDue(114, manager, `rules[0]: group "A"`)}},

		// the ceiling
		{name: "lowered to the ceiling", policy: capped, rules: []mapping.Rule{toGroup("A", owner)}, groups: []string{"A"},
			want: both(manager, `rules[0]: group "A", Owner lowered to the ceiling Manager`)},
		{name: "at the ceiling", policy: capped, rules: []mapping.Rule{toGroup("A", manager)}, groups: []string{"A"}, want: both(manager, `rules[0]: group "A"`)},
		{name: "two above it are the same", policy: capped, rules: []mapping.Rule{toGroup("A", admin), toGroup("B", owner)}, groups: []string{"A", "B"},
			want: both(manager, `rules[0]: group "A", Administrator lowered to the ceiling Manager`)},
		{name: "the default too", policy: func(p *mapping.Policy) { p.Ceiling, p.DefaultRole = analyst, admin }, rules: []mapping.Rule{toGroup("A", manager)},
			want: []mapping.DueRole{
				{OrganizationID: 113, Role: analyst, Because: "default role, Administrator lowered to the ceiling Analyst"},
				{OrganizationID: 114, Role: analyst, Because: "default role, Administrator lowered to the ceiling Analyst"},
			}},

		// the attribute roles
		{name: "roles are nothing unless opted in", rules: []mapping.Rule{toGroup("A", viewer)}, user: naming("Manager"), want: unruled},
		{name: "roles", policy: attribute, user: naming("viewer", "MANAGER"), want: both(manager, `the attribute roles: "Manager"`)},
		{name: "roles by id", policy: attribute, user: naming("3", "999"), want: both(manager, `the attribute roles: "Manager"`)},
		{name: "roles by what they display", policy: attribute, user: func() *scim.User {
			u := buyer()
			u.Roles = []scim.MultiValue{{Value: "0f3a", Display: "Analyst"}}
			return u
		}(), want: both(analyst, `the attribute roles: "Analyst"`)},
		{name: "roles that nobody knows", policy: attribute, user: naming("Manger", ""), want: unruled},
		{name: "roles above the ceiling", policy: func(p *mapping.Policy) { attribute(p); capped(p) }, user: naming("Owner"),
			want: both(manager, `the attribute roles: "Owner", Owner lowered to the ceiling Manager`)},
		{name: "a rule before roles of the same", policy: attribute, rules: []mapping.Rule{toGroup("A", manager)}, groups: []string{"A"}, user: naming("Manager"), want: both(manager, `rules[0]: group "A"`)},
		{name: "roles above a rule", policy: attribute, rules: []mapping.Rule{toGroup("A", analyst)}, groups: []string{"A"}, user: naming("Manager"), want: both(manager, `the attribute roles: "Manager"`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := ruled(tt.rules...)
			if tt.policy != nil {
				tt.policy(p)
			}
			if tt.user == nil {
				tt.user = buyer()
			}
			got, err := p.DesireOf(tt.user, mapping.Account{}, mapping.Past{Groups: groupsNamed(tt.groups)})
			if diff := cmp.Diff(tt.want, got.Roles); err != nil || diff != "" {
				t.Fatalf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func groupsNamed(names []string) []mapping.Group {
	var gs []mapping.Group
	for _, n := range names {
		g := group(n)
		g.ExternalID = "x of " + n
		gs = append(gs, g)
	}
	return gs
}

func TestGoverns(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy *mapping.Policy
		want   bool
	}{
		{name: "without rules", policy: ruled()},
		{name: "with rules", policy: ruled(toGroup("A", viewer)), want: true},
		{name: "with the roles attribute", policy: &mapping.Policy{RolesAttribute: true}, want: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.policy.Governs(); got != tt.want {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
		})
	}
	d, err := ruled().DesireOf(naming("Manager"), account(member(113, 2, "active")), mapping.Past{Groups: groupsNamed([]string{"A"})})
	if err != nil || d.Roles != nil || d.Granted != nil {
		t.Fatalf("without rules, %+v and %v are due: %v", d.Roles, d.Granted, err)
	}
}

func TestMaps(t *testing.T) {
	p := ruled(toTitle("Buyer", viewer), toGroup("Managers", manager))
	p.Ceiling = manager
	for name, want := range map[string]bool{"managers": true, "Managers (EMEA)": false, "": false} {
		if got := p.Maps(group(name)); got != want {
			t.Errorf("Maps(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestAboveCeiling(t *testing.T) {
	rules := []mapping.Rule{toTitle("Buyer", owner), toGroup("A", manager), toGroup("B", admin), toGroup("B", owner)}
	for _, tt := range []struct {
		name, group string
		ceiling     mapping.Role
		want        []string
	}{
		{name: "none", group: "B"},
		{name: "within it", group: "A", ceiling: manager},
		{name: "not mapped", group: "C", ceiling: viewer},
		{name: "above it", group: "B", ceiling: manager, want: []string{"rules[2]", `exact "B"`, "Administrator (weight 80)", "Manager (weight 50)"}},
		{name: "the later rule only", group: "B", ceiling: admin, want: []string{"rules[3]", "Owner (weight 100)", "Administrator (weight 80)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := ruled(rules...)
			p.Ceiling = tt.ceiling
			got := p.AboveCeiling(group(tt.group))
			if (got == "") != (tt.want == nil) {
				t.Fatalf("got %q", got)
			}
			for _, w := range tt.want {
				if !strings.Contains(got, w) {
					t.Errorf("%q does not say %q", got, w)
				}
			}
		})
	}
}

func TestEffectOf(t *testing.T) {
	p := ruled(toGroup("A", manager), toGroup("B", analyst), toGroup("C", peer), toGroup("D", analyst, 114), toGroup("E", viewer), toGroup("F", viewer, 114), toGroup("G", admin, 113))
	p.DefaultOrganizations = []int64{113}
	required := *p
	required.RequireGroup = true
	none, changes, loses := mapping.Effect{}, mapping.Effect{Changes: true}, mapping.Effect{Changes: true, Loses: true}
	named := buyer()
	named.Extensions = []any{&mapping.UserExtension{OrganizationIDs: []int64{113, 114}}}
	home := buyer()
	home.Extensions = []any{&mapping.UserExtension{OrganizationIDs: []int64{113}}}
	for _, tt := range []struct {
		name          string
		policy        *mapping.Policy
		user          *scim.User
		before, after []string
		want          mapping.Effect
	}{
		{name: "nothing changes", policy: p, before: []string{"A"}, after: []string{"A"}, want: none},
		{name: "a group that no rule looks at", policy: p, before: []string{"A", "X"}, after: []string{"A"}, want: none},
		{name: "the highest goes", policy: p, before: []string{"A", "B"}, after: []string{"B"}, want: loses},
		{name: "a lower one goes", policy: p, before: []string{"A", "B"}, after: []string{"A"}, want: none},
		{name: "to the default", policy: p, before: []string{"B"}, want: loses},
		{name: "the role of the default goes", policy: p, before: []string{"E"}, want: none},
		{name: "joins", policy: p, after: []string{"A"}, want: changes},
		{name: "moves up", policy: p, before: []string{"B"}, after: []string{"A"}, want: changes},
		{name: "moves down", policy: p, before: []string{"A"}, after: []string{"B"}, want: loses},
		{name: "moves to another role of the same weight", policy: p, before: []string{"B"}, after: []string{"C"}, want: loses},
		{name: "an organization comes", policy: p, after: []string{"D"}, want: changes},
		{name: "an organization goes", policy: p, before: []string{"D"}, want: loses},
		{name: "an organization goes whose role was the default", policy: p, before: []string{"F"}, want: loses},
		{name: "unless the client named it", policy: p, user: named, before: []string{"F"}, want: none},
		{name: "an organization goes while the role rises", policy: p, before: []string{"D"}, after: []string{"A"}, want: loses},
		{name: "lower where the person may be beside the default", policy: p, before: []string{"A", "G"}, after: []string{"G"}, want: loses},
		{name: "unless the client said where it is", policy: p, user: home, before: []string{"A", "G"}, after: []string{"G"}, want: none},
		{name: "the last group that lets in goes", policy: &required, before: []string{"E"}, want: loses},
		{name: "one of two that let in goes", policy: &required, before: []string{"E", "B"}, after: []string{"B"}, want: none},
		{name: "the first group that lets in comes", policy: &required, after: []string{"E"}, want: changes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := buyer()
			if tt.user != nil {
				u = tt.user
			}
			if diff := cmp.Diff(tt.want, tt.policy.EffectOf(u, groupsNamed(tt.before), groupsNamed(tt.after))); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestSameRules(t *testing.T) {
	p := ruled(toGroup("A", manager), mapping.Rule{Match: mapping.MatchGlob("A*"), Role: analyst}, toTitle("Buyer", viewer))
	for _, tt := range []struct {
		a, b string
		want bool
	}{{"A", "a", true}, {"A1", "A2", true}, {"A", "A1", false}, {"A1", "B", false}, {"B", "C", true}} {
		if got := p.SameRules(group(tt.a), group(tt.b)); got != tt.want {
			t.Errorf("SameRules(%q, %q) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestProtects(t *testing.T) {
	p := ruled()
	p.Protected = mapping.Protection{UserIDs: []int64{4021}, Emails: []string{"root@example.com"}, Weight: 80}
	jay := func(id int64, email string, ms ...mapping.Membership) mapping.Account {
		return mapping.Account{UserID: id, Email: email, Memberships: ms}
	}
	for _, tt := range []struct {
		name    string
		policy  *mapping.Policy
		cur     mapping.Account
		wantWhy string
	}{
		{name: "nobody", policy: p},
		{name: "somebody else", policy: p, cur: jay(1, "jay@example.com", member(113, 3, "active"))},
		{name: "by id", policy: p, cur: jay(4021, "jay@example.com"), wantWhy: "account 4021 is protected"},
		{name: "by address, any case", policy: p, cur: jay(1, "Root@Example.com"), wantWhy: `the account of "Root@Example.com" is protected`},
		{name: "an invite, by address", policy: p, cur: mapping.Account{Email: "root@example.com", Invite: &mapping.Invite{ID: "inv_1"}}, wantWhy: "root@example.com"},
		{name: "by the role", policy: p, cur: jay(1, "", member(114, 2, "active")), wantWhy: "the account is protected by its role Administrator"},
		{name: "by a higher role, suspended too", policy: p, cur: jay(1, "", member(113, 5, "active"), member(114, 1, "suspended")), wantWhy: "role Owner"},
		{name: "not by a role elsewhere", policy: p, cur: jay(1, "", member(200, 1, "active"))},
		{name: "not by a role that nobody lists", policy: p, cur: jay(1, "", member(113, 99, "active"))},
		{name: "the zero policy protects nobody", policy: &mapping.Policy{Organizations: []int64{113}, Roles: listed}, cur: jay(4021, "root@example.com", member(113, 1, "active"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, why := tt.policy.Protects(tt.cur)
			if got != (tt.wantWhy != "") || !strings.Contains(why, tt.wantWhy) {
				t.Fatalf("got %v, %q, want the reason %q", got, why, tt.wantWhy)
			}
		})
	}
}
