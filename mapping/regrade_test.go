package mapping_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
)

// dueRoles makes roles due in place of the default one; they are all said of
// the person.
func dueRoles(rs ...mapping.DueRole) func(*mapping.Desire) {
	return func(d *mapping.Desire) {
		d.Organizations, d.Roles = nil, rs
		for _, r := range rs {
			d.Organizations = append(d.Organizations, r.OrganizationID)
		}
	}
}

func dueIn(org int64, role mapping.Role) mapping.DueRole {
	return mapping.DueRole{OrganizationID: org, Role: role, Ruled: true}
}

func kept(org int64, role mapping.Role) mapping.DueRole {
	return mapping.DueRole{OrganizationID: org, Role: role, Keep: true}
}

func grant(org int64, role mapping.Role) mapping.Step {
	return mapping.Step{Kind: mapping.StepSetRole, Organizations: []int64{org}, RoleID: role.ID}
}

func offerOf(role mapping.Role, orgs ...int64) mapping.Step {
	return mapping.Step{Kind: mapping.StepInvite, Organizations: orgs, RoleID: role.ID, Email: "jay@example.com"}
}

func carries(role mapping.Role) mapping.Step {
	return mapping.Step{Kind: mapping.StepUpdateInvite, RoleID: role.ID}
}

// carrying is a with an invite that carries the role.
func carrying(role mapping.Role, a mapping.Account) mapping.Account {
	a.Invite.RoleID = role.ID
	return a
}

