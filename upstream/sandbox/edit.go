package sandbox

import (
	"slices"
)

// Edit is a change that somebody makes to a person without the API. The person is named by Email or by UserID;
// what is nil or "" stays as it is. It bypasses the rules: weights, the last owner, visibility.
type Edit struct {
	Email  string `json:"email"`
	UserID int64  `json:"user_id"`

	FirstName    *string         `json:"first_name"`
	LastName     *string         `json:"last_name"`
	CountryID    *string         `json:"country_id"`
	OtherID      *string         `json:"other_id"`
	NewEmail     string          `json:"new_email"`     // 409 when it is taken
	Role         *EditRole       `json:"role"`          // creates the membership, active, where it is missing
	Membership   *EditMembership `json:"membership"`    // creates it, as a Viewer, where it is missing; state "" removes it
	AccountState string          `json:"account_state"` // new, active, locked or blocked
	InviteState  string          `json:"invite_state"`  // revoked or expired: what becomes of every pending invite
	Delete       bool            `json:"delete"`        // the account is gone and its pending invites are revoked
}

// EditRole is the role to hold in an organization.
type EditRole struct {
	OrganizationID int64 `json:"organization_id"`
	RoleID         int64 `json:"role_id"`
}

// EditMembership is the state of a membership: active, invited, suspended, or "" for none.
type EditMembership struct {
	OrganizationID int64  `json:"organization_id"`
	State          string `json:"state"`
}

// NewAccount is an account to add as it is, with memberships in any organizations; AccountState "" is active.
type NewAccount struct {
	Email              string       `json:"email"`
	FirstName          string       `json:"first_name"`
	LastName           string       `json:"last_name"`
	CountryID          string       `json:"country_id"`
	OtherID            string       `json:"other_id"`
	Memberships        []Membership `json:"memberships"`
	AccountState       string       `json:"account_state"`
	IdentityProviderID int64        `json:"identity_provider_id"`
}

// Edit changes a person behind the API's back and returns the account as it is now, or nil when it is gone or when
// the person has none.
func (s *Sandbox) Edit(e Edit) (*Account, error) { return s.edit(e) }

// AddAccount adds an account as it is.
func (s *Sandbox) AddAccount(n NewAccount) (*Account, error) { return s.addAccount(n) }

func (s *Sandbox) edit(e Edit) (*Account, error) {
	if err := s.checkEdit(e); err != nil {
		return nil, err
	}
	out, err := s.write("edit", "", func(t *tx) (answer, error) {
		t.bypass = true
		a := t.account(e.UserID)
		if e.UserID == 0 {
			a = t.state.accountByEmail(e.Email)
		}
		pending := t.pendingInvites(a, e.Email, t.now)
		switch {
		case a == nil && len(pending) == 0:
			return answer{}, notFound("nobody has that address or id")
		case a == nil && e.InviteState == "":
			return answer{}, stateConflict("%q has a pending invite but no account yet: only invite_state can be edited", e.Email)
		}
		for _, i := range pending {
			t.putInvite(e.editInvite(i, t))
		}
		organizations := []int64{}
		if a != nil {
			organizations = a.organizationIDs()
			if err := t.edit(a, e); err != nil {
				return answer{}, err
			}
		}
		t.commit(organizations)
		if a == nil {
			return answer{}, nil
		}
		return ok(t.account(a.ID).record(s.catalogue))
	})
	a, _ := out.body.(*Account)
	return a, err
}

func (s *Sandbox) checkEdit(e Edit) error {
	if e.NewEmail != "" {
		if err := checkEmail(e.NewEmail, "new_email"); err != nil {
			return err
		}
	}
	if e.Role != nil {
		if _, known := s.catalogue.role(e.Role.RoleID); !known || !s.catalogue.organization(e.Role.OrganizationID) {
			return invalidField("role", "unknown role %d or organization %d", e.Role.RoleID, e.Role.OrganizationID)
		}
	}
	if m := e.Membership; m != nil {
		states := []string{"", StateActive, StateInvited, StateSuspended}
		if !slices.Contains(states, m.State) || !s.catalogue.organization(m.OrganizationID) {
			return invalidField("membership", "unknown state %q or organization %d", m.State, m.OrganizationID)
		}
	}
	if !slices.Contains([]string{"", StateNew, StateActive, StateLocked, StateBlocked}, e.AccountState) {
		return invalidField("account_state", "unknown state %q", e.AccountState)
	}
	if !slices.Contains([]string{"", StateRevoked, StateExpired}, e.InviteState) {
		return invalidField("invite_state", "unknown state %q: use revoked or expired", e.InviteState)
	}
	return nil
}

