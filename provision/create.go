package provision

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// createIntent is the payload of the intent that a create leaves while it is
// under way: enough to finish it.
type createIntent struct {
	Desired    []byte `json:"desired"` // the user as stored
	Credential string `json:"credential"`
	RequestID  string `json:"request_id"`
	// UserID is the account that create_user made; 0 while none is known.
	UserID int64 `json:"user_id,omitempty"`
	// Since is when the first attempt began.
	Since time.Time `json:"since,omitzero"`
}

const intentCreate = "create"

// CreateUser makes the person upstream, without looking first: upstream
// arbitrates who exists already.
func (s *Service) CreateUser(ctx context.Context, c scim.Caller, u *scim.User) (*scim.User, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Work)
	defer cancel()
	w, pol, err := s.enter(ctx, c.Tenant)
	if err != nil {
		return nil, entryRefusal(err)
	}
	if err := pol.CheckNamed(nil, u); err != nil {
		return nil, err
	}
	want, err := pol.Desire(u, mapping.Profile{})
	if err != nil {
		return nil, err
	}
	for range 3 {
		made, err := s.createOnce(ctx, c, w, pol, u, want)
		if !errors.Is(err, errGone) {
			if err != nil {
				return nil, refusal(err)
			}
			return made, nil
		}
		// Somebody of that name was there and is confirmed gone: begin anew.
	}
	return nil, scim.Unavailable(retrySoon, "the user's state at Share A Refund keeps changing: send the request again")
}

// creation is one attempt to create a person.
type creation struct {
	s      *Service
	c      scim.Caller
	w      *workspace
	pol    *mapping.Policy
	u      *scim.User
	want   mapping.Desire
	name   string // folded
	email  string // folded
	cl     *claim
	intent string    // its key; "" when nothing is sent upstream
	ours   bool      // an earlier attempt of ours left its intent
	userID int64     // the account that the earlier attempt made, if it made one
	since  time.Time // when the first attempt began
	// blocked is the intent of an earlier attempt that this one may not take
	// over.
	blocked *store.Intent
}