func TestPlanRoles(t *testing.T) {
	first := dueRoles(dueIn(113, manager), dueIn(114, analyst))
	down := dueRoles(dueIn(113, viewer), dueIn(114, manager))
	active := account(member(113, 4, "active"), member(114, 4, "active"))
	for _, tt := range []struct {
		name   string
		policy func(*mapping.Policy)
		cur    mapping.Account
		want   mapping.Desire
		steps  []mapping.Step
	}{
		// members
		{name: "only what differs", cur: active, want: due(first), steps: []mapping.Step{grant(113, manager)}},
		{name: "as due already", cur: account(member(113, 3, "active"), member(114, 4, "active")), want: due(first)},
		{name: "lowered before raised", cur: active, want: due(dueRoles(dueIn(114, manager), dueIn(113, viewer))), steps: []mapping.Step{grant(113, viewer), grant(114, manager)}},
		{name: "lowered before the profile, raised after it", cur: active, want: due(func(d *mapping.Desire) { down(d); named(d) }),
			steps: []mapping.Step{grant(113, viewer), fields(mapping.StepUpdateAccount, "first_name", "last_name"), grant(114, manager)}},
		{name: "lowered after access is taken away, raised after access is given", cur: account(member(113, 4, "active"), member(114, 3, "active"), member(115, 3, "active")),
			policy: func(p *mapping.Policy) { p.Organizations = []int64{113, 114, 115, 116} },
			want:   due(dueRoles(dueIn(113, manager), dueIn(114, viewer), dueIn(116, viewer))),
			steps: []mapping.Step{
				step(mapping.StepDeactivate, 115), grant(114, viewer), grant(116, viewer), grant(113, manager), step(mapping.StepRemove, 115),
			}},
		{name: "to another role of the same weight", cur: active, want: due(dueRoles(dueIn(113, peer), dueIn(114, analyst))), steps: []mapping.Step{grant(113, peer)}},
		{name: "a role that nobody lists is lowered", cur: account(member(113, 99, "active"), member(114, 4, "active")), want: due(first), steps: []mapping.Step{grant(113, manager)}},
		{name: "one that is kept stays", cur: active, want: due(dueRoles(kept(113, viewer), dueIn(114, manager))), steps: []mapping.Step{grant(114, manager)}},
		{name: "without rules every one stays", cur: active, want: due(nil)},
		{name: "an organization to join has its own", cur: account(member(113, 3, "active")), want: due(dueRoles(dueIn(113, manager), dueIn(114, admin))), steps: []mapping.Step{grant(114, admin)}},
		{name: "others' are nothing to us", cur: account(member(113, 3, "active"), member(114, 4, "active"), member(200, 1, "active")), want: due(first)},
		{name: "a locked account's too", cur: func() mapping.Account { a := active.Clone(); a.State = "locked"; return a }(), want: due(first), steps: []mapping.Step{grant(113, manager)}},

		// inactive and suspended
		{name: "inactive", cur: active, want: due(func(d *mapping.Desire) { down(d); inactive(d) }), steps: []mapping.Step{step(mapping.StepDeactivate, 113, 114)}},
		{name: "inactive already", cur: account(member(113, 2, "suspended"), member(114, 2, "suspended")), want: due(func(d *mapping.Desire) { down(d); inactive(d) })},
		{name: "lowered before activation, and not raised yet", cur: account(member(113, 4, "suspended"), member(114, 4, "suspended")), want: due(down),
			steps: []mapping.Step{grant(113, viewer), step(mapping.StepActivate, 113, 114)}},
		{name: "raised once active", cur: account(member(113, 5, "active"), member(114, 4, "active")), want: due(down), steps: []mapping.Step{grant(114, manager)}},
		{name: "one that is kept comes back as what is due", cur: account(member(113, 2, "suspended")), want: due(dueRoles(kept(113, viewer))), steps: []mapping.Step{grant(113, viewer), step(mapping.StepActivate, 113)}},
		{name: "one that stays suspended is left alone", cur: account(member(113, 2, "suspended"), member(114, 4, "active")),
			want: due(func(d *mapping.Desire) { dueRoles(dueIn(114, analyst))(d); d.Untouched = []int64{113} })},

		// offered, with an account
		{name: "an offer is raised", cur: withInvite(account(member(113, 5, "invited"), member(114, 5, "invited")), "pending", 113, 114), want: due(first), steps: []mapping.Step{grant(113, manager), grant(114, analyst)}},
		{name: "and lowered", cur: withInvite(account(member(113, 2, "invited"), member(114, 4, "invited")), "pending", 113, 114), want: due(first), steps: []mapping.Step{grant(113, manager)}},
		{name: "beside another tenant's", cur: withInvite(account(member(113, 5, "invited"), member(200, 5, "invited")), "pending", 113, 200), want: due(dueRoles(dueIn(113, manager))), steps: []mapping.Step{grant(113, manager)}},
		{name: "an expired one, too", cur: withInvite(account(member(113, 2, "invited")), "expired", 113), want: due(dueRoles(dueIn(113, manager))), steps: []mapping.Step{grant(113, manager)}},

		// offered, without an account
		{name: "the first invite carries the lowest", want: due(first), steps: []mapping.Step{offerOf(analyst, 113, 114)}},
		{name: "as the invite does", cur: carrying(analyst, invited("pending", 113, 114)), want: due(first)},
		{name: "an invite is lowered", cur: carrying(admin, invited("pending", 113, 114)), want: due(first), steps: []mapping.Step{carries(analyst)}},
		{name: "and raised", cur: carrying(viewer, invited("pending", 113, 114)), want: due(first), steps: []mapping.Step{carries(analyst)}},
		{name: "lowered before the profile", cur: carrying(admin, invited("pending", 113, 114)), want: due(func(d *mapping.Desire) { first(d); named(d) }),
			steps: []mapping.Step{carries(analyst), fields(mapping.StepUpdateInvite, "first_name", "last_name")}},
		{name: "raised after it", cur: carrying(viewer, invited("pending", 113, 114)), want: due(func(d *mapping.Desire) { first(d); named(d) }),
			steps: []mapping.Step{fields(mapping.StepUpdateInvite, "first_name", "last_name"), carries(analyst)}},
		{name: "lowered before an organization with less is added", cur: carrying(manager, invited("pending", 113)), want: due(first), steps: []mapping.Step{carries(analyst), offerOf(analyst, 114)}},
		{name: "one with more is added with what the invite carries", cur: carrying(analyst, invited("pending", 114)), want: due(first), steps: []mapping.Step{offerOf(analyst, 113)}},
		{name: "raised after what gave less is taken away", cur: carrying(viewer, invited("pending", 113, 114)), want: due(dueRoles(dueIn(113, manager))),
			steps: []mapping.Step{step(mapping.StepRevokeInvite, 114), carries(manager)}},
		{name: "one to other organizations altogether", cur: carrying(admin, invited("pending", 113)), want: due(dueRoles(dueIn(114, manager))),
			steps: []mapping.Step{step(mapping.StepRevokeInvite, 113), offerOf(manager, 114)}},
		{name: "one that another tenant shares stays", cur: carrying(admin, invited("pending", 113, 114, 200)), want: due(first)},
		{name: "one whose role is not known stays", cur: carrying(mapping.Role{}, invited("pending", 113, 114)), want: due(first)},
		{name: "without rules it stays", cur: carrying(admin, invited("pending", 113, 114)), want: due(nil)},
		{name: "an expired one stays", cur: carrying(admin, invited("expired", 113, 114)), want: due(first)},
		{name: "a withdrawn one with more than is due is not revived", cur: carrying(manager, invited("revoked", 113, 114)), want: due(first), steps: []mapping.Step{offerOf(analyst, 113, 114)}},
		{name: "one with less is", cur: carrying(viewer, invited("revoked", 113, 114)), want: due(first), steps: []mapping.Step{step(mapping.StepResendInvite)}},
		{name: "and raised when it can be accepted", cur: carrying(viewer, invited("pending", 113, 114)), want: due(first), steps: []mapping.Step{carries(analyst)}},
		{name: "the rest is raised after acceptance", cur: withInvite(account(member(113, 4, "active"), member(114, 4, "active")), "accepted", 113, 114), want: due(first), steps: []mapping.Step{grant(113, manager)}},

		// create_user
		{name: "an account of our own joins with each role", policy: func(p *mapping.Policy) { p.CreateAccounts = true },
			cur: mapping.Account{UserID: 1, Email: "jay@example.com", State: "active"}, want: due(first), steps: []mapping.Step{grant(113, manager), grant(114, analyst)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := ruled()
			if tt.policy != nil {
				tt.policy(p)
			}
			got := p.Plan(tt.cur, tt.want, mapping.Situation{})
			if diff := cmp.Diff(mapping.Plan{Steps: tt.steps}, got); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
		})
	}
}
