package provision

import (
	"context"
	"math"
	"time"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// Diagnosis is what upstream shows to a tenant's credential, and what in the
// tenant's configuration does not go with it.
type Diagnosis struct {
	Roles         []upstream.Role
	Organizations []upstream.Organization
	// Unlisted is why the organizations could not be listed; nil when they were.
	Unlisted error
	// Providers are the identity providers, disabled ones included.
	Providers []upstream.IdentityProvider
	// Weight is the greatest weight that the credential may grant; it is known
	// of keys that belong to an account alone.
	Weight      int
	WeightKnown bool
	// Faults are why requests are refused; Warnings is as Service.Warnings
	// gives it, empty while a role is unknown.
	Faults   []DiagnosisFault
	Warnings []string
}

// DiagnosisFault is a ConfigError in two parts.
type DiagnosisFault struct{ Detail, Remedy string }

// Diagnose asks upstream for everything that a tenant's configuration names,
// and goes on where serving requests would end at the first fault. It changes
// nothing. The error is a *ConfigError when the configuration cannot even be
// read, else upstream's or the store's.
func (s *Service) Diagnose(ctx context.Context, tenant string) (Diagnosis, error) {
	var d Diagnosis
	w, err := s.spaces.latest(ctx, tenant)
	if err != nil {
		return d, err
	}
	fault := func(err error) {
		if wrong, ok := isConfig(err); ok {
			d.Faults = append(d.Faults, DiagnosisFault{wrong.Detail, wrong.remedy()})
		}
	}
	if d.Roles, err = w.client.ListRoles(ctx); err != nil {
		return d, err
	}
	if d.Providers, err = w.client.ListIdentityProviders(ctx); err != nil {
		return d, err
	}
	d.Organizations, d.Unlisted = w.client.ListOrganizations(ctx)
	may, err := w.granting(ctx)
	if err != nil {
		return d, err
	}
	if may != math.MaxInt {
		d.Weight, d.WeightKnown = may, true
	}
	if w.config.IdentityProvider != "" {
		_, err := w.identityProvider(d.Providers, w.config.IdentityProvider)
		fault(err)
	}
	if len(d.Roles) == 0 {
		_, err := w.resolve(ctx) // it says so in the words that clients hear
		fault(err)
		return d, nil
	}
	p := &mapping.Policy{}
	for _, r := range d.Roles {
		p.Roles = append(p.Roles, mapping.Role(r))
	}
	if err := w.resolveRoles(p, may); err != nil {
		fault(err)
		return d, nil
	}
	d.Warnings = warnings(w.config, p)
	return d, nil
}

// Backlog is what a tenant's background work has done and has still to do.
type Backlog struct {
	Directory store.Directory
	// Fresh says whether lists are answered from the directory.
	Fresh bool
	// Interval is the time between two scans.
	Interval time.Duration
	// Grants and Removals count the role work that is to be done; a removal
	// was not acknowledged yet.
	Grants, Removals int
}

// Backlog reports on one tenant from the store alone.
func (s *Service) Backlog(ctx context.Context, tenant string) (Backlog, error) {
	d, err := s.store.Directory(ctx, tenant)
	if err != nil {
		return Backlog{}, err
	}
	all, removals, err := s.store.CountRoleWork(ctx, tenant)
	if err != nil {
		return Backlog{}, err
	}
	return Backlog{
		Directory: d, Fresh: s.fresh(d), Interval: s.opts.DirectoryInterval, Grants: all - removals, Removals: removals,
	}, nil
}
