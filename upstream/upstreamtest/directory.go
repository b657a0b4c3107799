package upstreamtest

import (
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/upstream"
)

func (s *suite) catalogue() {
	roles, err := s.Client.ListRoles(s.ctx)
	s.must(err)
	weight := func(id int64) int {
		i := slices.IndexFunc(roles, func(r upstream.Role) bool { return r.ID == id })
		if i < 0 {
			s.Fatalf("role %d is not among %v", id, roles)
		}
		return roles[i].Weight
	}
	s.same("weights are ordered", weight(s.LowRoleID) < weight(s.HighRoleID), true)
	providers, err := s.Client.ListIdentityProviders(s.ctx)
	s.must(err)
	if !slices.ContainsFunc(providers, func(p upstream.IdentityProvider) bool { return p.ID == s.ProviderID && p.Enabled && p.Prefix != "" }) {
		s.Errorf("identity provider %d is not enabled among %v", s.ProviderID, providers)
	}
	organizations, err := s.Client.ListOrganizations(s.ctx)
	s.must(err)
	for _, id := range s.OrganizationIDs {
		if !slices.ContainsFunc(organizations, func(o upstream.Organization) bool { return o.ID == id && o.Name != "" }) {
			s.Errorf("organization %d is not among %v", id, organizations)
		}
	}
}

func (s *suite) lists() {
	active, blocked, pending := s.member("listed"), s.member("listed-blocked"), s.invite(s.newEmail("listed-pending"), s.OrganizationIDs[0])
	_, err := s.Client.DeactivateUser(s.ctx, blocked.ID, s.OrganizationIDs)
	s.must(err)

	read := func(q upstream.ListUsersQuery) map[int64]*upstream.Account {
		all, last := map[int64]*upstream.Account{}, int64(0)
		for a, err := range s.Client.ListUsers(s.ctx, q) {
			s.must(err)
			if a.ID <= last {
				s.Errorf("account %d after %d", a.ID, last)
			}
			last, all[a.ID] = a.ID, a
		}
		return all
	}
	all := read(upstream.ListUsersQuery{OrganizationIDs: s.OrganizationIDs, PageSize: 20})
	for id, state := range map[int64]string{active.ID: upstream.AccountActive, blocked.ID: upstream.AccountBlocked} {
		a, ok := all[id]
		if !ok {
			s.Fatalf("account %d is not listed", id)
		}
		s.same("state in the list", a.AccountState, state)
		one, err := s.Client.GetUser(s.ctx, id)
		s.must(err)
		one.Role = nil // lists do not show it
		if diff := cmp.Diff(one, a); diff != "" {
			s.Errorf("the record in the list: %s", diff)
		}
	}
	only := read(upstream.ListUsersQuery{OrganizationIDs: s.OrganizationIDs, AccountState: upstream.AccountBlocked})
	s.same("blocked one among the blocked", only[blocked.ID] != nil, true)
	s.same("active one among the blocked", only[active.ID] != nil, false)

	found := 0
	for i, err := range s.Client.ListInvites(s.ctx, upstream.ListInvitesQuery{Email: pending.Email}) {
		s.must(err)
		found++
		s.same("invite by e-mail", i.ID, pending.InviteID)
	}
	s.same("invites by e-mail", found, 1)
	for i, err := range s.Client.ListInvites(s.ctx, upstream.ListInvitesQuery{State: upstream.InviteAccepted, OrganizationID: s.OrganizationIDs[0]}) {
		s.must(err)
		s.same("state of an accepted invite", i.State, upstream.InviteAccepted)
	}
}