func (s *Service) createOnce(ctx context.Context, c scim.Caller, w *workspace, pol *mapping.Policy, u *scim.User, want mapping.Desire) (*scim.User, error) {
	k := &creation{s: s, c: c, w: w, pol: pol, u: u, want: want, name: scim.Fold(u.UserName), email: scim.Fold(want.Profile.Email)}
	keys := []string{userNameKey(k.name), emailKey(k.email)}
	cl, err := s.newClaim(ctx, c.Tenant, keys...)
	if err != nil {
		return nil, err
	}
	defer cl.release()
	k.cl = cl
	if want.Active {
		k.intent = intentKey(k.email)
	}
	taken, err := k.begin(ctx, keys)
	if k.blocked != nil && s.now().Sub(k.blocked.CreatedAt) >= s.opts.Settle {
		// What became of it shows by now: that ends before this begins.
		cl.release()
		if err := s.finishCreate(ctx, w, k.blocked); err != nil {
			return nil, err
		}
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	if taken != nil {
		cl.release()
		return k.meet(ctx, taken)
	}
	return k.carryOut(ctx)
}

// errTaken ends the claiming transaction when the store has the person.
var errTaken = errors.New("provision: taken")

// begin leases the names and leaves the intent, unless a living person has
// one of the names: then it is returned.
func (k *creation) begin(ctx context.Context, keys []string) (*store.Person, error) {
	var taken *store.Person
	err := k.cl.update(ctx, keys, func(tx store.Tx) error {
		var err error
		taken, err = whoHas(ctx, tx, k.c.Tenant, k.name, k.email)
		if err != nil {
			return err
		}
		if taken != nil {
			return errTaken
		}
		if err := k.resume(ctx, tx); err != nil || k.intent == "" {
			return err
		}
		return k.putIntent(tx)
	})
	if errors.Is(err, errTaken) {
		return taken, nil
	}
	return nil, err
}

// resume takes over from an attempt that did not finish. Where something of
// it may have access, nobody is created without, nor as another's new address.
func (k *creation) resume(ctx context.Context, tx store.Tx) error {
	k.ours, k.userID, k.since, k.blocked = false, 0, k.s.now(), nil
	prev, err := tx.Intent(ctx, k.c.Tenant, intentKey(k.email))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if prev.Kind != intentCreate || k.intent == "" {
		if prev.Kind == intentCreate {
			k.blocked = prev
		}
		return scim.Unavailable(retrySoon, "an earlier request may have invited %q and is not finished yet: send the request again", k.want.Profile.Email)
	}
	var left createIntent
	if err := json.Unmarshal(prev.Payload, &left); err != nil {
		return err
	}
	k.ours, k.userID = true, left.UserID
	if !left.Since.IsZero() {
		k.since = left.Since
	}
	return nil
}

func (k *creation) putIntent(tx store.Tx) error {
	payload, err := json.Marshal(createIntent{
		Desired: k.s.codec.AppendFull(nil, k.u), Credential: k.c.Credential, RequestID: k.c.RequestID, UserID: k.userID,
		Since: k.since,
	})
	if err != nil {
		return err
	}
	return tx.PutIntent(&store.Intent{
		Tenant: k.c.Tenant, Key: k.intent, Kind: intentCreate, Payload: payload, CreatedAt: k.s.now(),
	})
}

// made notes in the intent the account that create_user made: without a
// membership upstream shows it to nobody, so the next attempt could not find
// it.
func (k *creation) made(ctx context.Context, userID int64) error {
	k.userID = userID
	ctx, cancel := commitContext(ctx)
	defer cancel()
	return k.s.store.Update(ctx, k.putIntent)
}

// whoHas finds the living person that has the user name, else the address.
func whoHas(ctx context.Context, rd store.Reader, tenant, name, email string) (*store.Person, error) {
	p, err := rd.PersonByUserName(ctx, tenant, name)
	if errors.Is(err, store.ErrNotFound) && email != "" {
		p, err = rd.PersonByEmail(ctx, tenant, email)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return p, err
}

// carryOut makes the person upstream and commits it.
func (k *creation) carryOut(ctx context.Context) (*scim.User, error) {
	if k.want.Active {
		if err := k.s.take(ctx, k.w, GuardInvites, k.email); err != nil {
			if !k.ours {
				k.dropIntent(ctx)
			}
			return nil, err
		}
	}
	r := &run{s: k.s, w: k.w, pol: k.pol, cl: k.cl, ours: k.ours, since: k.since, made: k.made, trails: true}
	if k.userID != 0 {
		r.cur, r.created = mapping.Account{UserID: k.userID, State: mapping.AccountActive, Email: k.want.Profile.Email}, true
	}
	plan, err := r.reach(ctx, k.want, func() mapping.Plan { return k.pol.Plan(r.cur, k.want, r.situation) })
	if t, ok := errors.AsType[*takenError](err); ok {
		k.dropIntent(ctx)
		k.cl.release()
		return k.takeOver(ctx, t.acc)
	}
	if err != nil {
		// An account without a membership that cannot be given one is gone.
		orphaned := k.userID != 0 && len(r.cur.Memberships) == 0 && upstream.IsNotFound(err)
		if orphaned || !lasting(err, r) {
			k.dropIntent(ctx)
		}
		return nil, err
	}
	return k.commit(ctx, r, plan)
}

// lasting reports whether a failed create may have left something upstream
// that the next attempt has to recognise as ours.
func lasting(err error, r *run) bool {
	if r.ours || r.created {
		return true
	}
	switch upstream.KindOf(err) {
	case upstream.Invalid, upstream.Forbidden, upstream.Conflict, upstream.NotFound, upstream.RateLimited,
		upstream.Unavailable, upstream.Unauthorized:
		return false
	}
	return r.risky
}

func (k *creation) dropIntent(ctx context.Context) {
	if k.intent == "" {
		return
	}
	ctx, cancel := commitContext(ctx)
	defer cancel()
	err := k.s.store.Update(ctx, func(tx store.Tx) error {
		if err := k.cl.verify(tx); err != nil {
			return err // it is another attempt's intent by now
		}
		return tx.DeleteIntent(k.c.Tenant, k.intent)
	})
	if err != nil {
		k.s.log.WarnContext(ctx, "an intent stays until it is swept", "tenant", k.c.Tenant, "err", err)
	}
}

func (k *creation) commit(ctx context.Context, r *run, plan mapping.Plan) (*scim.User, error) {
	now := k.s.now()
	created := now
	if now.Sub(k.since) > clockSkew && !k.since.IsZero() {
		created = k.since // an account of an earlier attempt is not older than its person
	}
	row := &store.Person{
		Tenant: k.c.Tenant, CreatedAt: created, Created: r.created,
		InviteIDs: r.inviteIDs, ID: derivedID(k.c.Tenant, r.cur.UserID, currentOf(r.inviteIDs)),
	}
	rec := &record{row: row}
	if err := rec.say(k.s.codec, k.u, k.want.Profile.Email, k.want, r.cur, now); err != nil {
		return nil, err
	}
	e, err := k.s.event(k.c, "user.create", row.ID, 201, eventData{
		Active: &k.want.Active, Upstream: r.steps, NotApplied: plan.NotApplied,
		UserID: r.cur.UserID, InviteID: currentOf(r.inviteIDs),
	})
	if err != nil {
		return nil, err
	}
	if err := k.s.insert(ctx, k.cl, r, rec, e, k.intent); err != nil {
		return nil, k.conflict(ctx, err)
	}
	k.s.remap(ctx, nil, row)
	return k.s.view(k.pol, rec, r.cur)
}

func currentOf(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return ids[len(ids)-1]
}

// conflict turns a violated uniqueness into the answer for it.
func (k *creation) conflict(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*store.ConflictError](err); !ok {
		return err
	}
	if p, findErr := whoHas(ctx, k.s.store, k.c.Tenant, k.name, k.email); findErr == nil && p != nil {
		return k.exists(p)
	}
	return scim.Unavailable(retrySoon, "another request created this user at the same time: send the request again").Because(err)
}

// exists is the 409 for a person whom the filter finds.
func (k *creation) exists(p *store.Person) *scim.Error {
	attr, value := "userName", k.u.UserName
	if p.FoldedUserName != k.name {
		attr, value = "emails.value", k.want.Profile.Email
	}
	return scim.Conflict("a user with %s %q exists already, with id %s: find it with filter=%s eq %q and update it", attr, value, p.ID, attr, value)
}

// meet answers a create for a person that the store has.
func (k *creation) meet(ctx context.Context, p *store.Person) (*scim.User, error) {
	r, err := readRecord(p)
	if err != nil {
		return nil, err
	}
	if p.Managed && k.s.settling(r) {
		return nil, k.exists(p)
	}
	acc, err := k.s.observe(ctx, k.w, r, nil)
	switch {
	case errors.Is(err, errGone):
		return nil, k.s.clear(ctx, k.c, p)
	case err != nil:
		return nil, err
	case p.Managed:
		return nil, k.exists(p)
	}
	return k.adopt(ctx, p, acc)
}

// clear buries a person whom upstream no longer has, so that the name is free.
// It returns errGone: the request begins anew.
func (s *Service) clear(ctx context.Context, c scim.Caller, p *store.Person) error {
	if err := s.unfinished(ctx, p); err != nil {
		return err
	}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		if err := tx.DeletePerson(p, s.now()); err != nil {
			return err
		}
		if err := tx.DeleteIntent(p.Tenant, personKey(p.ID)); err != nil {
			return err
		}
		e, err := s.event(c, "user.gone", p.ID, 0, eventData{UserID: p.UserID, InviteID: currentInvite(p)})
		if err != nil {
			return err
		}
		e.Detail = "upstream no longer has this person; the id is never used again"
		return tx.AppendEvent(e)
	})
	if err != nil {
		return err
	}
	s.remap(ctx, p, nil)
	return errGone
}

