package provision

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// eventData is the JSON of store.Event.Data: which attributes changed and
// which steps were taken upstream. It holds ids and names of attributes, no
// values but those of active.
type eventData struct {
	Changes    []string `json:"changes,omitempty"`
	Active     *bool    `json:"active,omitempty"`
	WasActive  *bool    `json:"was_active,omitempty"`
	Upstream   []string `json:"upstream,omitempty"`
	NotApplied []string `json:"not_applied,omitempty"`
	Skipped    []string `json:"skipped,omitempty"`
	UserID     int64    `json:"user_id,omitempty"`
	InviteID   string   `json:"invite_id,omitempty"`
	// Added and Removed count the members that a change of a group added and
	// removed; Roles is how many people's roles it changes.
	Added   int `json:"added,omitempty"`
	Removed int `json:"removed,omitempty"`
	Roles   int `json:"roles,omitempty"`
	// Group is the group because of which a person's roles changed.
	Group string `json:"group,omitempty"`
	Guard string `json:"guard,omitempty"`
}

// event is the entry of an acknowledged change.
func (s *Service) event(c scim.Caller, action, id string, status int, d eventData) (*store.Event, error) {
	data, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	return &store.Event{
		At: s.now(), Tenant: c.Tenant, Actor: c.Credential, RequestID: c.RequestID, Action: action,
		ResourceType: "User", ResourceID: id, Outcome: store.OutcomeOK, Status: status, Data: data,
	}, nil
}

