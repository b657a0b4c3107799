package mapping_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
)

func due(change func(*mapping.Desire)) mapping.Desire {
	d := mapping.Desire{
		Profile: mapping.Profile{Email: "jay@example.com"}, EmailFrom: "emails", Active: true,
		Organizations: []int64{113, 114}, IdentityProviderID: 2, Role: viewer,
	}
	if change != nil {
		change(&d)
	}
	return d
}

func in(orgs ...int64) func(*mapping.Desire) {
	return func(d *mapping.Desire) { d.Organizations = orgs }
}

func inactive(d *mapping.Desire) { d.Active = false }

func named(d *mapping.Desire) { d.Profile.FirstName, d.Profile.LastName = "Jay", "Jackson" }

func moved(d *mapping.Desire) { d.Profile.Email = "jay@new.example.com" }

func step(kind mapping.StepKind, orgs ...int64) mapping.Step {
	return mapping.Step{Kind: kind, Organizations: orgs}
}

func offer(email string, orgs ...int64) mapping.Step {
	return mapping.Step{Kind: mapping.StepInvite, Organizations: orgs, RoleID: 5, Email: email}
}

func setRole(org int64) mapping.Step {
	return mapping.Step{Kind: mapping.StepSetRole, Organizations: []int64{org}, RoleID: 5}
}

func fields(kind mapping.StepKind, names ...string) mapping.Step {
	return mapping.Step{Kind: kind, Fields: names}
}

