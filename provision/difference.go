package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// The fields of a Difference, besides upstream's profile fields.
const (
	// FieldAccount is the person as a whole, FieldUser what the client said of
	// it, where that is not possible any more.
	FieldAccount = "account"
	FieldUser    = "user"
	// FieldAccess and FieldRole are those of one organization.
	FieldAccess = "access"
	FieldRole   = "role"
	FieldInvite = "invite"
)

// Difference is one thing that upstream does not hold as the client said it.
type Difference struct {
	PersonID string `json:"person_id"`
	UserName string `json:"user_name"`
	UserID   int64  `json:"user_id,omitzero"`
	// Field is one of upstream's profile fields or a constant above.
	Field          string `json:"field"`
	OrganizationID int64  `json:"organization_id,omitzero"`
	// Said is what follows from what the client said last, Written what we wrote
	// last and Seen what is there now; "" is nothing, or nothing that is known.
	Said    string `json:"said"`
	Written string `json:"written"`
	Seen    string `json:"seen"`
	// Because says from what it follows, where that is a rule.
	Because string `json:"because,omitzero"`
	// Reason says in words how it came to be.
	Reason string `json:"reason"`
	// Restored says that Said is there now. Failure says why that was tried and
	// not done.
	Restored bool   `json:"restored,omitzero"`
	Failure  string `json:"failure,omitzero"`
}

// same reports whether both are about the same thing.
func (d Difference) same(o Difference) bool {
	return d.PersonID == o.PersonID && d.Field == o.Field && d.OrganizationID == o.OrganizationID
}

// The reasons that tests and people meet most.
const (
	reasonChanged  = "changed at Share A Refund after we wrote it"
	reasonNever    = "never applied: Share A Refund did not take it, or the request was not finished"
	reasonMoved    = "not applied yet: what is due changed after we wrote last"
	reasonShared   = "never applied: the account is shared with other organizations"
	reasonPending  = "the person has not accepted the invite: it carries the lowest role due, and the rest is given after that"
	reasonEnded    = "never applied: the person has not accepted the invite, and it can no longer be written to"
	reasonGone     = "gone upstream: the account was deleted at Share A Refund"
	reasonNobody   = "never applied: nobody was invited"
	reasonQueued   = "role work is still queued"
	reasonCutShort = "a request for this person was cut short, and its client has not sent it again"
)

// The values of access.
const (
	accessYes = "access"
	accessNo  = "no access"
)

// comparison is one person's three-way comparison.
type comparison struct {
	pol *mapping.Policy
	r   *record
	// want is what is due, protected why nothing may be done about it.
	want      mapping.Desire
	protected string
	all       []Difference
}

