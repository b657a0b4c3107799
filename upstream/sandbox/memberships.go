package sandbox

import (
	"net/http"
	"slices"
	"strconv"
)

func (s *Sandbox) setRole(c *call) (answer, error) {
	var body struct {
		OrganizationID *int64 `json:"organization_id"`
		RoleID         *int64 `json:"role_id"`
	}
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	switch {
	case body.OrganizationID == nil:
		return answer{}, invalidField("organization_id", "organization_id is required")
	case body.RoleID == nil:
		return answer{}, invalidField("role_id", "role_id is required")
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		a, err := c.user(t.account)
		if err != nil {
			if a = c.created(t); a == nil {
				return answer{}, err
			}
		}
		if err := c.cred.managed([]int64{*body.OrganizationID}); err != nil {
			return answer{}, err
		}
		if err := s.catalogue.grantable(c.cred, *body.RoleID, "role_id"); err != nil {
			return answer{}, err
		}
		if err := t.grant(c.cred, a, *body.OrganizationID, *body.RoleID); err != nil {
			return answer{}, err
		}
		t.commit([]int64{*body.OrganizationID})
		return s.record(t.account(a.ID))
	})
}

// created returns the account that the path names when this credential made it and it has no membership yet.
func (c *call) created(t *tx) *account {
	id, err := strconv.ParseInt(c.args[0], 10, 64)
	if err != nil {
		return nil
	}
	a := t.account(id)
	if a == nil || len(a.Memberships) > 0 || a.CreatedBy != c.cred.name {
		return nil
	}
	return a
}

// grant stages the role in the organization. A membership keeps its state; a missing one becomes active, or, for a
// person who never accepted, invited, which a pending invite that the credential sees takes up.
func (t *tx) grant(by *credential, a *account, organizationID, roleID int64) error {
	n := a.clone()
	m := n.membership(organizationID)
	missing := m == nil
	switch {
	case !missing:
		m.RoleID = roleID
	case a.Accepted:
		n.join(membership{organizationID, roleID, StateActive, true})
	default:
		n.join(membership{organizationID, roleID, StateInvited, false})
	}
	added := !missing || a.Accepted
	for _, i := range t.pendingInvites(a, "", t.now) {
		u := i.clone()
		if !added && i.in(by.organizations) {
			u.Organizations = append(u.Organizations, organizationID)
			added = true
		}
		u.RoleID = t.lowestRole(u, n)
		t.putInvite(u)
	}
	return t.putAccount(n)
}

// organizationsBody reads the body of deactivate_user and activate_user.
func organizationsBody(c *call) ([]int64, error) {
	var body struct {
		OrganizationIDs []int64 `json:"organization_ids"`
	}
	if err := decode(c, &body); err != nil {
		return nil, err
	}
	if len(body.OrganizationIDs) == 0 {
		return nil, invalidField("organization_ids", "name at least one organization")
	}
	return distinct(body.OrganizationIDs), c.cred.managed(body.OrganizationIDs)
}

func (s *Sandbox) deactivateUser(c *call) (answer, error) {
	ids, err := organizationsBody(c)
	if err != nil {
		return answer{}, err
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		a, err := c.user(t.account)
		if err != nil {
			return answer{}, err
		}
		n := a.clone()
		for k := range n.Memberships {
			if slices.Contains(ids, n.Memberships[k].OrganizationID) {
				n.Memberships[k].State = StateSuspended
			}
		}
		if a.in(ids) && !n.hasActiveMembership() {
			n.State = StateBlocked
		}
		if !n.same(a) {
			n.Sessions++
		}
		for _, i := range t.pendingInvites(a, "", t.now) {
			w := i.clone()
			if len(w.withdraw(ids)) > 0 {
				t.putInvite(w)
			}
		}
		if err := t.putAccount(n); err != nil {
			return answer{}, err
		}
		t.commit(ids)
		return s.record(t.account(a.ID))
	})
}

func (s *Sandbox) activateUser(c *call) (answer, error) {
	ids, err := organizationsBody(c)
	if err != nil {
		return answer{}, err
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		a, err := c.user(t.account)
		if err != nil {
			return answer{}, err
		}
		n := a.clone()
		for k := range n.Memberships {
			if m := &n.Memberships[k]; slices.Contains(ids, m.OrganizationID) && m.State == StateSuspended {
				m.State = restored(m.Accepted, StateInvited)
			}
		}
		if a.in(ids) && a.State == StateBlocked {
			n.State = restored(a.Accepted, StateNew)
		}
		if err := t.putAccount(n); err != nil {
			return answer{}, err
		}
		t.commit(ids)
		return s.record(t.account(a.ID))
	})
}

func restored(accepted bool, otherwise string) string {
	if accepted {
		return StateActive
	}
	return otherwise
}

func (s *Sandbox) removeUser(c *call) (answer, error) {
	if err := c.parameters("organization_id"); err != nil {
		return answer{}, err
	}
	if len(c.query["organization_id"]) != 1 {
		return answer{}, invalidRequest("organization_id", "name one organization in ?organization_id=")
	}
	ids, err := c.organizations()
	if err != nil {
		return answer{}, err
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		a, err := c.user(t.account)
		if err != nil {
			return answer{}, err
		}
		m := a.membership(ids[0])
		switch {
		case m == nil:
			return answer{}, notFound("no membership in organization %d", ids[0])
		case m.State == StateActive:
			return answer{}, stateConflict("the membership in organization %d is active: deactivate it first", ids[0])
		}
		for _, i := range t.pendingInvites(a, "", t.now) {
			w := i.clone()
			if len(w.withdraw(ids)) > 0 {
				t.putInvite(w)
			}
		}
		n := a.clone()
		n.leave(ids[0])
		if len(n.Memberships) == 0 {
			err = t.removeAccount(a)
		} else {
			err = t.putAccount(n)
		}
		if err != nil {
			return answer{}, err
		}
		t.commit(ids)
		return answer{status: http.StatusNoContent}, nil
	})
}
