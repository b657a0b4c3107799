package upstreamtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sharearefund/scim-bridge/upstream"
)

func (s *suite) inviteLifeCycle() {
	email := s.newEmail("Jamie")
	first := s.invite(email, s.OrganizationIDs[0])
	s.same("status", first.Status, upstream.Invited)
	again := s.invite(strings.ToUpper(email), s.OrganizationIDs[0])
	s.same("status when repeated", again.Status, upstream.AlreadyInvited)
	s.same("invite when repeated", again.InviteID, first.InviteID)
	both := s.invite(email, s.OrganizationIDs...)
	s.same("status with another organization", both.Status, upstream.Invited)
	s.same("invite with another organization", both.InviteID, first.InviteID)

	i, err := s.Client.GetInvite(s.ctx, first.InviteID)
	s.must(err)
	s.same("state", i.State, upstream.InvitePending)
	s.same("e-mail", strings.EqualFold(i.Email, email), true)
	s.same("name", i.FirstName+" "+i.LastName+" "+i.CountryID+" "+i.OtherID, "Jamie Jackson CA 00u1ab2cd")
	s.same("role", i.RoleID, s.LowRoleID)
	s.same("provider", i.IdentityProviderID, s.ProviderID)
	s.same("organizations", fmt.Sprint(slices.Sorted(slices.Values(i.OrganizationIDs))), fmt.Sprint(slices.Sorted(slices.Values(s.OrganizationIDs))))
	s.same("expires after it was made", i.ExpiresAt.After(i.CreatedAt), true)
	s.same("account", i.UserID, first.UserID)

	if first.UserID != 0 { // accounts are made at once
		a, err := s.Client.FindUserByEmail(s.ctx, email)
		s.must(err)
		s.same("account's id", a.ID, first.UserID)
		s.same("account's state", a.AccountState, upstream.AccountNew)
		s.same("account's access", a.Accessible, false)
		s.same("account's invite", a.InviteID, first.InviteID)
		s.same("memberships", s.memberships(a), fmt.Sprintf("invited/%[1]d invited/%[1]d", s.LowRoleID))
	} else {
		_, err := s.Client.FindUserByEmail(s.ctx, email)
		s.wantKind("account before acceptance", err, upstream.NotFound, "")
	}

	i, err = s.Client.UpdateInvite(s.ctx, first.InviteID, upstream.InviteUpdate{Profile: upstream.Profile{FirstName: new("James"), OtherID: new("")}, RoleID: &s.HighRoleID})
	s.must(err)
	s.same("name after the change", i.FirstName+" "+i.LastName+" "+i.OtherID, "James Jackson ")
	s.same("role after the change", i.RoleID, s.HighRoleID)
	_, err = s.Client.UpdateInvite(s.ctx, first.InviteID, upstream.InviteUpdate{Profile: upstream.Profile{Email: new(s.newEmail("other"))}})
	s.wantKind("another e-mail for a pending invite", err, upstream.Conflict, upstream.CodeStateConflict)
	_, err = s.Client.GetInvite(s.ctx, "inv_00000000000000000000000000")
	s.wantKind("an invite that never was", err, upstream.NotFound, "")
}

func (s *suite) inviteRevocation() {
	r := s.invite(s.newEmail("revoked"), s.OrganizationIDs...)
	s.must(s.Client.RevokeInvite(s.ctx, r.InviteID, s.OrganizationIDs[1:]))
	i, err := s.Client.GetInvite(s.ctx, r.InviteID)
	s.must(err)
	s.same("state while one organization is left", i.State, upstream.InvitePending)
	s.same("organizations left", fmt.Sprint(i.OrganizationIDs), fmt.Sprint(s.OrganizationIDs[:1]))

	s.must(s.Client.RevokeInvite(s.ctx, r.InviteID, nil))
	i, err = s.Client.GetInvite(s.ctx, r.InviteID)
	s.must(err)
	s.same("state", i.State, upstream.InviteRevoked)
	if r.UserID != 0 {
		_, err = s.Client.GetUser(s.ctx, r.UserID)
		s.wantKind("the account that came with the invite", err, upstream.NotFound, "")
	}
	_, err = s.Client.AcceptInvite(s.ctx, r.InviteID, s.ProviderID, "too-late")
	s.wantKind("acceptance of a revoked invite", err, upstream.Conflict, upstream.CodeStateConflict)

	i, err = s.Client.ResendInvite(s.ctx, r.InviteID)
	s.must(err)
	s.same("state after sending it again", i.State, upstream.InvitePending)
}

