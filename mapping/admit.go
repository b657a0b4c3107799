package mapping

import "slices"

// standing sorts the organizations that a person is due by what upstream
// shows there.
type standing struct {
	// asleep are those in which activation is due: the membership is
	// suspended, or the account was blocked with memberships elsewhere and
	// this one cannot be used.
	asleep []int64
	// offered have an invited membership.
	offered []int64
	// missing have none.
	missing []int64
	// lower sets the roles that are to be lowered before access comes back.
	lower []Step
}

func (p *Policy) stand(cur Account, want Desire) standing {
	var s standing
	for _, org := range want.Organizations {
		m, member := cur.membership(org)
		switch {
		case !member:
			s.missing = append(s.missing, org)
		case m.State == MembershipInvited:
			s.offered = append(s.offered, org)
			if cur.State == AccountBlocked && !cur.SharedBeyond(p.Organizations) {
				s.asleep = append(s.asleep, org)
			}
		case m.State == MembershipSuspended:
			s.asleep = append(s.asleep, org)
			if due := want.due(org).Role; p.outweighs(m.RoleID, due) {
				s.lower = append(s.lower, Step{Kind: StepSetRole, Organizations: []int64{org}, RoleID: due.ID})
			}
		case cur.State == AccountBlocked:
			s.asleep = append(s.asleep, org)
		}
	}
	return s
}

// admit gives the person the access that is due: roles are lowered before
// access comes back, and an invite that ended is revived before organizations
// are added to it, so that one mail is sent and not two.
func (p *Policy) admit(cur Account, want Desire, s Situation) []Step {
	if cur.UserID == 0 {
		return p.admitInvited(cur, want, s)
	}
	at := p.stand(cur, want)
	steps := at.lower
	revival, due := p.revive(cur, want, at, s)
	if len(at.asleep) > 0 {
		activate := Step{Kind: StepActivate, Organizations: at.asleep}
		if due && cur.Invite.State == InviteExpired {
			// Once the memberships are back, nothing tells that a mail is due.
			steps, due = append(steps, revival), false
		}
		steps = append(steps, activate)
	}
	if due {
		steps = append(steps, revival)
	}
	if len(at.missing) > 0 {
		steps = append(steps, p.join(cur, want, at.missing)...)
	}
	return steps
}

// revive is the step that makes the invite of somebody with an account live
// again, if that is due: after it was withdrawn, in part or whole, or when it
// expired and access comes back or grows.
func (p *Policy) revive(cur Account, want Desire, at standing, s Situation) (Step, bool) {
	if cur.Invite == nil {
		return Step{}, false
	}
	again := p.again(cur, want, at.offered)
	switch cur.Invite.State {
	case InvitePending:
		if bare := without(at.offered, cur.Invite.OrganizationIDs); len(bare) > 0 && len(cur.Invite.OrganizationIDs) > 0 {
			return invite(cur, want, bare), true // added without a second mail
		}
	case InviteRevoked:
		if len(at.offered) > 0 {
			return again, true
		}
		// Whom activation leaves invited shows in upstream's answer to it.
		return Step{Kind: StepResendInvite}, len(at.asleep) > 0 && again.Kind == StepResendInvite
	case InviteExpired:
		switch {
		case s.ResendExpired && len(at.offered) > 0:
			return again, true
		case again.Kind == StepInvite:
			return again, len(at.offered) > 0 && (p.quiet(want) || len(at.missing) > 0)
		case len(at.offered) > 0:
			return again, len(at.asleep) > 0 || len(at.missing) > 0
		}
		return again, len(at.asleep) > 0
	}
	return Step{}, false
}

// again makes an invite that ended live again: the same one is sent once
// more, unless that would mail where no mail is wanted, offer an organization
// that is not due, a role above what is due, or only what others are left
// with. Then organizations are offered by a new one.
func (p *Policy) again(cur Account, want Desire, orgs []int64) Step {
	i := cur.Invite
	stray := slices.ContainsFunc(i.OrganizationIDs, func(org int64) bool {
		return slices.Contains(p.Organizations, org) && !slices.Contains(want.Organizations, org)
	})
	others := len(i.OrganizationIDs) > 0 && len(p.ours(i.OrganizationIDs)) == 0
	if stray || others || p.quiet(want) || i.RoleID != 0 && p.outweighs(i.RoleID, want.lowest(want.Organizations)) {
		return invite(cur, want, orgs)
	}
	return Step{Kind: StepResendInvite}
}

// invite offers organizations to somebody whom upstream knows. Without an
// account there are no roles but the invite's, whatever else it covers.
func invite(cur Account, want Desire, orgs []int64) Step {
	role := want.lowest(orgs)
	if cur.UserID == 0 {
		role = want.lowest(want.Organizations)
	}
	return Step{Kind: StepInvite, Organizations: orgs, RoleID: role.ID, Email: cur.Email}
}

// quiet reports whether invites are to be sent without a mail. Upstream does
// so only where an identity provider lets the person in.
func (p *Policy) quiet(want Desire) bool { return !p.SendMail && want.IdentityProviderID != 0 }

// outweighs reports whether a role held upstream is above the one due.
func (p *Policy) outweighs(id int64, due Role) bool { return id != due.ID && p.weight(id) > due.Weight }

// join adds organizations: by role for a member who has accepted, or whose
// account we made and nobody holds yet; by invite for everybody else.
func (p *Policy) join(cur Account, want Desire, orgs []int64) []Step {
	byRole := len(cur.Memberships) == 0 && p.CreateAccounts
	for _, org := range p.Organizations {
		m, _ := cur.membership(org)
		byRole = byRole || m.State == MembershipActive || m.State == MembershipSuspended && !withdrawn(cur)
	}
	if waiting(cur) || !byRole {
		return []Step{invite(cur, want, orgs)}
	}
	var steps []Step
	for _, org := range orgs {
		steps = append(steps, Step{Kind: StepSetRole, Organizations: []int64{org}, RoleID: want.due(org).Role.ID})
	}
	return steps
}

// withdrawn reports whether a suspended membership may be one that was only
// ever offered.
func withdrawn(a Account) bool {
	return a.Invite != nil && (a.Invite.State == InviteRevoked || a.Invite.State == InviteExpired)
}

func (p *Policy) admitInvited(cur Account, want Desire, s Situation) []Step {
	missing := without(want.Organizations, cur.Invite.OrganizationIDs)
	var steps []Step
	switch cur.Invite.State {
	case InvitePending:
	case InviteExpired:
		if len(missing) == 0 && !p.quiet(want) && !s.ResendExpired {
			return nil
		}
		fallthrough
	case InviteRevoked:
		again := p.again(cur, want, want.Organizations)
		if steps = append(steps, again); again.Kind == StepInvite {
			return steps
		}
	default:
		return nil
	}
	if len(missing) > 0 {
		steps = append(steps, invite(cur, want, missing))
	}
	return steps
}
