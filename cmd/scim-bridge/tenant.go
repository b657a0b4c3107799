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

func (c *cli) tenantCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tenant", Short: "Manage tenants: apply, list, show, reseal, delete",
		Long: `A tenant is one customer's workspace: which Share A Refund organizations it
manages, with which credential, and by which policy. It is described by a file,
tenant.yaml, which "apply" checks and stores; its secrets are sealed. Servers
follow a change within five seconds.`,
		Example: `  scim-bridge tenant apply -f tenant.yaml
  scim-bridge tenant list
  scim-bridge tenant show acme`,
	}
	return group(cmd, c.tenantApply(), c.tenantList(), c.tenantShow(), c.tenantReseal(), c.tenantDelete())
}

const tenantExample = `  slug: acme
  name: Acme Freight
  upstream:
    base_url: https://api.example.com
    client_id: acme
    client_secret_env: ACME_SECRET    # or client_secret_file; or api_key_env, api_key_file
    rate: 20                          # calls a second, over all servers; 0 is no limit
    burst: 20
  organizations: [113, 114]           # the first is the default one
  domains: [example.com]              # e-mail domains whose owner was verified
  default_role: Viewer
  provisioning: invite                # or create
  send_mail: true
  identity_provider: okta             # what invites name: a name, prefix or id
  adopt: verified_domain              # or never
  reset_password: false`

func (c *cli) tenantApply() *cobra.Command {
	var file string
	var noCheck bool
	cmd := &cobra.Command{
		Use: "apply -f FILE", Short: "Create or change a tenant", Args: noArgs,
		Long: `Check a tenant's file and store it. Everything that is wrong with it is said at
once. Secrets are read from the environment or the files that it names, and
sealed. Afterwards the names in it are looked up at Share A Refund; what cannot
be found is a warning.

` + tenantExample,
		Example: `  ACME_SECRET=… scim-bridge tenant apply -f tenant.yaml
  generate-tenant | scim-bridge tenant apply -f -`,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usagef("missing flag: -f FILE")
			}
			data, err := c.readInput(file)
			if err != nil {
				return err
			}
			config, err := tenantconfig.Parse(data, c.env, os.ReadFile)
			if err != nil {
				return &faultsError{err.Error()}
			}
			return c.withOffice(cmd.Context(), func(o *office) error {
				verb, err := applyTenant(cmd.Context(), o, config, actorCLI)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.stdout, "tenant %s %s\n", config.Slug, verb)
				if noCheck {
					return nil
				}
				return c.checkTenant(cmd.Context(), o, config.Slug)
			})
		}),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the tenant's `FILE`; - is standard input")
	cmd.Flags().BoolVar(&noCheck, "no-check", false, "do not look the names up at Share A Refund")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	c.configFlag(cmd)
	return cmd
}

func (c *cli) readInput(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(c.stdin)
	}
	return os.ReadFile(file)
}

// actorCLI stands in the events of what the command line did.
const actorCLI = "cli"

// applyTenant stores a tenant with its event, and says what that did.
func applyTenant(ctx context.Context, o *office, config *tenantconfig.Config, actor string) (verb string, err error) {
	row, err := config.ToStore(func(plain, aad []byte) ([]byte, error) { return o.seal.Seal(plain, aad), nil })
	if err != nil {
		return "", err
	}
	now := time.Now()
	err = o.store.Update(ctx, func(tx store.Tx) error {
		next := *row
		next.CreatedAt, next.UpdatedAt = now, now
		old, err := tx.Tenant(ctx, config.Slug)
		switch {
		case errors.Is(err, store.ErrNotFound):
			verb = "created"
		case err != nil:
			return err
		case o.same(old, config):
			verb = "unchanged"
			return nil
		default:
			verb = "changed"
			next.Version, next.CreatedAt = old.Version, old.CreatedAt
		}
		if err := tx.PutTenant(&next); err != nil {
			return err
		}
		return tx.AppendEvent(&store.Event{
			At: now, Tenant: next.Slug, Actor: actor, Action: "tenant.apply", ResourceType: "Tenant", ResourceID: next.Slug,
			Outcome: store.OutcomeOK, Detail: verb, Data: next.Spec,
		})
	})
	if conflict, ok := errors.AsType[*store.ConflictError](err); ok && conflict.Field == "organization" {
		return "", fmt.Errorf("organization %s of %s belongs to tenant %q already; an organization has one tenant: take it out of one of them", conflict.Value, config.Upstream.BaseURL, conflict.Owner)
	}
	return verb, err
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
func (c *cli) checkTenant(ctx context.Context, o *office, slug string) error {
	return o.withBridge(func(b *bridge.Bridge) error {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		err := b.Service.CheckTenant(ctx, slug)
		if wrong, ok := errors.AsType[*provision.ConfigError](err); ok {
			return fmt.Errorf("stored, but requests are 503 until this is corrected: %w", wrong)
		}
		if err != nil {
			fmt.Fprintf(c.stderr, "scim-bridge: warning: stored, but its names could not be looked up: %v\n", err)
		}
		return nil
	})
}

func (c *cli) tenantList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List tenants", Args: noArgs,
		Long:    "List every tenant with its organizations and the state of its directory.",
		Example: "  scim-bridge tenant list\n  scim-bridge tenant list --json | jq -r .slug",
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), func(o *office) error {
				ctx := cmd.Context()
				all, err := o.store.Tenants(ctx)
				if err != nil {
					return err
				}
				t := c.table("SLUG", "NAME", "ORGANIZATIONS", "PEOPLE", "DIRECTORY")
				for _, row := range all {
					config, err := tenantconfig.FromStore(row, nil)
					if err != nil {
						return err
					}
					if asJSON {
						if err := c.printJSON(config); err != nil {
							return err
						}
						continue
					}
					people, directory, err := tenantState(ctx, o.store, row.Slug)
					if err != nil {
						return err
					}
					t.row(row.Slug, row.Name, joinInts(row.Organizations), fmt.Sprint(people), directory)
				}
				if asJSON {
					return nil
				}
				if len(all) == 0 {
					fmt.Fprintln(c.stderr, "no tenants yet: create one with `scim-bridge tenant apply -f tenant.yaml`")
					return nil
				}
				return t.flush()
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	c.configFlag(cmd)
	return cmd
}

