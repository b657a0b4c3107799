package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/provision/lint"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/store"
)

func (c *cli) tenantCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tenant", Short: "Manage tenants: apply, what-if, list, show, guard, reseal, delete",
		Long: `A tenant is one customer's workspace: which Share A Refund organizations it
manages, with which credential, and by which policy. It is described by a file,
tenant.yaml, which "apply" checks and stores; its secrets are sealed. Servers
follow a change within five seconds.`,
		Example: `  scim-bridge tenant apply -f tenant.yaml
  scim-bridge tenant what-if -f new.yaml
  scim-bridge tenant list
  scim-bridge tenant show acme
  scim-bridge tenant guard show --tenant acme`,
	}
	return group(cmd, c.tenantApply(), c.tenantWhatIf(), c.tenantList(), c.tenantShow(), c.tenantGuard(), c.tenantReseal(), c.tenantDelete())
}

func (c *cli) tenantList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List tenants", Args: noArgs,
		Long:    "List every tenant with its organizations, how many findings it has (see tenant\nshow) and the state of its directory.",
		Example: "  scim-bridge tenant list\n  scim-bridge tenant list --json | jq -r .slug",
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			return c.withFindings(cmd.Context(), func(o *office, find finder) error {
				ctx := cmd.Context()
				all, err := o.store.Tenants(ctx)
				if err != nil {
					return err
				}
				t := c.table("SLUG", "NAME", "ORGANIZATIONS", "PEOPLE", "FINDINGS", "DIRECTORY")
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
					found, err := find(ctx, row.Slug)
					if err != nil {
						return err
					}
					t.row(row.Slug, row.Name, joinInts(row.Organizations), fmt.Sprint(people), counted(found), directory)
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
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show SLUG", Short: "Show a tenant's configuration and what is to be corrected", Args: oneArg("the tenant's SLUG"),
		Long: `Show a tenant's configuration without its secrets, when it was changed, and the
findings: what an administrator should correct, in the identity provider, in
tenant.yaml or by a command, with the place to click. They come from what the
identity provider really sends and from what is stored, hold no names or
addresses, and go when their reason does.`,
		Example: "  scim-bridge tenant show acme\n  scim-bridge tenant show acme --json | jq '.findings[].code'",
		RunE: does(func(cmd *cobra.Command, args []string) error {
			return c.withFindings(cmd.Context(), func(o *office, find finder) error {
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
				found, err := find(cmd.Context(), row.Slug)
				if err != nil {
					return err
				}
				shown := tenantShown{config, row.Version, row.CreatedAt, row.UpdatedAt, people, directory}
				if asJSON {
					return c.printIndented(struct {
						tenantShown
						Findings []lint.Report `json:"findings"`
					}{shown, found})
				}
				return c.printTenant(shown, found)
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	c.configFlag(cmd)
	c.completeTenants(cmd)
	return cmd
}

// tenantShown is what is shown of a tenant beside its findings.
type tenantShown struct {
	*tenantconfig.Config
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	People    int       `json:"people"`
	Directory string    `json:"directory"`
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
