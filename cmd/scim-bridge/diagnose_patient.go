package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/settings"
	"github.com/sharearefund/scim-bridge/store"
)

// patient is a deployment that is looked at.
type patient struct {
	e        *examination
	settings *settings.Settings
	place    string
	database doctor.Database
	err      error // why the database cannot be used
	// office, bridge and tenants are there when the database can be used.
	office  *office
	bridge  *bridge.Bridge
	tenants []*store.Tenant
	closers []func() error
}

// open looks at the database, and opens it if that changes nothing. Its error
// is about the command line.
func (e *examination) open(ctx context.Context, s *settings.Settings, log *slog.Logger) (*patient, error) {
	x := &patient{e: e, settings: s, place: s.Store.URL}
	if u, err := url.Parse(s.Store.URL); err == nil && storeKind(s.Store.URL) == "postgresql" {
		x.place = u.Redacted()
	}
	if !e.wantsAny(slices.DeleteFunc(doctor.Names(), func(name string) bool {
		return name == doctor.Configuration || name == doctor.PublicURL
	})...) {
		return x, nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	address, err := storeURL(s.Store)
	if err == nil {
		x.database, err = doctor.Inspect(ctx, doctor.InspectOptions{URL: address})
	}
	if err == nil && x.database.Current() {
		err = x.begin(ctx, log)
	}
	x.err = err
	if x.office == nil || e.tenant == "" {
		return x, nil
	}
	if !slices.ContainsFunc(x.tenants, func(t *store.Tenant) bool { return t.Slug == e.tenant }) {
		return nil, errors.Join(fmt.Errorf("tenant %q does not exist; see `scim-bridge tenant list`", e.tenant), x.close())
	}
	return x, nil
}

// begin opens what the checks of tenants work with.
func (x *patient) begin(ctx context.Context, log *slog.Logger) error {
	if _, err := sealer(x.settings.Secrets); err != nil {
		return nil // the check of the keys says so
	}
	o, err := openOffice(ctx, x.settings, log)
	if err != nil {
		return err
	}
	x.closers = append(x.closers, o.store.Close)
	opts, err := o.bridgeOptions()
	if err != nil {
		return err
	}
	opts.Redis = nil // a command asks once
	b, err := bridge.New(opts)
	if err != nil {
		return err
	}
	x.closers = append(x.closers, b.Close)
	if x.tenants, err = o.store.Tenants(ctx); err != nil {
		return err
	}
	x.office, x.bridge = o, b
	return nil
}

func (x *patient) close() error {
	var err error
	for _, f := range slices.Backward(x.closers) {
		err = errors.Join(err, f())
	}
	return err
}

// checks are those that can be made, whether they were asked for or not.
func (x *patient) checks() []doctor.Check {
	s := x.settings
	checks := []doctor.Check{
		doctor.CheckStore(doctor.StoreOptions{Place: x.place, Database: x.database, Err: x.err, Commit: x.commit}),
		doctor.CheckPublicURL(doctor.PublicOptions{URL: s.PublicURL, MetricsApart: s.MetricsListen != "", BodyBytes: s.Limits.BodyBytes, Directories: x.directories}),
		doctor.CheckClock(x.clocks()),
	}
	keys := sealingKeys(s.Secrets)
	if _, err := sealer(s.Secrets); err != nil {
		return append(checks, doctor.CheckKeys(doctor.KeysOptions{Key: keys[0], Previous: keys[1:]}),
			doctor.Unlooked(doctor.Cache, "", x.why()), doctor.Unlooked(doctor.Tenant, "", x.why()))
	}
	// What concerns Redis follows from the settings alone.
	opts, err := (&office{settings: s}).bridgeOptions()
	checks = append(checks, doctor.CheckCache(doctor.CacheOptions{Redis: opts.Redis, Err: err, Replicas: x.database.Replicas}))
	if x.office == nil {
		return append(checks, doctor.Unlooked(doctor.Keys, "", x.why()), doctor.Unlooked(doctor.Tenant, "", x.why()))
	}
	known := doctor.KeysOptions{Key: keys[0], Previous: keys[1:], Tenants: x.tenants}
	if s.Requests.MaxRows > 0 {
		known.Remembered = s.Requests.Keep
	}
	checks = append(checks, doctor.CheckKeys(known))
	if len(x.tenants) == 0 {
		checks = append(checks, doctor.NoTenants())
	}
	for _, address := range x.upstreams() {
		checks = append(checks, doctor.CheckUpstream(doctor.Network{}, address))
	}
	for _, t := range x.asked() {
		checks = append(checks, x.tenant(t)...)
	}
	return checks
}

// why is why no tenant is looked at.
func (x *patient) why() string {
	switch {
	case x.err != nil:
		return "the database cannot be used"
	case x.database.Empty:
		return "the database is not in use yet"
	case !x.database.Current():
		return "the database has another schema than this program"
	}
	return "see the check keys"
}

// commit is called with the database open.
func (x *patient) commit(ctx context.Context) error {
	if x.office == nil {
		return nil
	}
	return x.office.store.Ping(ctx)
}

// directories says when each tenant's was read; nil when that is not known.
func (x *patient) directories(ctx context.Context) (map[string]time.Time, error) {
	if x.office == nil {
		return nil, nil
	}
	read := map[string]time.Time{}
	for _, t := range x.tenants {
		d, err := x.office.store.Directory(ctx, t.Slug)
		if err != nil {
			return nil, err
		}
		read[t.Slug] = d.CompletedAt
	}
	return read, nil
}

// asked are the tenants to look at.
func (x *patient) asked() []*store.Tenant {
	var asked []*store.Tenant
	for _, t := range x.tenants {
		if x.e.tenant == "" || t.Slug == x.e.tenant {
			asked = append(asked, t)
		}
	}
	return asked
}

// upstreams are the addresses of their upstreams, each once.
func (x *patient) upstreams() []string {
	var all []string
	for _, t := range x.asked() {
		all = append(all, t.BaseURL)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// clocks are those that can be asked.
func (x *patient) clocks() []doctor.ClockSource {
	var all []doctor.ClockSource
	if p := x.database.Postgres; p != nil && x.err == nil {
		all = append(all, doctor.ClockSource{Name: "the database", Ask: func(context.Context) (time.Duration, error) { return p.Ahead, nil }})
	}
	for _, address := range x.upstreams() {
		all = append(all, doctor.Dated(address, doctor.Network{}, address))
	}
	return append(all, doctor.Dated("public_url", doctor.Network{}, x.settings.PublicURL.String()))
}

// tenant is what there is to check of one tenant.
func (x *patient) tenant(t *store.Tenant) []doctor.Check {
	st, service := x.office.store, x.bridge.Service
	work := doctor.WorkOptions{Tenant: t.Slug, Replicas: x.database.Replicas, Store: st, Backlog: service.Backlog, Guards: service.ShowGuards}
	return []doctor.Check{
		doctor.CheckTenant(doctor.TenantOptions{Tenant: t, All: x.tenants, Diagnose: service.Diagnose}),
		doctor.CheckDirectory(work), doctor.CheckJobs(work), doctor.CheckGuards(work),
		doctor.CheckTokens(doctor.TokensOptions{Tenant: t.Slug, Store: st}),
	}
}
