package provision

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// change is what a request makes of a person.
type change struct {
	id     string
	action string
	status int
	pre    scim.Preconditions
	// next makes the new state of what the client sees now. Its errors are
	// answered as they are.
	next func(view *scim.User) (*scim.User, error)
	// skipped is what the dialect left out.
	skipped []scim.Note
	// silent says that next leaves activity to what upstream shows, because
	// the request does not mention it.
	silent bool
	// password is passed on where policy allows it.
	password scim.Secret
	// force adopts whatever the policy says: an operator's decision.
	force bool
	// leaving says that the person is to go, whatever else is due.
	leaving bool
	// roles says that the client said nothing new of the person: what it is due
	// is to be given because a group or the tenant changed. What was done leaves
	// an event, nothing to do leaves none. group is the group's id; "": none.
	roles bool
	group string
	// restoring says that organizations come back that gave access when we wrote
	// last, whoever took them away.
	restoring bool
	// resend says that an expired invite is to be sent again.
	resend bool
}

// ReplaceUser is PUT.
func (s *Service) ReplaceUser(ctx context.Context, c scim.Caller, id string, u *scim.User, pre scim.Preconditions) (*scim.User, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Work)
	defer cancel()
	return s.answered(s.change(ctx, c, change{
		id: id, action: "user.replace", status: 200, pre: pre, password: u.Password, silent: u.Active == nil,
		next: func(view *scim.User) (*scim.User, error) { return mapping.Replacement(view, u), nil },
	}))
}

// PatchUser is PATCH.
func (s *Service) PatchUser(ctx context.Context, c scim.Caller, id string, p *scim.Patch, pre scim.Preconditions) (*scim.User, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Work)
	defer cancel()
	password, _ := p.Password()
	return s.answered(s.change(ctx, c, change{
		id: id, action: "user.patch", status: 200, pre: pre, password: password, silent: !p.Mentions("active"), skipped: p.Skipped,
		next: func(view *scim.User) (*scim.User, error) {
			next, _, err := s.codec.Apply(p, view)
			return next, err
		},
	}))
}

func (s *Service) answered(u *scim.User, err error) (*scim.User, error) {
	if err != nil {
		return nil, refusal(err)
	}
	return u, nil
}

// changing is a change under way.
type changing struct {
	change
	s   *Service
	c   scim.Caller
	w   *workspace
	pol *mapping.Policy
	cl  *claim
	rec *record
	run *run
	// was is the intent of an attempt that did not finish, or nil.
	was      *changeIntent
	wasSince time.Time
	// untraced says that what that attempt was to make may exist upstream and
	// not show yet.
	untraced bool
	// intent is the intent of this attempt, or nil.
	intent *changeIntent
	// work is the Seq of the latest role work that this change settles.
	work int64
	// groups are those that the person is in.
	groups []mapping.Group
	// named says that the names are locked in this process.
	named bool
	// rival has one of the names that the person is to have; nil: nobody.
	rival *store.Person
	// before is what the client saw, after what it is to see, want what that
	// means upstream.
	before, after *scim.User
	want          mapping.Desire
	adopting      bool
}

// change leads a person from what it is to what the request makes of it.
func (s *Service) change(ctx context.Context, c scim.Caller, ch change) (*scim.User, error) {
	w, pol, err := s.enter(ctx, c.Tenant)
	if err != nil {
		return nil, entryRefusal(err)
	}
	k := &changing{change: ch, s: s, c: c, w: w, pol: pol}
	if err := k.begin(ctx); err != nil {
		return nil, err
	}
	defer k.cl.release()
	if k.roles && k.work == 0 {
		return nil, nil // somebody else put them right meanwhile
	}
	if k.roles && k.was != nil && k.was.Leaving {
		return nil, k.leftToTheClient(ctx)
	}
	if err := k.decide(ctx); err != nil {
		if e, ok := errors.AsType[*scim.Error](err); ok && e.Status == 412 && k.run.fresh {
			s.remember(ctx, k.rec, k.run.cur) // the client is to see what its entity tag was compared with
		}
		return nil, k.gone(ctx, err)
	}
	if err := k.mayTouch(ctx); err != nil {
		return nil, err
	}
	plan, err := k.carryOut(ctx)
	if err != nil {
		s.abandon(ctx, k.run, k.rec)
		k.withdraw(ctx, err)
		return nil, k.gone(ctx, err)
	}
	return k.commit(ctx, plan)
}

// gone answers 404 for a person whom upstream confirmed to have lost.
func (k *changing) gone(ctx context.Context, err error) error {
	if !errors.Is(err, errGone) {
		return err
	}
	k.s.forget(ctx, k.rec)
	k.s.remap(ctx, k.rec.row, nil)
	return scim.NotFound("User", k.id)
}

