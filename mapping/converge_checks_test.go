package mapping_test

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/sharearefund/scim-bridge/mapping"
)

// gaveWhatIsDue checks that a step gave no access and no role but what is due
// in the end. What an invite carries is not ours to choose while others share
// it, nor changed without rules.
func (w *world) gaveWhatIsDue(t *rapid.T, step mapping.Step, want mapping.Desire, cur mapping.Account, held map[int64]int64) {
	if cur.UserID == 0 && (cur.SharedBeyond(ours) || len(want.Roles) == 0) {
		return
	}
	for org, role := range w.grants() {
		was, had := held[org]
		if had && weight(role) <= weight(was) {
			continue
		}
		if was, access := roleIn(cur, org); access && was == role && len(want.Roles) == 0 {
			continue // without rules, what was offered is left to upstream
		}
		due := roleDue(want, org)
		if !slices.Contains(want.Organizations, org) || weight(role) > due.Weight {
			t.Fatalf("I4: %+v gives role %d in %d, where %+v is due in %v", step, role, org, due, want.Organizations)
		}
	}
}

// roleDue is the role due in an organization.
func roleDue(want mapping.Desire, org int64) mapping.Role {
	for _, d := range want.Roles {
		if d.OrganizationID == org {
			return d.Role
		}
	}
	return want.Role
}

// lowestDue is the lowest of the roles due.
func lowestDue(want mapping.Desire) mapping.Role {
	low := roleDue(want, want.Organizations[0])
	for _, org := range want.Organizations {
		if r := roleDue(want, org); r.Weight < low.Weight {
			low = r
		}
	}
	return low
}

func takes(s mapping.Step, cur mapping.Account) bool {
	switch s.Kind {
	case mapping.StepDeactivate, mapping.StepRevokeInvite:
		return true
	case mapping.StepRemove:
		return len(cur.AccessIn(s.Organizations)) > 0
	}
	return false
}

func roleIn(cur mapping.Account, org int64) (role int64, access bool) {
	for _, m := range cur.Memberships {
		if m.OrganizationID == org {
			return m.RoleID, m.State != mapping.MembershipSuspended
		}
	}
	return 0, false
}

func lowers(s mapping.Step, cur mapping.Account) bool {
	if s.Kind == mapping.StepUpdateInvite && s.RoleID != 0 {
		return weight(s.RoleID) < weight(cur.Invite.RoleID)
	}
	if s.Kind != mapping.StepSetRole {
		return false
	}
	role, _ := roleIn(cur, s.Organizations[0])
	return weight(s.RoleID) < weight(role)
}

func gives(s mapping.Step, cur mapping.Account) bool {
	switch s.Kind {
	case mapping.StepInvite, mapping.StepActivate, mapping.StepResendInvite, mapping.StepCreate:
		return true
	case mapping.StepUpdateInvite:
		return s.RoleID != 0 && weight(s.RoleID) > weight(cur.Invite.RoleID)
	case mapping.StepSetRole:
		role, access := roleIn(cur, s.Organizations[0])
		return role == 0 || access && weight(s.RoleID) > weight(role)
	}
	return false
}

// checkOrder checks the plan as it is listed, too.
func checkOrder(t *rapid.T, steps []mapping.Step, cur mapping.Account) {
	gave := false
	for _, s := range steps {
		if gave && (s.Kind == mapping.StepDeactivate || s.Kind == mapping.StepRevokeInvite || lowers(s, cur)) {
			t.Fatalf("%+v comes after access is given in %+v", s, steps)
		}
		gave = gave || gives(s, cur)
	}
}

