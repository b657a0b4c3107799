package mapping

import "slices"

// regrade sets the roles of memberships that the person keeps: those to be
// lowered, which come before anything is given, and those to be raised. Roles
// of suspended memberships wait until access comes back; an invite that has
// not become an account carries the lowest role due.
func (p *Policy) regrade(cur Account, want Desire, s Situation) (lower, raise []Step) {
	if cur.UserID == 0 {
		if lower, raise = p.regradeInvite(cur, want); len(s.Unraised) > 0 {
			raise = nil
		}
		return lower, raise
	}
	for _, due := range want.Roles {
		m, member := cur.membership(due.OrganizationID)
		if !member || m.State == MembershipSuspended || due.Keep || m.RoleID == due.Role.ID {
			continue
		}
		step := Step{Kind: StepSetRole, Organizations: []int64{due.OrganizationID}, RoleID: due.Role.ID}
		switch {
		case p.weight(m.RoleID) >= due.Role.Weight:
			lower = append(lower, step)
		case !slices.Contains(s.Unraised, due.OrganizationID):
			raise = append(raise, step)
		}
	}
	return lower, raise
}

// regradeInvite counts organizations that are yet to be added to the invite,
// too: its role is theirs from then on. One that other tenants' organizations
// share is not ours to change.
func (p *Policy) regradeInvite(cur Account, want Desire) (lower, raise []Step) {
	i := cur.Invite
	low := want.lowest(want.Organizations)
	switch {
	case i == nil || i.State != InvitePending || i.RoleID == 0 || i.RoleID == low.ID,
		len(want.Roles) == 0 || len(without(i.OrganizationIDs, p.Organizations)) > 0,
		len(without(i.OrganizationIDs, want.Organizations)) == len(i.OrganizationIDs):
		return nil, nil
	}
	step := []Step{{Kind: StepUpdateInvite, RoleID: low.ID}}
	if p.weight(i.RoleID) < low.Weight {
		return nil, step
	}
	return step, nil
}

// Raises reports whether a step gives somebody whom upstream shows as cur a
// higher role than is held there.
func (p *Policy) Raises(cur Account, s Step) bool {
	r, known := p.role(s.RoleID)
	switch {
	case !known:
		return false
	case s.Kind == StepUpdateInvite:
		return cur.Invite != nil && p.weight(cur.Invite.RoleID) < r.Weight
	case s.Kind == StepSetRole:
		m, member := cur.membership(s.Organizations[0])
		return member && p.weight(m.RoleID) < r.Weight
	}
	return false
}

// TakesAway reports whether steps leave somebody whom upstream shows as cur
// with less than there is: a lower role or no access somewhere.
func (p *Policy) TakesAway(cur Account, steps []Step) bool {
	return slices.ContainsFunc(steps, func(s Step) bool {
		switch s.Kind {
		case StepDeactivate, StepRevokeInvite, StepRemove:
			return true
		case StepSetRole:
			m, member := cur.membership(s.Organizations[0])
			r, known := p.role(s.RoleID)
			return member && known && p.weight(m.RoleID) > r.Weight
		}
		return false
	})
}
