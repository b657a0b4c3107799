package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/sqlstore"
)

const (
	// throwAwaySlug is that of the throw-away tenant, the only one of its store.
	throwAwaySlug = "doctor"
	// throwAwayClient is its credential's name in its sandbox.
	throwAwayClient = "doctor"
)

// throwAway is a tenant in a database of its own. Events are never removed from
// a database, so what is to leave none has no place in that of a deployment.
type throwAway struct {
	office *office
	dir    string
}

// newThrowAway makes a tenant whose upstream is at sandboxURL.
func newThrowAway(ctx context.Context, o *office, sandboxURL, secret string) (*throwAway, error) {
	dir, err := os.MkdirTemp("", "scim-bridge-doctor-") // 0700
	if err != nil {
		return nil, fmt.Errorf("making a directory for the throw-away tenant's database: %w", err)
	}
	st, err := sqlstore.Open(ctx, sqlstore.Options{URL: "sqlite:" + filepath.Join(dir, "bridge.db"), Logger: o.log})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the throw-away tenant's database: %w", err), os.RemoveAll(dir))
	}
	t := &throwAway{office: &office{settings: o.settings, store: st, seal: o.seal, log: o.log}, dir: dir}
	if err := t.apply(ctx, sandboxURL, secret); err != nil {
		return nil, errors.Join(err, t.remove())
	}
	return t, nil
}

// apply makes the tenant. Its credential is of use at that sandbox alone.
func (t *throwAway) apply(ctx context.Context, sandboxURL, secret string) error {
	config, err := tenantconfig.Parse(fmt.Appendf(nil, `
slug: %s
name: throw-away tenant of scim-bridge doctor
upstream: {base_url: %q, client_id: %s, client_secret_env: SECRET}
organizations: [113, 114]
domains: [example.com]
default_role: Viewer
rules: [{match: {glob: "*"}, role: Manager}]
guards: {deactivations: off, role_losses: off, invites: off, addresses: off}
`, throwAwaySlug, sandboxURL, throwAwayClient), func(string) (string, bool) { return secret, true }, os.ReadFile)
	if err != nil {
		return err
	}
	return t.office.store.Update(ctx, func(tx store.Tx) error {
		_, err := t.office.putTenant(ctx, tx, config, actorCLI, false)
		return err
	})
}

// remove takes the tenant away, and its database.
func (t *throwAway) remove() error { return errors.Join(t.office.store.Close(), os.RemoveAll(t.dir)) }
