package provision

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// clockSkew is by how much upstream's clock may be behind ours.
const clockSkew = 2 * time.Minute

// changeIntent is the payload of the intent that a change of several steps
// leaves while it is under way.
type changeIntent struct {
	// Active is whether the person was to have access before the first step
	// took it away.
	Active bool `json:"active"`
	// Email is the address for which the change makes something upstream that
	// the person's row does not lead to before the commit; "" for nothing.
	Email string `json:"email,omitzero"`
	// Since is when the first attempt to make that began.
	Since time.Time `json:"since,omitzero"`
	// Organizations are those that held the person before the first step.
	Organizations []int64 `json:"organizations,omitempty"`
	// Leaving says that the person was to go: nobody upstream is then what
	// the attempt led to, and not what somebody else did.
	Leaving bool `json:"leaving,omitzero"`
	// Withheld says that the lack of a group was to take the access away.
	Withheld bool `json:"withheld,omitzero"`
	// Roles and Granted are what we gave before, and what the attempt was to give.
	Roles   []mapping.WrittenRole `json:"roles,omitempty"`
	Granted []int64               `json:"granted,omitempty"`
}

const intentChange = "change"

// put stores the intent under the person's key and, where something is made
// for an address, under the address's: nobody is to take what appears there
// for an account that was there before us. It is 503 while somebody else's is
// there.
func (i *changeIntent) put(ctx context.Context, tx store.Tx, tenant, id string, at time.Time) error {
	payload, err := json.Marshal(i)
	if err != nil {
		return err
	}
	keys := []string{personKey(id)}
	if i.Email != "" {
		key := intentKey(scim.Fold(i.Email))
		switch other, err := tx.Intent(ctx, tenant, key); {
		case err == nil && other.PersonID != id:
			return scim.Unavailable(retrySoon, "an earlier request may have invited %q and is not finished yet: send the request again", i.Email)
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		}
		keys = append(keys, key)
	}
	for _, key := range keys {
		in := &store.Intent{Tenant: tenant, Key: key, Kind: intentChange, PersonID: id, Payload: payload, CreatedAt: at}
		if err := tx.PutIntent(in); err != nil {
			return err
		}
	}
	return nil
}

// dropIntents ends a person's intents: the one of its key and those that the
// given ones have under an address.
func dropIntents(ctx context.Context, tx store.Tx, tenant, id string, intents ...*changeIntent) error {
	for _, i := range intents {
		if i == nil || i.Email == "" {
			continue
		}
		key := intentKey(scim.Fold(i.Email))
		in, err := tx.Intent(ctx, tenant, key)
		if errors.Is(err, store.ErrNotFound) || err == nil && in.PersonID != id {
			continue
		}
		if err != nil {
			return err
		}
		if err := tx.DeleteIntent(tenant, key); err != nil {
			return err
		}
	}
	return tx.DeleteIntent(tenant, personKey(id))
}

// intend says what this attempt is about to do.
func (k *changing) intend(plan mapping.Plan) {
	k.intent = &changeIntent{Active: k.want.Active, Organizations: k.heldBefore(), Withheld: k.want.Withheld}
	next := k.given().With(k.given().Beyond(k.want))
	k.intent.Roles, k.intent.Granted = next.Roles, next.Granted
	makes := slices.ContainsFunc(plan.Steps, func(s mapping.Step) bool {
		return s.Kind == mapping.StepInvite || s.Kind == mapping.StepCreate || slices.Contains(s.Fields, "email")
	})
	if !makes {
		return
	}
	k.intent.Email, k.intent.Since = k.email(), k.s.now()
	if k.was != nil && scim.Fold(k.was.Email) == scim.Fold(k.intent.Email) {
		k.intent.Since = k.was.Since
	}
	k.run.since = k.intent.Since
}

