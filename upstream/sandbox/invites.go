package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"slices"
)

// maxInvited bounds the people of one invite_users call.
const maxInvited = 100

type inviteItem struct {
	Email                 text   `json:"Email"`
	FirstName             text   `json:"FirstName"`
	LastName              text   `json:"LastName"`
	CountryID             text   `json:"CountryId"`
	OtherID               text   `json:"OtherId"`
	RoleID                *int64 `json:"RoleId"` // null: the role of the lowest weight
	IdentityProviderID    *int64 `json:"IdentityProviderId"`
	ShouldActivateByEmail *bool  `json:"ShouldActivateByEmail"` // null: true
}

func (i *inviteItem) profile() *profile {
	return &profile{i.Email, i.FirstName, i.LastName, i.CountryID, i.OtherID, true}
}

type inviteResult struct {
	Email    string    `json:"Email"`
	Status   string    `json:"Status"`
	InviteID *string   `json:"InviteId"`
	UserID   *int64    `json:"UserId"`
	Error    *apiError `json:"Error"`
}

func (s *Sandbox) inviteUsers(c *call) (answer, error) {
	var body struct {
		Users           []inviteItem `json:"Users"`
		OrganizationIDs []int64      `json:"OrganizationIds"`
	}
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	switch {
	case len(body.Users) == 0 || len(body.Users) > maxInvited:
		return answer{}, invalidField("Users", "invite from 1 to %d people a call, not %d", maxInvited, len(body.Users))
	case len(body.OrganizationIDs) == 0:
		return answer{}, invalidField("OrganizationIds", "name at least one organization")
	}
	ids := distinct(body.OrganizationIDs)
	if err := c.cred.managed(ids); err != nil {
		return answer{}, err
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		results := make([]inviteResult, len(body.Users))
		for k := range body.Users {
			item := &body.Users[k]
			result, err := s.invite(t, c.cred, item, ids)
			if err != nil {
				t.staged = effect{}
				result = inviteResult{Status: "rejected", Error: asAPIError(err)}
			}
			result.Email = item.Email.value
			results[k] = result
			if result.Status == "invited" {
				s.counters.invited.Add(1)
			}
		}
		return ok(struct {
			Results []inviteResult `json:"Results"`
		}{results})
	})
}

// invite decides about one person and commits what it did.
func (s *Sandbox) invite(t *tx, by *credential, item *inviteItem, organizationIDs []int64) (inviteResult, error) {
	p := item.profile()
	p.email.set = true
	if err := p.check(); err != nil {
		return inviteResult{}, err
	}
	roleID, providerID := s.catalogue.lowestRole, int64(0)
	if item.RoleID != nil {
		roleID = *item.RoleID
	}
	if err := s.catalogue.grantable(by, roleID, "RoleId"); err != nil {
		return inviteResult{}, err
	}
	if item.IdentityProviderID != nil {
		providerID = *item.IdentityProviderID
		if err := s.catalogue.enabledProvider(providerID, "IdentityProviderId"); err != nil {
			return inviteResult{}, err
		}
	}

	a := t.state.accountByEmail(p.email.value)
	pending := t.pendingOf(by, a, p.email.value)
	missing, members := t.uncovered(a, pending, organizationIDs)
	out := inviteResult{}
	if a != nil {
		out.UserID = orNull(a.ID)
	}
	switch {
	case len(missing) == 0 && members == len(organizationIDs):
		out.Status = "already_member"
		return out, nil
	case len(missing) == 0:
		out.Status = "already_invited"
		out.InviteID = orNull(coveringInvite(pending, organizationIDs).ID)
		return out, nil
	}

	var i *invite
	if len(pending) > 0 {
		i = pending[0].clone()
		i.RoleID = s.catalogue.lower(i.RoleID, roleID)
	} else {
		i = s.newInvite(t, p, providerID)
		i.RoleID = roleID
	}
	i.Organizations = append(i.Organizations, missing...)
	if err := t.attach(i, a, s.opts.Invites == Immediate, roleID, missing); err != nil {
		return inviteResult{}, err
	}
	if byMail := item.ShouldActivateByEmail == nil || *item.ShouldActivateByEmail; len(pending) == 0 && (byMail || providerID == 0) {
		t.mail("invite", i.Email, i.Organizations)
	}
	t.commit(missing)
	out.Status, out.InviteID, out.UserID = "invited", orNull(i.ID), orNull(i.UserID)
	return out, nil
}

