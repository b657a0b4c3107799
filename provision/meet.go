package provision

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// meeting is what upstream showed of somebody.
type meeting struct {
	acc mapping.Account
	// readAt is when reading began.
	readAt time.Time
	// past are the invites that led to acc, oldest first, as far as they are
	// known; traced says that nothing more is to be found out about them.
	past   []*upstream.Invite
	traced bool
	// relink says that a person whom the store knows by an older one of these
	// invites is the same.
	relink bool
}

// errUntraced means that somebody is met for the first time whose invites
// tell which id the person had.
var errUntraced = errors.New("provision: the person's invites have not been read")

// meet finds or makes the person that acc belongs to. It is nil when the
// account is being provisioned at this moment, or was deleted so recently that
// readAt may be before that.
func (s *Service) meet(ctx context.Context, w *workspace, acc mapping.Account, readAt time.Time) (*record, error) {
	m := meeting{acc: acc, readAt: readAt}
	r, err := s.meetNow(ctx, w, m)
	if errors.Is(err, errUntraced) {
		if m.past, err = s.origin(ctx, w, acc); err != nil {
			return nil, err
		}
		m.traced = true
		r, err = s.meetNow(ctx, w, m)
	}
	if _, conflict := errors.AsType[*store.ConflictError](err); conflict {
		return nil, nil
	}
	return r, err
}

func (s *Service) meetNow(ctx context.Context, w *workspace, m meeting) (*record, error) {
	var r *record
	err := s.store.Update(ctx, func(tx store.Tx) error {
		var err error
		r, err = s.meetIn(ctx, tx, w, m)
		return err
	})
	return r, err
}

func (s *Service) meetIn(ctx context.Context, tx store.Tx, w *workspace, m meeting) (*record, error) {
	row, err := sameUpstream(ctx, tx, probeOf(w.slug, m.acc))
	if err != nil {
		return nil, err
	}
	if row != nil {
		return s.meetAgain(ctx, tx, w, row, m.acc, false)
	}
	if m.relink {
		if row, err = s.sameLineage(ctx, tx, w.slug, m); err != nil {
			return nil, err
		}
		if row != nil {
			return s.meetAgain(ctx, tx, w, row, m.acc, true)
		}
	}
	if busy, err := s.beingMade(ctx, tx, w.slug, m.acc, m.readAt); busy || err != nil {
		return nil, err
	}
	if late, err := s.noteLate(ctx, tx, w, m.acc); late || err != nil {
		return nil, err
	}
	if m.acc.Invite != nil && !m.traced {
		return nil, errUntraced
	}
	return s.firstMeeting(ctx, tx, w, m)
}

// sameLineage finds the living row of one of the invites that came before
// acc, unless a request is giving the person a new one at this moment.
func (s *Service) sameLineage(ctx context.Context, rd store.Reader, tenant string, m meeting) (*store.Person, error) {
	if _, err := rd.Intent(ctx, tenant, intentKey(scim.Fold(m.acc.Email))); !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	row, err := sameUpstream(ctx, rd, &store.Person{Tenant: tenant, InviteIDs: inviteIDs(m.past)})
	if row == nil || err != nil {
		return nil, err
	}
	for _, i := range m.past {
		addInvite(row, i.ID)
	}
	return row, nil
}

// meetAgain updates what is known of somebody, unless our own write is newer.
// anew says that acc is the work of a later invite than the row knew.
func (s *Service) meetAgain(ctx context.Context, tx store.Tx, w *workspace, row *store.Person, acc mapping.Account, anew bool) (*record, error) {
	r, err := readRecord(row)
	if err != nil {
		return nil, err
	}
	if known := r.seen.Invite; known != nil && acc.UserID != 0 && !anew {
		acc = knownInvite(acc, known, w.organizations, s.now())
	}
	if s.settling(r) || acc.Equal(r.seen) && acc.UserID == row.UserID && row.Listed {
		return r, nil
	}
	if row.UserID != 0 && acc.UserID == 0 {
		return r, nil // an older page: the invite has become an account
	}
	before := *row
	if err := r.see(acc, s.now()); err != nil {
		return nil, err
	}
	if err := r.put(ctx, tx, &before); err != nil && !errors.Is(err, store.ErrStale) {
		return nil, err
	}
	return r, nil
}

// knownInvite keeps what is known of the invite where a list does not tell.
func knownInvite(acc mapping.Account, known *mapping.Invite, orgs []int64, now time.Time) mapping.Account {
	i := *known
	i.State = inviteState(acc, coveredBy(known, orgs), known.State, &upstream.Account{}, now, known.ExpiresAt)
	if known.State == mapping.InviteExpired && i.State == mapping.InviteUnknown {
		i.State = known.State // the list of pending invites tells when it was sent again
	}
	acc.Invite = &i
	return acc
}

// beingMade reports whether the account belongs to a request under way, to a
// person of that name whom the store knows by other ids, or to somebody whose
// deletion the list may not show yet.
func (s *Service) beingMade(ctx context.Context, rd store.Reader, tenant string, acc mapping.Account, readAt time.Time) (bool, error) {
	folded := scim.Fold(acc.Email)
	if _, err := rd.Intent(ctx, tenant, intentKey(folded)); !errors.Is(err, store.ErrNotFound) {
		return err == nil, err
	}
	if p, err := whoHas(ctx, rd, tenant, folded, folded); p != nil || err != nil {
		return p != nil, err
	}
	invite := ""
	if acc.Invite != nil && acc.UserID == 0 {
		invite = acc.Invite.ID
	}
	dead, err := rd.TombstonesByUpstream(ctx, tenant, acc.UserID, invite)
	if err != nil || len(dead) == 0 {
		return false, err
	}
	return readAt.Sub(dead[0].DeletedAt) < s.opts.Settle, nil
}

// firstMeeting makes a person, unmanaged, with the id that a person of the
// same past had: every id that can be derived from it leads there.
func (s *Service) firstMeeting(ctx context.Context, tx store.Tx, w *workspace, m meeting) (*record, error) {
	now := s.now()
	ids := derivedIDs(w.slug, m.acc, m.past)
	free := ids[:0]
	for _, id := range ids {
		switch unused, err := unusedID(ctx, tx, w.slug, id); {
		case err != nil:
			return nil, err
		case unused == id:
			free = append(free, id)
		}
	}
	if len(free) == 0 {
		free = []string{uuid.NewString()}
	}
	r := &record{row: &store.Person{
		Tenant: w.slug, ID: free[0], InviteIDs: inviteIDs(m.past), CreatedAt: now, ModifiedAt: now,
	}}
	if err := r.see(m.acc, now); err != nil {
		return nil, err
	}
	if err := tx.InsertPerson(r.row); err != nil {
		return nil, err
	}
	for _, alias := range free[1:] {
		if err := tx.AddAlias(w.slug, alias, r.row.ID); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// unusedID is the id, or a random one when a person has it, or had it before
// being deleted: a person who was relinked keeps the id of the old account.
func unusedID(ctx context.Context, rd store.Reader, tenant, id string) (string, error) {
	for _, find := range []func(context.Context, string, string) (*store.Person, error){rd.Tombstone, rd.Person} {
		switch _, err := find(ctx, tenant, id); {
		case err == nil:
			return uuid.NewString(), nil
		case !errors.Is(err, store.ErrNotFound):
			return "", err
		}
	}
	return id, nil
}
