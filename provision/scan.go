package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// scanBatch is how many people are compared in one transaction.
const scanBatch = 200

// scan reads everybody of a tenant from upstream into the directory. It is
// complete or it fails: nothing is concluded from a list that broke off, and
// nobody counts as gone who is only missing from a list.
type scan struct {
	s       *Service
	w       *workspace
	started time.Time
	// met are the Seqs of the persons that the lists showed.
	met map[int64]struct{}
	// batch waits to be written.
	batch []mapping.Account
	// each is called for every person in the transaction that met it; nil: no
	// one wants to know.
	each func(tx store.Tx, r *record) error
	// progress is told how many people were seen so far.
	progress func(people int)
	people   int
}

// runScan makes a complete scan.
func (s *Service) runScan(ctx context.Context, w *workspace, each func(store.Tx, *record) error, progress func(people int)) (store.Directory, error) {
	sc := &scan{s: s, w: w, started: s.now(), met: map[int64]struct{}{}, each: each, progress: progress}
	if err := sc.accounts(ctx); err != nil {
		return store.Directory{}, fmt.Errorf("reading the accounts: %w", err)
	}
	if err := sc.invites(ctx); err != nil {
		return store.Directory{}, fmt.Errorf("reading the invites: %w", err)
	}
	if err := sc.missing(ctx); err != nil {
		return store.Directory{}, fmt.Errorf("confirming who is gone: %w", err)
	}
	d := store.Directory{StartedAt: sc.started, CompletedAt: s.now(), People: sc.people}
	err := s.store.Update(ctx, func(tx store.Tx) error { return tx.PutDirectory(w.slug, d) })
	return d, err
}

func (sc *scan) accounts(ctx context.Context) error {
	for a, err := range sc.w.client.ListUsers(ctx, upstream.ListUsersQuery{OrganizationIDs: sc.w.organizations}) {
		if err != nil {
			return err
		}
		if err := sc.add(ctx, accountOf(a, sc.w.organizations, nil, sc.s.now())); err != nil {
			return err
		}
	}
	return sc.flush(ctx)
}

// invites adds those who have been invited and have no account yet.
func (sc *scan) invites(ctx context.Context) error {
	seen := map[string]bool{}
	for _, org := range sc.w.organizations {
		q := upstream.ListInvitesQuery{State: upstream.InvitePending, OrganizationID: org}
		for i, err := range sc.w.client.ListInvites(ctx, q) {
			if err != nil {
				return err
			}
			if seen[i.ID] {
				continue
			}
			seen[i.ID] = true
			if i.UserID != 0 {
				if err := sc.invited(ctx, i); err != nil {
					return err
				}
				continue
			}
			if err := sc.add(ctx, inviteOf(i, sc.s.now())); err != nil {
				return err
			}
		}
	}
	return sc.flush(ctx)
}

