package provision

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// sweepBatch is how many intents one sweep looks at.
const sweepBatch = 100

// sweep finishes creates that were cut short and that no client came back
// for: whoever turns out to have been invited by us becomes a person that the
// filter finds; where nothing happened the intent goes.
func (s *Service) sweep(ctx context.Context, w *workspace) error {
	intents, err := s.store.Intents(ctx, w.slug, s.now().Add(-s.opts.Settle), sweepBatch)
	if err != nil {
		return err
	}
	var failed error
	for _, i := range intents {
		if i.Kind != intentCreate {
			continue // a change goes on when its client comes back
		}
		if err := s.finishCreate(ctx, w, i); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
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
	if err != nil {
		return err
	}
	k := &creation{
		s: s, w: w, pol: pol, u: u, want: want, name: scim.Fold(u.UserName), email: scim.Fold(want.Profile.Email),
		c:      scim.Caller{Tenant: w.slug, Credential: payload.Credential, RequestID: payload.RequestID},
		intent: i.Key, ours: true,
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
	if !acc.Exists() {
		k.dropIntent(ctx)
		return nil
	}
	r := &run{s: s, w: w, pol: pol, cl: k.cl, cur: acc, created: true}
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
