package upstreamtest

import (
	"fmt"
	"strings"

	"github.com/sharearefund/scim-bridge/upstream"
)

// nobody is an id that no account has.
const nobody = 1 << 52

func (s *suite) reading() {
	a := s.member("Reader")
	byID, err := s.Client.GetUser(s.ctx, a.ID)
	s.must(err)
	byEmail, err := s.Client.FindUserByEmail(s.ctx, strings.ToUpper(a.Email))
	s.must(err)
	for _, got := range []*upstream.Account{byID, byEmail} {
		s.same("id", got.ID, a.ID)
		s.same("name", got.FirstName+" "+got.LastName+" "+got.CountryID+" "+got.OtherID, "Jamie Jackson CA 00u1ab2cd")
		s.same("times are set", got.CreatedAt.IsZero() || got.UpdatedAt.IsZero(), false)
		if got.Role == nil || got.Role.ID != s.LowRoleID {
			s.Errorf("role = %v, want %d", got.Role, s.LowRoleID)
		}
	}
	_, err = s.Client.GetUser(s.ctx, nobody)
	s.wantKind("nobody's id", err, upstream.NotFound, "")
	_, err = s.Client.FindUserByEmail(s.ctx, s.Email("nobody/../ü?#%2f+x"))
	s.wantKind("nobody's e-mail", err, upstream.NotFound, "")
}

func (s *suite) profile() {
	a, other := s.member("profile"), s.member("other")
	got, err := s.Client.UpdateUser(s.ctx, a.ID, upstream.Profile{LastName: new("Jones"), OtherID: new("")})
	s.must(err)
	s.same("profile", got.FirstName+" "+got.LastName+" "+got.CountryID+" "+got.OtherID, "Jamie Jones CA ")
	s.same("e-mail", got.Email, a.Email)
	renamed := s.newEmail("renamed")
	got, err = s.Client.UpdateUser(s.ctx, a.ID, upstream.Profile{Email: &renamed})
	s.must(err)
	s.same("new e-mail", got.Email, renamed)
	_, err = s.Client.FindUserByEmail(s.ctx, a.Email)
	s.wantKind("the old e-mail", err, upstream.NotFound, "")
	_, err = s.Client.UpdateUser(s.ctx, a.ID, upstream.Profile{Email: new(strings.ToUpper(other.Email))})
	s.wantKind("another person's e-mail", err, upstream.Conflict, upstream.CodeEmailTaken)
	_, err = s.Client.UpdateUser(s.ctx, a.ID, upstream.Profile{Email: new("not an address")})
	s.wantKind("a bad e-mail", err, upstream.Invalid, "")
	_, err = s.Client.UpdateUser(s.ctx, nobody, upstream.Profile{LastName: new("X")})
	s.wantKind("nobody", err, upstream.NotFound, "")
}

func (s *suite) roles() {
	a := s.member("roles")
	a, err := s.Client.SetRole(s.ctx, a.ID, s.OrganizationIDs[1], s.HighRoleID)
	s.must(err)
	s.same("memberships", s.memberships(a), fmt.Sprintf("active/%d active/%d", s.LowRoleID, s.HighRoleID))
	if s.TooHighRoleID != 0 {
		_, err = s.Client.SetRole(s.ctx, a.ID, s.OrganizationIDs[1], s.TooHighRoleID)
		s.wantKind("too high a role", err, upstream.Forbidden, "")
	}
	_, err = s.Client.DeactivateUser(s.ctx, a.ID, s.OrganizationIDs[1:])
	s.must(err)
	a, err = s.Client.SetRole(s.ctx, a.ID, s.OrganizationIDs[1], s.LowRoleID)
	s.must(err)
	s.same("memberships while suspended", s.memberships(a), fmt.Sprintf("active/%[1]d suspended/%[1]d", s.LowRoleID))
	s.must(s.Client.RemoveUser(s.ctx, a.ID, s.OrganizationIDs[1]))
	a, err = s.Client.SetRole(s.ctx, a.ID, s.OrganizationIDs[1], s.HighRoleID)
	s.must(err)
	s.same("membership that was missing", s.memberships(a), fmt.Sprintf("active/%d active/%d", s.LowRoleID, s.HighRoleID))
}

