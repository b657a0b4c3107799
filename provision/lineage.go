package provision

import (
	"cmp"
	"context"
	"slices"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/upstream"
)

// lineage are all invites of a tenant, in every state: they tell from what
// the id of a person was derived when the person was created.
type lineage struct {
	byID   map[string]*upstream.Invite
	byUser map[int64][]*upstream.Invite
	// over are those that ended without being accepted, by their externalId
	// (other_id), in verified domains only. A person whose address changes
	// before accepting is invited anew under the same externalId.
	over map[string][]*upstream.Invite
	// waiting are the externalIds of those that can be accepted.
	waiting map[string]struct{}
}

func newLineage() *lineage {
	return &lineage{
		byID: map[string]*upstream.Invite{}, byUser: map[int64][]*upstream.Invite{},
		over: map[string][]*upstream.Invite{}, waiting: map[string]struct{}{},
	}
}

// readLineage lists the invites of the tenant's organizations.
func (s *Service) readLineage(ctx context.Context, w *workspace) (*lineage, error) {
	pol, err := w.policy(ctx)
	if err != nil {
		return nil, err
	}
	l := newLineage()
	for _, org := range w.organizations {
		for i, err := range w.client.ListInvites(ctx, upstream.ListInvitesQuery{OrganizationID: org}) {
			if err != nil {
				return nil, err
			}
			if l.byID[i.ID] == nil {
				l.add(i, pol)
			}
		}
	}
	return l, nil
}

func (l *lineage) add(i *upstream.Invite, pol *mapping.Policy) {
	l.byID[i.ID] = i
	if i.UserID != 0 {
		l.byUser[i.UserID] = append(l.byUser[i.UserID], i)
	}
	switch {
	case i.OtherID == "":
	case i.State == upstream.InvitePending:
		l.waiting[i.OtherID] = struct{}{}
	case i.State != upstream.InviteAccepted && pol.Owns(i.Email):
		l.over[i.OtherID] = append(l.over[i.OtherID], i)
	}
}

// of lists the invites that led to acc, oldest first: its own ones, and those
// that ended before under the same externalId. alive has the accounts that
// there are. No invite leads to two people.
func (l *lineage) of(acc mapping.Account, alive map[int64]string) []*upstream.Invite {
	var past []*upstream.Invite
	if acc.UserID != 0 {
		past = slices.Clone(l.byUser[acc.UserID])
	}
	if acc.Invite != nil {
		if i := l.byID[acc.Invite.ID]; i != nil && !slices.Contains(past, i) {
			past = append(past, i)
		}
	}
	if len(past) == 0 {
		return nil
	}
	oldestFirst(past)
	if acc.OtherID == "" {
		return past
	}
	oldest := past[0].CreatedAt
	l.over[acc.OtherID] = slices.DeleteFunc(l.over[acc.OtherID], func(i *upstream.Invite) bool {
		if _, others := alive[i.UserID]; others || i.CreatedAt.After(oldest) || slices.Contains(past, i) {
			return false
		}
		past = append(past, i)
		return true
	})
	oldestFirst(past)
	return past
}

// ended lists, for everybody of whom nothing but invites that ended is left,
// these invites, oldest first. Who had an account when the last one ended is
// not among them: that account was deleted.
func (l *lineage) ended(alive map[int64]string) [][]*upstream.Invite {
	living := map[string]bool{}
	for _, otherID := range alive {
		living[otherID] = true
	}
	var all [][]*upstream.Invite
	for otherID, past := range l.over {
		if _, waits := l.waiting[otherID]; waits || living[otherID] || len(past) == 0 {
			continue
		}
		oldestFirst(past)
		if past[len(past)-1].UserID == 0 {
			all = append(all, past)
		}
	}
	slices.SortFunc(all, func(a, b []*upstream.Invite) int { return byAge(a[0], b[0]) })
	return all
}

func oldestFirst(invites []*upstream.Invite) { slices.SortFunc(invites, byAge) }

func byAge(a, b *upstream.Invite) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

func inviteIDs(invites []*upstream.Invite) []string {
	var ids []string
	for _, i := range invites {
		ids = append(ids, i.ID)
	}
	return ids
}

// origin reads the invite that an account came from, where that tells from
// which of the two the person's id was derived.
func (s *Service) origin(ctx context.Context, w *workspace, acc mapping.Account) ([]*upstream.Invite, error) {
	if acc.UserID == 0 || acc.State == mapping.AccountNew {
		return nil, nil
	}
	i, err := w.client.GetInvite(ctx, acc.Invite.ID)
	if isNotFound(err) {
		return nil, nil // another customer's
	}
	if err != nil {
		return nil, err
	}
	return []*upstream.Invite{i}, nil
}

// derivedIDs are the SCIM ids that acc and the invites that led to it give,
// the one that the person was created with first: that of the account when
// upstream had it by then, else that of the first invite.
func derivedIDs(tenant string, acc mapping.Account, past []*upstream.Invite) []string {
	var ids []string
	add := func(userID int64, inviteID string) {
		if id := derivedID(tenant, userID, inviteID); id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(past) > 0 {
		first := past[0]
		switch {
		case acc.UserID == 0 || first.UserID != acc.UserID:
			add(first.UserID, first.ID) // acc was not there yet
		case acc.State != mapping.AccountNew && acc.CreatedAt.After(first.CreatedAt):
			add(0, first.ID)
		}
	}
	invite := ""
	if acc.Invite != nil {
		invite = acc.Invite.ID
	}
	add(acc.UserID, invite)
	for _, i := range past {
		add(i.UserID, "")
		add(0, i.ID)
	}
	add(0, invite)
	return ids
}