// RecordFailure appends the event of a request that was refused or failed.
// It is best effort: the client has its answer already.
func (s *Service) RecordFailure(ctx context.Context, c scim.Caller, action, id string, status int, detail string) {
	resource := "User"
	if strings.HasPrefix(action, "group.") {
		resource = "Group"
	}
	e := &store.Event{
		At: s.now(), Tenant: c.Tenant, Actor: c.Credential, RequestID: c.RequestID, Action: action,
		ResourceType: resource, ResourceID: id, Outcome: store.OutcomeFailed, Status: status, Detail: detail,
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.store.Update(ctx, func(tx store.Tx) error { return tx.AppendEvent(e) }); err != nil {
		s.log.WarnContext(ctx, "cannot store the event of a failed request", "request_id", c.RequestID, "err", err)
	}
}

// commitContext outlives the client and the request's deadline: what was done
// upstream is to be written down.
func commitContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

// insert commits a new person with its event, in place of an unmanaged row
// that the scan may have made of the same account meanwhile.
func (s *Service) insert(ctx context.Context, cl *claim, run *run, r *record, e *store.Event, intent string) error {
	ctx, cancel := commitContext(ctx)
	defer cancel()
	p, w := r.row, run.w
	derived := p.ID
	err := s.store.Update(ctx, func(tx store.Tx) error {
		p.ID, p.Version = derived, 0
		if err := cl.settle(tx); err != nil {
			return err
		}
		if intent != "" {
			if err := tx.DeleteIntent(p.Tenant, intent); err != nil {
				return err
			}
		}
		if err := place(ctx, tx, p); err != nil {
			return err
		}
		if err := s.raiseLater(tx, p, run); err != nil {
			return err
		}
		if !w.began.Load() {
			if err := tx.NoteFirst(p.Tenant, firstCreate, s.now()); err != nil {
				return err
			}
		}
		e.ResourceID = p.ID
		return tx.AppendEvent(e)
	})
	if err != nil {
		return err
	}
	w.began.Store(true)
	cl.done()
	return nil
}

// place inserts p, or lets it take over the unmanaged row of the same account
// or invite. A derived id that a deleted person had is not used again.
func place(ctx context.Context, tx store.Tx, p *store.Person) error {
	row, err := sameUpstream(ctx, tx, p)
	switch {
	case err != nil:
		return err
	case row != nil && row.Managed:
		return &store.ConflictError{Field: "userID", Value: strconv.FormatInt(p.UserID, 10), Owner: row.ID}
	case row != nil:
		p.ID, p.Seq, p.Version, p.CreatedAt = row.ID, row.Seq, row.Version, row.CreatedAt
		return tx.UpdatePerson(p)
	}
	if p.ID == "" {
		p.ID = uuid.NewString()
	}
	if p.ID, err = unusedID(ctx, tx, p.Tenant, p.ID); err != nil {
		return err
	}
	return tx.InsertPerson(p)
}

// sameUpstream finds the living row of p's account, else of one of its
// invites; nil when there is none.
func sameUpstream(ctx context.Context, rd store.Reader, p *store.Person) (*store.Person, error) {
	if p.UserID != 0 {
		row, err := rd.PersonByUserID(ctx, p.Tenant, p.UserID)
		if err == nil || !errors.Is(err, store.ErrNotFound) {
			return row, err
		}
	}
	for _, id := range p.InviteIDs {
		row, err := rd.PersonByInviteID(ctx, p.Tenant, id)
		if err == nil || !errors.Is(err, store.ErrNotFound) {
			return row, err
		}
	}
	return nil, nil
}

// save commits a changed person with its event, and ends the role work that
// the change settled.
func (k *changing) save(ctx context.Context, p *store.Person, e *store.Event, changed bool) error {
	return k.s.finish(ctx, k.cl, p, e, []*changeIntent{k.was, k.intent}, func(tx store.Tx) error {
		write := tx.SeePerson
		if changed {
			write = tx.UpdatePerson
		}
		// The person before its work, as a change of a group locks them.
		if err := write(p); err != nil {
			return err
		}
		if k.work > 0 {
			if err := tx.EndRoleWork(p.Tenant, p.ID, k.work); err != nil {
				return err
			}
		}
		return k.s.raiseLater(tx, p, k.run)
	})
}

// raiseLater leaves role work where upstream refused to give a higher role.
func (s *Service) raiseLater(tx store.Tx, p *store.Person, r *run) error {
	if len(r.situation.Unraised) == 0 {
		return nil
	}
	return tx.PutRoleWork([]store.RoleWork{s.roleWorkOf(p)})
}

// bury commits a deletion with its event. learned says that p names an account
// that its row does not.
func (s *Service) bury(ctx context.Context, cl *claim, p *store.Person, e *store.Event, learned bool, intents ...*changeIntent) error {
	return s.finish(ctx, cl, p, e, intents, func(tx store.Tx) error {
		if learned {
			if err := tx.SeePerson(p); err != nil { // the tombstone is to name the account
				return err
			}
		}
		return tx.DeletePerson(p, s.now())
	})
}

// finish commits the end of a change: the row as write leaves it and the
// event, if there is one, while the leases are given up and the intents dropped.
func (s *Service) finish(ctx context.Context, cl *claim, p *store.Person, e *store.Event, intents []*changeIntent, write func(store.Tx) error) error {
	ctx, cancel := commitContext(ctx)
	defer cancel()
	version := p.Version
	err := s.store.Update(ctx, func(tx store.Tx) error {
		p.Version = version // it may run again
		if err := cl.settle(tx); err != nil {
			return err
		}
		if err := dropIntents(ctx, tx, p.Tenant, p.ID, intents...); err != nil {
			return err
		}
		if err := write(tx); err != nil || e == nil {
			return err
		}
		return tx.AppendEvent(e)
	})
	if err != nil {
		return err
	}
	cl.done()
	return nil
}

// abandon writes down what a failed change left upstream, so that the next
// attempt starts from there. The intent stays when a step that is not
// idempotent may have taken effect.
func (s *Service) abandon(ctx context.Context, r *run, rec *record) {
	if !r.fresh || r.cur.Equal(rec.seen) {
		return
	}
	ctx, cancel := commitContext(ctx)
	defer cancel()
	row := *rec.row
	next := record{row: &row}
	if !r.cur.Exists() {
		row.InviteIDs = nil // what they led to is gone: the person waits to be invited anew
	}
	for _, id := range r.inviteIDs {
		addInvite(&row, id)
	}
	row.UserID = r.cur.UserID
	if err := next.see(r.cur, s.now()); err != nil {
		s.log.ErrorContext(ctx, "cannot encode what a failed change left upstream", "person", row.ID, "err", err)
		return
	}
	if err := s.store.Update(ctx, func(tx store.Tx) error { return tx.SeePerson(&row) }); err != nil {
		s.log.WarnContext(ctx, "cannot store what a failed change left upstream", "person", row.ID, "err", err)
	}
}

// remap tells the cache about a person, and to forget the keys that no longer
// lead to it.
func (s *Service) remap(ctx context.Context, before, after *store.Person) {
	ctx = context.WithoutCancel(ctx)
	var keep []cache.Key
	if after != nil {
		keep = cacheKeys(after)
		s.cache.Set(ctx, cacheMapping(after), keep...)
	}
	if before == nil {
		return
	}
	var drop []cache.Key
	for _, k := range cacheKeys(before) {
		if !slices.Contains(keep, k) {
			drop = append(drop, k)
		}
	}
	if len(drop) > 0 {
		s.cache.Delete(ctx, drop...)
	}
}

func cacheMapping(p *store.Person) cache.Mapping {
	m := cache.Mapping{ID: p.ID, UserID: p.UserID, Version: p.Version}
	if p.UserID == 0 {
		m.InviteID = currentInvite(p)
	}
	return m
}

func cacheKeys(p *store.Person) []cache.Key {
	keys := []cache.Key{{Tenant: p.Tenant, Kind: cache.KindID, Value: p.ID}}
	add := func(kind cache.Kind, value string) {
		if value != "" {
			keys = append(keys, cache.Key{Tenant: p.Tenant, Kind: kind, Value: value})
		}
	}
	add(cache.KindUserName, p.FoldedUserName)
	add(cache.KindEmail, p.FoldedEmail)
	add(cache.KindExternalID, p.ExternalID)
	if p.UserID != 0 {
		add(cache.KindUserID, strconv.FormatInt(p.UserID, 10))
	}
	return keys
}
