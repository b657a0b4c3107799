package provision

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// sweepLimit is how many intents one sweep looks at. Some stay until their
// client comes back, so it must be above any number of those.
const sweepLimit = 100_000

// changeMemory is how long it is remembered what a change that did not finish
// was to lead to.
const changeMemory = 24 * time.Hour

// sweep finds out what became of requests that were cut short and that no
// client came back for: whoever turns out to have been invited by us becomes
// a person that the filter finds, or is known to belong to the person that
// was being changed; where nothing happened the intent goes.
func (s *Service) sweep(ctx context.Context, w *workspace) error {
	intents, err := s.store.Intents(ctx, w.slug, s.now().Add(-s.opts.Settle), sweepLimit)
	if err != nil {
		return err
	}
	var failed error
	for _, i := range intents {
		switch {
		case i.Kind == intentLate:
			continue // followed after the scan
		case i.Kind == intentCreate:
			err = s.finishCreate(ctx, w, i)
		case i.Key == personKey(i.PersonID):
			err = s.traceChange(ctx, w, i)
		default:
			err = s.dropOrphan(ctx, i)
		}
		if err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// traceChange lets a person's row lead to what a change that was cut short
// made for it upstream. The change itself goes on when its client comes back.
func (s *Service) traceChange(ctx context.Context, w *workspace, i *store.Intent) error {
	attempt := new(changeIntent)
	if err := json.Unmarshal(i.Payload, attempt); err != nil {
		return err
	}
	expired := s.now().Sub(i.CreatedAt) > changeMemory
	if attempt.Email == "" && !expired {
		return nil
	}
	pol, err := w.policy(ctx)
	if err != nil {
		return err
	}
	cl, err := s.newClaim(ctx, w.slug, i.Key)
	if err != nil {
		return err
	}
	defer cl.release()
	var p *store.Person
	stale := false
	err = cl.update(ctx, []string{i.Key}, func(tx store.Tx) error {
		again, err := tx.Intent(ctx, w.slug, i.Key)
		stale = errors.Is(err, store.ErrNotFound) || err == nil && !again.CreatedAt.Equal(i.CreatedAt)
		if stale || err != nil {
			return ignoreNotFound(err)
		}
		p, err = tx.Person(ctx, w.slug, i.PersonID)
		if errors.Is(err, store.ErrNotFound) {
			stale = true
			return dropIntents(ctx, tx, w.slug, i.PersonID, attempt)
		}
		return err
	})
	if err != nil || stale {
		return err
	}
	found := mapping.Account{}
	if attempt.Email != "" {
		if found, err = s.lostWork(ctx, w, pol, p, attempt); err != nil {
			return err
		}
	}
	r, err := readRecord(p)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		if err := cl.verify(tx); err != nil {
			return err
		}
		if err := dropIntents(ctx, tx, w.slug, p.ID, attempt); err != nil {
			return err
		}
		if !expired {
			rest := changeIntent{Active: attempt.Active, Withheld: attempt.Withheld, Roles: attempt.Roles, Granted: attempt.Granted}
			if err := rest.put(ctx, tx, w.slug, p.ID, i.CreatedAt); err != nil {
				return err
			}
		}
		if !found.Exists() {
			return nil
		}
		row := *p
		next := &record{row: &row, written: r.written}
		if err := next.see(found, s.now()); err != nil {
			return err
		}
		return tx.SeePerson(&row)
	})
}

// dropOrphan ends an address's intent that outlived the person's.
func (s *Service) dropOrphan(ctx context.Context, i *store.Intent) error {
	return s.store.Update(ctx, func(tx store.Tx) error {
		if _, err := tx.Intent(ctx, i.Tenant, personKey(i.PersonID)); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		now, err := tx.Intent(ctx, i.Tenant, i.Key)
		if err != nil || now.PersonID != i.PersonID {
			return ignoreNotFound(err)
		}
		return tx.DeleteIntent(i.Tenant, i.Key)
	})
}

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func (s *Service) finishCreate(ctx context.Context, w *workspace, i *store.Intent) error {
	var payload createIntent
	if err := json.Unmarshal(i.Payload, &payload); err != nil {
		return err
	}
	u, err := s.codec.Load(payload.Desired)
	if err != nil {
		return err
	}
	pol, err := w.policy(ctx)
	if err != nil {
		return err
	}
	want, err := pol.Desire(u, mapping.Profile{})
	if _, refused := errors.AsType[*scim.Error](err); refused {
		// The tenant changed meanwhile. What was made upstream, if anything,
		// the scan finds.
		return s.store.Update(ctx, func(tx store.Tx) error { return tx.DeleteIntent(w.slug, i.Key) })
	}
	if err != nil {
		return err
	}
	k := &creation{
		s: s, w: w, pol: pol, u: u, want: want, name: scim.Fold(u.UserName), email: scim.Fold(want.Profile.Email),
		c:      scim.Caller{Tenant: w.slug, Credential: payload.Credential, RequestID: payload.RequestID},
		intent: i.Key, ours: true, since: payload.Since,
	}
	if k.since.IsZero() {
		k.since = i.CreatedAt
	}
	keys := []string{userNameKey(k.name), emailKey(k.email)}
	if k.cl, err = s.newClaim(ctx, w.slug, keys...); err != nil {
		return err
	}
	defer k.cl.release()
	stale := false
	err = k.cl.update(ctx, keys, func(tx store.Tx) error {
		again, err := tx.Intent(ctx, w.slug, i.Key)
		stale = errors.Is(err, store.ErrNotFound) || err == nil && !again.CreatedAt.Equal(i.CreatedAt)
		if stale {
			return nil
		}
		return err
	})
	if err != nil || stale {
		return err
	}
	acc, err := s.traceOf(ctx, w, want.Profile.Email)
	if err != nil {
		return err
	}
	if !acc.Exists() && payload.UserID != 0 {
		return nil // an account without a membership shows to nobody: the client's next attempt needs to know of it
	}
	r := &run{s: s, w: w, pol: pol, cl: k.cl, cur: acc, created: true, since: k.since}
	mine := acc.Exists() && acc.UserID == payload.UserID && payload.UserID != 0
	if acc.Exists() && !mine {
		if mine, err = r.mine(ctx, acc); err != nil {
			return err
		}
	}
	if !mine {
		k.dropIntent(ctx)
		return nil
	}
	if acc.Invite != nil {
		r.inviteIDs = []string{acc.Invite.ID}
	}
	_, err = k.commit(ctx, r, mapping.Plan{})
	if e, ok := errors.AsType[*scim.Error](err); ok && e.Status == 409 {
		k.dropIntent(ctx) // somebody of that name was provisioned meanwhile
		return nil
	}
	return err
}

// traceOf looks for an account or a pending invite of the address; the zero
// Account when there is none.
func (s *Service) traceOf(ctx context.Context, w *workspace, email string) (mapping.Account, error) {
	a, err := w.client.FindUserByEmail(ctx, email)
	if err == nil {
		return accountOf(a, w.organizations, nil, s.now()), nil
	}
	if !isNotFound(err) {
		return mapping.Account{}, err
	}
	return s.pendingInvite(ctx, w, email)
}
