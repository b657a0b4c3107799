package provision

import (
	"context"
	"errors"
	"reflect"
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
