package mapping_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

// shown is what the extension says of roles.
type shown struct {
	Active     bool
	Because    []string
	NotApplied []string
}

func TestViewOfRoles(t *testing.T) {
	p := ruled(toGroup("A", manager), toGroup("B", analyst, 114))
	p.Ceiling = admin
	required, attribute := *p, *p
	required.RequireGroup, attribute.RolesAttribute = true, true
	ruledWritten := mapping.Written{Roles: []mapping.WrittenRole{{OrganizationID: 113, RoleID: 3}}}
	off := buyer()
	off.Active = new(false)
	for _, tt := range []struct {
		name      string
		policy    *mapping.Policy
		user      *scim.User
		written   mapping.Written
		groups    []string
		unmanaged bool
		cur       mapping.Account
		want      shown
	}{
		{name: "by a rule", policy: p, groups: []string{"A"}, cur: account(member(113, 3, "active")), want: shown{Active: true, Because: []string{`rules[0]: group "A"`}}},
		{name: "by default", policy: p, cur: account(member(113, 5, "active")), want: shown{Active: true, Because: []string{"default role"}}},
		{name: "each by its own", policy: p, groups: []string{"B"}, cur: account(member(113, 5, "active"), member(114, 4, "active")),
			want: shown{Active: true, Because: []string{"default role", `rules[1]: group "B"`}}},
		{name: "held before us", policy: p, cur: account(member(113, 3, "active")), want: shown{Active: true, Because: []string{"held upstream"}}},
		{name: "held above the ceiling", policy: p, groups: []string{"A"}, cur: account(member(113, 1, "active")), want: shown{Active: true, Because: []string{"held upstream"}}},
		{name: "not yet lowered", policy: p, written: ruledWritten, cur: account(member(113, 3, "active")), want: shown{Active: true, Because: []string{"held upstream; due is Viewer (default role)"}}},
		{name: "not yet raised", policy: p, groups: []string{"A"}, cur: invited("pending", 113), want: shown{Active: true, Because: []string{`held upstream; due is Manager (rules[0]: group "A")`}}},
		{name: "not provisioned by us", policy: p, unmanaged: true, groups: []string{"A"}, cur: account(member(113, 3, "active")), want: shown{Active: true, Because: []string{"held upstream"}}},
		{name: "nobody upstream for lack of a group", policy: &required, want: shown{Active: true, NotApplied: []string{"active"}}},
		{name: "suspended for lack of a group", policy: &required, cur: account(member(113, 5, "suspended")), want: shown{Active: true, Because: []string{"default role"}, NotApplied: []string{"active"}}},
		{name: "in a group by now, and not let in yet", policy: &required, written: mapping.Written{Withheld: true, KeptOut: []int64{113}}, groups: []string{"A"}, cur: account(member(113, 3, "suspended")),
			want: shown{Active: true, Because: []string{`rules[0]: group "A"`}, NotApplied: []string{"active"}}},
		{name: "not suspended yet", policy: &required, cur: account(member(113, 5, "active")), want: shown{Active: true, Because: []string{"default role"}}},
		{name: "inactive and in no group", policy: &required, user: off, cur: account(member(113, 5, "suspended")), want: shown{Because: []string{"default role"}}},
		{name: "suspended behind our back", policy: &required, groups: []string{"A"}, cur: account(member(113, 3, "suspended")), want: shown{Because: []string{`rules[0]: group "A"`}}},
		{name: "unmanaged and suspended", policy: &required, unmanaged: true, cur: account(member(113, 5, "suspended")), want: shown{Because: []string{"default role"}}},
		{name: "roles given", policy: &attribute, user: naming("Analyst"), cur: account(member(113, 4, "active")), want: shown{Active: true, Because: []string{`the attribute roles: "Analyst"`}}},
		{name: "roles that cannot be given", policy: &attribute, user: naming("Analyst", "Owner"), cur: account(member(113, 2, "active")),
			want: shown{Active: true, Because: []string{`the attribute roles: "Owner", Owner lowered to the ceiling Administrator`}, NotApplied: []string{"roles"}}},
		{name: "roles that nobody knows", policy: &attribute, user: naming("Manger"), cur: account(member(113, 5, "active")), want: shown{Active: true, Because: []string{"default role"}, NotApplied: []string{"roles"}}},
		{name: "roles without opting in", policy: p, user: naming("Manger"), cur: account(member(113, 5, "active")), want: shown{Active: true, Because: []string{"default role"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.user == nil {
				tt.user = buyer()
			}
			tt.written.Profile = tt.cur.Profile()
			u := tt.policy.View(mapping.Known{ID: "x", Managed: !tt.unmanaged, Desired: tt.user, Written: tt.written, Groups: groupsNamed(tt.groups)}, tt.cur)
			e := mapping.Extension(u)
			got := shown{Active: *u.Active, NotApplied: e.NotApplied}
			for _, m := range e.Memberships {
				got.Because = append(got.Because, m.Because)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			if r := e.EffectiveRole; r != nil && r.Because != got.Because[0] {
				t.Fatalf("the effective role is held because %q", r.Because)
			}
		})
	}
}
