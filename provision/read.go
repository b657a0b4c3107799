package provision

import (
	"context"
	"errors"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// GetUser answers from the person's row and one upstream read, which begins
// before the row is read when the cache knows whose it will be.
func (s *Service) GetUser(ctx context.Context, c scim.Caller, id string) (*scim.User, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Work)
	defer cancel()
	w, pol, err := s.enter(ctx, c.Tenant)
	if err != nil {
		return nil, entryRefusal(err)
	}
	e := s.hint(ctx, w, cache.Key{Tenant: c.Tenant, Kind: cache.KindID, Value: id})
	p, err := s.store.Person(ctx, c.Tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, scim.NotFound("User", id)
	}
	if err != nil {
		return nil, refusal(err)
	}
	u, err := s.current(ctx, w, pol, p, e)
	if errors.Is(err, errGone) {
		return nil, scim.NotFound("User", id)
	}
	if err != nil {
		return nil, refusal(err)
	}
	return u, nil
}

// hint begins the upstream read that the cache suggests; nil when it suggests
// none.
func (s *Service) hint(ctx context.Context, w *workspace, k cache.Key) *early {
	if m, ok := s.cache.Get(ctx, k); ok && m.UserID != 0 {
		return readEarly(ctx, w, m.UserID)
	}
	return nil
}

// current is the person as upstream shows it now. errGone when upstream
// confirmed that it has nobody.
func (s *Service) current(ctx context.Context, w *workspace, pol *mapping.Policy, p *store.Person, e *early) (*scim.User, error) {
	r, err := readRecord(p)
	if err != nil {
		return nil, err
	}
	if err := s.withGroups(ctx, r); err != nil {
		return nil, err
	}
	acc, err := s.observe(ctx, w, r, e)
	if errors.Is(err, errGone) {
		if err := s.unfinished(ctx, p); err != nil {
			return nil, err
		}
		s.forget(ctx, r)
		s.remap(ctx, p, nil)
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	s.remember(ctx, r, acc)
	switch {
	case e == nil:
		s.remap(ctx, nil, r.row)
	case e.userID != r.row.UserID:
		s.cache.Delete(context.WithoutCancel(ctx), cacheKeys(r.row)...) // it was wrong, whatever version it claims
		s.remap(ctx, nil, r.row)
	}
	return s.view(pol, r, acc)
}

// entryRefusal answers when a tenant cannot be served at all.
func entryRefusal(err error) *scim.Error {
	if e, ok := isConfig(err); ok {
		return scim.Unavailable(retrySoon, "%s: an operator has to correct the tenant's configuration", e.Detail).Because(err)
	}
	return refusal(err)
}
