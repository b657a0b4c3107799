package sandbox

import "slices"

func (s *Sandbox) updateInvite(c *call) (answer, error) {
	var body struct {
		Email           text    `json:"Email"`
		FirstName       text    `json:"FirstName"`
		LastName        text    `json:"LastName"`
		CountryID       text    `json:"CountryId"`
		OtherID         text    `json:"OtherId"`
		RoleID          *int64  `json:"RoleId"`
		OrganizationIDs []int64 `json:"OrganizationIds"` // null or absent: as they are
	}
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	p := &profile{body.Email, body.FirstName, body.LastName, body.CountryID, body.OtherID, true}
	if err := p.check(); err != nil {
		return answer{}, err
	}
	if body.OrganizationIDs != nil && len(body.OrganizationIDs) == 0 {
		return answer{}, invalidField("OrganizationIds", "an invite needs an organization: revoke it instead")
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		i, err := c.invite(t.invite)
		if err != nil {
			return answer{}, err
		}
		switch {
		case !i.pending(t.now):
			return answer{}, stateConflict("the invite is %s: only a pending one can be changed", i.state(t.now))
		case p.email.set && fold(p.email.value) != fold(i.Email):
			return answer{}, stateConflict("the e-mail address of an invite cannot be changed: revoke it and invite again")
		}
		n := i.clone()
		p.write(&n.FirstName, &n.LastName, &n.CountryID, &n.OtherID)
		if err := s.regrant(n, c.cred, body.RoleID, body.OrganizationIDs); err != nil {
			return answer{}, err
		}
		if other := t.otherPending(n); other != nil {
			return answer{}, stateConflict("invite %s to the same person covers one of the organizations already", other.ID)
		}
		if err := t.follow(i, n, p, body.RoleID != nil); err != nil {
			return answer{}, err
		}
		t.putInvite(n)
		t.commit(n.Organizations)
		return ok(t.state.invite(i.ID).record(t.now))
	})
}

// regrant gives the invite other organizations, of those that the credential manages, and another role.
func (s *Sandbox) regrant(n *invite, by *credential, roleID *int64, organizationIDs []int64) error {
	if err := by.managed(organizationIDs); err != nil {
		return err
	}
	if roleID != nil {
		if err := s.catalogue.grantable(by, *roleID, "RoleId"); err != nil {
			return err
		}
	}
	if organizationIDs != nil {
		n.Organizations = slices.DeleteFunc(n.Organizations, func(id int64) bool {
			return slices.Contains(by.organizations, id) && !slices.Contains(organizationIDs, id)
		})
		for _, id := range distinct(organizationIDs) {
			if n.covers(id) {
				continue
			}
			if err := s.catalogue.grantable(by, n.RoleID, "RoleId"); err != nil && roleID == nil {
				return err
			}
			n.Organizations = append(n.Organizations, id)
		}
	}
	if roleID == nil {
		return nil
	}
	n.RoleID = *roleID
	return by.managed(n.Organizations) // the role holds in all of them
}

// follow stages what a changed invite means for its account: invited memberships come, go and change their role. The
// profile follows only while the account is this invite's alone, not that of a person who is here already.
func (t *tx) follow(before, after *invite, p *profile, newRole bool) error {
	a := t.account(after.UserID)
	if a == nil {
		return nil
	}
	n := a.clone()
	for _, id := range after.Organizations {
		m := n.membership(id)
		switch {
		case m == nil:
			n.join(membership{id, after.RoleID, StateInvited, false})
		case m.State == StateInvited && (newRole || !before.covers(id)):
			m.RoleID = after.RoleID
		case m.State != StateInvited && !before.covers(id):
			return invalidField("OrganizationIds", "the person is a member of organization %d already", id)
		}
	}
	for _, id := range before.Organizations {
		if !after.covers(id) {
			t.uninvite(n, after, []int64{id})
		}
	}
	after.RoleID = t.lowestRole(after, n)
	if !a.Accepted {
		p.write(&n.FirstName, &n.LastName, &n.CountryID, &n.OtherID)
	}
	return t.putAccount(n)
}

