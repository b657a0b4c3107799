package provision

import (
	"errors"
	"slices"
	"time"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// retrySoon is the Retry-After where nothing better is known.
const retrySoon = 5 * time.Second

// refusal is the answer to a provisioning client for an error of upstream or
// of the store. An error that is a *scim.Error already stays as it is. What
// is unknown is 503: a client must never take our trouble for an answer about
// the person (a 404 or 409) or about its own credential (a 401).
func refusal(err error) *scim.Error {
	if e, ok := errors.AsType[*scim.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*upstream.Error](err); ok {
		return upstreamRefusal(e)
	}
	if errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrLeaseLost) {
		return scim.Unavailable(time.Second, "another request changed this user at the same time: send the request again").Because(err)
	}
	if _, ok := errors.AsType[*store.LeaseHeldError](err); ok {
		return scim.Unavailable(time.Second, "another request for this user is not finished yet: send the request again").Because(err)
	}
	if _, ok := errors.AsType[*stuckError](err); ok {
		return scim.Unavailable(time.Minute, "Share A Refund accepted the change and did not carry it out: send the request again; if this stays so, an operator finds the steps in the bridge's log").Because(err)
	}
	return scim.Unavailable(retrySoon, "the bridge could not reach its database or was interrupted; nothing was acknowledged: send the request again").Because(err)
}

func upstreamRefusal(e *upstream.Error) *scim.Error {
	after := max(e.RetryAfter, retrySoon)
	switch e.Kind {
	case upstream.Invalid:
		return scim.BadRequest(scim.TypeInvalidValue, "Share A Refund refused %s: correct the value in the identity provider", said(e)).Because(e)
	case upstream.Forbidden:
		return forbiddenRefusal(e)
	case upstream.Conflict:
		return conflictRefusal(e)
	case upstream.NotFound:
		return scim.Unavailable(after, "the user's state at Share A Refund does not show yet: send the request again").Because(e)
	case upstream.RateLimited:
		return scim.TooManyRequests(max(e.RetryAfter, time.Second), "Share A Refund's rate limit for this tenant is reached: send the request again later").Because(e)
	case upstream.Unauthorized:
		return scim.Unavailable(time.Minute, "Share A Refund refuses the tenant's own credential (not yours): an operator has to renew it with scim-bridge tenant apply").Because(e)
	case upstream.Ambiguous:
		return scim.Unavailable(after, "Share A Refund did not say whether the change took effect: send the request again, nothing is done twice").Because(e)
	}
	return scim.Unavailable(after, "Share A Refund cannot be reached at the moment: send the request again").Because(e)
}

// forbiddenRefusal is about the role where the call gives one: upstream lets
// nobody grant more than the own weight. Any other call is refused because of
// the tenant's credential, which says nothing about the client or the person.
func forbiddenRefusal(e *upstream.Error) *scim.Error {
	switch e.Operation {
	case "set_role", "invite_users", "update_invite":
		return scim.Forbidden("Share A Refund does not allow this with the tenant's credential: %s; give the credential a role of at least the weight that is to be granted, or map a lower role", said(e)).Because(e)
	}
	return scim.Unavailable(time.Minute, "Share A Refund does not let the tenant's own credential (not yours) do this: an operator has to check its role and the tenant's organizations with scim-bridge tenant show").Because(e)
}

func conflictRefusal(e *upstream.Error) *scim.Error {
	switch e.Code {
	case upstream.CodeLastOwner:
		return scim.Forbidden("this is the last user with the highest role of an organization: give somebody else that role first").Because(e)
	case upstream.CodeEmailTaken:
		return scim.BadRequest(scim.TypeInvalidValue, "the e-mail address belongs to an account of Share A Refund outside this tenant: use another address, or have that account's owner release it").Because(e)
	}
	return scim.Unavailable(retrySoon, "the user's state at Share A Refund changed meanwhile: send the request again").Because(e)
}

// said is what upstream complained about, in its own words.
func said(e *upstream.Error) string {
	switch {
	case e.Field != "" && e.Message != "":
		return e.Field + " (" + e.Message + ")"
	case e.Message != "":
		return "it (" + e.Message + ")"
	case e.Field != "":
		return e.Field
	}
	return "it"
}

// accountOf is what a record of upstream says about a person of a tenant with
// the given organizations. known is the invite that we knew of before, or nil;
// what it was is kept where the account itself does not tell.
func accountOf(a *upstream.Account, orgs []int64, known *mapping.Invite, now time.Time) mapping.Account {
	acc := mapping.Account{
		UserID: a.ID, Email: a.Email, FirstName: a.FirstName, LastName: a.LastName, CountryID: a.CountryID,
		OtherID: a.OtherID, State: a.AccountState, DefaultOrganizationID: a.DefaultOrganizationID,
		IdentityProviderID: a.IdentityProviderID, CameFrom: a.InviteID, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	}
	for _, m := range a.Memberships {
		acc.Memberships = append(acc.Memberships, mapping.Membership(m))
	}
	if known == nil && a.InviteID != "" {
		known = &mapping.Invite{ID: a.InviteID}
	}
	if known != nil {
		i := *known
		i.State = inviteState(acc, coveredBy(known, orgs), known.State, a, now, known.ExpiresAt)
		acc.Invite = &i
	}
	return acc
}

// coveredBy are those of our organizations that the invite is to, or all of
// them while that is not known.
func coveredBy(i *mapping.Invite, orgs []int64) []int64 {
	covered := slices.DeleteFunc(slices.Clone(orgs), func(org int64) bool { return !slices.Contains(i.OrganizationIDs, org) })
	if len(covered) == 0 {
		return orgs
	}
	return covered
}

// inviteState judges the invite of an account by the account's memberships in
// our organizations.
func inviteState(acc mapping.Account, orgs []int64, was string, a *upstream.Account, now, expires time.Time) string {
	var active, invited bool
	for _, m := range acc.Memberships {
		if slices.Contains(orgs, m.OrganizationID) {
			active = active || m.State == mapping.MembershipActive
			invited = invited || m.State == mapping.MembershipInvited
		}
	}
	switch {
	case active && acc.State != mapping.AccountNew:
		return mapping.InviteAccepted
	case invited && was == mapping.InvitePending:
		if !expires.IsZero() && now.After(expires) {
			return mapping.InviteExpired
		}
		return was
	case invited:
		return mapping.InviteUnknown
	case was == mapping.InvitePending:
		return mapping.InviteRevoked
	case was == mapping.InviteUnknown && !a.LastLoginAt.IsZero():
		return mapping.InviteAccepted
	}
	return was
}

// inviteOf is what an invite of upstream says about a person who has no
// account yet.
func inviteOf(i *upstream.Invite, now time.Time) mapping.Account {
	return mapping.Account{
		Email: i.Email, FirstName: i.FirstName, LastName: i.LastName, CountryID: i.CountryID, OtherID: i.OtherID,
		IdentityProviderID: i.IdentityProviderID, CreatedAt: i.CreatedAt, Invite: stateOf(i, now),
	}
}

func stateOf(i *upstream.Invite, now time.Time) *mapping.Invite {
	m := &mapping.Invite{
		ID: i.ID, State: i.State, RoleID: i.RoleID, OrganizationIDs: i.OrganizationIDs, ExpiresAt: i.ExpiresAt,
	}
	if m.State == mapping.InvitePending && !m.ExpiresAt.IsZero() && now.After(m.ExpiresAt) {
		m.State = mapping.InviteExpired
	}
	return m
}
