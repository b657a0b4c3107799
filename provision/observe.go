package provision

import (
	"context"
	"errors"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// errGone means that upstream confirmed that it no longer has the person.
var errGone = errors.New("provision: the person is gone upstream")

// early is an upstream read that was begun on a hint of the cache, before the
// store said whose account it is.
type early struct {
	userID int64
	done   chan struct{}
	acc    *upstream.Account
	err    error
}

// readEarly begins to read an account. The result is only used when the store
// confirms the id.
func readEarly(ctx context.Context, w *workspace, userID int64) *early {
	e := &early{userID: userID, done: make(chan struct{})}
	go func() {
		defer close(e.done)
		e.acc, e.err = w.client.GetUser(ctx, userID)
	}()
	return e
}

// getUser reads an account, or takes what was read early.
func (e *early) getUser(ctx context.Context, w *workspace, userID int64) (*upstream.Account, error) {
	if e == nil || e.userID != userID {
		return w.client.GetUser(ctx, userID)
	}
	<-e.done
	return e.acc, e.err
}

// observe asks upstream what it holds of the person. It is errGone when
// upstream confirmed twice that it holds nothing; any other error means that
// nothing is known. A read that is older than our own last write gives what
// we wrote (design: 60 seconds of grace for stale reads).
func (s *Service) observe(ctx context.Context, w *workspace, r *record, e *early) (mapping.Account, error) {
	switch {
	case r.row.UserID != 0:
		return s.observeAccount(ctx, w, r, r.row.UserID, e)
	case currentInvite(r.row) != "":
		return s.observeInvite(ctx, w, r)
	}
	return mapping.Account{}, nil // kept until it is activated: nothing upstream
}

func (s *Service) observeAccount(ctx context.Context, w *workspace, r *record, userID int64, e *early) (mapping.Account, error) {
	a, err := e.getUser(ctx, w, userID)
	if upstream.IsNotFound(err) {
		if s.settling(r) {
			return r.seen.Clone(), nil
		}
		a, err = w.client.GetUser(ctx, userID) // a 404 counts when it is said twice
	}
	if upstream.IsNotFound(err) {
		return s.successor(ctx, w, r, userID)
	}
	if err != nil {
		return mapping.Account{}, err
	}
	acc := accountOf(a, w.organizations, r.seen.Invite, s.now())
	if s.settling(r) && acc.UpdatedAt.Before(r.seen.UpdatedAt) {
		return r.seen.Clone(), nil
	}
	if was := r.seen.Invite; was != nil && was.State == mapping.InviteExpired && acc.Invite.State == mapping.InviteUnknown {
		probe := &run{s: s, w: w, cur: acc}
		if err := probe.completeInvite(ctx); err != nil {
			return mapping.Account{}, err
		}
		acc = probe.cur
	}
	return acc, nil
}

// successor looks for the account that the person's invite leads to now that
// the one called gone is.
func (s *Service) successor(ctx context.Context, w *workspace, r *record, gone int64) (mapping.Account, error) {
	id := currentInvite(r.row)
	if id == "" {
		return mapping.Account{}, errGone
	}
	i, err := w.client.GetInvite(ctx, id)
	switch {
	case upstream.IsNotFound(err):
		return mapping.Account{}, errGone
	case err != nil:
		return mapping.Account{}, err
	case i.UserID != 0 && i.UserID != gone && i.UserID != r.row.UserID:
		return s.observeAccount(ctx, w, r, i.UserID, nil)
	case i.UserID == 0 && i.State == mapping.InvitePending:
		return inviteOf(i, s.now()), nil
	}
	return mapping.Account{}, errGone
}

// observeInvite asks for a person who was invited and had no account when
// last seen.
func (s *Service) observeInvite(ctx context.Context, w *workspace, r *record) (mapping.Account, error) {
	i, err := w.client.GetInvite(ctx, currentInvite(r.row))
	if upstream.IsNotFound(err) {
		if s.settling(r) {
			return r.seen.Clone(), nil
		}
		i, err = w.client.GetInvite(ctx, currentInvite(r.row))
	}
	switch {
	case upstream.IsNotFound(err):
		return mapping.Account{}, errGone
	case err != nil:
		return mapping.Account{}, err
	case i.UserID != 0:
		known := *r
		known.seen.Invite = stateOf(i, s.now())
		return s.observeAccount(ctx, w, &known, i.UserID, nil)
	}
	acc := inviteOf(i, s.now())
	if s.settling(r) && r.seen.Invite != nil && r.seen.Invite.ID == i.ID && r.seen.Invite.State != acc.Invite.State {
		return r.seen.Clone(), nil // acceptance would have given it an account
	}
	return acc, nil
}

// settling reports whether our last write is so young that upstream may still
// answer with what was before it.
func (s *Service) settling(r *record) bool {
	at := r.row.LastWrittenAt
	return !r.unsettled && !at.IsZero() && s.now().Sub(at) < s.opts.Settle
}

// remember stores what upstream showed when it differs from what we had. It is
// best effort: what it would store is read again when it is needed.
func (s *Service) remember(ctx context.Context, r *record, acc mapping.Account) {
	if acc.Equal(r.seen) && acc.UserID == r.row.UserID {
		return
	}
	next := *r
	row := *r.row
	next.row = &row
	if err := next.see(acc, s.now()); err != nil {
		s.log.ErrorContext(ctx, "cannot encode what upstream shows", "person", r.row.ID, "err", err)
		return
	}
	err := s.store.Update(ctx, func(tx store.Tx) error { return next.put(ctx, tx, r.row) })
	if err != nil && !errors.Is(err, store.ErrStale) {
		s.log.WarnContext(ctx, "cannot store what upstream shows", "person", r.row.ID, "err", err)
		return
	}
	if err == nil {
		*r = next
	}
}

// forget notes that upstream confirmed to have nothing of the person. An
// account that was never ours to manage becomes a tombstone; a managed person
// leaves the lists and stays findable for nobody.
func (s *Service) forget(ctx context.Context, r *record) {
	row := *r.row
	err := s.store.Update(ctx, func(tx store.Tx) error {
		if !row.Managed {
			return tx.DeletePerson(&row, s.now())
		}
		row.Listed = false
		return tx.SeePerson(&row)
	})
	if err != nil && !errors.Is(err, store.ErrStale) {
		s.log.WarnContext(ctx, "cannot store that a person is gone upstream", "person", r.row.ID, "err", err)
	}
}