// takeOver answers a create for somebody whom upstream turned out to have: the
// account becomes an unmanaged person, whom the filter finds, and is adopted
// where that is allowed.
func (k *creation) takeOver(ctx context.Context, acc mapping.Account) (*scim.User, error) {
	r, err := k.s.meet(ctx, k.w, acc, k.s.now())
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, scim.Unavailable(retrySoon, "this user is being changed at the same time: send the request again")
	}
	if r.row.Managed {
		return nil, k.exists(r.row)
	}
	return k.adopt(ctx, r.row, acc)
}

// adopt lets the create take over an account that was there before us, if
// the tenant's policy allows it.
func (k *creation) adopt(ctx context.Context, p *store.Person, acc mapping.Account) (*scim.User, error) {
	if ok, why := k.pol.MayAdopt(acc); !ok {
		e := k.exists(p)
		e.Detail += "; it was not provisioned by this bridge, and " + why + ": an operator can hand it over with: scim-bridge person adopt --tenant " + k.c.Tenant + " " + p.ID
		return nil, e
	}
	return k.s.change(ctx, k.c, change{
		id: p.ID, action: "user.adopt", status: 201,
		next: func(view *scim.User) (*scim.User, error) {
			return mapping.Adopted(view, k.u), nil
		},
	})
}
