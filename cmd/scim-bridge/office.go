package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/settings"
	"github.com/sharearefund/scim-bridge/provision/credentials"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/seal"
	"github.com/sharearefund/scim-bridge/store/sqlstore"
)

// office is what the commands work with that manage a server's store.
type office struct {
	settings    *settings.Settings
	store       store.Store
	credentials *credentials.Service
	seal        *seal.Sealer
	log         *slog.Logger
}

// loadSettings reads the settings that --config or the environment names.
func (c *cli) loadSettings() (*settings.Settings, error) {
	file := c.config
	if file == "" {
		file, _ = c.env("SCIM_BRIDGE_CONFIG")
	}
	s, err := settings.Load(file, c.env)
	if err == nil {
		return s, nil
	}
	name := cmp.Or(file, "environment")
	var lines []string
	if faults, ok := errors.AsType[*settings.FaultsError](err); ok {
		for _, f := range faults.Faults {
			lines = append(lines, name+": "+f.String())
		}
	} else {
		lines = append(lines, name+": "+err.Error())
	}
	if file == "" {
		lines = append(lines, "scim-bridge: no configuration file was named: use --config FILE or SCIM_BRIDGE_CONFIG")
	}
	return nil, &faultsError{strings.Join(lines, "\n")}
}

// withOffice opens the store that the settings name for the time of f.
func (c *cli) withOffice(ctx context.Context, f func(*office) error) (err error) {
	s, err := c.loadSettings()
	if err != nil {
		return err
	}
	// A command's answer is its output; only what goes wrong is logged.
	log := slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	o, err := openOffice(ctx, s, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.store.Close()) }()
	return f(o)
}

func openOffice(ctx context.Context, s *settings.Settings, log *slog.Logger) (*office, error) {
	sealing, err := sealer(s.Secrets)
	if err != nil {
		return nil, err
	}
	address, err := storeURL(s.Store)
	if err != nil {
		return nil, err
	}
	st, err := sqlstore.Open(ctx, sqlstore.Options{URL: address, Logger: log})
	if err != nil {
		return nil, storeFault(s.Store, err)
	}
	creds, err := credentials.New(credentials.Options{Store: st, Logger: log})
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return &office{settings: s, store: st, credentials: creds, seal: sealing, log: log}, nil
}

// storeURL puts the password, which settings keep apart, into the address, and
// a bound on connecting: a host that swallows packets is to be reported too.
func storeURL(s settings.Store) (string, error) {
	if storeKind(s.URL) == "sqlite" {
		return s.URL, nil
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return "", errors.New("store.url: not a URL") // its text may hold what is secret
	}
	if s.Password != "" {
		u.User = url.UserPassword(u.User.Username(), string(s.Password))
	}
	if q := u.Query(); !q.Has("connect_timeout") {
		q.Set("connect_timeout", "10")
		u.RawQuery = q.Encode()
	}
	return u.String(), nil
}

// storeKind is the kind of database, for readiness.
func storeKind(address string) string {
	if strings.HasPrefix(address, "sqlite:") {
		return "sqlite"
	}
	return "postgresql"
}

// storeFault says in one line which database cannot be opened, and what to do.
func storeFault(s settings.Store, err error) error {
	where, remedy := s.URL, "check that its directory exists and that this user may write there"
	if u, parseErr := url.Parse(s.URL); parseErr == nil && storeKind(s.URL) == "postgresql" {
		where, remedy = u.Redacted(), "check that the server runs, that it can be reached from here, and the user and password"
	}
	return fmt.Errorf("store.url %s: cannot open the database: %s; %s", where, oneLine(err), remedy)
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// bridgeOptions are those of a process with these settings.
func (o *office) bridgeOptions() (bridge.Options, error) {
	s := o.settings
	names, err := pseudonyms(s.Secrets)
	if err != nil {
		return bridge.Options{}, err
	}
	cursors, err := cursorKey(s.Secrets.Key)
	if err != nil {
		return bridge.Options{}, err
	}
	opts := bridge.Options{
		Store: o.store, StoreKind: storeKind(s.Store.URL), OpenSecret: o.seal.Open,
		PublicURL: s.PublicURL.String(), TrustedProxies: s.TrustedProxies, MaxBody: s.Limits.BodyBytes,
		RequestTimeout: s.Limits.RequestTimeout, FailedAuthPerMinute: s.Limits.FailedAuthPerMinute,
		RateLimit: s.Limits.RateLimit, RateBurst: s.Limits.RateBurst,
		DirectoryInterval: s.Directory.Interval, Version: version(), Logger: o.log, CursorKey: cursors,
		RequestLog: &bridge.RequestLogOptions{Pseudonyms: names, Keep: s.Requests.Keep, MaxRows: s.Requests.MaxRows},
	}
	if s.Redis.URL != "" {
		hash, err := cacheKey(s.Secrets.Key)
		if err != nil {
			return opts, err
		}
		opts.Redis = &cache.RedisOptions{
			URL: s.Redis.URL, Password: string(s.Redis.Password), SentinelPassword: string(s.Redis.SentinelPassword),
			KeyPrefix: s.Redis.KeyPrefix, Timeout: s.Redis.Timeout, TTL: s.Redis.TTL, HashKey: hash,
		}
	}
	return opts, nil
}

// withBridge wires a bridge over the open store for the time of f. It has no
// shared cache: a command asks once.
func (o *office) withBridge(f func(*bridge.Bridge) error) (err error) {
	opts, err := o.bridgeOptions()
	if err != nil {
		return err
	}
	opts.Redis = nil
	b, err := bridge.New(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return f(b)
}

// tenant finds a tenant; "" is the only one there is.
func (o *office) tenant(ctx context.Context, slug string) (*store.Tenant, error) {
	if slug == "" {
		slugs, err := o.slugs(ctx, "")
		switch {
		case err != nil:
			return nil, err
		case len(slugs) == 0:
			return nil, errors.New("there is no tenant yet: create one with `scim-bridge tenant apply -f tenant.yaml`")
		case len(slugs) > 1:
			return nil, usagef("missing flag: --tenant, one of %s", strings.Join(slugs, ", "))
		}
		slug = slugs[0]
	}
	t, err := o.store.Tenant(ctx, slug)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("tenant %q does not exist; see `scim-bridge tenant list`", slug)
	}
	return t, err
}

// slugs lists the tenants to look at: the given one, or all.
func (o *office) slugs(ctx context.Context, slug string) ([]string, error) {
	if slug != "" {
		t, err := o.tenant(ctx, slug)
		if err != nil {
			return nil, err
		}
		return []string{t.Slug}, nil
	}
	all, err := o.store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	slugs := make([]string, len(all))
	for i, t := range all {
		slugs[i] = t.Slug
	}
	return slugs, nil
}

// tenantFlag adds --tenant, which may be left out while there is one tenant.
func (c *cli) tenantFlag(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVar(into, "tenant", "", "the tenant's `SLUG`; it may be left out while there is only one")
	_ = cmd.RegisterFlagCompletionFunc("tenant", c.completeSlug)
}

// completeTenants completes a slug as the first argument.
func (c *cli) completeTenants(cmd *cobra.Command) {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return c.completeSlug(cmd, args, toComplete)
	}
}

// completeSlug offers the tenants of the store, if it can be opened.
func (c *cli) completeSlug(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var slugs []string
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	err := c.withOffice(ctx, func(o *office) (err error) {
		slugs, err = o.slugs(ctx, "")
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slugs, cobra.ShellCompDirectiveNoFileComp
}
