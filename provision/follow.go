package provision

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"golang.org/x/time/rate"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// followRate is how many invites a second are looked at, or sent again, beside
// the traffic of provisioning clients.
const followRate = 5

// intentLate is left where somebody accepted an invite of a deleted person.
const intentLate = "late"

// lateIntent is its payload.
type lateIntent struct {
	UserID        int64   `json:"user_id"`
	PersonID      string  `json:"person_id"`
	Organizations []int64 `json:"organizations"`
}

// resent is how often the person's invite was sent again after it expired.
func (k *changing) resent() int {
	switch sent := len(k.run.inviteIDs) > 0; {
	case sent && k.resend:
		return k.rec.written.Resent + 1
	case sent && !k.roles:
		return 0
	}
	return k.rec.written.Resent
}

// follow goes through the people who have not accepted. An invite that expired
// is sent again as often as the tenant's policy says; after that an event and the
// person say that it expired, and nobody is dropped. What somebody
// accepted whom the client had deleted is taken back.
func (s *Service) follow(ctx context.Context, w *workspace, progress func(done, total int)) error {
	pol, err := w.policy(ctx)
	if err != nil {
		return err
	}
	if err := s.takeBack(ctx, w, pol); err != nil {
		return err
	}
	pace := rate.NewLimiter(followRate, 1)
	done := 0
	return s.eachManaged(ctx, w.slug, func(part []*record) error {
		done += len(part)
		progress(done, 0)
		for _, r := range part {
			if !s.expired(pol, r) {
				continue
			}
			if r.written.Resent >= w.config.Invites.ResendExpired {
				if err := s.leaveExpired(ctx, r); err != nil {
					return err
				}
				continue
			}
			if err := pace.Wait(ctx); err != nil {
				return context.Cause(ctx)
			}
			if err := s.resendExpired(ctx, w, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// expired reports whether a person who is to have access has an invite that
// can no longer be accepted.
func (s *Service) expired(pol *mapping.Policy, r *record) bool {
	i := r.seen.Invite
	if i == nil || !r.seen.ActiveIn(pol.Organizations) {
		return false
	}
	late := i.State == mapping.InvitePending && !i.ExpiresAt.IsZero() && s.now().After(i.ExpiresAt)
	return i.State == mapping.InviteExpired || late
}

// leaveExpired says, once, that an invite expired and is not sent again.
func (s *Service) leaveExpired(ctx context.Context, r *record) error {
	p, i := r.row, r.seen.Invite
	once := fmt.Sprintf("expired:%s:%d", i.ID, i.ExpiresAt.UnixMilli())
	if at, err := s.store.First(ctx, p.Tenant, once); err != nil || !at.IsZero() {
		return err
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		if err := tx.NoteFirst(p.Tenant, once, s.now()); err != nil {
			return err
		}
		e, err := s.event(scim.Caller{Tenant: p.Tenant, Credential: "job:" + jobInvites}, "user.invite_expired", p.ID, 0,
			eventData{UserID: p.UserID, InviteID: i.ID})
		if err != nil {
			return err
		}
		e.Detail = fmt.Sprintf("the invite expired and was sent again %d times, as often as invites.resend_expired says: to send it once more, deactivate the user and activate it again, or raise that number", r.written.Resent)
		return tx.AppendEvent(e)
	})
}

// resendExpired sends a person's invite again. What keeps one person from that
// is logged and tried again with the next scan; an error is one of the tenant.
func (s *Service) resendExpired(ctx context.Context, w *workspace, r *record) error {
	c := scim.Caller{Tenant: w.slug, Credential: "job:" + jobInvites}
	_, err := s.change(ctx, c, change{
		id: r.row.ID, action: "user.resend", silent: true, resend: true,
		next: func(view *scim.User) (*scim.User, error) { return view, nil },
	})
	if err == nil {
		return nil
	}
	e, refused := errors.AsType[*scim.Error](err)
	if ctx.Err() != nil || refused && e.Status == http.StatusTooManyRequests {
		return err
	}
	s.log.WarnContext(ctx, "an expired invite is sent again later", "tenant", w.slug, "person", r.row.ID, "err", err)
	return nil
}

// noteLate leaves an intent where an account has access by an invite of a
// person whom the client deleted: it was accepted too late. It reports whether
// that is so. What an operator of upstream gives the account after that is left
// alone.
func (s *Service) noteLate(ctx context.Context, tx store.Tx, w *workspace, acc mapping.Account) (bool, error) {
	if acc.UserID == 0 || acc.CameFrom == "" {
		return false, nil
	}
	access := acc.AccessIn(w.organizations)
	if len(access) == 0 {
		return false, nil
	}
	dead, err := tx.TombstonesByUpstream(ctx, w.slug, 0, acc.CameFrom)
	if err != nil || len(dead) == 0 || dead[0].UserID == acc.UserID {
		return false, err
	}
	if said, err := s.saidToGo(ctx, tx, w.slug, dead[0].ID); err != nil || !said {
		return false, err
	}
	once := "late:" + strconv.FormatInt(acc.UserID, 10)
	if at, err := tx.First(ctx, w.slug, once); err != nil || !at.IsZero() {
		return false, err
	}
	payload, err := json.Marshal(lateIntent{UserID: acc.UserID, PersonID: dead[0].ID, Organizations: access})
	if err != nil {
		return false, err
	}
	return true, tx.PutIntent(&store.Intent{Tenant: w.slug, Key: once, Kind: intentLate, Payload: payload, CreatedAt: s.now()})
}

// saidToGo reports whether the client deleted the person: others end because
// upstream had nothing of them any more.
func (s *Service) saidToGo(ctx context.Context, rd store.Reader, tenant, id string) (bool, error) {
	events, err := rd.Events(ctx, store.EventQuery{Tenant: tenant, ResourceID: id, Newest: true})
	return slices.ContainsFunc(events, func(e *store.Event) bool {
		return e.Action == "user.delete" && e.Outcome == store.OutcomeOK
	}), err
}

// takeBack takes away what was accepted too late. What keeps one account from
// that keeps nobody else, and is tried again after the next scan.
func (s *Service) takeBack(ctx context.Context, w *workspace, pol *mapping.Policy) error {
	intents, err := s.store.Intents(ctx, w.slug, s.now().Add(1), sweepLimit)
	if err != nil {
		return err
	}
	for _, i := range intents {
		if i.Kind != intentLate {
			continue
		}
		var late lateIntent
		if err := json.Unmarshal(i.Payload, &late); err != nil {
			return err
		}
		err := s.takeBackFrom(ctx, w, pol, i, late)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			s.log.WarnContext(ctx, "a late acceptance is taken back later", "tenant", w.slug, "person", late.PersonID, "user_id", late.UserID, "err", err)
		}
	}
	return nil
}

func (s *Service) takeBackFrom(ctx context.Context, w *workspace, pol *mapping.Policy, i *store.Intent, late lateIntent) error {
	steps, why, err := s.takeAccess(ctx, w, pol, late)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		if err := tx.DeleteIntent(w.slug, i.Key); err != nil {
			return err
		}
		if err := tx.NoteFirst(w.slug, i.Key, s.now()); err != nil {
			return err
		}
		e, err := s.event(scim.Caller{Tenant: w.slug, Credential: "job:" + jobInvites}, "user.late_acceptance", late.PersonID, 0,
			eventData{UserID: late.UserID, Upstream: steps})
		if err != nil {
			return err
		}
		e.Detail = "an invite of a deleted user was accepted: " + why
		return tx.AppendEvent(e)
	})
}

// takeAccess takes an account out of the organizations that hold it because of a
// late acceptance, unless it is protected or a person's by now. why says what
// became of it.
func (s *Service) takeAccess(ctx context.Context, w *workspace, pol *mapping.Policy, late lateIntent) (steps []string, why string, err error) {
	if p, err := s.store.PersonByUserID(ctx, w.slug, late.UserID); !errors.Is(err, store.ErrNotFound) {
		if err != nil {
			return nil, "", err
		}
		return nil, "the account is that of user " + p.ID + " now and stays", nil
	}
	const done = "the access was taken back"
	a, err := w.client.GetUser(ctx, late.UserID)
	if isNotFound(err) {
		return nil, done, nil
	}
	if err != nil {
		return nil, "", err
	}
	acc := accountOf(a, w.organizations, nil, s.now())
	if protected, why := pol.Protects(acc); protected {
		return nil, why + " and stays", nil
	}
	if access := acc.AccessIn(late.Organizations); len(access) > 0 {
		steps = append(steps, describe(mapping.Step{Kind: mapping.StepDeactivate, Organizations: access}))
		_, err = w.client.DeactivateUser(ctx, late.UserID, access)
	}
	for _, org := range acc.HeldIn(late.Organizations) {
		if err == nil {
			steps = append(steps, describe(mapping.Step{Kind: mapping.StepRemove, Organizations: []int64{org}}))
			err = w.client.RemoveUser(ctx, late.UserID, org)
		}
	}
	if isNotFound(err) {
		err = nil
	}
	return steps, done, err
}
