package provision

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/upstream"
)

// maxSteps bounds the steps of one request: a person leaves or joins at most
// this many organizations at once.
const maxSteps = 64

// run is the work of one request upstream. It is used by one goroutine.
type run struct {
	s   *Service
	w   *workspace
	pol *mapping.Policy
	cl  *claim
	// cur is what upstream holds as far as we know; fresh says that it was
	// read or answered during this request.
	cur   mapping.Account
	fresh bool
	// inviteIDs are the invites that this run made or found.
	inviteIDs []string
	situation mapping.Situation
	// steps were taken, for the event.
	steps []string
	// risky says that a step that is not idempotent was sent, so that an
	// intent has to stay when the run fails.
	risky bool
	// created says that this run made the person upstream.
	created bool
	// ahead is told of a step that is not idempotent before it is sent; nil:
	// nobody is.
	ahead func(ctx context.Context, step mapping.Step) error
	// made is told of an account that create_user made; nil: nobody is.
	made func(ctx context.Context, userID int64) error
	// ours says that an earlier attempt of ours may have invited the person
	// already, so that finding the invite is finding our own work.
	ours bool
	// intentAt is when that attempt began.
	intentAt time.Time
	// since is when the first attempt to make the person upstream began: what
	// is older there is not ours.
	since time.Time
	// effects counts the steps that may have had an effect.
	effects int
	// observe reads what upstream holds now.
	observe func(ctx context.Context) (mapping.Account, error)
	// trails says that a higher role may be given later: that upstream refuses it
	// does not stand in the way of the rest.
	trails bool
	// doubts counts the answers that were lost; one is read back, no more.
	doubts int
}

// reach takes steps until plan has none left, and returns the last plan.
func (r *run) reach(ctx context.Context, want mapping.Desire, plan func() mapping.Plan) (mapping.Plan, error) {
	for range maxSteps {
		p := plan()
		if len(p.Steps) == 0 {
			return p, nil
		}
		step, before := p.Steps[0], r.cur.Clone()
		if err := r.cl.check(); err != nil {
			return p, err
		}
		fixed := r.situation
		if err := r.send(ctx, step, want); err != nil {
			if r.putOff(ctx, step, want, err) {
				continue
			}
			if err = r.doubt(ctx, step, err); err != nil {
				return p, err
			}
			continue
		}
		r.effects++
		r.fresh = true
		if step.Kind == mapping.StepResendInvite || step.Kind == mapping.StepInvite {
			r.situation.ResendExpired = false
		}
		if r.cur.Equal(before) && sameSituation(r.situation, fixed) && sameStep(plan(), step) {
			return p, &stuckError{fmt.Sprintf("upstream accepted %s without doing it", step.Kind)}
		}
	}
	return mapping.Plan{}, &stuckError{fmt.Sprintf("%d steps did not lead to what is due", maxSteps)}
}

// putOff leaves a higher role that upstream refused for later, where that is
// allowed: nobody has what should be gone because of it.
func (r *run) putOff(ctx context.Context, step mapping.Step, want mapping.Desire, err error) bool {
	kind := upstream.KindOf(err)
	if !r.trails || kind != upstream.Forbidden && kind != upstream.Invalid || !r.pol.Raises(r.cur, step) {
		return false
	}
	orgs := step.Organizations
	if len(orgs) == 0 {
		orgs = want.Organizations
	}
	r.situation.Unraised = append(slices.Clone(r.situation.Unraised), orgs...)
	r.steps[len(r.steps)-1] += ": refused"
	r.s.log.WarnContext(ctx, "upstream refuses to give a role: it is tried again", "user_id", r.cur.UserID, "step", describe(step), "err", err)
	return true
}

// stuckError means that upstream does not do what it says it does.
type stuckError struct{ what string }

func (e *stuckError) Error() string { return e.what }

func sameSituation(a, b mapping.Situation) bool {
	return a.EmailFixed == b.EmailFixed && a.EmailRefused == b.EmailRefused && a.ResendExpired == b.ResendExpired &&
		slices.Equal(a.Unraised, b.Unraised)
}

func sameStep(p mapping.Plan, s mapping.Step) bool {
	return len(p.Steps) > 0 && p.Steps[0].Kind == s.Kind && slices.Equal(p.Steps[0].Organizations, s.Organizations)
}

// doubt decides how to go on after a failed step: by reading back what became
// of it when the answer was lost or upstream's state was not what we thought,
// else not at all.
func (r *run) doubt(ctx context.Context, step mapping.Step, err error) error {
	kind := upstream.KindOf(err)
	lost := kind == upstream.Ambiguous && step.Kind.Idempotent()
	moved := kind == upstream.NotFound || upstream.IsConflict(err, upstream.CodeStateConflict)
	if !lost && !moved || r.doubts > 0 || r.observe == nil {
		return err
	}
	r.doubts++
	r.effects++
	cur, again := r.observe(ctx)
	if again != nil {
		return again
	}
	r.cur, r.fresh = cur, true
	return nil
}

