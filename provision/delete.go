package provision

import (
	"context"
	"errors"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// DeleteUser takes the person out of every organization of the tenant, access
// first, and leaves a tombstone.
func (s *Service) DeleteUser(ctx context.Context, c scim.Caller, id string, pre scim.Preconditions) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Work)
	defer cancel()
	w, pol, err := s.enter(ctx, c.Tenant)
	if err != nil {
		return entryRefusal(err)
	}
	k := &changing{change: change{
		id: id, action: "user.delete", status: 204, pre: pre, leaving: true,
		next: func(view *scim.User) (*scim.User, error) { return view, nil },
	}, s: s, c: c, w: w, pol: pol}
	if err := k.begin(ctx); err != nil {
		return refusal(err)
	}
	defer k.cl.release()
	if err := k.remove(ctx); err != nil {
		return refusal(err)
	}
	return nil
}

// remove is what DELETE does. Somebody whom upstream confirmed to have lost
// already is deleted all the same, once.
func (k *changing) remove(ctx context.Context) error {
	if !k.mayTrust() || k.rec.seen.Pending() || len(k.rec.seen.HeldIn(k.pol.Organizations)) == 0 {
		err := k.refresh(ctx)
		switch {
		case errors.Is(err, errGone) && !k.rec.row.Managed:
			return k.gone(ctx, err) // it was never the client's to delete
		case errors.Is(err, errGone):
			k.run.cur = mapping.Account{}
		case err != nil:
			return err
		default:
			k.s.remember(ctx, k.rec, k.run.cur) // the tombstone is to know the account
		}
	}
	if err := k.understand(); err != nil {
		return err
	}
	if err := k.admit(); err != nil {
		return err
	}
	if err := k.mayTouch(ctx); err != nil {
		return err
	}
	account := k.run.cur.UserID
	plan := func() mapping.Plan { return k.pol.PlanRemoval(k.run.cur) }
	if err := k.farewell(ctx, plan()); err != nil {
		return err
	}
	_, err := k.run.reach(ctx, k.want, plan)
	if errors.Is(err, errGone) {
		err = nil
	}
	if err != nil {
		k.s.abandon(ctx, k.run, k.rec)
		k.withdraw(ctx, err)
		return err
	}
	inactive := false
	e, err := k.s.event(k.c, k.action, k.rec.row.ID, k.status, eventData{
		Active: &inactive, WasActive: k.before.Active, Upstream: k.run.steps, UserID: k.rec.row.UserID, InviteID: currentInvite(k.rec.row),
	})
	if err != nil {
		return err
	}
	old := *k.rec.row
	learned := account != 0 && old.UserID == 0
	if learned {
		k.rec.row.UserID = account
	}
	if err := k.s.bury(ctx, k.cl, k.rec.row, e, learned, k.was, k.intent); err != nil {
		return err
	}
	k.s.remap(ctx, &old, nil)
	return nil
}

// farewell leaves an intent where the removal takes several steps: a client
// that changes its mind half-way is to get back what the first ones took.
func (k *changing) farewell(ctx context.Context, plan mapping.Plan) error {
	if len(plan.Steps) < 2 {
		return nil
	}
	k.intent = &changeIntent{Organizations: k.heldBefore(), Leaving: true}
	if k.was != nil {
		k.intent.Email, k.intent.Since = k.was.Email, k.was.Since
	}
	k.intent.Roles, k.intent.Granted = k.given().Roles, k.given().Granted
	p := k.rec.row
	return k.s.store.Update(ctx, func(tx store.Tx) error {
		if err := k.cl.verify(tx); err != nil {
			return err
		}
		return k.intent.put(ctx, tx, p.Tenant, p.ID, k.begun())
	})
}