// invited tells the row of an account what its pending invite says and the
// account does not: until when it can be accepted.
func (sc *scan) invited(ctx context.Context, i *upstream.Invite) error {
	p, err := sc.s.store.PersonByUserID(ctx, sc.w.slug, i.UserID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := readRecord(p)
	if err != nil {
		return err
	}
	now := stateOf(i, sc.s.now())
	was := r.seen.Invite
	if was != nil && was.ID == now.ID && was.State == now.State && was.ExpiresAt.Equal(now.ExpiresAt) || p.LastWrittenAt.After(sc.started) || sc.s.settling(r) {
		return nil
	}
	acc := r.seen.Clone()
	acc.Invite = now
	sc.s.remember(ctx, r, acc)
	return nil
}

func (sc *scan) add(ctx context.Context, acc mapping.Account) error {
	sc.people++
	if sc.batch = append(sc.batch, acc); len(sc.batch) < scanBatch {
		return nil
	}
	return sc.flush(ctx)
}

// flush writes the batch; where one person cannot be written the others are.
func (sc *scan) flush(ctx context.Context) error {
	batch := sc.batch
	sc.batch = nil
	if len(batch) == 0 {
		return nil
	}
	if sc.progress != nil {
		sc.progress(sc.people)
	}
	err := sc.write(ctx, batch)
	if _, conflict := errors.AsType[*store.ConflictError](err); !conflict {
		return err
	}
	for _, acc := range batch {
		err := sc.write(ctx, []mapping.Account{acc})
		if _, conflict := errors.AsType[*store.ConflictError](err); conflict {
			sc.s.log.InfoContext(ctx, "a person is being changed while the directory is read", "tenant", sc.w.slug, "user_id", acc.UserID)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (sc *scan) write(ctx context.Context, batch []mapping.Account) error {
	var seqs []int64
	err := sc.s.store.Update(ctx, func(tx store.Tx) error {
		seqs = seqs[:0]
		for _, acc := range batch {
			r, err := sc.s.meetIn(ctx, tx, sc.w, acc, sc.started)
			if err != nil {
				return err
			}
			if r == nil {
				continue
			}
			seqs = append(seqs, r.row.Seq)
			if sc.each != nil {
				if err := sc.each(tx, r); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		sc.met[seq] = struct{}{}
	}
	return nil
}

// maxUnconfirmed is how many people a complete scan may leave as they were
// because upstream answers for everybody but them.
const maxUnconfirmed = 10

// missing asks for everybody whom the lists did not show, one by one.
func (sc *scan) missing(ctx context.Context) error {
	unconfirmed := 0
	for after := int64(0); ; {
		rows, err := sc.s.store.Persons(ctx, sc.w.slug, store.Window{After: after, Limit: chunk})
		if err != nil {
			return err
		}
		for _, p := range rows {
			if _, ok := sc.met[p.Seq]; ok || p.CreatedAt.After(sc.started) || p.ModifiedAt.After(sc.started) {
				continue
			}
			err := sc.confirm(ctx, p)
			if kind := upstream.KindOf(err); kind == upstream.Unavailable || kind == upstream.Protocol || kind == upstream.Invalid {
				sc.s.log.WarnContext(ctx, "upstream does not answer for a person whom its lists do not show", "tenant", sc.w.slug, "person", p.ID, "err", err)
				if unconfirmed++; unconfirmed <= maxUnconfirmed && ctx.Err() == nil {
					continue
				}
			}
			if err != nil {
				return err
			}
		}
		if len(rows) < chunk {
			return nil
		}
		after = rows[len(rows)-1].Seq
	}
}

func (sc *scan) confirm(ctx context.Context, p *store.Person) error {
	r, err := readRecord(p)
	if err != nil {
		return err
	}
	if p.UserID == 0 && currentInvite(p) == "" {
		return nil // kept until it is activated
	}
	acc, err := sc.s.observe(ctx, sc.w, r, nil)
	switch {
	case errors.Is(err, errGone):
		if err := sc.s.unfinished(ctx, p); err != nil {
			return nil // looked at again by the next scan
		}
		sc.s.forget(ctx, r)
	case err != nil:
		return err
	default:
		sc.s.remember(ctx, r, acc)
	}
	return nil
}

// meet finds or makes the person that acc belongs to. It is nil when the
// account is being provisioned at this moment, or was deleted so recently that
// readAt may be before that.
func (s *Service) meet(ctx context.Context, w *workspace, acc mapping.Account, readAt time.Time) (*record, error) {
	var r *record
	err := s.store.Update(ctx, func(tx store.Tx) error {
		var err error
		r, err = s.meetIn(ctx, tx, w, acc, readAt)
		return err
	})
	if _, conflict := errors.AsType[*store.ConflictError](err); conflict {
		return nil, nil
	}
	return r, err
}

func (s *Service) meetIn(ctx context.Context, tx store.Tx, w *workspace, acc mapping.Account, readAt time.Time) (*record, error) {
	row, err := sameUpstream(ctx, tx, probeOf(w.slug, acc))
	if err != nil {
		return nil, err
	}
	if row != nil {
		return s.meetAgain(ctx, tx, w, row, acc)
	}
	if busy, err := s.beingMade(ctx, tx, w.slug, acc, readAt); busy || err != nil {
		return nil, err
	}
	return s.firstMeeting(ctx, tx, w, acc)
}

// meetAgain updates what is known of somebody, unless our own write is newer.
func (s *Service) meetAgain(ctx context.Context, tx store.Tx, w *workspace, row *store.Person, acc mapping.Account) (*record, error) {
	r, err := readRecord(row)
	if err != nil {
		return nil, err
	}
	if known := r.seen.Invite; known != nil && acc.UserID != 0 {
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

func (s *Service) firstMeeting(ctx context.Context, tx store.Tx, w *workspace, acc mapping.Account) (*record, error) {
	now := s.now()
	invite := ""
	if acc.Invite != nil {
		invite = acc.Invite.ID
	}
	id, err := unusedID(ctx, tx, w.slug, derivedID(w.slug, acc.UserID, invite))
	if err != nil {
		return nil, err
	}
	r := &record{row: &store.Person{Tenant: w.slug, ID: id, CreatedAt: now, ModifiedAt: now}}
	if err := r.see(acc, now); err != nil {
		return nil, err
	}
	if err := tx.InsertPerson(r.row); err != nil {
		return nil, err
	}
	if acc.UserID == 0 || invite == "" {
		return r, nil
	}
	// While the person was only invited, its id was derived from the invite.
	alias := derivedID(w.slug, 0, invite)
	if free, err := unusedID(ctx, tx, w.slug, alias); err != nil || free != alias {
		return r, err
	}
	return r, tx.AddAlias(w.slug, alias, id)
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
