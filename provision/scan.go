package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/sharearefund/scim-bridge/mapping"
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
	batch []meeting
	// strangers were invited and are met for the first time: their id follows
	// from invites that are read when everybody else is written.
	strangers []mapping.Account
	// waiting are the persons with an account whose invite was pending when last
	// seen, by the invite's id.
	waiting map[string]string
	// alive are the accounts that the list showed, with their externalIds.
	alive map[int64]string
	// lineage is nil until somebody needs it.
	lineage *lineage
	// rebuild says that the store may have lost people: those whom only an
	// invite that ended tells of are looked for too.
	rebuild bool
	// each is called for every person in the transaction that met it; nil: no
	// one wants to know.
	each func(tx store.Tx, r *record) error
	// progress is told how many people were seen so far.
	progress func(people int)
	people   int
}

// runScan makes a complete scan.
func (s *Service) runScan(ctx context.Context, w *workspace, each func(store.Tx, *record) error, progress func(people int)) (store.Directory, error) {
	return s.newScan(w, each, progress).run(ctx)
}

func (s *Service) newScan(w *workspace, each func(store.Tx, *record) error, progress func(people int)) *scan {
	return &scan{
		s: s, w: w, started: s.now(), met: map[int64]struct{}{}, alive: map[int64]string{}, waiting: map[string]string{}, each: each, progress: progress,
	}
}

func (sc *scan) run(ctx context.Context) (store.Directory, error) {
	s, w := sc.s, sc.w
	if err := sc.accounts(ctx); err != nil {
		return store.Directory{}, fmt.Errorf("reading the accounts: %w", err)
	}
	if err := sc.invites(ctx); err != nil {
		return store.Directory{}, fmt.Errorf("reading the invites: %w", err)
	}
	if sc.rebuild {
		if err := sc.withdrawn(ctx); err != nil {
			return store.Directory{}, fmt.Errorf("reading the invites that ended: %w", err)
		}
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
		sc.alive[a.ID] = a.OtherID
		if err := sc.add(ctx, accountOf(a, sc.w.organizations, nil, sc.s.now())); err != nil {
			return err
		}
	}
	return sc.settle(ctx)
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
	for id := range seen {
		delete(sc.waiting, id)
	}
	for id, person := range sc.waiting {
		if err := sc.ended(ctx, id, person); err != nil {
			return err
		}
	}
	return sc.settle(ctx)
}

// ended tells the row of an account what became of an invite that is not
// pending any more: it may have expired.
func (sc *scan) ended(ctx context.Context, id, person string) error {
	p, err := sc.s.store.Person(ctx, sc.w.slug, person)
	if err != nil {
		return ignoreNotFound(err)
	}
	i, err := sc.w.client.GetInvite(ctx, id)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return sc.note(ctx, p, i)
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
	return sc.note(ctx, p, i)
}

// note keeps what an invite shows with the account that it led to, unless our
// own write is newer.
func (sc *scan) note(ctx context.Context, p *store.Person, i *upstream.Invite) error {
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
	return sc.queue(ctx, meeting{acc: acc, readAt: sc.started})
}

func (sc *scan) queue(ctx context.Context, m meeting) error {
	if sc.batch = append(sc.batch, m); len(sc.batch) < scanBatch {
		return nil
	}
	return sc.flush(ctx)
}

// settle writes everybody who was added, the strangers last.
func (sc *scan) settle(ctx context.Context) error {
	if err := sc.flush(ctx); err != nil || len(sc.strangers) == 0 {
		return err
	}
	l, err := sc.ancestors(ctx)
	if err != nil {
		return err
	}
	strangers := sc.strangers
	sc.strangers = nil
	for _, acc := range strangers {
		m := meeting{acc: acc, readAt: sc.started, past: l.of(acc, sc.alive), traced: true, relink: sc.rebuild}
		if err := sc.queue(ctx, m); err != nil {
			return err
		}
	}
	return sc.flush(ctx)
}

// ancestors reads the tenant's invites, once.
func (sc *scan) ancestors(ctx context.Context) (*lineage, error) {
	if sc.lineage != nil {
		return sc.lineage, nil
	}
	l, err := sc.s.readLineage(ctx, sc.w)
	if err != nil {
		return nil, fmt.Errorf("reading the invites of those who are met for the first time: %w", err)
	}
	sc.lineage = l
	return l, nil
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
	for _, m := range batch {
		err := sc.write(ctx, []meeting{m})
		if _, conflict := errors.AsType[*store.ConflictError](err); conflict {
			sc.s.log.InfoContext(ctx, "a person is being changed while the directory is read", "tenant", sc.w.slug, "user_id", m.acc.UserID)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (sc *scan) write(ctx context.Context, batch []meeting) error {
	var seqs []int64
	var strangers []mapping.Account
	waiting := map[string]string{}
	err := sc.s.store.Update(ctx, func(tx store.Tx) error {
		seqs, strangers = seqs[:0], strangers[:0]
		for _, m := range batch {
			r, err := sc.s.meetIn(ctx, tx, sc.w, m)
			if errors.Is(err, errUntraced) {
				strangers = append(strangers, m.acc)
				continue
			}
			if err != nil {
				return err
			}
			if r == nil {
				continue
			}
			seqs = append(seqs, r.row.Seq)
			if i := r.seen.Invite; i != nil && i.State == mapping.InvitePending && r.seen.UserID != 0 {
				waiting[i.ID] = r.row.ID
			}
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
	sc.strangers = append(sc.strangers, strangers...)
	maps.Copy(sc.waiting, waiting)
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

// endedEvery is how many scans share the look at those of whom only an invite
// that ended is left: it changes when somebody revives it, which is seldom.
const endedEvery = 12

// mayWait reports whether it is another scan's turn to ask for a person whose
// invite ended.
func (sc *scan) mayWait(r *record) bool {
	i := r.seen.Invite
	if i == nil || i.State != mapping.InviteExpired && i.State != mapping.InviteRevoked {
		return false
	}
	round := sc.started.UnixMilli() / max(sc.s.opts.DirectoryInterval.Milliseconds(), 1)
	return (r.row.Seq+round)%endedEvery != 0
}

func (sc *scan) confirm(ctx context.Context, p *store.Person) error {
	r, err := readRecord(p)
	if err != nil {
		return err
	}
	if p.UserID == 0 && (currentInvite(p) == "" || sc.mayWait(r)) {
		return nil // kept until it is activated, or looked at by a later scan
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
