// Package upstreamtest is the conformance suite of the Share A Refund API, as its client sees it. It runs over the
// sandbox and, with the same expectations, over a live service.
package upstreamtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/upstream"
)

// Env is one service under test, and what is known about it.
type Env struct {
	Client          *upstream.Client
	OrganizationIDs []int64 // exactly two that Client manages
	LowRoleID       int64   // two different roles that Client may give
	HighRoleID      int64
	TooHighRoleID   int64 // a role above Client's own; 0: none is known
	ProviderID      int64 // an enabled identity provider
	OwnerID         int64 // the only owner of OrganizationIDs[0]; 0: unknown, or too dangerous to touch
	// Stranger is a client of other organizations. nil: there is none to test isolation with.
	Stranger *upstream.Client
	// IDToken makes an ID token of ProviderID for a subject. nil: token exchange is not tested.
	IDToken func(subject string) upstream.Secret
	// Email makes an address that the service never saw, from a short name.
	Email func(name string) string
}

// Opts tell Run what to test.
type Opts struct {
	// New gives a service for one subtest; it may be the same one each time.
	New func(testing.TB) Env
	// Live: the service is a real one, with other people in it. The suite then only touches people it made, and takes
	// them away in the end.
	Live bool
}

// Run runs the suite.
func Run(t *testing.T, o Opts) {
	for _, tt := range []struct {
		name string
		test func(*suite)
	}{
		{"catalogue lists roles, identity providers and organizations", (*suite).catalogue},
		{"invite is pending, repeated without effect, found and changed", (*suite).inviteLifeCycle},
		{"invite is revoked by organization and revived by sending it again", (*suite).inviteRevocation},
		{"invite that is accepted leads to an active account", (*suite).inviteAcceptance},
		{"invites of a call succeed and fail one by one", (*suite).partialSuccess},
		{"inviter gives everybody their own outcome", (*suite).coalescing},
		{"account is read by id and e-mail", (*suite).reading},
		{"account's profile is changed field by field", (*suite).profile},
		{"account's role is per organization", (*suite).roles},
		{"account is deactivated, activated and removed by organization", (*suite).deactivation},
		{"account that never accepted is not activated by us", (*suite).deactivationBeforeAcceptance},
		{"account is created without an invite", (*suite).creation},
		{"account's password is reset", (*suite).passwords},
		{"lists are complete and filtered", (*suite).lists},
		{"person's own token acts as that person", (*suite).me},
		{"last owner stays", (*suite).lastOwner},
		{"strangers see and change nothing", (*suite).isolation},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s := &suite{TB: t, Env: o.New(t), ctx: ctx, live: o.Live}
			defer s.cleanUp()
			tt.test(s)
		})
	}
}

// suite is one subtest's view.
type suite struct {
	testing.TB
	Env
	ctx    context.Context
	live   bool
	emails []string // people that the subtest made
}

// cleanUp takes the people away that a subtest made in a live service.
func (s *suite) cleanUp() {
	if !s.live {
		return
	}
	for _, email := range s.emails {
		for i, err := range s.Client.ListInvites(s.ctx, upstream.ListInvitesQuery{State: upstream.InvitePending, Email: email}) {
			if err != nil {
				s.Errorf("clean up: %v", err)
				break
			}
			if err := s.Client.RevokeInvite(s.ctx, i.ID, nil); err != nil && !upstream.IsNotFound(err) {
				s.Errorf("clean up: %v", err)
			}
		}
		a, err := s.Client.FindUserByEmail(s.ctx, email)
		if err != nil {
			if !upstream.IsNotFound(err) {
				s.Errorf("clean up: %v", err)
			}
			continue
		}
		if _, err := s.Client.DeactivateUser(s.ctx, a.ID, s.OrganizationIDs); err != nil {
			s.Errorf("clean up: %v", err)
		}
		for _, m := range a.Memberships {
			if err := s.Client.RemoveUser(s.ctx, a.ID, m.OrganizationID); err != nil && !upstream.IsNotFound(err) {
				s.Errorf("clean up: %v", err)
			}
		}
	}
}

// newEmail makes an address that is cleaned up afterwards.
func (s *suite) newEmail(name string) string {
	email := s.Email(name)
	s.emails = append(s.emails, email)
	return email
}

// must ends the subtest when err is an error.
func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// wantKind checks that err is an *upstream.Error of that kind and, unless code is "", with that code.
func (s *suite) wantKind(what string, err error, kind upstream.Kind, code string) {
	s.Helper()
	e, ok := errors.AsType[*upstream.Error](err)
	if !ok || e.Kind != kind || code != "" && e.Code != code {
		s.Errorf("%s: error %v, want %v %q", what, err, kind, code)
	}
}

// same checks a value.
func (s *suite) same(what string, got, want any) {
	s.Helper()
	if got != want {
		s.Errorf("%s = %v, want %v", what, got, want)
	}
}

// invite invites one person with the low role and without a mail.
func (s *suite) invite(email string, orgIDs ...int64) upstream.InviteResult {
	s.Helper()
	results, err := s.Client.InviteUsers(s.ctx, []upstream.InviteUser{s.person(email)}, orgIDs)
	s.must(err)
	return results[0]
}

func (s *suite) person(email string) upstream.InviteUser {
	return upstream.InviteUser{
		Email: email, FirstName: "Jamie", LastName: "Jackson", CountryID: "CA", OtherID: "00u1ab2cd",
		RoleID: s.LowRoleID, IdentityProviderID: s.ProviderID,
	}
}

// member makes an account with active memberships in both organizations.
func (s *suite) member(name string) *upstream.Account {
	s.Helper()
	email := s.newEmail(name)
	r := s.invite(email, s.OrganizationIDs...)
	a, err := s.Client.AcceptInvite(s.ctx, r.InviteID, s.ProviderID, "subject-of-"+email)
	s.must(err)
	return a
}

// memberships renders an account's memberships in the two organizations: "active/3 suspended/5", "-" for none.
func (s *suite) memberships(a *upstream.Account) string {
	var out []string
	for _, id := range s.OrganizationIDs {
		text := "-"
		if i := slices.IndexFunc(a.Memberships, func(m upstream.Membership) bool { return m.OrganizationID == id }); i >= 0 {
			text = fmt.Sprintf("%s/%d", a.Memberships[i].State, a.Memberships[i].RoleID)
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

//go:fix inline