// pendingOf lists the person's pending invites that the credential sees.
func (t *tx) pendingOf(by *credential, a *account, email string) []*invite {
	return slices.DeleteFunc(t.pendingInvites(a, email, t.now), func(i *invite) bool { return !i.in(by.organizations) })
}

// uncovered returns the organizations that the person neither is a member of nor has a pending invite to, and in how
// many the person is a member, suspended or not.
func (t *tx) uncovered(a *account, pending []*invite, organizationIDs []int64) (missing []int64, members int) {
	for _, id := range organizationIDs {
		if a != nil {
			if m := a.membership(id); m != nil && m.State != StateInvited {
				members++
				continue
			}
		}
		if !slices.ContainsFunc(pending, func(i *invite) bool { return i.covers(id) }) {
			missing = append(missing, id)
		}
	}
	return missing, members
}

func coveringInvite(pending []*invite, organizationIDs []int64) *invite {
	for _, i := range pending {
		if i.in(organizationIDs) {
			return i
		}
	}
	return pending[0]
}

func (s *Sandbox) newInvite(t *tx, p *profile, providerID int64) *invite {
	i := &invite{inviteFields: inviteFields{
		Seq: t.nextInviteSeq, ID: s.inviteID(t.nextInviteSeq), Email: p.email.value, IdentityProvider: providerID,
		State: StatePending, CreatedAt: t.now, ExpiresAt: t.now.Add(s.opts.InviteTTL),
	}}
	p.write(&i.FirstName, &i.LastName, &i.CountryID, &i.OtherID)
	return i
}

// inviteID makes an id that cannot be guessed from another one: inv_ and 26 characters.
func (s *Sandbox) inviteID(seq int64) string {
	h := hmac.New(sha256.New, s.secret)
	h.Write(binary.BigEndian.AppendUint64([]byte("invite\x00"), uint64(seq)))
	return "inv_" + base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil))[:26]
}

// attach stages a pending invite together with what it means for the account: an invited membership in each of its
// organizations. Without an account it creates one, if create says so. A membership that acceptance once made
// active is left alone; one that was suspended before acceptance is invited again. The role is that of new memberships
// and of those in the named organizations.
func (t *tx) attach(i *invite, a *account, create bool, roleID int64, named []int64) error {
	var n *account
	switch {
	case a != nil:
		n = a.clone()
		if n.State == StateBlocked && !n.Accepted {
			n.State = StateNew
		}
	case create:
		n = i.account(t)
		n.State = StateNew
	default:
		t.putInvite(i)
		return nil
	}
	i.UserID = n.ID
	for _, id := range i.Organizations {
		m := n.membership(id)
		switch {
		case m == nil:
			n.join(membership{id, roleID, StateInvited, false})
		case !m.Accepted:
			m.State = StateInvited
			if slices.Contains(named, id) {
				m.RoleID = roleID
			}
		}
	}
	i.RoleID = t.lowestRole(i, n)
	t.putInvite(i)
	return t.putAccount(n)
}

// lowestRole is the lowest of the roles that accepting the invite gives the account.
func (t *tx) lowestRole(i *invite, a *account) int64 {
	role := int64(0)
	for _, m := range a.Memberships {
		switch {
		case m.State != StateInvited || !i.covers(m.OrganizationID):
		case role == 0:
			role = m.RoleID
		default:
			role = t.catalogue.lower(role, m.RoleID)
		}
	}
	if role == 0 {
		return i.RoleID
	}
	return role
}

// account is the new account that the invite is for, without memberships.
func (i *invite) account(t *tx) *account {
	return &account{accountFields: accountFields{
		ID: t.nextAccountID, Email: i.Email, FirstName: i.FirstName, LastName: i.LastName, CountryID: i.CountryID,
		OtherID: i.OtherID, IdentityProvider: i.IdentityProvider, InviteID: i.ID, CreatedAt: t.now,
	}}
}