func TestPlan(t *testing.T) {
	const jay, anew = "jay@example.com", "jay@new.example.com"
	active, invitedNow := account(member(113, 5, "active"), member(114, 5, "active")), account(member(113, 5, "invited"), member(114, 5, "invited"))
	asleep := account(member(113, 5, "suspended"), member(114, 3, "suspended"))
	shared := account(member(113, 5, "active"), member(114, 5, "active"), member(200, 2, "active"))
	waiting := withInvite(invitedNow, "pending", 113, 114)
	both := func(d *mapping.Desire) { named(d); moved(d) }
	again := mapping.Situation{ResendExpired: true}
	for _, tt := range []struct {
		name           string
		policy         func(*mapping.Policy)
		cur            mapping.Account
		want           mapping.Desire
		situation      mapping.Situation
		steps          []mapping.Step
		wantNotApplied []string
	}{
		// POST
		{name: "create invites", want: due(nil), steps: []mapping.Step{offer(jay, 113, 114)}},
		{name: "create makes the account", policy: func(p *mapping.Policy) { p.CreateAccounts = true }, want: due(in(114)),
			steps: []mapping.Step{{Kind: mapping.StepCreate, Organizations: []int64{114}, RoleID: 5, Email: jay}}},
		{name: "the account that was made joins", policy: func(p *mapping.Policy) { p.CreateAccounts = true },
			cur: mapping.Account{UserID: 1, Email: jay, State: "active"}, want: due(named),
			steps: []mapping.Step{setRole(113), setRole(114), fields(mapping.StepUpdateAccount, "first_name", "last_name")}},
		{name: "create inactive", want: due(inactive)},
		{name: "invited, deferred", cur: invited("pending", 113, 114), want: due(nil)},
		{name: "invited, immediate", cur: waiting, want: due(nil)},
		{name: "somebody else's account is invited", cur: account(member(200, 5, "active")), want: due(nil), steps: []mapping.Step{offer(jay, 113, 114)}},
		{name: "and not given a role, whatever the policy", policy: func(p *mapping.Policy) { p.CreateAccounts = true }, cur: account(member(200, 5, "active")),
			want: due(nil), steps: []mapping.Step{offer(jay, 113, 114)}},

		// PUT, PATCH: profile
		{name: "nothing changed", cur: active, want: due(nil)},
		{name: "only the case of the address", cur: active, want: due(func(d *mapping.Desire) { d.Profile.Email = "JAY@example.com" })},
		{name: "profile", cur: active, want: due(both), steps: []mapping.Step{fields(mapping.StepUpdateAccount, "email", "first_name", "last_name")}},
		{name: "a name is cleared", cur: func() mapping.Account { a := active.Clone(); a.FirstName = "Jay"; return a }(), want: due(nil),
			steps: []mapping.Step{fields(mapping.StepUpdateAccount, "first_name")}},
		{name: "a country is not", cur: func() mapping.Account { a := active.Clone(); a.CountryID = "CA"; return a }(), want: due(nil)},
		{name: "of an invite", cur: invited("pending", 113, 114), want: due(named), steps: []mapping.Step{fields(mapping.StepUpdateInvite, "first_name", "last_name")}},
		{name: "of a new account", cur: waiting, want: due(named), steps: []mapping.Step{fields(mapping.StepUpdateAccount, "first_name", "last_name")}},
		{name: "of an expired invite", cur: invited("expired", 113, 114), want: due(named), wantNotApplied: []string{"name.givenName", "name.familyName"}},
		{name: "address of an invite", cur: invited("pending", 113, 114), want: due(moved), steps: []mapping.Step{step(mapping.StepRevokeInvite, 113, 114), offer(anew, 113, 114)}},
		{name: "once withdrawn", cur: invited("revoked", 113, 114), want: due(moved), steps: []mapping.Step{offer(anew, 113, 114)}},
		{name: "address of a new account", cur: waiting, want: due(moved), steps: []mapping.Step{step(mapping.StepRevokeInvite, 113, 114), offer(anew, 113, 114)}},
		{name: "address of a new account whose invite is not known", cur: invitedNow, want: due(moved),
			steps: []mapping.Step{step(mapping.StepDeactivate, 113, 114), step(mapping.StepRemove, 113), step(mapping.StepRemove, 114), offer(anew, 113, 114)}},
		{name: "address of a blocked account is tried", cur: withInvite(account(member(113, 5, "suspended")), "revoked", 113), want: due(func(d *mapping.Desire) { moved(d); in(113)(d) }),
			steps: []mapping.Step{fields(mapping.StepUpdateAccount, "email"), step(mapping.StepActivate, 113), step(mapping.StepResendInvite)}},
		{name: "and refused", cur: withInvite(account(member(113, 5, "suspended")), "revoked", 113), want: due(moved), situation: mapping.Situation{EmailRefused: true},
			steps: []mapping.Step{step(mapping.StepRemove, 113), offer(anew, 113, 114)}},
		{name: "a shared person", cur: shared, want: due(func(d *mapping.Desire) { both(d); d.Profile.CountryID, d.CountryFrom = "CA", "countryCode" }),
			wantNotApplied: []string{"emails", "name.givenName", "name.familyName", "countryCode"}},
		{name: "a shared invite", cur: invited("pending", 113, 114, 200), want: due(moved), wantNotApplied: []string{"emails"}},
		{name: "a shared person is invited by the address that stays", cur: account(member(200, 5, "active")), want: due(moved),
			steps: []mapping.Step{offer(jay, 113, 114)}, wantNotApplied: []string{"emails"}},
		{name: "first contact", cur: active, want: due(func(d *mapping.Desire) { both(d); d.EmailFrom = "userName" }), situation: mapping.Situation{EmailFixed: true},
			steps: []mapping.Step{fields(mapping.StepUpdateAccount, "first_name", "last_name")}, wantNotApplied: []string{"userName"}},

		// active:false
		{name: "deactivate", cur: active, want: due(inactive), steps: []mapping.Step{step(mapping.StepDeactivate, 113, 114)}},
		{name: "deactivate and rename", cur: active, want: due(func(d *mapping.Desire) { inactive(d); named(d) }),
			steps: []mapping.Step{step(mapping.StepDeactivate, 113, 114), fields(mapping.StepUpdateAccount, "first_name", "last_name")}},
		{name: "deactivate a shared person", cur: shared, want: due(inactive), steps: []mapping.Step{step(mapping.StepDeactivate, 113, 114)}},
		{name: "deactivate, wherever the person was to be", cur: active, want: due(func(d *mapping.Desire) { inactive(d); in(113)(d) }), steps: []mapping.Step{step(mapping.StepDeactivate, 113, 114)}},
		{name: "deactivate a new account", cur: waiting, want: due(func(d *mapping.Desire) { inactive(d); moved(d) }),
			steps: []mapping.Step{step(mapping.StepDeactivate, 113, 114)}, wantNotApplied: []string{"emails"}},
		{name: "withdraw an invite", cur: invited("pending", 113), want: due(func(d *mapping.Desire) { inactive(d); named(d) }),
			steps: []mapping.Step{step(mapping.StepRevokeInvite, 113)}, wantNotApplied: []string{"name.givenName", "name.familyName"}},
		{name: "withdraw an expired invite", cur: invited("expired", 113), want: due(inactive), steps: []mapping.Step{step(mapping.StepRevokeInvite, 113)}},
		{name: "inactive already", cur: asleep, want: due(inactive)},
		{name: "withdrawn already", cur: invited("revoked", 113), want: due(inactive)},
		{name: "only others hold", cur: account(member(200, 5, "active")), want: due(func(d *mapping.Desire) { inactive(d); named(d) }), wantNotApplied: []string{"name.givenName", "name.familyName"}},

		// active:true
		{name: "roles are lowered first", cur: asleep, want: due(nil), steps: []mapping.Step{setRole(114), step(mapping.StepActivate, 113, 114)}},
		{name: "never raised", cur: asleep, want: due(func(d *mapping.Desire) { d.Role = admin }), steps: []mapping.Step{step(mapping.StepActivate, 113, 114)}},
		{name: "a role that nobody lists is lowered", cur: account(member(113, 99, "suspended")), want: due(in(113)), steps: []mapping.Step{setRole(113), step(mapping.StepActivate, 113)}},
		{name: "never accepted", cur: withInvite(account(member(113, 5, "suspended")), "revoked", 113), want: due(in(113)),
			steps: []mapping.Step{step(mapping.StepActivate, 113), step(mapping.StepResendInvite)}},
		{name: "never accepted, activated", cur: withInvite(account(member(113, 5, "invited")), "revoked", 113), want: due(in(113)), steps: []mapping.Step{step(mapping.StepResendInvite)}},
		{name: "never accepted, expired", cur: withInvite(account(member(113, 5, "suspended")), "expired", 113), want: due(in(113)),
			steps: []mapping.Step{step(mapping.StepResendInvite), step(mapping.StepActivate, 113)}},
		{name: "expired and active stays", cur: withInvite(account(member(113, 5, "invited")), "expired", 113), want: due(in(113))},
		{name: "expired and deferred stays", cur: invited("expired", 113), want: due(in(113))},
		{name: "expired and active is sent again", situation: again, cur: withInvite(account(member(113, 5, "invited")), "expired", 113), want: due(in(113)), steps: []mapping.Step{step(mapping.StepResendInvite)}},
		{name: "so is a deferred one", situation: again, cur: invited("expired", 113), want: due(in(113)), steps: []mapping.Step{step(mapping.StepResendInvite)}},
		{name: "by a new one where it would give too much", situation: again, cur: func() mapping.Account { a := invited("expired", 113); a.Invite.RoleID = 2; return a }(),
			want: due(in(113)), steps: []mapping.Step{offer(jay, 113)}},
		{name: "nothing is sent again to whom nothing is offered", situation: again, cur: withInvite(active, "expired", 113), want: due(nil)},
		{name: "nor while it is pending", situation: again, cur: invited("pending", 113), want: due(in(113))},
		{name: "nor to the inactive", situation: again, cur: invited("expired", 113), want: due(func(d *mapping.Desire) { inactive(d); in(113)(d) }), steps: []mapping.Step{step(mapping.StepRevokeInvite, 113)}},
		{name: "what only others are left with is not revived", cur: invited("revoked", 200), want: due(in(113)), steps: []mapping.Step{offer(jay, 113)}},
		{name: "withdrawn, deferred", cur: invited("revoked", 113), want: due(nil), steps: []mapping.Step{step(mapping.StepResendInvite), offer(jay, 114)}},
		{name: "withdrawn, to more than is due", cur: invited("revoked", 113, 114), want: due(in(113)), steps: []mapping.Step{offer(jay, 113)}},
		{name: "withdrawn, with a role above what is due", cur: func() mapping.Account { a := invited("revoked", 113); a.Invite.RoleID = 2; return a }(),
			want: due(in(113)), steps: []mapping.Step{offer(jay, 113)}},
		{name: "withdrawn, where no mail is wanted", policy: func(p *mapping.Policy) { p.SendMail = false }, cur: invited("revoked", 113), want: due(in(113)), steps: []mapping.Step{offer(jay, 113)}},
		{name: "an accepted member is not invited again", cur: withInvite(active, "revoked", 113), want: due(nil)},
		{name: "locked", cur: func() mapping.Account { a := active.Clone(); a.State = "locked"; return a }(), want: due(nil)},

		// organizations
		{name: "joins by role", cur: account(member(113, 3, "active")), want: due(nil), steps: []mapping.Step{setRole(114)}},
		{name: "whoever has not accepted joins by invite", cur: withInvite(account(member(113, 5, "invited")), "pending", 113), want: due(nil), steps: []mapping.Step{offer(jay, 114)}},
		{name: "so does another tenant's", cur: withInvite(account(member(113, 5, "invited"), member(200, 5, "active")), "pending", 113), want: due(nil), steps: []mapping.Step{offer(jay, 114)}},
		{name: "deferred, joins by invite", cur: invited("pending", 113), want: due(nil), steps: []mapping.Step{offer(jay, 114)}},
		{name: "leaves", cur: active, want: due(in(113)), steps: []mapping.Step{step(mapping.StepDeactivate, 114), step(mapping.StepRemove, 114)}},
		{name: "deferred, leaves", cur: invited("pending", 113, 114), want: due(in(114)), steps: []mapping.Step{step(mapping.StepRevokeInvite, 113)}},
		{name: "moves, and the account stays", cur: account(member(113, 5, "active")), want: due(in(114)),
			steps: []mapping.Step{step(mapping.StepDeactivate, 113), setRole(114), step(mapping.StepRemove, 113)}},
		{name: "moved, and blocked on the way", cur: account(member(113, 5, "suspended")), want: due(in(114)),
			steps: []mapping.Step{setRole(114), step(mapping.StepRemove, 113)}},
		{name: "is unblocked", cur: func() mapping.Account {
			a := account(member(113, 5, "suspended"), member(114, 5, "active"))
			a.State = "blocked"
			return a
		}(), want: due(in(114)), steps: []mapping.Step{step(mapping.StepActivate, 114), step(mapping.StepRemove, 113)}},
		{name: "suspended in one stays so", cur: account(member(113, 5, "suspended"), member(114, 5, "active")),
			want: due(func(d *mapping.Desire) { d.Organizations, d.Untouched = []int64{114}, []int64{113} })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := testPolicy()
			if tt.policy != nil {
				tt.policy(p)
			}
			cur := tt.cur.Clone()
			got := p.Plan(cur, tt.want, tt.situation)
			if diff := cmp.Diff(mapping.Plan{Steps: tt.steps, NotApplied: tt.wantNotApplied}, got); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(tt.cur, cur); diff != "" {
				t.Fatalf("the account was changed:\n%s", diff)
			}
		})
	}
}