// otherPending returns another pending invite of the same person to one of the invite's organizations, or nil.
func (t *tx) otherPending(n *invite) *invite {
	for _, other := range t.pendingInvites(t.account(n.UserID), n.Email, t.now) {
		if other.Seq != n.Seq && other.in(n.Organizations) {
			return other
		}
	}
	return nil
}

// uninvite takes the invited memberships in the organizations from the account, unless another pending invite than
// this one stands behind them.
func (t *tx) uninvite(n *account, this *invite, organizationIDs []int64) {
	others := slices.DeleteFunc(t.pendingInvites(n, "", t.now), func(i *invite) bool { return i.Seq == this.Seq })
	for _, id := range organizationIDs {
		m := n.membership(id)
		if m == nil || m.State != StateInvited || slices.ContainsFunc(others, func(i *invite) bool { return i.covers(id) }) {
			continue
		}
		n.leave(id)
	}
}

func (s *Sandbox) revokeInvite(c *call) (answer, error) {
	if err := c.parameters("organization_id"); err != nil {
		return answer{}, err
	}
	ids, err := c.organizations()
	if err != nil {
		return answer{}, err
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		i, err := c.invite(t.invite)
		if err != nil {
			return answer{}, err
		}
		if i.State == StateAccepted {
			return answer{}, stateConflict("the invite was accepted: deactivate the user instead")
		}
		n := i.clone()
		var out []int64
		if i.State == StatePending {
			out = n.withdraw(ids)
		}
		if len(out) == 0 {
			return ok(i.record(t.now))
		}
		t.putInvite(n)
		if a := t.account(i.UserID); a != nil {
			if err := t.withdrawn(a, n, out); err != nil {
				return answer{}, err
			}
		}
		t.commit(out)
		return ok(n.record(t.now))
	})
}

// withdrawn stages what leaving the invite means for its account: a person who never accepted and has no membership
// left is gone.
func (t *tx) withdrawn(a *account, i *invite, organizationIDs []int64) error {
	n := a.clone()
	t.uninvite(n, i, organizationIDs)
	if !n.Accepted && len(n.Memberships) == 0 {
		return t.removeAccount(a)
	}
	return t.putAccount(n)
}

func (s *Sandbox) resendInvite(c *call) (answer, error) {
	if len(c.body) > 0 {
		if err := decode(c, &struct{}{}); err != nil {
			return answer{}, err
		}
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		i, err := c.invite(t.invite)
		if err != nil {
			return answer{}, err
		}
		if i.State == StateAccepted {
			return answer{}, stateConflict("the invite was accepted: there is nothing to send")
		}
		n := i.clone()
		n.ExpiresAt = t.now.Add(s.opts.InviteTTL)
		if i.pending(t.now) {
			t.putInvite(n)
		} else if err := s.revive(t, c.cred, n); err != nil {
			return answer{}, err
		}
		t.mail("invite", n.Email, n.Organizations)
		t.commit(n.Organizations)
		return ok(n.record(t.now))
	})
}

// revive makes a revoked or expired invite pending again, for those of its organizations that the credential manages
// and the person is not a member of.
func (s *Sandbox) revive(t *tx, by *credential, n *invite) error {
	a := t.account(n.UserID)
	if a == nil {
		n.UserID = 0
		a = t.state.accountByEmail(n.Email)
	}
	if other := t.pendingOf(by, a, n.Email); len(other) > 0 {
		return stateConflict("invite %s to the same person is pending: resend that one", other[0].ID)
	}
	n.Organizations = slices.DeleteFunc(n.Organizations, func(id int64) bool {
		if !slices.Contains(by.organizations, id) {
			return true
		}
		if a == nil {
			return false
		}
		m := a.membership(id)
		return m != nil && m.Accepted
	})
	if len(n.Organizations) == 0 {
		return stateConflict("the person is a member already: there is nothing to accept")
	}
	if err := s.catalogue.grantable(by, n.RoleID, "RoleId"); err != nil {
		return err
	}
	n.State = StatePending
	return t.attach(n, a, s.opts.Invites == Immediate, n.RoleID, nil)
}