// settled checks what upstream holds when nothing is left to do.
func (w *world) settled(t *rapid.T, want mapping.Desire, start mapping.Account, s mapping.Situation) {
	end := w.observe()
	if !want.Active {
		for _, i := range w.invites {
			if i.pending() && i.in(ours) {
				t.Fatalf("I3: invite %+v can be accepted after a deactivation", i)
			}
		}
		return
	}
	if in, due := end.AccessIn(ours), sorted(want.Organizations); !slices.Equal(in, due) {
		t.Fatalf("access is offered in %v, due in %v: %+v", in, due, end)
	}
	stay := want.Untouched
	if start.UserID != end.UserID {
		stay = nil // the person was made anew, for another address
	}
	if held, due := end.HeldIn(ours), sorted(slices.Concat(want.Organizations, stay)); !slices.Equal(held, due) {
		t.Fatalf("held in %v, due in %v", held, due)
	}
	w.hasRoles(t, want, start, end)
	if end.UserID != 0 && end.State == mapping.AccountBlocked && !end.SharedBeyond(ours) {
		t.Fatalf("an active person is blocked: %+v", end)
	}
	w.canAccept(t, want, start, end, s)
}

// hasRoles checks that every role is as due, and that those that are kept are
// what they were.
func (w *world) hasRoles(t *rapid.T, want mapping.Desire, start, end mapping.Account) {
	if i := end.Invite; end.UserID == 0 {
		if low := lowestDue(want); len(want.Roles) > 0 && i.State == mapping.InvitePending && !end.SharedBeyond(ours) && i.RoleID != low.ID {
			t.Fatalf("I4: the invite carries role %d, and the lowest due is %d: %+v", i.RoleID, low.ID, want.Roles)
		}
		return
	}
	for _, due := range want.Roles {
		role, _ := roleIn(end, due.OrganizationID)
		if !due.Keep && role != due.Role.ID {
			t.Fatalf("I4: role %d is held in %d, due is %+v", role, due.OrganizationID, due)
		}
	}
	for _, org := range want.Organizations {
		was, _ := roleIn(start, org)
		role, _ := roleIn(end, org)
		active := slices.Contains(start.Memberships, mapping.Membership{OrganizationID: org, RoleID: was, State: mapping.MembershipActive})
		keep := len(want.Roles) == 0 || slices.ContainsFunc(want.Roles, func(d mapping.DueRole) bool { return d.OrganizationID == org && d.Keep })
		if keep && active && start.UserID == end.UserID && role != was {
			t.Fatalf("I4: role %d in %d became %d, though it is to be kept", was, org, role)
		}
	}
}

// canAccept checks that whoever was given access and has yet to accept it can.
func (w *world) canAccept(t *rapid.T, want mapping.Desire, start, end mapping.Account, s mapping.Situation) {
	if len(start.AccessIn(ours)) > 0 && !s.ResendExpired {
		return // an invite that expired meanwhile stays so: a change of profile sends no mail
	}
	if i := start.Invite; start.UserID != 0 && i != nil && i.State == mapping.InviteExpired && !w.sendable(i, want) {
		return // it must not be sent again, and no new one can be made while the memberships are suspended
	}
	if i := end.Invite; i != nil && i.State == mapping.InviteAccepted {
		return // what others withdrew before acceptance: the invite no longer tells
	}
	for _, org := range want.Organizations {
		if w.acc != nil && w.acc.member(org).state != mapping.MembershipInvited {
			continue
		}
		if !slices.ContainsFunc(w.invites, func(i *modelInvite) bool { return i.pending() && slices.Contains(i.orgs, org) }) {
			t.Fatalf("nothing to accept in %d: %+v invites %+v", org, end, end.Invite)
		}
	}
}

// sendable reports whether reviving the invite gives nothing that is not due.
func (w *world) sendable(i *mapping.Invite, want mapping.Desire) bool {
	return weight(i.RoleID) <= lowestDue(want).Weight && !slices.ContainsFunc(i.OrganizationIDs, func(org int64) bool {
		return !slices.Contains(want.Organizations, org)
	})
}

func sorted(orgs []int64) []int64 {
	s := slices.Clone(orgs)
	slices.Sort(s)
	return s
}