// tenantState is how many people a tenant has and when upstream was last read.
func tenantState(ctx context.Context, s store.Store, slug string) (people int, directory string, err error) {
	if people, err = s.CountPersons(ctx, slug); err != nil {
		return 0, "", err
	}
	d, err := s.Directory(ctx, slug)
	if err != nil {
		return 0, "", err
	}
	if d.CompletedAt.IsZero() {
		return people, "never read", nil
	}
	return people, "read " + stamp(d.CompletedAt), nil
}

func (c *cli) tenantShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show SLUG", Short: "Show a tenant's configuration", Args: oneArg("the tenant's SLUG"),
		Long:    "Show a tenant's configuration as JSON, without its secrets, and when it was changed.",
		Example: "  scim-bridge tenant show acme",
		RunE: does(func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(o *office) error {
				row, err := o.tenant(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				config, err := tenantconfig.FromStore(row, nil)
				if err != nil {
					return err
				}
				people, directory, err := tenantState(cmd.Context(), o.store, row.Slug)
				if err != nil {
					return err
				}
				return c.printIndented(struct {
					*tenantconfig.Config
					Version   int64     `json:"version"`
					CreatedAt time.Time `json:"created_at"`
					UpdatedAt time.Time `json:"updated_at"`
					People    int       `json:"people"`
					Directory string    `json:"directory"`
				}{config, row.Version, row.CreatedAt, row.UpdatedAt, people, directory})
			})
		}),
	}
	c.configFlag(cmd)
	c.completeTenants(cmd)
	return cmd
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

func (c *cli) tenantDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete SLUG --yes", Short: "Delete a tenant", Args: oneArg("the tenant's SLUG"),
		Long: `Delete a tenant with its tokens and everything that the bridge knows of its
people: their SCIM ids too, so that an identity provider would have to be
connected anew. Nothing changes at Share A Refund, and the events stay.`,
		Example: "  scim-bridge tenant delete acme --yes",
		RunE: does(func(cmd *cobra.Command, args []string) error {
			if !yes {
				return usagef("deleting tenant %q cannot be undone; add --yes if that is meant", args[0])
			}
			return c.withOffice(cmd.Context(), func(o *office) error {
				if _, err := o.tenant(cmd.Context(), args[0]); err != nil {
					return err
				}
				err := o.store.Update(cmd.Context(), func(tx store.Tx) error {
					if err := tx.DeleteTenant(args[0]); err != nil {
						return err
					}
					return tx.AppendEvent(&store.Event{
						At: time.Now(), Tenant: args[0], Actor: actorCLI, Action: "tenant.delete", ResourceType: "Tenant",
						ResourceID: args[0], Outcome: store.OutcomeOK,
					})
				})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.stdout, "tenant %s deleted\n", args[0])
				return err
			})
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "it is meant")
	c.configFlag(cmd)
	c.completeTenants(cmd)
	return cmd
}

func joinInts(ids []int64) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = fmt.Sprint(id)
	}
	return strings.Join(parts, " ")
}
