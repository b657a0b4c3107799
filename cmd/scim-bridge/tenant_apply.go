package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/store"
)

const tenantExample = `  slug: acme
  name: Acme Freight
  upstream:
    base_url: https://api.example.com
    client_id: acme
    client_secret_env: ACME_SECRET    # or client_secret_file; or api_key_env, api_key_file
    rate: 20                          # calls a second, over all servers; 0 is no limit
    burst: 20
    endpoints:                        # operations that are elsewhere there: METHOD /path
      deactivate_user: PUT /v2/members/{id}/disable
  organizations: [113, 114]           # the first is the default one
  domains: [example.com]              # e-mail domains whose owner was verified
  default_role: Viewer
  rules:                              # who gets which role; none by default
    - {match: Managers, role: Manager}
  provisioning: invite                # or create
  send_mail: true
  identity_provider: okta             # what invites name: a name, prefix or id
  adopt: verified_domain              # or never
  reset_password: false`

// readTenant reads a tenant's file; - is standard input.
func (c *cli) readTenant(file string) (*tenantconfig.Config, error) {
	if file == "" {
		return nil, usagef("missing flag: -f FILE")
	}
	data, err := c.readInput(file)
	if err != nil {
		return nil, err
	}
	config, err := tenantconfig.Parse(data, c.env, os.ReadFile)
	if err != nil {
		return nil, tenantFaults(file, err)
	}
	return config, nil
}

func (c *cli) tenantApply() *cobra.Command {
	var file string
	var noCheck, moved bool
	cmd := &cobra.Command{
		Use: "apply -f FILE", Short: "Create or change a tenant", Args: noArgs,
		Long: `Check a tenant's file and store it. Everything that is wrong with it is said at
once. Secrets are read from the environment or the files that it names, and
sealed. Afterwards the names in it are looked up at Share A Refund; what cannot
be found, or is above the ceiling, is a warning. A job then puts right the roles
of everybody for whom the change makes a difference; "tenant what-if" shows who
that is before.

` + tenantExample,
		Example: `  ACME_SECRET=… scim-bridge tenant apply -f tenant.yaml
  generate-tenant | scim-bridge tenant apply -f -`,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			config, err := c.readTenant(file)
			if err != nil {
				return err
			}
			return c.withOffice(cmd.Context(), func(o *office) error {
				verb, err := applyTenant(cmd.Context(), o, config, actorCLI, moved)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.stdout, "tenant %s %s\n", config.Slug, verb)
				return o.withBridge(func(b *bridge.Bridge) error {
					if verb == "changed" {
						if err := c.recompute(cmd.Context(), o, b, config.Slug); err != nil {
							return err
						}
					}
					if noCheck {
						return nil
					}
					return c.checkTenant(cmd.Context(), b, config.Slug)
				})
			})
		}),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the tenant's `FILE`; - is standard input")
	cmd.Flags().BoolVar(&noCheck, "no-check", false, "do not look the names up at Share A Refund")
	cmd.Flags().BoolVar(&moved, "moved", false, "upstream.base_url is a new address of the same service, with the same accounts")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	c.configFlag(cmd)
	return cmd
}

// tenantFaults is err, the error of tenantconfig.Parse, with the name of the
// document in front of each fault.
func tenantFaults(file string, err error) error {
	file = documentName(file)
	faults, ok := errors.AsType[tenantconfig.Faults](err)
	if !ok {
		return fmt.Errorf("%s: %w", file, err)
	}
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = file + ": " + f.String()
	}
	return &faultsError{strings.Join(lines, "\n")}
}

// documentName is what faults call the document of -f.
func documentName(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

func (c *cli) readInput(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(c.stdin)
	}
	return os.ReadFile(file)
}

// actorCLI stands in the events of what the command line did.
const actorCLI = "cli"

// applyTenant stores a tenant with its event, and says what that did. moved
// says that another base URL leads to the same accounts.
func applyTenant(ctx context.Context, o *office, config *tenantconfig.Config, actor string, moved bool) (verb string, err error) {
	err = o.store.Update(ctx, func(tx store.Tx) error {
		verb, err = o.putTenant(ctx, tx, config, actor, moved)
		return err
	})
	return verb, tenantConflict(config, err)
}

// putTenant is applyTenant inside a transaction.
func (o *office) putTenant(ctx context.Context, tx store.Tx, config *tenantconfig.Config, actor string, moved bool) (verb string, err error) {
	next, err := config.ToStore(func(plain, aad []byte) ([]byte, error) { return o.seal.Seal(plain, aad), nil })
	if err != nil {
		return "", err
	}
	now := time.Now()
	next.CreatedAt, next.UpdatedAt = now, now
	old, err := tx.Tenant(ctx, config.Slug)
	switch {
	case errors.Is(err, store.ErrNotFound):
		verb = "created"
	case err != nil:
		return "", err
	case o.same(old, config):
		return "unchanged", nil
	case old.BaseURL != next.BaseURL && !moved:
		// SCIM ids stand for accounts by their number: at another service
		// they would stand for somebody else.
		people, err := tx.CountPersons(ctx, config.Slug)
		if err != nil {
			return "", err
		}
		if people > 0 {
			return "", fmt.Errorf("upstream.base_url changes from %s to %s, while %d people are linked to accounts there; add --moved if that is a new address of the same service, or else make a new tenant", old.BaseURL, next.BaseURL, people)
		}
		fallthrough
	default:
		verb = "changed"
		next.Version, next.CreatedAt = old.Version, old.CreatedAt
	}
	if err := tx.PutTenant(next); err != nil {
		return "", err
	}
	return verb, tx.AppendEvent(&store.Event{
		At: now, Tenant: next.Slug, Actor: actor, Action: "tenant.apply", ResourceType: "Tenant", ResourceID: next.Slug,
		Outcome: store.OutcomeOK, Detail: verb, Data: next.Spec,
	})
}