func (s *suite) deactivation() {
	a := s.member("leaves")
	a, err := s.Client.DeactivateUser(s.ctx, a.ID, s.OrganizationIDs[:1])
	s.must(err)
	s.same("memberships", s.memberships(a), fmt.Sprintf("suspended/%[1]d active/%[1]d", s.LowRoleID))
	s.same("state while one is active", a.AccountState, upstream.AccountActive)
	for range 2 {
		a, err = s.Client.DeactivateUser(s.ctx, a.ID, s.OrganizationIDs)
		s.must(err)
		s.same("state", a.AccountState, upstream.AccountBlocked)
		s.same("access", a.Accessible, false)
	}
	s.same("invited while suspended", s.invite(a.Email, s.OrganizationIDs...).Status, upstream.AlreadyMember)
	a, err = s.Client.ActivateUser(s.ctx, a.ID, s.OrganizationIDs)
	s.must(err)
	s.same("state when back", a.AccountState, upstream.AccountActive)
	s.same("memberships when back", s.memberships(a), fmt.Sprintf("active/%[1]d active/%[1]d", s.LowRoleID))

	s.wantKind("removing an active one", s.Client.RemoveUser(s.ctx, a.ID, s.OrganizationIDs[0]), upstream.Conflict, upstream.CodeStateConflict)
	_, err = s.Client.DeactivateUser(s.ctx, a.ID, s.OrganizationIDs)
	s.must(err)
	s.must(s.Client.RemoveUser(s.ctx, a.ID, s.OrganizationIDs[0]))
	a, err = s.Client.GetUser(s.ctx, a.ID)
	s.must(err)
	s.same("memberships after one is removed", s.memberships(a), fmt.Sprintf("- suspended/%d", s.LowRoleID))
	s.wantKind("removing it twice", s.Client.RemoveUser(s.ctx, a.ID, s.OrganizationIDs[0]), upstream.NotFound, "")
	s.must(s.Client.RemoveUser(s.ctx, a.ID, s.OrganizationIDs[1]))
	_, err = s.Client.GetUser(s.ctx, a.ID)
	s.wantKind("the account after its last membership", err, upstream.NotFound, "")
	s.same("status when invited anew", s.invite(a.Email, s.OrganizationIDs...).Status, upstream.Invited)
}

func (s *suite) deactivationBeforeAcceptance() {
	r := s.invite(s.newEmail("never"), s.OrganizationIDs...)
	if r.UserID == 0 {
		s.must(s.Client.RevokeInvite(s.ctx, r.InviteID, nil)) // accounts come with acceptance: there is nothing to deactivate
		return
	}
	a, err := s.Client.DeactivateUser(s.ctx, r.UserID, s.OrganizationIDs)
	s.must(err)
	s.same("state", a.AccountState, upstream.AccountBlocked)
	i, err := s.Client.GetInvite(s.ctx, r.InviteID)
	s.must(err)
	s.same("invite", i.State, upstream.InviteRevoked)
	a, err = s.Client.ActivateUser(s.ctx, r.UserID, s.OrganizationIDs)
	s.must(err)
	s.same("state when activated", a.AccountState, upstream.AccountNew)
	s.same("memberships when activated", s.memberships(a), fmt.Sprintf("invited/%[1]d invited/%[1]d", s.LowRoleID))
}

func (s *suite) creation() {
	email := s.newEmail("created")
	a, err := s.Client.CreateUser(s.ctx, upstream.Profile{Email: &email, FirstName: new("Sam")})
	s.must(err)
	s.same("state", a.AccountState, upstream.AccountActive)
	s.same("access", a.Accessible, false)
	s.same("memberships", len(a.Memberships), 0)
	a, err = s.Client.SetRole(s.ctx, a.ID, s.OrganizationIDs[0], s.LowRoleID)
	s.must(err)
	s.same("memberships after set_role", s.memberships(a), fmt.Sprintf("active/%d -", s.LowRoleID))
	s.same("access after set_role", a.Accessible, true)
	_, err = s.Client.CreateUser(s.ctx, upstream.Profile{Email: new(strings.ToUpper(email))})
	s.wantKind("the same e-mail", err, upstream.Conflict, upstream.CodeEmailTaken)
	_, err = s.Client.CreateUser(s.ctx, upstream.Profile{FirstName: new("Sam")})
	s.wantKind("no e-mail", err, upstream.Invalid, "")
}

func (s *suite) passwords() {
	a := s.member("forgetful")
	if !s.live {
		s.must(s.Client.ResetPassword(s.ctx, a.ID, "")) // mails a link
	}
	s.must(s.Client.ResetPassword(s.ctx, a.ID, "correct horse battery staple"))
	s.wantKind("nobody's", s.Client.ResetPassword(s.ctx, nobody, ""), upstream.NotFound, "")
}

func (s *suite) lastOwner() {
	if s.OwnerID == 0 {
		s.Skip("no owner is known whose deactivation may be tried")
	}
	_, err := s.Client.DeactivateUser(s.ctx, s.OwnerID, s.OrganizationIDs[:1])
	s.wantKind("deactivating the last owner", err, upstream.Conflict, upstream.CodeLastOwner)
}