func (s *suite) inviteAcceptance() {
	email := s.newEmail("accepts")
	r := s.invite(email, s.OrganizationIDs...)
	a, err := s.Client.AcceptInvite(s.ctx, r.InviteID, s.ProviderID, "subject-of-"+email)
	s.must(err)
	s.same("state", a.AccountState, upstream.AccountActive)
	s.same("access", a.Accessible, true)
	s.same("invite", a.InviteID, r.InviteID)
	s.same("memberships", s.memberships(a), fmt.Sprintf("active/%[1]d active/%[1]d", s.LowRoleID))
	if r.UserID != 0 {
		s.same("account", a.ID, r.UserID)
	}
	i, err := s.Client.GetInvite(s.ctx, r.InviteID)
	s.must(err)
	s.same("invite's state", i.State, upstream.InviteAccepted)
	s.same("invite's account", i.UserID, a.ID)
	s.wantKind("revoking it", s.Client.RevokeInvite(s.ctx, r.InviteID, nil), upstream.Conflict, upstream.CodeStateConflict)
	again := s.invite(email, s.OrganizationIDs...)
	s.same("status when invited again", again.Status, upstream.AlreadyMember)
	s.same("account when invited again", again.UserID, a.ID)
}

func (s *suite) partialSuccess() {
	good, bad, member := s.newEmail("good"), "not an address", s.member("member")
	users := []upstream.InviteUser{s.person(good), s.person(bad), s.person(member.Email)}
	if s.TooHighRoleID != 0 {
		high := s.person(s.newEmail("high"))
		high.RoleID = s.TooHighRoleID
		users = append(users, high)
	}
	results, err := s.Client.InviteUsers(s.ctx, users, s.OrganizationIDs)
	s.must(err)
	s.same("good", results[0].Status, upstream.Invited)
	s.same("bad", results[1].Status, upstream.Rejected)
	s.wantKind("bad", results[1].Error, upstream.Invalid, "")
	s.same("member", results[2].Status, upstream.AlreadyMember)
	if s.TooHighRoleID != 0 {
		s.same("too high a role", results[3].Status, upstream.Rejected)
		s.wantKind("too high a role", results[3].Error, upstream.Forbidden, "")
	}
}

func (s *suite) coalescing() {
	const people = 30
	inviter := upstream.NewInviter(upstream.InviterOptions{Client: s.Client})
	defer inviter.Close()
	emails := make([]string, people)
	for n := range emails {
		emails[n] = s.newEmail(fmt.Sprintf("together%d", n))
	}
	emails[7] = "not an address"
	var all sync.WaitGroup
	for n, email := range emails {
		all.Go(func() {
			r, err := inviter.Invite(s.ctx, s.person(email), s.OrganizationIDs)
			switch {
			case n == 7:
				s.wantKind("bad", err, upstream.Invalid, "")
				s.same("bad", r.Status, upstream.Rejected)
			case err != nil || r.Status != upstream.Invited || r.Email != email:
				s.Errorf("%s: %+v, %v", email, r, err)
			}
		})
	}
	all.Wait()
	found := 0
	for i, err := range s.Client.ListInvites(s.ctx, upstream.ListInvitesQuery{State: upstream.InvitePending, OrganizationID: s.OrganizationIDs[0]}) {
		s.must(err)
		if slices.Contains(emails, i.Email) {
			found++
		}
	}
	s.same("pending invites", found, people-1)
}
