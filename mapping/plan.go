package mapping

import (
	"cmp"
	"slices"

	"github.com/sharearefund/scim-bridge/scim"
)

// StepKind is one kind of upstream call that changes something.
type StepKind string

const (
	// StepInvite invites the person to Organizations (invite_users).
	StepInvite StepKind = "invite"
	// StepCreate makes the account at once (create_user).
	StepCreate StepKind = "create"
	// StepUpdateAccount writes Fields of the account (update_user).
	StepUpdateAccount StepKind = "update_account"
	// StepUpdateInvite writes Fields of the pending invite (update_invite).
	StepUpdateInvite StepKind = "update_invite"
	// StepRevokeInvite withdraws the invite from Organizations.
	StepRevokeInvite StepKind = "revoke_invite"
	// StepResendInvite revives the invite and mails it (resend_invite).
	StepResendInvite StepKind = "resend_invite"
	// StepDeactivate suspends the memberships in Organizations.
	StepDeactivate StepKind = "deactivate"
	// StepActivate brings suspended memberships in Organizations back.
	StepActivate StepKind = "activate"
	// StepSetRole sets RoleID in Organizations[0].
	StepSetRole StepKind = "set_role"
	// StepRemove removes the membership in Organizations[0].
	StepRemove StepKind = "remove"
)

// Idempotent reports whether repeating the step cannot change more than doing
// it once, mails included.
func (k StepKind) Idempotent() bool {
	switch k {
	case StepInvite, StepCreate, StepResendInvite:
		return false
	}
	return true
}

// Step is one upstream call.
type Step struct {
	Kind          StepKind
	Organizations []int64
	RoleID        int64
	// Email is the address that StepInvite and StepCreate are for. It is the
	// one that upstream knows the person by unless the person is made anew:
	// an address that may not change must not lead to a second person.
	Email string
	// Fields are the profile fields to write, by upstream name: "email",
	// "first_name", "last_name", "country_id".
	Fields []string
}

// Plan is what leads from what upstream shows to what a person is due.
type Plan struct {
	// Steps are in the order in which they must be taken: what takes access
	// away comes before anything else. The first is certain; the others are
	// what is to be expected, and are planned again from what upstream
	// answers.
	Steps []Step
	// NotApplied names the SCIM attributes that cannot be put upstream.
	NotApplied []string
}

// Situation is what a plan has to know besides what upstream shows.
type Situation struct {
	// EmailFixed says that this request may not change the address: an
	// account's first contact with a provisioning client.
	EmailFixed bool
	// EmailRefused says that upstream refused to change the address because
	// the person has never accepted the invite.
	EmailRefused bool
	// ResendExpired says that an invite which expired is to be sent again,
	// though nothing else is due.
	ResendExpired bool
	// Unraised are organizations in which upstream refused to give a higher
	// role: what is held there stays, for now.
	Unraised []int64
}

// Plan leads from cur to want. It is empty when nothing is to be done, and
// planning again after its steps were taken gives an empty plan.
func (p *Policy) Plan(cur Account, want Desire, s Situation) Plan {
	if !want.Active {
		return p.planInactive(cur, want, s)
	}
	if !cur.Exists() {
		return Plan{Steps: []Step{p.first(want)}}
	}
	fields, refused := p.changes(cur, want, s)
	if slices.Contains(fields, "email") && (waiting(cur) || s.EmailRefused) {
		return p.reinvite(cur, want)
	}
	var steps []Step
	gone := without(without(cur.HeldIn(p.Organizations), want.Organizations), want.Untouched)
	if access := cur.AccessIn(gone); len(access) > 0 {
		steps = append(steps, suspend(cur, access))
	}
	var profile []Step
	switch {
	case cur.UserID != 0 && len(fields) > 0:
		profile = []Step{{Kind: StepUpdateAccount, Fields: fields}}
	case cur.UserID == 0 && cur.Invite.State == InvitePending && len(fields) > 0:
		profile = []Step{{Kind: StepUpdateInvite, Fields: fields}}
	default: // only a pending invite can be written to
		refused = append(refused, fields...)
	}
	lower, raise := p.regrade(cur, want, s)
	steps = append(steps, lower...)
	admission := append(p.admit(cur, want, s), raise...)
	if cur.visibleIn(p.Organizations) {
		// The profile is what upstream may refuse for good: nothing is given
		// before it has been taken.
		steps = slices.Concat(steps, profile, admission)
	} else {
		steps = slices.Concat(steps, admission, profile)
	}
	// Last, because the account goes with its last membership.
	return Plan{Steps: append(steps, remove(cur, gone)...), NotApplied: want.attributesOf(refused)}
}

// PlanRemoval takes the person out of every organization of the tenant.
func (p *Policy) PlanRemoval(cur Account) Plan {
	return Plan{Steps: leave(cur, cur.HeldIn(p.Organizations))}
}