func (s *suite) me() {
	if s.IDToken == nil {
		s.Skip("no ID tokens can be made for this service")
	}
	a := s.member("myself")
	me, err := s.Client.Exchange(s.ctx, s.IDToken("subject-of-"+a.Email))
	s.must(err)
	got, err := me.GetMe(s.ctx)
	s.must(err)
	s.same("account", got.ID, a.ID)
	got, err = me.UpdateMe(s.ctx, upstream.Profile{Email: &a.Email, FirstName: new("Self"), CountryID: new("DE")})
	s.must(err)
	s.same("profile", got.FirstName+" "+got.CountryID, "Self DE")
	_, err = me.UpdateMe(s.ctx, upstream.Profile{FirstName: new("Self")})
	s.wantKind("what is required is missing", err, upstream.Invalid, "")
	got, err = me.SetDefaultAccount(s.ctx, s.OrganizationIDs[1])
	s.must(err)
	s.same("default organization", got.DefaultOrganizationID, s.OrganizationIDs[1])
	_, err = me.SetDefaultAccount(s.ctx, nobody)
	s.wantKind("a default organization without membership", err, upstream.Invalid, "")
	_, err = me.GetUser(s.ctx, a.ID)
	s.wantKind("administration with a person's token", err, upstream.Forbidden, "")
	s.must(me.DeleteMe(s.ctx))
	_, err = s.Client.GetUser(s.ctx, a.ID)
	s.wantKind("the account afterwards", err, upstream.NotFound, "")
	_, err = s.Client.Exchange(s.ctx, "not-a-token")
	s.wantKind("a bad ID token", err, upstream.Unauthorized, "")
}

func (s *suite) isolation() {
	if s.Stranger == nil {
		s.Skip("no client of other organizations is known")
	}
	a := s.member("private")
	r := s.invite(s.newEmail("private-pending"), s.OrganizationIDs...)
	before, err := s.Client.GetUser(s.ctx, a.ID)
	s.must(err)
	x := s.Stranger
	for what, err := range map[string]error{
		"get_user":           second(x.GetUser(s.ctx, a.ID)),
		"find_user_by_email": second(x.FindUserByEmail(s.ctx, a.Email)),
		"update_user":        second(x.UpdateUser(s.ctx, a.ID, upstream.Profile{LastName: new("X")})),
		"reset_password":     x.ResetPassword(s.ctx, a.ID, ""),
		"get_invite":         second(x.GetInvite(s.ctx, r.InviteID)),
		"update_invite":      second(x.UpdateInvite(s.ctx, r.InviteID, upstream.InviteUpdate{RoleID: &s.HighRoleID})),
		"resend_invite":      second(x.ResendInvite(s.ctx, r.InviteID)),
		"revoke_invite":      x.RevokeInvite(s.ctx, r.InviteID, nil),
		"accept_invite":      second(x.AcceptInvite(s.ctx, r.InviteID, s.ProviderID, "x")),
	} {
		s.wantKind(what, err, upstream.NotFound, "")
	}
	for what, err := range map[string]error{
		"set_role":        second(x.SetRole(s.ctx, a.ID, s.OrganizationIDs[0], s.HighRoleID)),
		"deactivate_user": second(x.DeactivateUser(s.ctx, a.ID, s.OrganizationIDs)),
		"activate_user":   second(x.ActivateUser(s.ctx, a.ID, s.OrganizationIDs)),
		"remove_user":     x.RemoveUser(s.ctx, a.ID, s.OrganizationIDs[0]),
		"invite_users":    second(x.InviteUsers(s.ctx, []upstream.InviteUser{s.person(a.Email)}, s.OrganizationIDs)),
	} {
		if k := upstream.KindOf(err); k != upstream.NotFound && k != upstream.Forbidden {
			s.Errorf("%s: %v, want not found or forbidden", what, err)
		}
	}
	for b, err := range x.ListUsers(s.ctx, upstream.ListUsersQuery{}) {
		s.must(err)
		if b.ID == a.ID || b.ID == r.UserID {
			s.Errorf("account %d is listed to a stranger", b.ID)
		}
	}
	after, err := s.Client.GetUser(s.ctx, a.ID)
	s.must(err)
	if diff := cmp.Diff(before, after); diff != "" {
		s.Errorf("the account was changed: %s", diff)
	}
}

func second[T any](_ T, err error) error { return err }
