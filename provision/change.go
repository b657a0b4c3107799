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
}

// changeIntent is the payload of the intent that a change of several steps
// leaves while it is under way: whether the person was to have access before
// the first step took it away.
type changeIntent struct {
	Active bool `json:"active"`
}

const intentChange = "change"

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
	if err := k.decide(ctx); err != nil {
		return nil, k.gone(ctx, err)
	}
	plan, err := k.carryOut(ctx)
	if err != nil {
		s.abandon(ctx, k.run, k.rec)
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
		k.rec, err = readRecord(p)
	}
	if err != nil {
		k.cl.release()
		if errors.Is(err, store.ErrNotFound) {
			return scim.NotFound("User", k.id)
		}
		return err
	}
	k.run = &run{s: k.s, w: k.w, pol: k.pol, cl: k.cl, cur: k.rec.seen.Clone(), ours: k.was != nil, intentAt: k.wasSince, observe: k.look}
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
	probe := &run{s: k.s, w: k.w, cur: acc}
	if err := probe.completeInvite(ctx); err != nil {
		return mapping.Account{}, err
	}
	return probe.cur, nil
}

// refresh makes cur what upstream shows now.
func (k *changing) refresh(ctx context.Context) error {
	if k.run.fresh {
		return nil
	}
	acc, err := k.look(ctx)
	if err != nil {
		return err
	}
	k.run.cur, k.run.fresh = acc, true
	return nil
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

// mayTrust reports whether what was last seen may be planned from at all.
func (k *changing) mayTrust() bool {
	p := k.rec.row
	age := k.s.now().Sub(p.LastSeenAt)
	return p.Managed && k.was == nil && len(k.pre.IfMatch) == 0 && len(k.pre.IfNoneMatch) == 0 &&
		age >= 0 && age < 2*k.s.opts.DirectoryInterval && !k.rec.seen.UpdatedAt.IsZero()
}

// needsRead reports whether the plan made from what was last seen must not be
// begun without looking: it would give access, change an address, or do
// nothing at all.
func (k *changing) needsRead() bool {
	steps := k.plan().Steps
	return len(steps) == 0 || slices.ContainsFunc(steps, func(s mapping.Step) bool {
		switch s.Kind {
		case mapping.StepDeactivate, mapping.StepRemove:
			return false
		case mapping.StepUpdateAccount:
			return slices.Contains(s.Fields, "email")
		}
		return true
	})
}

func (k *changing) plan() mapping.Plan { return k.pol.Plan(k.run.cur, k.want, k.run.situation) }

// understand makes the new state from what the client sees.
func (k *changing) understand() error {
	view, err := k.s.view(k.pol, k.rec, k.run.cur)
	if err != nil {
		return err
	}
	if k.was != nil && k.silent {
		view.Active = &k.was.Active
	}
	if err := k.pre.Check(view.Meta.Version); err != nil {
		return err
	}
	k.before = view
	if k.after, err = k.next(k.s.codec.Clone(view)); err != nil {
		return err
	}
	previous := k.rec.written
	if !k.rec.row.Managed {
		previous = k.run.cur.Profile()
	}
	k.want, err = k.pol.DesireOf(k.after, k.run.cur, previous)
	return err
}

// admit lets a first write adopt an account that was there before us, if that
// is allowed; it never changes the address in the same request.
func (k *changing) admit() error {
	if k.rec.row.Managed {
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
	if err := k.secure(ctx, first); err != nil {
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
	return plan, k.run.resetPassword(ctx, k.password, k.rec.row.Created)
}

// takenBy is for a person who has nothing upstream, or is to have another
// address, and whose address upstream has given to an account already. The
// account of somebody who only waited to be activated is adopted where that
// is allowed; else it is somebody else's.
func (k *changing) takenBy(ctx context.Context, acc mapping.Account) error {
	if !k.rec.seen.Exists() && k.rec.row.UserID == 0 {
		if ok, why := k.pol.MayAdopt(acc); !ok && !k.force {
			return scim.Forbidden("Share A Refund has an account with the address %q already, and %s: an operator can join them with: scim-bridge person relink --tenant %s %s --user-id %d",
				acc.Email, why, k.c.Tenant, k.rec.row.ID, acc.UserID)
		}
		k.run.cur, k.run.fresh = acc, true
		k.run.situation.EmailFixed = true
		return nil
	}
	other, err := k.s.meet(ctx, k.w, acc, k.s.now())
	if err != nil {
		return err
	}
	if other == nil {
		return scim.Unavailable(retrySoon, "the user that has this e-mail address is being changed at the same time: send the request again")
	}
	return scim.Conflict("the e-mail address %q belongs to user %s: find it with filter=emails.value eq %q", acc.Email, other.row.ID, acc.Email)
}

// secure leases the names that the person is to have and writes the intent,
// in one transaction, and only when there is a need.
func (k *changing) secure(ctx context.Context, plan mapping.Plan) error {
	p := k.rec.row
	name, email := scim.Fold(k.after.UserName), scim.Fold(k.email())
	var keys []string
	if name != p.FoldedUserName {
		keys = append(keys, userNameKey(name))
	}
	if email != "" && email != p.FoldedEmail {
		keys = append(keys, emailKey(email))
	}
	intent := k.needsIntent(plan)
	if len(keys) == 0 && !intent {
		return nil
	}
	if err := k.cl.lock(ctx, keys...); err != nil {
		return err
	}
	payload, err := json.Marshal(changeIntent{Active: k.want.Active})
	if err != nil {
		return err
	}
	begun := k.s.now()
	if k.was != nil && begun.Sub(k.wasSince) < k.s.opts.Settle {
		begun = k.wasSince // else a client that comes back often would wait for ever
	}
	slices.Sort(keys)
	return k.cl.update(ctx, keys, func(tx store.Tx) error {
		if err := k.free(ctx, tx, name, email); err != nil {
			return err
		}
		if !intent {
			return nil
		}
		return tx.PutIntent(&store.Intent{
			Tenant: p.Tenant, Key: personKey(p.ID), Kind: intentChange, PersonID: p.ID, Payload: payload, CreatedAt: begun,
		})
	})
}

func (k *changing) needsIntent(plan mapping.Plan) bool {
	return len(plan.Steps) > 1 || slices.ContainsFunc(plan.Steps, func(s mapping.Step) bool {
		return !s.Kind.Idempotent() || slices.Contains(s.Fields, "email")
	})
}

// free reports a 409 when another living person has one of the names.
func (k *changing) free(ctx context.Context, rd store.Reader, name, email string) error {
	other, err := rd.PersonByUserName(ctx, k.c.Tenant, name)
	if err == nil && other.ID != k.rec.row.ID {
		return scim.Conflict("userName %q belongs to user %s: find it with filter=userName eq %q", k.after.UserName, other.ID, k.after.UserName)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if email == "" {
		return nil
	}
	other, err = rd.PersonByEmail(ctx, k.c.Tenant, email)
	if err == nil && other.ID != k.rec.row.ID {
		return scim.Conflict("the e-mail address %q belongs to user %s: find it with filter=emails.value eq %q", k.email(), other.ID, k.email())
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// email is the address that upstream will know the person by.
func (k *changing) email() string {
	cur := k.run.cur
	if k.run.situation.EmailFixed || cur.SharedBeyond(k.pol.Organizations) {
		return cur.Email
	}
	return k.want.Profile.Email
}

// commit writes the row and its event, and answers with what the client sees
// then.
func (k *changing) commit(ctx context.Context, plan mapping.Plan) (*scim.User, error) {
	s, rec := k.s, k.rec
	old := *rec.row
	row := old
	next := &record{row: &row, seen: rec.seen, written: rec.written}
	for _, id := range k.run.inviteIDs {
		addInvite(&row, id)
	}
	row.Created = row.Created || k.run.created
	changes := s.codec.Diff(k.before, k.after)
	changed := len(changes) > 0 || len(k.run.steps) > 0 || k.adopting
	var err error
	if changed {
		err = next.say(s.codec, k.after, k.email(), k.run.cur, s.now())
	} else {
		row.UserID = k.run.cur.UserID
		err = next.see(k.run.cur, s.now())
	}
	if err != nil {
		return nil, err
	}
	d := eventData{Active: k.after.Active, WasActive: k.before.Active, Upstream: k.run.steps, NotApplied: plan.NotApplied, UserID: row.UserID}
	for _, ch := range changes {
		d.Changes = append(d.Changes, ch.Path)
	}
	for _, n := range k.skipped {
		d.Skipped = append(d.Skipped, n.Path)
	}
	e, err := s.event(k.c, k.action, row.ID, k.status, d)
	if err != nil {
		return nil, err
	}
	if err := s.save(ctx, k.cl, &row, e, changed); err != nil {
		if _, ok := errors.AsType[*store.ConflictError](err); ok {
			return nil, scim.Unavailable(retrySoon, "another request gave these names to somebody else at the same time: send the request again").Because(err)
		}
		return nil, err
	}
	s.remap(ctx, &old, &row)
	return s.view(k.pol, next, k.run.cur)
}