func (e *Edit) editInvite(i *invite, t *tx) *invite {
	n := i.clone()
	switch e.InviteState {
	case StateRevoked:
		n.State = StateRevoked
	case StateExpired:
		n.ExpiresAt = t.now
	}
	return n
}

// edit stages the changed account.
func (t *tx) edit(a *account, e Edit) error {
	if e.Delete {
		return t.removeAccount(a)
	}
	n := a.clone()
	for _, f := range []struct {
		from *string
		to   *string
	}{{e.FirstName, &n.FirstName}, {e.LastName, &n.LastName}, {e.CountryID, &n.CountryID}, {e.OtherID, &n.OtherID}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if e.NewEmail != "" {
		if fold(e.NewEmail) != fold(a.Email) && t.taken(e.NewEmail, a.ID, t.now) {
			return emailTaken("new_email", e.NewEmail)
		}
		n.Email = e.NewEmail
	}
	if r := e.Role; r != nil {
		if m := n.membership(r.OrganizationID); m != nil {
			m.RoleID = r.RoleID
		} else {
			n.join(membership{r.OrganizationID, r.RoleID, StateActive, true})
		}
	}
	if m := e.Membership; m != nil {
		t.editMembership(n, *m)
	}
	if e.AccountState != "" {
		n.State = e.AccountState
		n.Accepted = n.Accepted || n.State == StateActive || n.State == StateLocked
		if n.State == StateNew {
			n.Accepted = false
		}
	}
	return t.putAccount(n)
}

func (t *tx) editMembership(n *account, e EditMembership) {
	m := n.membership(e.OrganizationID)
	switch {
	case e.State == "":
		n.leave(e.OrganizationID)
	case m == nil:
		n.join(membership{e.OrganizationID, t.catalogue.lowestRole, e.State, e.State != StateInvited})
	default:
		m.State = e.State
		m.Accepted = e.State == StateActive || e.State == StateSuspended && m.Accepted
	}
}

func (s *Sandbox) addAccount(in NewAccount) (*Account, error) {
	p := &profile{
		email: text{true, in.Email}, firstName: text{true, in.FirstName}, lastName: text{true, in.LastName},
		countryID: text{true, in.CountryID}, otherID: text{true, in.OtherID},
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	for _, m := range in.Memberships {
		check := Edit{Role: &EditRole{m.OrganizationID, m.RoleID}, Membership: &EditMembership{m.OrganizationID, m.State}}
		if err := s.checkEdit(check); err != nil {
			return nil, err
		}
		if m.State == "" {
			return nil, invalidField("memberships", "a membership needs a state")
		}
	}
	if err := s.checkEdit(Edit{AccountState: in.AccountState}); err != nil {
		return nil, err
	}
	out, err := s.write("edit", "", func(t *tx) (answer, error) {
		if t.taken(in.Email, 0, t.now) {
			return answer{}, emailTaken("email", in.Email)
		}
		a := &account{accountFields: accountFields{
			ID: t.nextAccountID, Email: in.Email, State: in.AccountState, IdentityProvider: in.IdentityProviderID,
			Accepted: in.AccountState != StateNew, CreatedAt: t.now,
		}}
		if a.State == "" {
			a.State = StateActive
		}
		p.write(&a.FirstName, &a.LastName, &a.CountryID, &a.OtherID)
		for _, m := range in.Memberships {
			if a.membership(m.OrganizationID) != nil {
				return answer{}, invalidField("memberships", "organization %d is named twice", m.OrganizationID)
			}
			a.join(membership{m.OrganizationID, m.RoleID, m.State, a.Accepted && m.State != StateInvited})
		}
		if err := t.putAccount(a); err != nil {
			return answer{}, err
		}
		t.commit(a.organizationIDs())
		return ok(a.record(s.catalogue))
	})
	a, _ := out.body.(*Account)
	return a, err
}