// given is what we gave the person, as far as an attempt that was cut short may
// have gone beyond what the row says of that.
func (k *changing) given() mapping.Written {
	if k.was == nil {
		return k.rec.written
	}
	return k.rec.written.With(k.was.Roles, k.was.Granted)
}

// heldBefore are the organizations that held the person before the first step
// of this attempt, or of the one that was cut short.
func (k *changing) heldBefore() []int64 {
	if k.was != nil && len(k.was.Organizations) > 0 {
		return k.was.Organizations
	}
	if access := k.run.cur.AccessIn(k.pol.Organizations); len(access) > 0 {
		return access
	}
	return k.run.cur.HeldIn(k.pol.Organizations)
}

// foresee leaves the intent before a step that only showed on the way.
func (k *changing) foresee(ctx context.Context, step mapping.Step) error {
	if k.intent != nil && (k.intent.Email != "" || step.Kind == mapping.StepResendInvite) {
		return nil
	}
	k.intend(mapping.Plan{Steps: []mapping.Step{step}})
	p := k.rec.row
	return k.s.store.Update(ctx, func(tx store.Tx) error {
		if err := k.cl.verify(tx); err != nil {
			return err
		}
		return k.intent.put(ctx, tx, p.Tenant, p.ID, k.begun())
	})
}

// begun is when the attempts of which this one is the latest began: a client
// that comes back often is not to wait for ever.
func (k *changing) begun() time.Time {
	now := k.s.now()
	if k.was != nil && now.Sub(k.wasSince) < k.s.opts.Settle {
		return k.wasSince
	}
	return now
}

// withdraw ends the intent of an attempt that surely did nothing upstream: it
// would make a later request finish what the client was told to have failed.
func (k *changing) withdraw(ctx context.Context, err error) {
	if k.intent == nil || k.was != nil || k.run.effects > 0 || !definite(err) {
		return
	}
	ctx, cancel := commitContext(ctx)
	defer cancel()
	p := k.rec.row
	dropErr := k.s.store.Update(ctx, func(tx store.Tx) error {
		if err := k.cl.verify(tx); err != nil {
			return err
		}
		return dropIntents(ctx, tx, p.Tenant, p.ID, k.intent)
	})
	if dropErr != nil {
		k.s.log.WarnContext(ctx, "an intent stays until it is swept", "tenant", p.Tenant, "person", p.ID, "err", dropErr)
	}
}

// definite reports whether err says that the step it ended had no effect.
func definite(err error) bool {
	if e, ok := errors.AsType[*scim.Error](err); ok {
		return e.Status < 500
	}
	switch upstream.KindOf(err) {
	case upstream.Invalid, upstream.Forbidden, upstream.Conflict, upstream.NotFound, upstream.RateLimited,
		upstream.Unavailable, upstream.Unauthorized:
		return true
	}
	return false
}

// trace looks for what an attempt that did not finish may have made upstream
// without hearing of it.
func (k *changing) trace(ctx context.Context) error {
	cur := k.run.cur
	if k.was == nil || k.was.Email == "" ||
		scim.Fold(cur.Email) == scim.Fold(k.was.Email) && cur.ActiveIn(k.pol.Organizations) {
		return nil
	}
	found, err := k.s.lostWork(ctx, k.w, k.pol, k.rec.row, k.was)
	if err != nil {
		return err
	}
	if !found.Exists() {
		k.untraced = k.s.now().Sub(k.wasSince) < k.s.opts.Settle
		return nil
	}
	k.run.created = k.run.created || !cur.Exists()
	k.run.cur = found
	if found.Invite != nil {
		k.run.inviteIDs = append(k.run.inviteIDs, found.Invite.ID)
	}
	return nil
}

// traced is an error while the person may have more upstream than shows,
// unless the request is to make the same again, which upstream arbitrates.
func (k *changing) traced() error {
	if !k.untraced || !k.leaving && k.want.Active && scim.Fold(k.want.Profile.Email) == scim.Fold(k.was.Email) {
		return nil
	}
	return scim.Unavailable(retrySoon, "an earlier attempt to invite this user may have succeeded and does not show yet: send the request again")
}

