package mapping_test

import (
	"fmt"
	"slices"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

// model is upstream as far as one person is concerned, written from the API's
// contract, with what an Account does not show.
type model struct {
	// immediate says that an invite makes an account at once.
	immediate bool
	// resendRestores says that reviving an invite also brings the memberships
	// back that were suspended before anybody accepted; the contract leaves
	// that open.
	resendRestores bool

	acc     *modelAccount
	invites []*modelInvite
	known   string // the invite that the bridge remembers
	nextID  int64
	mails   int
}

type modelAccount struct {
	id       int64
	profile  mapping.Profile
	state    string
	accepted bool
	members  []modelMember
	idp      int64
}

type modelMember struct {
	org, role int64
	state     string
	accepted  bool
}

type modelInvite struct {
	id      string
	profile mapping.Profile
	state   string
	role    int64
	orgs    []int64
	idp     int64
}

func (a *modelAccount) member(org int64) *modelMember {
	for i := range a.members {
		if a.members[i].org == org {
			return &a.members[i]
		}
	}
	return nil
}

func (a *modelAccount) leave(org int64) {
	a.members = slices.DeleteFunc(a.members, func(m modelMember) bool { return m.org == org })
}

func (a *modelAccount) hasActive() bool {
	return slices.ContainsFunc(a.members, func(m modelMember) bool { return m.state == mapping.MembershipActive })
}

func (i *modelInvite) pending() bool { return i.state == mapping.InvitePending }

func (m *model) invite(id string) *modelInvite {
	for _, i := range m.invites {
		if i.id == id {
			return i
		}
	}
	return nil
}

// pendingTo is the pending invite of the account, or, while there is none, for
// an address; nil for none.
func (m *model) pendingTo(email string) *modelInvite {
	for _, i := range m.invites {
		if i.pending() && (m.acc != nil || scim.Fold(i.profile.Email) == scim.Fold(email)) {
			return i
		}
	}
	return nil
}

// observe is what the bridge sees after reading upstream.
func (m *model) observe() mapping.Account {
	known := m.invite(m.known)
	var inv *mapping.Invite
	if known != nil {
		inv = &mapping.Invite{ID: known.id, State: known.state, RoleID: known.role, OrganizationIDs: slices.Clone(known.orgs)}
	}
	if m.acc == nil {
		if known == nil {
			return mapping.Account{}
		}
		p := known.profile
		return mapping.Account{
			Email: p.Email, FirstName: p.FirstName, LastName: p.LastName, CountryID: p.CountryID,
			IdentityProviderID: known.idp, Invite: inv,
		}
	}
	p := m.acc.profile
	a := mapping.Account{
		UserID: m.acc.id, Email: p.Email, FirstName: p.FirstName, LastName: p.LastName, CountryID: p.CountryID,
		State: m.acc.state, IdentityProviderID: m.acc.idp, Invite: inv,
	}
	for _, x := range m.acc.members {
		a.Memberships = append(a.Memberships, mapping.Membership{OrganizationID: x.org, RoleID: x.role, State: x.state})
	}
	return a
}

// take carries a step out. refused means that upstream would not change the
// address; an error is a call that upstream refuses and that no plan makes.
func (m *model) take(s mapping.Step, want mapping.Desire, mail bool) (refused bool, err error) {
	switch s.Kind {
	case mapping.StepInvite:
		return false, m.offer(s, want, mail)
	case mapping.StepCreate:
		return false, m.create(s, want)
	case mapping.StepUpdateAccount:
		return m.updateAccount(s, want)
	case mapping.StepUpdateInvite:
		return false, m.updateInvite(s, want)
	case mapping.StepRevokeInvite:
		return false, m.revoke(s.Organizations)
	case mapping.StepResendInvite:
		return false, m.resend()
	}
	if m.acc == nil {
		return false, fmt.Errorf("%s without an account", s.Kind)
	}
	if !m.acc.in(ours) && s.Kind != mapping.StepSetRole {
		return false, fmt.Errorf("%s of an account that the credential does not see", s.Kind)
	}
	switch s.Kind {
	case mapping.StepDeactivate:
		m.deactivate(s.Organizations)
	case mapping.StepActivate:
		m.activate(s.Organizations)
	case mapping.StepSetRole:
		m.setRole(s.Organizations[0], s.RoleID)
	case mapping.StepRemove:
		return false, m.remove(s.Organizations[0])
	default:
		return false, fmt.Errorf("unknown step %q", s.Kind)
	}
	return false, nil
}

func (a *modelAccount) in(orgs []int64) bool {
	return slices.ContainsFunc(a.members, func(x modelMember) bool { return slices.Contains(orgs, x.org) })
}

func (m *model) offer(s mapping.Step, want mapping.Desire, mail bool) error {
	if s.Email == "" {
		return fmt.Errorf("an invite for nobody")
	}
	if m.acc != nil && scim.Fold(m.acc.profile.Email) != scim.Fold(s.Email) {
		return fmt.Errorf("an invite for %q would make a second person of %q", s.Email, m.acc.profile.Email)
	}
	for _, i := range m.invites {
		if m.acc == nil && i.pending() && scim.Fold(i.profile.Email) != scim.Fold(s.Email) {
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
	pending.orgs = append(pending.orgs, missing...)
	m.known = pending.id
	m.attach(pending, missing, s.RoleID, true)
	return nil
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

func (m *model) create(s mapping.Step, want mapping.Desire) error {
	if m.acc != nil || m.pendingTo(s.Email) != nil {
		return fmt.Errorf("create_user answers email_taken")
	}
	m.nextID++
	p := want.Profile
	p.Email = s.Email
	m.acc = &modelAccount{id: m.nextID, profile: p, state: mapping.AccountActive, accepted: true}
	return nil
}

func write(p *mapping.Profile, fields []string, from mapping.Profile) {
	for _, f := range fields {
		switch f {
		case "email":
			p.Email = from.Email
		case "first_name":
			p.FirstName = from.FirstName
		case "last_name":
			p.LastName = from.LastName
		case "country_id":
			p.CountryID = from.CountryID
		}
	}
}

func (m *model) updateAccount(s mapping.Step, want mapping.Desire) (refused bool, err error) {
	if m.acc == nil || !m.acc.in(ours) {
		return false, fmt.Errorf("update_user answers 404")
	}
	if slices.Contains(s.Fields, "email") && !m.acc.accepted {
		return true, nil
	}
	write(&m.acc.profile, s.Fields, want.Profile)
	return false, nil
}

func (m *model) updateInvite(s mapping.Step, want mapping.Desire) error {
	i := m.invite(m.known)
	if !i.pending() || slices.Contains(s.Fields, "email") {
		return fmt.Errorf("update_invite %v answers state_conflict: the invite is %s", s.Fields, i.state)
	}
	write(&i.profile, s.Fields, want.Profile)
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
		if other != i && other.pending() {
			return fmt.Errorf("resend_invite answers state_conflict: %s is pending", other.id)
		}
	}
	var orgs []int64
	for _, org := range i.orgs {
		if m.acc != nil && m.acc.member(org) != nil && m.acc.member(org).accepted {
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

func (m *model) deactivate(orgs []int64) {
	for k := range m.acc.members {
		if slices.Contains(orgs, m.acc.members[k].org) {
			m.acc.members[k].state = mapping.MembershipSuspended
		}
	}
	if !m.acc.hasActive() {
		m.acc.state = mapping.AccountBlocked
	}
	for _, i := range m.invites {
		if i.pending() {
			i.withdraw(orgs)
		}
	}
}

func (m *model) activate(orgs []int64) {
	for k := range m.acc.members {
		x := &m.acc.members[k]
		if slices.Contains(orgs, x.org) && x.state == mapping.MembershipSuspended {
			x.state = mapping.MembershipInvited
			if x.accepted {
				x.state = mapping.MembershipActive
			}
		}
	}
	if m.acc.state == mapping.AccountBlocked {
		m.acc.state = mapping.AccountNew
		if m.acc.accepted {
			m.acc.state = mapping.AccountActive
		}
	}
}

func (m *model) setRole(org, role int64) {
	if x := m.acc.member(org); x != nil {
		x.role = role
		return
	}
	state := mapping.MembershipInvited
	if m.acc.accepted {
		state = mapping.MembershipActive
	}
	m.acc.members = append(m.acc.members, modelMember{org, role, state, m.acc.accepted})
}

func (m *model) remove(org int64) error {
	x := m.acc.member(org)
	switch {
	case x == nil:
		return fmt.Errorf("remove_user answers 404 for %d", org)
	case x.state == mapping.MembershipActive:
		return fmt.Errorf("remove_user answers state_conflict for %d: it is active", org)
	}
	for _, i := range m.invites {
		if i.pending() {
			i.withdraw([]int64{org})
		}
	}
	m.acc.leave(org)
	if len(m.acc.members) == 0 {
		m.acc, m.known = nil, ""
	}
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

// elsewhere makes the person a member of an organization of another tenant.
func (m *model) elsewhere() {
	if m.acc == nil {
		i := m.invite(m.known)
		if i == nil {
			return
		}
		m.nextID++
		m.acc = &modelAccount{id: m.nextID, profile: i.profile}
		if i.pending() {
			m.attach(i, i.orgs, i.role, true)
		}
	}
	if m.acc.member(foreign) != nil {
		return
	}
	m.acc.accepted = true
	if m.acc.state != mapping.AccountLocked {
		m.acc.state = mapping.AccountActive
	}
	m.acc.members = append(m.acc.members, modelMember{foreign, 3, mapping.MembershipActive, true})
}