// begin leases the person and reads its row.
func (k *changing) begin(ctx context.Context) error {
	p, err := k.s.store.Person(ctx, k.c.Tenant, k.id)
	if errors.Is(err, store.ErrNotFound) {
		return scim.NotFound("User", k.id)
	}
	if err != nil {
		return err
	}
	key := personKey(p.ID)
	if k.cl, err = k.s.newClaim(ctx, k.c.Tenant, key); err != nil {
		return err
	}
	err = k.cl.update(ctx, []string{key}, func(tx store.Tx) error {
		if p, err = tx.Person(ctx, k.c.Tenant, p.ID); err != nil {
			return err
		}
		k.was = nil
		if err := k.readGroups(ctx, tx, p.ID); err != nil {
			return err
		}
		i, err := tx.Intent(ctx, k.c.Tenant, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		k.was, k.wasSince = new(changeIntent), i.CreatedAt
		return json.Unmarshal(i.Payload, k.was)
	})
	if err == nil {
		if k.rec, err = readRecord(p); err == nil {
			k.rec.groups = k.groups
		}
	}
	if err != nil {
		k.cl.release()
		if errors.Is(err, store.ErrNotFound) {
			return scim.NotFound("User", k.id)
		}
		return err
	}
	k.run = &run{s: k.s, w: k.w, pol: k.pol, cl: k.cl, cur: k.rec.seen.Clone(), ours: k.was != nil, intentAt: k.wasSince, observe: k.look}
	k.run.ahead, k.run.trails = k.foresee, !k.roles && !k.restoring
	k.run.situation.ResendExpired = k.resend
	if k.was != nil {
		k.run.since = k.was.Since
	}
	return nil
}

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
	if err := k.pol.CheckProvider(k.before, k.after); err != nil {
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

// carryOut secures the names, leaves the intent where the work could be cut
// short half done, and takes the steps.
func (k *changing) carryOut(ctx context.Context) (mapping.Plan, error) {
	first := k.plan()
	if err := k.vacant(ctx, first); err != nil {
		return first, err
	}
	if err := k.secured(ctx, first); err != nil {
		return first, err
	}
	plan, err := k.run.reach(ctx, k.want, k.plan)
	if t, ok := errors.AsType[*takenError](err); ok {
		if err := k.takenBy(ctx, t.acc); err != nil {
			return plan, err
		}
		plan, err = k.run.reach(ctx, k.want, k.plan)
	}
	if err != nil {
		return plan, err
	}
	return plan, k.run.resetPassword(ctx, k.password, k.rec.row.Created && !k.older())
}

// takenBy is for a person who has nothing upstream, or is to have another
// address, and whose address upstream has given to an account already. The
// account of somebody who only waited to be activated is adopted where that
// is allowed; else it is somebody else's.
func (k *changing) takenBy(ctx context.Context, acc mapping.Account) error {
	if !k.rec.seen.Exists() && k.rec.row.UserID == 0 {
		if ok, why := k.pol.MayAdopt(acc); !ok && !k.force {
			return scim.Forbidden("Share A Refund has an account with the address %q already, and %s: an operator can join them with: scim-bridge person relink --tenant %s %s %d",
				acc.Email, why, k.c.Tenant, k.rec.row.ID, acc.UserID)
		}
		k.run.cur, k.run.fresh = acc, true
		k.run.situation.EmailFixed = true
		return nil
	}
	return k.belongs(ctx, acc)
}

// commit writes the row and its event, and answers with what the client sees
// then.
func (k *changing) commit(ctx context.Context, plan mapping.Plan) (*scim.User, error) {
	s, rec := k.s, k.rec
	old := *rec.row
	row := old
	next := &record{row: &row, seen: rec.seen, written: k.given(), groups: rec.groups}
	for _, id := range k.run.inviteIDs {
		addInvite(&row, id)
	}
	row.Created = row.Created || k.run.created
	next.written.Resent = k.resent()
	changes := s.codec.Diff(k.before, k.after)
	changed := len(changes) > 0 || len(k.run.steps) > 0 || k.adopting
	noted := false
	var err error
	switch {
	case changed && (k.roles || k.resend) && !k.adopting:
		err = next.gave(k.want, k.run.cur, s.now())
	case changed:
		err = next.say(s.codec, k.after, k.email(), k.want, k.run.cur, s.now())
	default:
		row.UserID = k.run.cur.UserID
		noted, err = k.note(next)
	}
	if err != nil {
		return nil, err
	}
	d := eventData{Active: k.after.Active, WasActive: k.before.Active, Upstream: k.run.steps, NotApplied: plan.NotApplied, UserID: row.UserID, Group: k.group}
	for _, ch := range changes {
		d.Changes = append(d.Changes, ch.Path)
	}
	for _, n := range k.skipped {
		d.Skipped = append(d.Skipped, n.Path)
	}
	var e *store.Event
	if changed || !k.roles && !k.resend {
		if e, err = s.event(k.c, k.action, row.ID, k.status, d); err != nil {
			return nil, err
		}
	}
	if err := k.save(ctx, &row, e, changed || noted); err != nil {
		if _, ok := errors.AsType[*store.ConflictError](err); ok {
			return nil, scim.Unavailable(retrySoon, "another request gave these names to somebody else at the same time: send the request again").Because(err)
		}
		return nil, err
	}
	s.remap(ctx, &old, &row)
	return s.view(k.pol, next, k.run.cur)
}

// note lets the record tell what upstream holds without our having done anything
// now: roles that are due and there already are ours from now on. That the lack
// of a group keeps somebody out is so only where we saw to that.
func (k *changing) note(next *record) (noted bool, err error) {
	if k.roles && k.rec.row.Managed {
		was := next.written
		is := was.Gave(k.want, k.run.cur)
		if is.Withheld && (k.was == nil || !k.was.Withheld) {
			is.Withheld, is.KeptOut = was.Withheld, was.KeptOut
		}
		if noted = !reflect.DeepEqual(k.rec.written, is); noted {
			if err := next.write(is); err != nil {
				return false, err
			}
		}
	}
	return noted, next.see(k.run.cur, k.s.now())
}
