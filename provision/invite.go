package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/upstream"
)

// takenError means that upstream already has an account or invite for the
// address that a create or a change of address names.
type takenError struct {
	acc mapping.Account
}

func (e *takenError) Error() string {
	return fmt.Sprintf("upstream already has account %d for this address", e.acc.UserID)
}

// invite asks upstream to invite the person, together with whoever else is
// being invited at this moment. Upstream arbitrates: whoever is invited or a
// member already stays as he is.
func (r *run) invite(ctx context.Context, step mapping.Step, want mapping.Desire) error {
	res, err := r.w.inviter.Invite(ctx, upstream.InviteUser{
		Email: step.Email, FirstName: want.Profile.FirstName, LastName: want.Profile.LastName,
		CountryID: want.Profile.CountryID, OtherID: want.OtherID, RoleID: step.RoleID,
		IdentityProviderID: want.IdentityProviderID, ShouldActivateByEmail: r.pol.SendMail,
	}, step.Organizations)
	if err != nil {
		return err
	}
	switch res.Status {
	case upstream.Rejected:
		return r.rejected(res)
	case upstream.Invited:
		if res.Resolved && !r.cur.Exists() && !r.began(res.CreatedAt) {
			return r.alreadyInvited(ctx, res, step, want) // it was there before the call whose answer was lost
		}
		r.created = r.created || !r.cur.Exists()
		r.invited(res, step, want)
		return nil
	case upstream.AlreadyInvited:
		return r.alreadyInvited(ctx, res, step, want)
	}
	return r.alreadyMember(ctx, res, step.Email)
}

func (r *run) rejected(res upstream.InviteResult) error {
	if res.Error != nil {
		return res.Error
	}
	return scim.BadRequest(scim.TypeInvalidValue, "Share A Refund refused to invite %q: correct the address in the identity provider", res.Email)
}

// invited notes an invite as upstream must hold it now. What it says of an
// account is known in full at the next read.
func (r *run) invited(res upstream.InviteResult, step mapping.Step, want mapping.Desire) {
	orgs, role := slices.Clone(step.Organizations), step.RoleID
	known := r.cur.Invite
	if known != nil && known.ID == res.InviteID && known.State == mapping.InvitePending {
		orgs = union(known.OrganizationIDs, orgs)
		role = r.pol.Lower(known.RoleID, role) // upstream keeps the lower one
	}
	next := r.cur.Clone()
	if next.UserID == 0 && (known == nil || known.ID != res.InviteID) {
		p := want.Profile
		next = mapping.Account{
			Email: step.Email, FirstName: p.FirstName, LastName: p.LastName, CountryID: p.CountryID, OtherID: want.OtherID,
			IdentityProviderID: want.IdentityProviderID,
		}
	}
	next.Invite = &mapping.Invite{ID: res.InviteID, State: mapping.InvitePending, RoleID: role, OrganizationIDs: orgs}
	if res.UserID != 0 {
		if next.UserID == 0 {
			next.UserID, next.State = res.UserID, mapping.AccountNew
			next.DefaultOrganizationID = step.Organizations[0]
		}
		for _, org := range step.Organizations {
			offer(&next, mapping.Membership{OrganizationID: org, RoleID: step.RoleID, State: mapping.MembershipInvited})
		}
	}
	r.inviteIDs = append(r.inviteIDs, res.InviteID)
	r.cur = next
}

// offer notes a membership that an invite offers; one that is active stays.
func offer(a *mapping.Account, m mapping.Membership) {
	i := slices.IndexFunc(a.Memberships, func(have mapping.Membership) bool { return have.OrganizationID == m.OrganizationID })
	switch {
	case i < 0:
		a.Memberships = append(a.Memberships, m)
	case a.Memberships[i].State != mapping.MembershipActive:
		a.Memberships[i] = m
	}
}

