package mapping_test

import (
	"fmt"
	"slices"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

type modelInvite struct {
	id      string
	profile mapping.Profile
	state   string
	role    int64
	orgs    []int64
	idp     int64
}

func (i *modelInvite) pending() bool { return i.state == mapping.InvitePending }

func (i *modelInvite) in(orgs []int64) bool {
	return slices.ContainsFunc(i.orgs, func(org int64) bool { return slices.Contains(orgs, org) })
}

// shared reports whether organizations of other tenants share the invite.
func (i *modelInvite) shared() bool { return i.in([]int64{foreign}) }

func (m *model) invite(id string) *modelInvite {
	for _, i := range m.invites {
		if i.id == id {
			return i
		}
	}
	return nil
}

// pendingTo is the pending invite of the account, or, while there is none, for
// an address, that the credential sees; nil for none.
func (m *model) pendingTo(email string) *modelInvite {
	for _, i := range m.invites {
		if i.pending() && i.in(ours) && (m.acc != nil || scim.Fold(i.profile.Email) == scim.Fold(email)) {
			return i
		}
	}
	return nil
}

func (m *model) offer(s mapping.Step, want mapping.Desire, mail bool) error {
	if s.Email == "" {
		return fmt.Errorf("an invite for nobody")
	}
	if m.acc != nil && scim.Fold(m.acc.profile.Email) != scim.Fold(s.Email) {
		return fmt.Errorf("an invite for %q would make a second person of %q", s.Email, m.acc.profile.Email)
	}
	for _, i := range m.invites {
		if m.acc == nil && i.pending() && i.in(ours) && scim.Fold(i.profile.Email) != scim.Fold(s.Email) {
			return fmt.Errorf("an invite for %q while %q can still accept", s.Email, i.profile.Email)
		}
	}
	pending := m.pendingTo(s.Email)
	var missing []int64
	for _, org := range s.Organizations {
		if m.acc != nil {
			if x := m.acc.member(org); x != nil && x.state != mapping.MembershipInvited {
				return fmt.Errorf("invite_users answers already_member for %d", org)
			}
		}
		if pending == nil || !slices.Contains(pending.orgs, org) {
			missing = append(missing, org)
		}
	}
	if len(missing) == 0 {
		return fmt.Errorf("invite_users answers already_invited for %v", s.Organizations)
	}
	if pending == nil {
		p := want.Profile
		p.Email = s.Email
		m.nextID++
		pending = &modelInvite{
			id: fmt.Sprintf("inv_%d", m.nextID), profile: p, state: mapping.InvitePending, role: s.RoleID, idp: want.IdentityProviderID,
		}
		m.invites = append(m.invites, pending)
		if mail || want.IdentityProviderID == 0 {
			m.mails++
		}
	}
	if m.merging == "takes" || m.merging == "lowers" && weight(s.RoleID) < weight(pending.role) {
		pending.role = s.RoleID
	}
	pending.orgs = append(pending.orgs, missing...)
	m.known = pending.id
	m.attach(pending, missing, s.RoleID, true)
	if m.acc != nil {
		for _, org := range missing {
			if x := m.acc.member(org); !x.accepted {
				x.role = s.RoleID
			}
		}
		m.carry()
	}
	return nil
}

// carry makes the lowest role that accepting a pending invite gives the
// account that of the invite.
func (m *model) carry() {
	for _, i := range m.invites {
		if !i.pending() {
			continue
		}
		low := int64(0)
		for _, org := range i.orgs {
			if x := m.acc.member(org); x != nil && x.state == mapping.MembershipInvited && (low == 0 || weight(x.role) < weight(low)) {
				low = x.role
			}
		}
		if low != 0 {
			i.role = low
		}
	}
}

// attach lets the account follow its pending invite.
func (m *model) attach(i *modelInvite, orgs []int64, role int64, restore bool) {
	if m.acc == nil {
		if !m.immediate {
			return
		}
		m.nextID++
		m.acc = &modelAccount{id: m.nextID, profile: i.profile, state: mapping.AccountNew, idp: i.idp}
	}
	if restore && m.acc.state == mapping.AccountBlocked && !m.acc.accepted {
		m.acc.state = mapping.AccountNew
	}
	for _, org := range orgs {
		x := m.acc.member(org)
		switch {
		case x == nil:
			m.acc.members = append(m.acc.members, modelMember{org, role, mapping.MembershipInvited, false})
		case !x.accepted && restore:
			x.state = mapping.MembershipInvited
		}
	}
}

func (m *model) updateInvite(s mapping.Step, want mapping.Desire) error {
	i := m.invite(m.known)
	if !i.pending() || slices.Contains(s.Fields, "email") {
		return fmt.Errorf("update_invite %v answers state_conflict: the invite is %s", s.Fields, i.state)
	}
	if s.RoleID != 0 && i.shared() {
		return fmt.Errorf("update_invite answers forbidden: the role holds in %v", i.orgs)
	}
	write(&i.profile, s.Fields, want.Profile)
	if s.RoleID != 0 {
		i.role = s.RoleID
	}
	return nil
}

func (i *modelInvite) withdraw(orgs []int64) {
	if i.state != mapping.InvitePending && i.state != mapping.InviteExpired {
		return
	}
	left := slices.DeleteFunc(slices.Clone(i.orgs), func(org int64) bool { return slices.Contains(orgs, org) })
	if len(left) == 0 {
		i.state = mapping.InviteRevoked // its organizations stay on record for a revival
		return
	}
	i.orgs = left
}

func (m *model) revoke(orgs []int64) error {
	i := m.invite(m.known)
	if i.state == mapping.InviteAccepted {
		return fmt.Errorf("revoke_invite answers state_conflict: it was accepted")
	}
	i.withdraw(orgs)
	if m.acc == nil {
		return nil
	}
	for _, org := range orgs {
		if x := m.acc.member(org); x != nil && x.state == mapping.MembershipInvited {
			m.acc.leave(org)
		}
	}
	if !m.acc.accepted && len(m.acc.members) == 0 {
		m.acc, m.known = nil, ""
	}
	return nil
}

func (m *model) resend() error {
	i := m.invite(m.known)
	if i.state == mapping.InviteAccepted {
		return fmt.Errorf("resend_invite answers state_conflict: it was accepted")
	}
	for _, other := range m.invites {
		if other != i && other.pending() && other.in(ours) {
			return fmt.Errorf("resend_invite answers state_conflict: %s is pending", other.id)
		}
	}
	var orgs []int64
	for _, org := range i.orgs {
		if !slices.Contains(ours, org) || m.acc != nil && m.acc.member(org) != nil && m.acc.member(org).accepted {
			continue
		}
		orgs = append(orgs, org)
	}
	if len(orgs) == 0 {
		return fmt.Errorf("resend_invite answers state_conflict: a member already")
	}
	i.orgs, i.state = orgs, mapping.InvitePending
	m.mails++
	m.attach(i, orgs, i.role, m.resendRestores)
	return nil
}

// accept is the person following the link of a pending invite.
func (m *model) accept() {
	i := m.invite(m.known)
	if i == nil || !i.pending() {
		return
	}
	i.state = mapping.InviteAccepted
	if m.acc == nil {
		m.nextID++
		m.acc = &modelAccount{id: m.nextID, profile: i.profile, idp: i.idp}
	}
	m.acc.accepted = true
	for _, org := range i.orgs {
		x := m.acc.member(org)
		switch {
		case x == nil:
			m.acc.members = append(m.acc.members, modelMember{org, i.role, mapping.MembershipActive, true})
		case x.state == mapping.MembershipInvited:
			x.state, x.accepted = mapping.MembershipActive, true
		}
	}
	if m.acc.hasActive() && m.acc.state != mapping.AccountLocked {
		m.acc.state = mapping.AccountActive
	}
}

// share lets another tenant's organization have part in a pending invite that
// has not become an account.
func (m *model) share() {
	if i := m.invite(m.known); m.acc == nil && i != nil && i.pending() && !i.shared() {
		i.orgs = append(i.orgs, foreign)
	}
}