// lostWork finds what the attempt was made upstream for a person, or that it
// made nothing, as far as that shows: the zero Account.
func (s *Service) lostWork(ctx context.Context, w *workspace, pol *mapping.Policy, p *store.Person, attempt *changeIntent) (mapping.Account, error) {
	acc, err := s.traceOf(ctx, w, attempt.Email)
	if err != nil || !acc.Exists() {
		return mapping.Account{}, err
	}
	owner, err := sameUpstream(ctx, s.store, probeOf(w.slug, acc))
	if err != nil || owner != nil && owner.ID != p.ID {
		return mapping.Account{}, err
	}
	r := &run{s: s, w: w, pol: pol, cur: acc, since: attempt.Since}
	if mine, err := r.mine(ctx, acc); err != nil || !mine {
		return mapping.Account{}, err
	}
	err = r.completeInvite(ctx)
	return r.cur, err
}

// probeOf has the ids by which acc's row is found.
func probeOf(tenant string, acc mapping.Account) *store.Person {
	p := &store.Person{Tenant: tenant, UserID: acc.UserID}
	if acc.Invite != nil {
		p.InviteIDs = []string{acc.Invite.ID}
	}
	return p
}

// mine reports whether what upstream has for an address came of the run's own
// attempts, the first of which began at since. Finding it after a lost answer
// does not show that: it may have been there before.
func (r *run) mine(ctx context.Context, acc mapping.Account) (bool, error) {
	if acc.Invite != nil {
		i, err := r.w.client.GetInvite(ctx, acc.Invite.ID)
		if err != nil && !isNotFound(err) {
			return false, err
		}
		if err == nil && r.began(i.CreatedAt) {
			return true, nil
		}
	}
	if r.pol.CreateAccounts && acc.UserID != 0 && r.began(acc.CreatedAt) {
		return true, nil
	}
	// An account that existed does not name the invite that let it in here.
	for i, err := range r.w.client.ListInvites(ctx, upstream.ListInvitesQuery{Email: acc.Email}) {
		if err != nil {
			return false, err
		}
		ours := func(org int64) bool { return slices.Contains(r.w.organizations, org) }
		if scim.Fold(i.Email) == scim.Fold(acc.Email) && r.began(i.CreatedAt) &&
			(len(i.OrganizationIDs) == 0 || slices.ContainsFunc(i.OrganizationIDs, ours)) {
			return true, nil
		}
	}
	return false, nil
}

// began reports whether what was made upstream at the given time may be the
// run's own work.
func (r *run) began(made time.Time) bool {
	return !r.since.IsZero() && !made.Before(r.since.Add(-clockSkew))
}

// older reports whether the account is older than the person that we made of
// it: upstream let an existing account in.
func (k *changing) older() bool {
	p, made := k.rec.row, k.run.cur.CreatedAt
	return p.Created && k.run.cur.UserID != 0 && !made.IsZero() && made.Before(p.CreatedAt.Add(-clockSkew))
}

// borrowed reports whether the person is an account that was there before us
// under an address that is not the tenant's: it is not ours to move.
func (k *changing) borrowed() bool { return k.older() && !k.pol.Owns(k.run.cur.Email) }

// unfinished is an error while a change of the person is under way, or was cut
// short a moment ago: between two of its steps upstream may have nobody.
func (s *Service) unfinished(ctx context.Context, p *store.Person) error {
	i, err := s.store.Intent(ctx, p.Tenant, personKey(p.ID))
	if errors.Is(err, store.ErrNotFound) || err == nil && s.now().Sub(i.CreatedAt) >= s.opts.Settle {
		return nil
	}
	if err != nil {
		return err
	}
	return scim.Unavailable(retrySoon, "this user is being changed at the same time: send the request again")
}
