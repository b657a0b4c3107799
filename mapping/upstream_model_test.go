package mapping_test

import (
	"fmt"
	"slices"

	"github.com/sharearefund/scim-bridge/mapping"
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
	// merging says what becomes of the role of a pending invite that more
	// organizations are added to while there is no account: it "keeps" its
	// own, "takes" the new one, or "lowers"; the contract leaves that open.
	merging string

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
		m.carry()
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

// grants are the roles that the person can use, or get by accepting, by
// organization of ours.
func (m *model) grants() map[int64]int64 {
	g := map[int64]int64{}
	for _, org := range ours {
		offered := slices.IndexFunc(m.invites, func(i *modelInvite) bool { return i.pending() && slices.Contains(i.orgs, org) })
		if m.acc == nil {
			if offered >= 0 {
				g[org] = m.invites[offered].role
			}
			continue
		}
		x := m.acc.member(org)
		switch {
		case x == nil:
		case x.state == mapping.MembershipActive && m.acc.state != mapping.AccountBlocked, x.state == mapping.MembershipInvited && offered >= 0:
			g[org] = x.role
		}
	}
	return g
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
