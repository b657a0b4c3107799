package provision

import (
	"context"
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
}

// Directories reports on every tenant's directory.
func (s *Service) Directories(ctx context.Context) ([]DirectoryHealth, error) {
	tenants, err := s.store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]DirectoryHealth, 0, len(tenants))
	for _, t := range tenants {
		d, err := s.store.Directory(ctx, t.Slug)
		if err != nil {
			return nil, err
		}
		all = append(all, DirectoryHealth{Tenant: t.Slug, CompletedAt: d.CompletedAt, Fresh: s.fresh(d), People: d.People})
	}
	return all, nil
}

// ScanNow reads the tenant's directory and returns when that is done.
func (s *Service) ScanNow(ctx context.Context, tenant string) (store.Directory, error) {
	w, err := s.spaces.get(ctx, tenant)
	if err != nil {
		return store.Directory{}, err
	}
	return s.runScan(ctx, w, nil, nil)
}