// planInactive takes access away first. The profile follows where an account
// can hold it; the address of somebody who never accepted waits for the next
// invite.
func (p *Policy) planInactive(cur Account, want Desire, s Situation) Plan {
	if !cur.Exists() {
		return Plan{}
	}
	var plan Plan
	if access := cur.AccessIn(p.Organizations); len(access) > 0 {
		plan.Steps = append(plan.Steps, suspend(cur, access))
	}
	fields, refused := p.changes(cur, want, s)
	switch {
	case cur.UserID == 0 || !cur.visibleIn(p.Organizations):
		fields, refused = nil, append(refused, fields...)
	case slices.Contains(fields, "email") && (s.EmailRefused || waiting(cur)):
		fields, refused = without(fields, []string{"email"}), append(refused, "email")
	}
	if len(fields) > 0 {
		plan.Steps = append(plan.Steps, Step{Kind: StepUpdateAccount, Fields: fields})
	}
	plan.NotApplied = want.attributesOf(refused)
	return plan
}

// differences lists the profile fields in which have is not what is due. A
// country is never emptied, and addresses differ as mailboxes do, without
// regard to case.
func differences(have, due Profile) []string {
	var fields []string
	if scim.Fold(have.Email) != scim.Fold(due.Email) {
		fields = append(fields, "email")
	}
	if have.FirstName != due.FirstName {
		fields = append(fields, "first_name")
	}
	if have.LastName != due.LastName {
		fields = append(fields, "last_name")
	}
	if due.CountryID != "" && have.CountryID != due.CountryID {
		fields = append(fields, "country_id")
	}
	return fields
}

// changes lists the profile fields that differ: those that may be written and
// those that may not.
func (p *Policy) changes(cur Account, want Desire, s Situation) (fields, refused []string) {
	fields = differences(cur.Profile(), want.Profile)
	switch {
	case cur.SharedBeyond(p.Organizations):
		return nil, fields
	case s.EmailFixed && slices.Contains(fields, "email"):
		return without(fields, []string{"email"}), []string{"email"}
	}
	return fields, nil
}

// first makes the person upstream.
func (p *Policy) first(want Desire) Step {
	kind := StepInvite
	if p.CreateAccounts {
		kind = StepCreate
	}
	return Step{Kind: kind, Organizations: want.Organizations, RoleID: want.lowest(want.Organizations).ID, Email: want.Profile.Email}
}

// reinvite replaces an invite whose address is to change: the old mailbox
// must not be able to accept.
func (p *Policy) reinvite(cur Account, want Desire) Plan {
	held := cur.HeldIn(p.Organizations)
	offered := func(org int64) bool {
		m, member := cur.membership(org)
		return !member || m.State == MembershipInvited
	}
	var steps []Step
	switch {
	case len(held) == 0:
	case cur.UserID == 0,
		cur.State == AccountNew && cur.Invite != nil && cur.Invite.State == InvitePending &&
			!slices.ContainsFunc(held, func(org int64) bool { return !offered(org) || !cur.invitedTo(org) }):
		steps = []Step{{Kind: StepRevokeInvite, Organizations: held}}
	default:
		steps = leave(cur, held)
	}
	return Plan{Steps: append(steps, p.first(want))}
}

// suspend takes access away in the given organizations, which cur has.
func suspend(cur Account, orgs []int64) Step {
	if cur.UserID == 0 {
		return Step{Kind: StepRevokeInvite, Organizations: orgs}
	}
	return Step{Kind: StepDeactivate, Organizations: orgs}
}

// leave takes the person out of the given organizations, access first.
func leave(cur Account, orgs []int64) []Step {
	var steps []Step
	if access := cur.AccessIn(orgs); len(access) > 0 {
		steps = append(steps, suspend(cur, access))
	}
	return append(steps, remove(cur, orgs)...)
}

// remove ends the memberships in the given organizations.
func remove(cur Account, orgs []int64) []Step {
	var steps []Step
	for _, org := range orgs {
		if _, member := cur.membership(org); member {
			steps = append(steps, Step{Kind: StepRemove, Organizations: []int64{org}})
		}
	}
	return steps
}

// visibleIn reports whether the person is held where upstream lets the
// organizations' credential see it.
func (a Account) visibleIn(orgs []int64) bool { return a.UserID == 0 || len(a.HeldIn(orgs)) > 0 }

// waiting reports whether the person surely has never accepted an invite. Of
// a blocked account that cannot be known: upstream has to be asked.
func waiting(a Account) bool {
	if a.UserID == 0 {
		return a.Invite != nil && a.Invite.State != InviteAccepted
	}
	return a.State == AccountNew
}

// attributesOf names the SCIM attributes behind upstream's profile fields.
func (d *Desire) attributesOf(fields []string) []string {
	var attrs []string
	for _, f := range fields {
		switch f {
		case "email":
			attrs = append(attrs, cmp.Or(d.EmailFrom, "emails"))
		case "first_name":
			attrs = append(attrs, "name.givenName")
		case "last_name":
			attrs = append(attrs, "name.familyName")
		case "country_id":
			attrs = append(attrs, cmp.Or(d.CountryFrom, "addresses.country"))
		}
	}
	return attrs
}

// without returns the elements of a that are not in b, in a's order.
func without[T comparable](a, b []T) []T {
	var rest []T
	for _, x := range a {
		if !slices.Contains(b, x) {
			rest = append(rest, x)
		}
	}
	return rest
}