// union is a followed by what b has besides.
func union(a, b []int64) []int64 {
	all := slices.Clone(a)
	for _, id := range b {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// alreadyInvited is our own earlier attempt, or an invite that somebody else
// made: then it counts as an account that was there before us.
func (r *run) alreadyInvited(ctx context.Context, res upstream.InviteResult, step mapping.Step, want mapping.Desire) error {
	if r.cur.Exists() {
		r.invited(res, step, want)
		return nil
	}
	i, err := r.w.client.GetInvite(ctx, res.InviteID)
	young := r.ours && isNotFound(err) // so young that it does not show yet
	if err != nil && !young {
		return err
	}
	if young || r.ours && r.began(i.CreatedAt) {
		r.created = true
		r.invited(res, step, want)
		return nil
	}
	known := stateOf(i, r.s.now())
	if res.UserID == 0 {
		acc := inviteOf(i, r.s.now())
		return &takenError{acc: acc}
	}
	return r.taken(ctx, res.UserID, known)
}

// alreadyMember found an account where none was expected.
func (r *run) alreadyMember(ctx context.Context, res upstream.InviteResult, email string) error {
	userID := res.UserID
	if userID == 0 {
		a, err := r.w.client.FindUserByEmail(ctx, email)
		if err != nil {
			return err
		}
		userID = a.ID
	}
	if r.cur.UserID == userID {
		return errors.New("upstream says that the person is a member of an organization where the account shows no membership")
	}
	return r.taken(ctx, userID, nil)
}

func (r *run) taken(ctx context.Context, userID int64, known *mapping.Invite) error {
	a, err := r.w.client.GetUser(ctx, userID)
	if err != nil {
		return err
	}
	acc := accountOf(a, r.w.organizations, known, r.s.now())
	return r.takenOrOurs(ctx, acc, r.ours)
}

// create makes the account at once; memberships follow by set_role. An
// address that is taken belongs to an account that was there before us, or to
// our own lost attempt.
func (r *run) create(ctx context.Context, step mapping.Step, want mapping.Desire) error {
	p := want.Profile
	fields := upstream.Profile{Email: &p.Email}
	for _, f := range []struct {
		value *string
		field **string
	}{{&p.FirstName, &fields.FirstName}, {&p.LastName, &fields.LastName}, {&p.CountryID, &fields.CountryID}, {&want.OtherID, &fields.OtherID}} {
		if *f.value != "" {
			*f.field = f.value
		}
	}
	a, err := r.w.client.CreateUser(ctx, fields)
	if err == nil {
		r.created = true
		r.show(a)
		if r.made != nil {
			return r.made(ctx, a.ID)
		}
		return nil
	}
	lost := upstream.IsAmbiguous(err)
	if !lost && !upstream.IsConflict(err, upstream.CodeEmailTaken) {
		return err
	}
	found, findErr := r.w.client.FindUserByEmail(ctx, p.Email)
	switch {
	case upstream.IsNotFound(findErr) && lost:
		return err
	case upstream.IsNotFound(findErr):
		// It belongs to nobody of ours: an invite adds it to our organizations.
		return r.invite(ctx, mapping.Step{
			Kind: mapping.StepInvite, Organizations: step.Organizations, RoleID: step.RoleID, Email: p.Email,
		}, want)
	case findErr != nil:
		return findErr
	}
	return r.takenOrOurs(ctx, accountOf(found, r.w.organizations, nil, r.s.now()), r.ours || lost)
}

// takenOrOurs goes on with an account that was found where none was expected
// if it is the work of an attempt whose answer was lost; else it was there
// before us.
func (r *run) takenOrOurs(ctx context.Context, acc mapping.Account, lost bool) error {
	if lost {
		mine, err := r.mine(ctx, acc)
		if err != nil {
			return err
		}
		switch {
		case mine:
			r.cur, r.created = acc, true
			return r.completeInvite(ctx)
		case r.s.now().Sub(r.since) < r.s.opts.Settle:
			return scim.Unavailable(retrySoon, "an earlier attempt to invite this user may have succeeded and does not show yet: send the request again")
		}
	}
	return &takenError{acc: acc}
}
