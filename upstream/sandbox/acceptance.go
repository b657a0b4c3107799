package sandbox

import (
	"net/http"
	"slices"
)

func (s *Sandbox) acceptInvite(c *call) (answer, error) {
	var body struct {
		IdentityProviderID *int64 `json:"IdentityProviderId"`
		Subject            string `json:"Subject"`
	}
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	switch {
	case body.IdentityProviderID == nil:
		return answer{}, invalidField("IdentityProviderId", "IdentityProviderId is required")
	case body.Subject == "":
		return answer{}, invalidField("Subject", "Subject is required")
	}
	if err := s.catalogue.enabledProvider(*body.IdentityProviderID, "IdentityProviderId"); err != nil {
		return answer{}, err
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		i, err := c.invite(t.invite)
		if err != nil {
			return answer{}, err
		}
		if i.IdentityProvider != 0 && i.IdentityProvider != *body.IdentityProviderID {
			return answer{}, invalidField("IdentityProviderId", "the invite is for sign-in through identity provider %d", i.IdentityProvider)
		}
		if err := s.accept(t, i, identity{*body.IdentityProviderID, body.Subject}); err != nil {
			return answer{}, err
		}
		return ok(t.state.invite(i.ID).record(t.now))
	})
}

// accept carries out that the person accepts the invite and commits it. An identity without a subject is that of
// somebody who followed the link in the mail.
func (s *Sandbox) accept(t *tx, i *invite, who identity) error {
	if !i.pending(t.now) {
		return stateConflict("the invite is %s: only a pending one can be accepted", i.state(t.now))
	}
	a := t.account(i.UserID)
	if a == nil {
		a = t.state.accountByEmail(i.Email)
	}
	n := i.account(t)
	if a != nil {
		n = a.clone()
	}
	if who.Subject != "" {
		if id, linked := t.byIdentity[who]; linked && id != n.ID {
			return stateConflict("this sign-in belongs to another account")
		}
		if !slices.Contains(n.Identities, who) {
			n.Identities = append(n.Identities, who)
		}
	}
	if !n.Accepted || n.IdentityProvider == 0 {
		n.IdentityProvider = who.ProviderID
	}
	n.Accepted = true
	n.enter(i)

	accepted := i.clone()
	accepted.State, accepted.UserID = StateAccepted, n.ID
	t.putInvite(accepted)
	if a == nil {
		t.adopt(n)
	}
	if err := t.putAccount(n); err != nil {
		return err
	}
	t.commit(accepted.Organizations)
	return nil
}

// enter makes the memberships that the invite is for active, unless they were suspended meanwhile, and with them the
// account, unless it is locked.
func (a *account) enter(i *invite) {
	for _, id := range i.Organizations {
		m := a.membership(id)
		switch {
		case m == nil:
			a.join(membership{id, i.RoleID, StateActive, true})
		case m.State == StateInvited:
			m.State, m.Accepted = StateActive, true
		}
	}
	if a.State != StateLocked && a.hasActiveMembership() {
		a.State = StateActive
	}
}

// adopt stages that invites of others, pending for the address, are now for the account that has just been created.
func (t *tx) adopt(n *account) {
	for _, i := range t.pendingInvites(nil, n.Email, t.now) {
		if t.stagedInvite(i) != i {
			continue // the one being accepted
		}
		linked := i.clone()
		linked.UserID = n.ID
		for _, id := range linked.Organizations {
			if n.membership(id) == nil {
				n.join(membership{id, linked.RoleID, StateInvited, false})
			}
		}
		t.putInvite(linked)
	}
}

// Accept is the person who follows the links of the pending invites sent to the address. It returns an error when
// there is nothing to accept.
func (s *Sandbox) Accept(email string) error {
	_, err := s.acceptByMail(email)
	return err
}

func (s *Sandbox) acceptByMail(email string) (answer, error) {
	return s.write("accept_invite", "", func(t *tx) (answer, error) {
		pending := t.pendingInvites(nil, email, t.now)
		if a := t.state.accountByEmail(email); a != nil {
			pending = t.pendingInvites(a, "", t.now)
		}
		if len(pending) == 0 {
			return answer{}, stateConflict("there is no pending invite for %q", email)
		}
		for _, i := range pending {
			provider := i.IdentityProvider
			if provider == 0 {
				provider = 1
			}
			if err := s.accept(t, t.invites[i.Seq], identity{ProviderID: provider}); err != nil {
				return answer{}, err
			}
		}
		a := t.state.accountByEmail(pending[0].Email)
		return answer{http.StatusOK, a.record(s.catalogue)}, nil
	})
}