// tenantConflict says in the operator's words why a tenant cannot be stored.
func tenantConflict(config *tenantconfig.Config, err error) error {
	if conflict, ok := errors.AsType[*store.ConflictError](err); ok && conflict.Field == "organization" {
		return fmt.Errorf("organization %s of %s belongs to tenant %q already; an organization has one tenant: take it out of one of them", conflict.Value, config.Upstream.BaseURL, conflict.Owner)
	}
	return err
}

// recompute has the roles of a changed tenant's people follow.
func (c *cli) recompute(ctx context.Context, o *office, b *bridge.Bridge, slug string) error {
	people, err := o.store.CountPersons(ctx, slug)
	if err != nil || people == 0 {
		return err
	}
	j, err := b.Service.RecomputeRoles(ctx, slug)
	if err != nil {
		return fmt.Errorf("stored, but the roles of its people cannot follow: %w; `scim-bridge reconcile --tenant %s --fix` puts them right", err, slug)
	}
	_, err = fmt.Fprintf(c.stdout, "a running server puts the roles of its %d people right: scim-bridge jobs show %d --follow\n", people, j.ID)
	return err
}

// same reports whether a stored tenant is what config says, secrets included.
func (o *office) same(old *store.Tenant, config *tenantconfig.Config) bool {
	was, err := tenantconfig.FromStore(old, o.seal.Open)
	if err != nil || o.seal.Stale(old.Secrets) || was.Upstream.ClientSecret != config.Upstream.ClientSecret || was.Upstream.APIKey != config.Upstream.APIKey {
		return false
	}
	a, errA := json.Marshal(was)
	b, errB := json.Marshal(config)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// checkTimeout bounds how long a command looks names up.
const checkTimeout = 10 * time.Second

// checkTenant looks the configuration's names up at upstream. The tenant is
// stored whatever comes of it.
func (c *cli) checkTenant(ctx context.Context, b *bridge.Bridge, slug string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	warnings, err := b.Service.Warnings(ctx, slug)
	if wrong, ok := errors.AsType[*provision.ConfigError](err); ok {
		return fmt.Errorf("stored, but requests are 503 until this is corrected: %w", wrong)
	}
	if err != nil {
		fmt.Fprintf(c.stderr, "scim-bridge: warning: stored, but its names could not be looked up: %v\n", err)
	}
	c.warn(warnings)
	return nil
}

func (c *cli) tenantReseal() *cobra.Command {
	cmd := &cobra.Command{
		Use: "reseal", Short: "Seal every tenant's secrets with the current key", Args: noArgs,
		Long: `Seal the upstream secrets of all tenants anew with the key of secrets.key_file (or
key_env), so that a key in secrets.previous_key_files can be taken away. Those
that are sealed with it already stay as they are.`,
		Example: "  scim-bridge tenant reseal",
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), func(o *office) error {
				slugs, err := o.slugs(cmd.Context(), "")
				if err != nil {
					return err
				}
				n := 0
				for _, slug := range slugs {
					changed, err := o.reseal(cmd.Context(), slug)
					if err != nil {
						return err
					}
					if changed {
						n++
					}
				}
				_, err = fmt.Fprintf(c.stdout, "%d of %d tenants sealed anew\n", n, len(slugs))
				return err
			})
		}),
	}
	c.configFlag(cmd)
	return cmd
}

// reseal seals one tenant's secrets anew unless that is not needed.
func (o *office) reseal(ctx context.Context, slug string) (changed bool, err error) {
	err = o.store.Update(ctx, func(tx store.Tx) error {
		changed = false
		row, err := tx.Tenant(ctx, slug)
		if err != nil || !o.seal.Stale(row.Secrets) {
			return err
		}
		plain, err := o.seal.Open(row.Secrets, []byte(slug))
		if err != nil {
			return fmt.Errorf("tenant %q: %w", slug, err)
		}
		changed = true
		row.Secrets, row.UpdatedAt = o.seal.Seal(plain, []byte(slug)), time.Now()
		if err := tx.PutTenant(row); err != nil {
			return err
		}
		return tx.AppendEvent(&store.Event{
			At: row.UpdatedAt, Tenant: slug, Actor: actorCLI, Action: "tenant.reseal", ResourceType: "Tenant", ResourceID: slug,
			Outcome: store.OutcomeOK,
		})
	})
	return changed, err
}