// compare is the comparison of a managed person; nil when nothing was ever said
// of it.
func (s *Service) compare(pol *mapping.Policy, r *record) (*comparison, error) {
	u, err := r.desired(s.codec)
	if u == nil || err != nil {
		return nil, err
	}
	if !r.row.Listed {
		gone := *r
		gone.seen = mapping.Account{}
		r = &gone
	}
	c := &comparison{pol: pol, r: r}
	c.want, err = pol.DesireOf(u, r.seen, mapping.Past{Written: r.written, Groups: r.groups, Restore: r.written.Organizations})
	if refused, ok := errors.AsType[*scim.Error](err); ok {
		c.add(Difference{Field: FieldUser, Reason: "what the client said is not possible any more: " + refused.Detail})
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	if protected, why := pol.Protects(r.seen); protected {
		c.want.Roles, c.protected = nil, why+": it is left as it is"
	}
	if !r.seen.Exists() {
		c.nobody()
		return c, nil
	}
	c.profile()
	c.access()
	c.roles()
	if c.want.Active && s.expired(pol, r) {
		c.add(Difference{
			Field: FieldInvite, Said: "accepted or pending", Written: "sent", Seen: "expired",
			Reason: fmt.Sprintf("the person has not accepted the invite, and it expired; it was sent again %d times", r.written.Resent),
		})
	}
	return c, nil
}

func (c *comparison) add(d Difference) {
	d.PersonID, d.UserName, d.UserID = c.r.row.ID, c.r.row.UserName, c.r.row.UserID
	if d.Reason == "" {
		d.Reason = reasonOf(d)
	}
	if c.protected != "" {
		d.Reason = c.protected
	}
	c.all = append(c.all, d)
}

// reasonOf tells a change upstream from one of what is due, by which of them
// differs from what we wrote.
func reasonOf(d Difference) string {
	switch {
	case d.Field == FieldRole && (d.Written == "" || d.Written == d.Seen),
		d.Field == FieldAccess && d.Because != "" && d.Written != d.Said, d.Field == FieldAccess && d.Written == d.Seen:
		return reasonMoved
	case d.Written == d.Seen:
		return reasonNever
	}
	return reasonChanged
}

// nobody is for a person of whom upstream has nothing.
func (c *comparison) nobody() {
	if !c.want.Active {
		return
	}
	d := Difference{Field: FieldAccount, Said: "active", Reason: reasonNobody}
	if row := c.r.row; !row.Listed {
		d.Reason, d.Written = reasonGone, currentInvite(row)
		if row.UserID != 0 {
			d.Written = fmt.Sprintf("account %d", row.UserID)
		}
	}
	c.add(d)
}

// profile compares upstream's profile fields. An invite that ended without an
// account holds nothing that matters: the next one carries what is due.
func (c *comparison) profile() {
	seen, due, wrote := c.r.seen, c.want.Profile, c.r.written.Profile
	if seen.UserID == 0 && !seen.ActiveIn(c.pol.Organizations) {
		return
	}
	fields := []Difference{
		{Field: "email", Said: due.Email, Written: wrote.Email, Seen: seen.Email},
		{Field: "first_name", Said: due.FirstName, Written: wrote.FirstName, Seen: seen.FirstName},
		{Field: "last_name", Said: due.LastName, Written: wrote.LastName, Seen: seen.LastName},
		{Field: "country_id", Said: due.CountryID, Written: wrote.CountryID, Seen: seen.CountryID},
	}
	for _, d := range fields {
		switch {
		case d.Said == d.Seen, d.Field == "email" && scim.Fold(d.Said) == scim.Fold(d.Seen), d.Field == "country_id" && d.Said == "":
			continue
		case seen.SharedBeyond(c.pol.Organizations):
			d.Reason = reasonShared
		case seen.UserID == 0 && seen.Invite.State != mapping.InvitePending:
			d.Reason = reasonEnded
		}
		c.add(d)
	}
}

// access compares in which of the tenant's organizations the person is let in.
// Where neither the client nor a rule names them, those that hold the person
// are as good as any.
func (c *comparison) access() {
	for _, org := range c.pol.Organizations {
		has := len(c.r.seen.AccessIn([]int64{org})) > 0
		due := c.want.Active && slices.Contains(c.want.Organizations, org)
		if has == due || slices.Contains(c.want.Untouched, org) {
			continue
		}
		d := Difference{Field: FieldAccess, OrganizationID: org, Said: accessNo, Seen: accessNo, Written: c.wroteAccess(org, due)}
		switch {
		case due:
			d.Said = accessYes
			if slices.Contains(c.want.Granted, org) {
				d.Because = c.because(org)
			}
		case c.want.Withheld || slices.Contains(c.want.KeptOut, org):
			d.Because = "in no group that gives access"
		}
		if has {
			d.Seen = accessYes
		}
		if c.r.row.LastWrittenAt.IsZero() {
			d.Reason = reasonNever
		}
		c.add(d)
	}
}

// because says from what the role in an organization follows.
func (c *comparison) because(org int64) string {
	for _, due := range c.want.Roles {
		if due.OrganizationID == org {
			return due.Because
		}
	}
	return ""
}

// wroteAccess is what upstream held after our last write, as far as that is
// known: what was due then, which the client's word tells, or what we noted of
// the rules.
func (c *comparison) wroteAccess(org int64, due bool) string {
	w := c.r.written
	switch {
	case c.r.row.LastWrittenAt.IsZero():
		return ""
	case !c.want.Active && !c.want.Withheld, slices.Contains(w.KeptOut, org):
		return accessNo
	case slices.Contains(w.Granted, org), wroteRole(w, org) != 0, due && !slices.Contains(c.want.Granted, org):
		return accessYes
	}
	return ""
}

func wroteRole(w mapping.Written, org int64) int64 {
	for _, r := range w.Roles {
		if r.OrganizationID == org {
			return r.RoleID
		}
	}
	return 0
}

// roles compares the roles where the person is let in; the others wait until
// then.
func (c *comparison) roles() {
	if !c.want.Active {
		return
	}
	seen := c.r.seen
	for _, due := range c.want.Roles {
		org := due.OrganizationID
		held := heldRole(seen, org)
		if due.Keep || held == 0 || held == due.Role.ID || len(seen.AccessIn([]int64{org})) == 0 {
			continue
		}
		d := Difference{
			Field: FieldRole, OrganizationID: org, Said: due.Role.Name, Because: due.Because,
			Written: c.roleName(wroteRole(c.r.written, org)), Seen: c.roleName(held),
		}
		if seen.UserID == 0 && held == c.lowest() {
			d.Reason = reasonPending
		}
		c.add(d)
	}
}

// heldRole is the role that upstream shows in an organization, or that the
// invite of somebody without an account carries; 0 for none.
func heldRole(a mapping.Account, org int64) int64 {
	for _, m := range a.Memberships {
		if m.OrganizationID == org {
			return m.RoleID
		}
	}
	if a.UserID == 0 && a.Invite != nil && slices.Contains(a.Invite.OrganizationIDs, org) {
		return a.Invite.RoleID
	}
	return 0
}

// lowest is the role of the least weight that is due anywhere.
func (c *comparison) lowest() int64 {
	return slices.MinFunc(c.want.Roles, func(a, b mapping.DueRole) int { return cmp.Compare(a.Role.Weight, b.Role.Weight) }).Role.ID
}

func (c *comparison) roleName(id int64) string { return roleName(c.pol, id) }

// roleName is the name of one of upstream's roles, "" for 0.
func roleName(pol *mapping.Policy, id int64) string {
	if id == 0 {
		return ""
	}
	return roleOf(pol, id).Name
}

// restorable reports whether there is anything that a change could do.
func (c *comparison) restorable() bool {
	if len(c.all) == 0 || c.all[0].Field == FieldUser {
		return false
	}
	return len(c.pol.Plan(c.r.seen, c.want, mapping.Situation{}).Steps) > 0
}

// explain looks for reasons that the store knows: work that waits, and requests
// that were cut short.
func (s *Service) explain(ctx context.Context, tenant string, found []*comparison) error {
	ids := make([]string, len(found))
	for i, c := range found {
		ids[i] = c.r.row.ID
	}
	if len(ids) == 0 {
		return nil
	}
	work, err := s.store.RoleWork(ctx, tenant, store.RoleWorkQuery{PersonIDs: ids, Limit: 100_000})
	if err != nil {
		return err
	}
	queued := map[string]string{}
	for _, x := range work {
		queued[x.PersonID] = reasonQueued
		if x.Error != "" {
			queued[x.PersonID] = fmt.Sprintf("%s; attempt %d failed: %s", reasonQueued, x.Attempts, x.Error)
		}
	}
	for _, c := range found {
		if c.protected != "" {
			continue
		}
		cut := ""
		switch _, err := s.store.Intent(ctx, tenant, personKey(c.r.row.ID)); {
		case err == nil:
			cut = reasonCutShort
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		for i, d := range c.all {
			if why := queued[d.PersonID]; why != "" && d.Because != "" {
				c.all[i].Reason = why
			} else if cut != "" && d.Field != FieldUser && d.Reason != reasonShared {
				c.all[i].Reason = cut
			}
		}
	}
	return nil
}
