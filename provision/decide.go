package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

// look reads what upstream holds of the person now. What this request itself
// did upstream counts as our own write.
func (k *changing) look(ctx context.Context) (mapping.Account, error) {
	row := *k.rec.row
	row.UserID = k.run.cur.UserID
	if i := k.run.cur.Invite; i != nil {
		addInvite(&row, i.ID)
	}
	rec := &record{row: &row, seen: k.run.cur, written: k.rec.written, unsettled: k.was != nil}
	acc, err := k.s.observe(ctx, k.w, rec, nil)
	if err != nil {
		return mapping.Account{}, err
	}
	probe := &run{s: k.s, w: k.w, cur: k.unstale(rec, acc)}
	if err := probe.completeInvite(ctx); err != nil {
		return mapping.Account{}, err
	}
	return probe.cur, nil
}

// unstale is acc as it may be where an invite, which does not tell when it was
// changed, was read soon after our own write: as we left it, with the heavier of
// the roles, for the answer to a write may have been lost. To lower a role that
// is lowered already does no harm.
func (k *changing) unstale(rec *record, acc mapping.Account) mapping.Account {
	ours, now := rec.seen.Invite, acc.Invite
	if !k.s.settling(rec) || acc.UserID != 0 || rec.seen.UserID != 0 || ours == nil || now == nil || ours.ID != now.ID || ours.State != now.State {
		return acc
	}
	acc = acc.Clone()
	acc.Invite.OrganizationIDs = slices.Clone(ours.OrganizationIDs)
	if ours.RoleID != 0 && now.RoleID != 0 {
		acc.Invite.RoleID = k.pol.Heavier(ours.RoleID, now.RoleID)
	}
	return acc
}

// refresh makes cur what upstream shows now.
func (k *changing) refresh(ctx context.Context) error {
	if k.run.fresh {
		return nil
	}
	acc, err := k.look(ctx)
	if errors.Is(err, errGone) && k.was != nil && (k.was.Email != "" || k.was.Leaving) {
		acc, err = mapping.Account{}, nil // given up by the attempt that was cut short
	}
	if err != nil {
		return err
	}
	if err := k.rec.ripen(acc); err != nil {
		return err
	}
	k.run.cur, k.run.fresh = acc, true
	return k.trace(ctx)
}

// decide finds out what the request means. What the directory shows is enough
// for that where every wrong guess would be put right by upstream's answer to
// the first step; where it is not, upstream is read first.
func (k *changing) decide(ctx context.Context) error {
	if !k.mayTrust() {
		if err := k.refresh(ctx); err != nil {
			return err
		}
	}
	if err := k.understand(); err != nil {
		return err
	}
	if k.run.fresh || !k.needsRead() {
		return k.admit()
	}
	if err := k.refresh(ctx); err != nil {
		return err
	}
	if err := k.understand(); err != nil {
		return err
	}
	return k.admit()
}

// mayTrust reports whether what was last seen may be planned from at all. Where
// the client says nothing, it must not be taken for what the client wants.
func (k *changing) mayTrust() bool {
	p := k.rec.row
	age := k.s.now().Sub(p.LastSeenAt)
	return p.Managed && (!k.roles || k.group != "") && k.was == nil && len(k.pre.IfMatch) == 0 && len(k.pre.IfNoneMatch) == 0 &&
		age >= 0 && age < 2*k.s.opts.DirectoryInterval && !k.rec.seen.UpdatedAt.IsZero()
}

// needsRead reports whether the plan made from what was last seen must not be
// begun without looking: it would give access, change an address, or do
// nothing at all.
func (k *changing) needsRead() bool {
	steps := k.plan().Steps
	return len(steps) == 0 || slices.ContainsFunc(steps, func(s mapping.Step) bool {
		switch s.Kind {
		case mapping.StepDeactivate, mapping.StepRemove, mapping.StepSetRole:
			return false // upstream's answer shows what became of it
		case mapping.StepUpdateAccount:
			return slices.Contains(s.Fields, "email")
		}
		return true
	})
}

// leftToTheClient leaves a person alone whose deletion was cut short: the client
// finishes it, and the tombstone is to know the account. Where upstream has
// nobody any more no role is due.
func (k *changing) leftToTheClient(ctx context.Context) error {
	_, err := k.look(ctx)
	switch {
	case errors.Is(err, errGone):
		return k.s.endWork(ctx, k.c.Tenant, k.rec.row.ID)
	case err != nil:
		return err
	}
	return scim.Unavailable(retrySoon, "user %s is being deleted, and the deletion is not finished: send that request again", k.rec.row.ID)
}

// neverActivate lets what was said last win where upstream shows access that
// the client took away: an invite may have been accepted after that. It never
// works the other way round.
func (k *changing) neverActivate(view *scim.User) error {
	said, err := k.rec.desired(k.s.codec)
	if err == nil && said != nil && said.Active != nil && !*said.Active {
		inactive := false
		view.Active = &inactive
	}
	return err
}

// plan is empty for an operator's adoption, which changes nothing upstream.
func (k *changing) plan() mapping.Plan {
	if k.force {
		return mapping.Plan{}
	}
	want := k.want
	if k.group != "" && k.run.cur.Exists() {
		want.Profile = k.run.cur.Profile() // a group says nothing of it
	}
	return k.pol.Plan(k.run.cur, want, k.run.situation)
}

// understand makes the new state from what the client sees.
func (k *changing) understand() error {
	view, err := k.s.view(k.pol, k.rec, k.run.cur)
	if err != nil {
		return err
	}
	if k.was != nil && k.silent {
		active := k.was.Active || k.was.Withheld
		view.Active = &active
	}
	if k.roles || k.resend {
		if err := k.neverActivate(view); err != nil {
			return err
		}
	}
	if err := k.pre.Check(view.Meta.Version); err != nil {
		return err
	}
	k.before = view
	if k.after, err = k.next(k.s.codec.Clone(view)); err != nil {
		return err
	}
	if k.leaving {
		return k.traced()
	}
	if err := k.pol.CheckNamed(k.before, k.after); err != nil {
		return err
	}
	past := mapping.Past{Written: k.given(), Groups: k.groups, Unsaid: k.roles || k.resend}
	if !k.rec.row.Managed {
		past.Written.Profile = k.run.cur.Profile()
	}
	if k.was != nil {
		past.Restore = k.was.Organizations
	}
	if k.restoring {
		past.Restore = append(slices.Clone(past.Restore), k.rec.written.Organizations...)
	}
	if k.want, err = k.pol.DesireOf(k.after, k.run.cur, past); err != nil {
		return err
	}
	if protected, _ := k.pol.Protects(k.run.cur); protected {
		k.want.Roles = nil
	}
	return k.traced()
}

// admit lets a first write adopt an account that was there before us, if that
// is allowed; it never changes the address in the same request.
func (k *changing) admit() error {
	if k.rec.row.Managed {
		k.run.situation.EmailFixed = k.borrowed()
		return nil
	}
	if ok, why := k.pol.MayAdopt(k.run.cur); !ok && !k.force {
		return scim.Forbidden("user %q was not provisioned by this bridge, and %s: an operator can hand it over with: scim-bridge person adopt --tenant %s %s",
			k.id, why, k.c.Tenant, k.rec.row.ID)
	}
	k.adopting = true
	k.run.situation.EmailFixed = true
	return nil
}
