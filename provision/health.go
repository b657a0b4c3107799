package provision

import (
	"context"
	"errors"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// DirectoryHealth says how current one tenant's directory is.
type DirectoryHealth struct {
	Tenant string
	// CompletedAt is zero before the first complete scan.
	CompletedAt time.Time
	// Fresh says whether lists are answered from it.
	Fresh  bool
	People int
	// Grants and Removals count the role work that is to be done; a removal was
	// not acknowledged yet.
	Grants, Removals int
	// Unusable says why every request of the tenant is refused and what an
	// operator does about it; "" while the tenant is served.
	Unusable string
}

// Directories reports on every tenant's directory. It waits for the store
// alone: that a name in a tenant's configuration is unknown upstream is looked
// up in the background and shows in a later report.
func (s *Service) Directories(ctx context.Context) ([]DirectoryHealth, error) {
	tenants, err := s.store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	reports := make([]DirectoryHealth, 0, len(tenants))
	for _, t := range tenants {
		d, err := s.store.Directory(ctx, t.Slug)
		if err != nil {
			return nil, err
		}
		h := DirectoryHealth{Tenant: t.Slug, CompletedAt: d.CompletedAt, Fresh: s.fresh(d), People: d.People}
		all, removals, err := s.store.CountRoleWork(ctx, t.Slug)
		if err != nil {
			return nil, err
		}
		h.Grants, h.Removals = all-removals, removals
		wrong, err := s.unusable(ctx, t.Slug)
		if err != nil {
			return nil, err
		}
		if wrong != nil {
			h.Fresh, h.Unusable = false, wrong.Detail+"; "+wrong.remedy()
		}
		reports = append(reports, h)
	}
	return reports, nil
}

// unusable is what is wrong with the tenant's configuration, nil when nothing
// is known to be.
func (s *Service) unusable(ctx context.Context, tenant string) (*ConfigError, error) {
	w, err := s.spaces.get(ctx, tenant)
	if wrong, ok := isConfig(err); ok {
		return wrong, nil
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil // deleted a moment ago
	}
	if err != nil {
		return nil, err
	}
	return w.unusable(ctx), nil
}

// ScanNow reads the tenant's directory and returns when that is done.
func (s *Service) ScanNow(ctx context.Context, tenant string) (store.Directory, error) {
	w, err := s.spaces.get(ctx, tenant)
	if err != nil {
		return store.Directory{}, err
	}
	return s.runScan(ctx, w, nil, nil)
}