// send takes a step after announcing it where repeating it would do more.
func (r *run) send(ctx context.Context, step mapping.Step, want mapping.Desire) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if r.ahead != nil && !step.Kind.Idempotent() {
		if err := r.ahead(ctx, step); err != nil {
			return err
		}
	}
	return r.take(ctx, step, want)
}

// take carries one step out and notes in cur what upstream then holds.
func (r *run) take(ctx context.Context, step mapping.Step, want mapping.Desire) error {
	r.steps = append(r.steps, describe(step))
	if !step.Kind.Idempotent() {
		r.risky = true
	}
	c, orgs := r.w.client, step.Organizations
	var a *upstream.Account
	var err error
	switch step.Kind {
	case mapping.StepInvite:
		return r.invite(ctx, step, want)
	case mapping.StepCreate:
		return r.create(ctx, step, want)
	case mapping.StepUpdateAccount:
		return r.updateAccount(ctx, step, want)
	case mapping.StepUpdateInvite:
		return r.updateInvite(ctx, step, want)
	case mapping.StepRevokeInvite:
		return r.revoke(ctx, orgs)
	case mapping.StepResendInvite:
		return r.resend(ctx)
	case mapping.StepRemove:
		return r.remove(ctx, orgs[0])
	case mapping.StepDeactivate:
		a, err = c.DeactivateUser(ctx, r.cur.UserID, orgs)
	case mapping.StepActivate:
		a, err = c.ActivateUser(ctx, r.cur.UserID, orgs)
	case mapping.StepSetRole:
		a, err = c.SetRole(ctx, r.cur.UserID, orgs[0], step.RoleID)
	default:
		return fmt.Errorf("unknown step %q", step.Kind)
	}
	if err != nil {
		return err
	}
	r.show(a)
	return r.completeInvite(ctx)
}

// show takes a record that upstream answered a change with.
func (r *run) show(a *upstream.Account) {
	r.cur = accountOf(a, r.w.organizations, r.cur.Invite, r.s.now())
}

// completeInvite reads the invite of somebody who may not have accepted it,
// where the account does not tell its state and the next steps depend on it.
func (r *run) completeInvite(ctx context.Context) error {
	i := r.cur.Invite
	if i == nil || i.State != mapping.InviteUnknown {
		return nil
	}
	inv, err := r.w.client.GetInvite(ctx, i.ID)
	if upstream.IsNotFound(err) {
		r.cur.Invite = nil
		return nil
	}
	if err != nil {
		return err
	}
	r.cur.Invite = stateOf(inv, r.s.now())
	return nil
}

func (r *run) updateAccount(ctx context.Context, step mapping.Step, want mapping.Desire) error {
	a, err := r.w.client.UpdateUser(ctx, r.cur.UserID, profileOf(step.Fields, want.Profile))
	if upstream.IsConflict(err, upstream.CodeStateConflict) && slices.Contains(step.Fields, "email") {
		r.situation.EmailRefused = true // it was never accepted: the invite has to be made anew
		return nil
	}
	if err != nil {
		return err
	}
	r.show(a)
	return nil
}

func (r *run) updateInvite(ctx context.Context, step mapping.Step, want mapping.Desire) error {
	u := upstream.InviteUpdate{Profile: profileOf(step.Fields, want.Profile)}
	if step.RoleID != 0 {
		u.RoleID = &step.RoleID
	}
	i, err := r.w.client.UpdateInvite(ctx, r.cur.Invite.ID, u)
	if err != nil {
		return err
	}
	r.cur = inviteOf(i, r.s.now())
	return nil
}

// profileOf picks the fields to write; the others stay as they are upstream.
func profileOf(fields []string, p mapping.Profile) upstream.Profile {
	var out upstream.Profile
	for _, f := range fields {
		switch f {
		case "email":
			out.Email = &p.Email
		case "first_name":
			out.FirstName = &p.FirstName
		case "last_name":
			out.LastName = &p.LastName
		case "country_id":
			out.CountryID = &p.CountryID
		}
	}
	return out
}

// revoke withdraws the invite from our organizations. One that is gone or
// withdrawn already is as good; one that was accepted meanwhile leads to its
// account.
func (r *run) revoke(ctx context.Context, orgs []int64) error {
	err := r.w.client.RevokeInvite(ctx, r.cur.Invite.ID, orgs)
	if upstream.IsConflict(err, upstream.CodeStateConflict) {
		i, readErr := r.w.client.GetInvite(ctx, r.cur.Invite.ID)
		switch {
		case readErr != nil:
			return readErr
		case i.State == mapping.InviteAccepted && i.UserID != 0:
			return r.accepted(ctx, i)
		case i.State == mapping.InvitePending:
			return err
		}
		err = nil
	}
	if err != nil && !upstream.IsNotFound(err) {
		return err
	}
	r.withdrawn(orgs)
	return nil
}

