package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
)

func (c *cli) rebuildCommand() *cobra.Command {
	var tenant string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "rebuild", Short: "Derive a tenant's people from Share A Refund again", Args: noArgs,
		Long: `Read every account and invite of a tenant's organizations and give each person
the SCIM id that it had, after the database was lost or restored from an old
backup. It changes nothing at Share A Refund, and groups stay as the database has
them; where it has any, a running server puts the roles right afterwards. It may
be interrupted and started again; a running server carries an interrupted one on.`,
		Example: "  scim-bridge rebuild --tenant acme\n  scim-bridge rebuild --tenant acme --json | jq .restored",
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), func(o *office) error {
				row, err := o.tenant(cmd.Context(), tenant)
				if err != nil {
					return err
				}
				return o.withBridge(func(b *bridge.Bridge) error {
					p := c.progress("rebuild")
					report, err := b.Service.Rebuild(cmd.Context(), row.Slug, p.show)
					p.end()
					switch {
					case err != nil:
						return err
					case asJSON:
						return c.printIndented(report)
					}
					_, err = fmt.Fprintf(c.stdout, "people at Share A Refund: %d, managed: %d, managed again: %d\n",
						report.People, report.Managed, report.Restored)
					return err
				})
			})
		}),
	}
	c.tenantFlag(cmd, &tenant)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	c.configFlag(cmd)
	return cmd
}

func (c *cli) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Copy the database while it is in use", Args: oneArg("the FILE to write"),
		Long: `Write a consistent copy of the SQLite database to a new file, while servers go on
serving. To restore it, stop every server, put the file in the database's place
and start them again. Keep the secrets key apart from it: the copy holds the
tenants' upstream secrets sealed by that key. PostgreSQL has pg_dump.`,
		Example: "  scim-bridge backup /var/backups/scim-bridge-$(date +%F).db",
		RunE: does(func(cmd *cobra.Command, args []string) error {
			if _, err := os.Lstat(args[0]); !errors.Is(err, fs.ErrNotExist) {
				if err != nil {
					return err
				}
				return fmt.Errorf("%s: exists already; name a new file", args[0])
			}
			return c.withOffice(cmd.Context(), func(o *office) error {
				if err := o.store.Backup(cmd.Context(), args[0]); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.stdout, "backup written to %s\n", args[0])
				return err
			})
		}),
	}
	c.configFlag(cmd)
	return cmd
}