func TestPlanRemoval(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cur   mapping.Account
		steps []mapping.Step
	}{
		{name: "nobody"},
		{name: "a member", cur: account(member(113, 5, "active"), member(114, 5, "suspended")),
			steps: []mapping.Step{step(mapping.StepDeactivate, 113), step(mapping.StepRemove, 113), step(mapping.StepRemove, 114)}},
		{name: "a shared person", cur: account(member(113, 5, "active"), member(200, 5, "active")),
			steps: []mapping.Step{step(mapping.StepDeactivate, 113), step(mapping.StepRemove, 113)}},
		{name: "a new account", cur: withInvite(account(member(113, 5, "invited")), "pending", 113),
			steps: []mapping.Step{step(mapping.StepDeactivate, 113), step(mapping.StepRemove, 113)}},
		{name: "an invite", cur: invited("pending", 113, 200), steps: []mapping.Step{step(mapping.StepRevokeInvite, 113)}},
		{name: "a withdrawn invite", cur: invited("revoked", 113)},
		{name: "only others hold", cur: account(member(200, 5, "active"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(mapping.Plan{Steps: tt.steps}, testPolicy().PlanRemoval(tt.cur)); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestStepKindIdempotent(t *testing.T) {
	for kind, want := range map[mapping.StepKind]bool{
		mapping.StepInvite: false, mapping.StepCreate: false, mapping.StepResendInvite: false,
		mapping.StepUpdateAccount: true, mapping.StepUpdateInvite: true, mapping.StepRevokeInvite: true,
		mapping.StepDeactivate: true, mapping.StepActivate: true, mapping.StepSetRole: true, mapping.StepRemove: true,
	} {
		if got := kind.Idempotent(); got != want {
			t.Errorf("%s: got %v, want %v", kind, got, want)
		}
	}
}