// withdrawn notes that the invite no longer covers the organizations: it is
// revoked when none is left, and an account that was never accepted goes with
// its last membership.
func (r *run) withdrawn(orgs []int64) {
	in := func(org int64) bool { return slices.Contains(orgs, org) }
	i := *r.cur.Invite
	if left := slices.DeleteFunc(slices.Clone(i.OrganizationIDs), in); len(left) > 0 {
		i.OrganizationIDs = left
	} else {
		i.State = mapping.InviteRevoked
	}
	r.cur.Invite = &i
	if r.cur.UserID == 0 {
		return
	}
	r.cur.Memberships = slices.DeleteFunc(slices.Clone(r.cur.Memberships), func(m mapping.Membership) bool {
		return m.State == mapping.MembershipInvited && in(m.OrganizationID)
	})
	if r.cur.State == mapping.AccountNew && len(r.cur.Memberships) == 0 {
		r.cur = mapping.Account{}
	}
}

// accepted goes on with the account that the invite became.
func (r *run) accepted(ctx context.Context, i *upstream.Invite) error {
	a, err := r.w.client.GetUser(ctx, i.UserID)
	if err != nil {
		return err
	}
	r.cur = accountOf(a, r.w.organizations, stateOf(i, r.s.now()), r.s.now())
	return nil
}

// resend revives the invite and has it mailed. A lost answer is read back:
// the mail is not sent twice. Where an earlier attempt may have sent it and
// upstream may still show what was before, the client has to wait.
func (r *run) resend(ctx context.Context) error {
	if r.ours && r.s.now().Sub(r.intentAt) < r.s.opts.Settle {
		return scim.Unavailable(retrySoon, "an earlier attempt to invite this user again may have succeeded and does not show yet: send the request again")
	}
	i, err := r.w.client.ResendInvite(ctx, r.cur.Invite.ID)
	switch {
	case upstream.IsAmbiguous(err):
		back, readErr := r.w.client.GetInvite(ctx, r.cur.Invite.ID)
		if readErr != nil || back.State != mapping.InvitePending {
			return err
		}
		i = back
	case upstream.IsConflict(err, upstream.CodeStateConflict):
		return r.succeeded(ctx, err)
	case err != nil:
		return err
	}
	r.cur.Invite = stateOf(i, r.s.now())
	r.inviteIDs = append(r.inviteIDs, i.ID)
	return r.reread(ctx)
}

// succeeded looks for the invite that somebody made in place of ours, because
// of which ours cannot be revived.
func (r *run) succeeded(ctx context.Context, conflict error) error {
	for i, err := range r.w.client.ListInvites(ctx, upstream.ListInvitesQuery{State: upstream.InvitePending, Email: r.cur.Email}) {
		if err != nil {
			return err
		}
		if scim.Fold(i.Email) == scim.Fold(r.cur.Email) {
			r.cur.Invite = stateOf(i, r.s.now())
			r.inviteIDs = append(r.inviteIDs, i.ID)
			return r.reread(ctx)
		}
	}
	return conflict
}

// reread looks at an account whose memberships the last step changed without
// showing them.
func (r *run) reread(ctx context.Context) error {
	if r.cur.UserID == 0 {
		return nil
	}
	a, err := r.w.client.GetUser(ctx, r.cur.UserID)
	if err != nil {
		return err
	}
	r.show(a)
	return nil
}

func (r *run) remove(ctx context.Context, org int64) error {
	err := r.w.client.RemoveUser(ctx, r.cur.UserID, org)
	if err != nil && !upstream.IsNotFound(err) {
		return err
	}
	r.cur.Memberships = slices.DeleteFunc(slices.Clone(r.cur.Memberships), func(m mapping.Membership) bool {
		return m.OrganizationID == org
	})
	if len(r.cur.Memberships) == 0 {
		r.cur = mapping.Account{} // the account goes with its last membership
	}
	return nil
}

// resetPassword passes a client's password on where the policy says so. Who has
// not accepted an invite has no password yet and chooses one then.
func (r *run) resetPassword(ctx context.Context, password scim.Secret, created bool) error {
	if password == "" || !r.pol.ResetPasswords || !created || r.cur.UserID == 0 || r.cur.Pending() || r.cur.SharedBeyond(r.pol.Organizations) {
		return nil
	}
	r.steps = append(r.steps, "reset_password")
	return r.w.client.ResetPassword(ctx, r.cur.UserID, upstream.Secret(password))
}

// describe is the step as events show it.
func describe(s mapping.Step) string {
	d := string(s.Kind)
	if len(s.Organizations) > 0 {
		d += fmt.Sprintf(" %v", s.Organizations)
	}
	if len(s.Fields) > 0 {
		d += fmt.Sprintf(" %v", s.Fields)
	}
	if s.RoleID != 0 {
		d += fmt.Sprintf(" role=%d", s.RoleID)
	}
	return d
}
