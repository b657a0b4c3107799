package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/provision"
)

func (c *cli) personCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "person", Short: "Look at a person, or repair what the bridge knows: show, adopt, relink",
		Long: `Everything that the bridge knows of one person, with a fresh look at Share A
Refund. PERSON is a SCIM id, a user name, an e-mail address or the id of an
account.`,
		Example: `  scim-bridge person show ada@example.com --tenant acme
  scim-bridge person adopt ada@example.com --tenant acme
  scim-bridge person relink ada@example.com 4021 --tenant acme`,
	}
	return group(cmd, c.personShow(), c.personAdopt(), c.personRelink())
}

// person makes a command that reports on a person after doing something.
func (c *cli) person(use, short, long, example string, args cobra.PositionalArgs,
	do func(cmd *cobra.Command, b *bridge.Bridge, tenant string, args []string) (*provision.PersonReport, error)) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example, Args: args,
		RunE: does(func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(o *office) error {
				row, err := o.tenant(cmd.Context(), tenant)
				if err != nil {
					return err
				}
				return o.withBridge(func(b *bridge.Bridge) error {
					report, err := do(cmd, b, row.Slug, args)
					if err != nil {
						return err
					}
					return c.printIndented(report)
				})
			})
		}),
	}
	c.tenantFlag(cmd, &tenant)
	c.configFlag(cmd)
	return cmd
}

func (c *cli) personShow() *cobra.Command {
	return c.person("show PERSON", "Show a person",
		`Show a person as the bridge and Share A Refund know them. "desired" is what the
client said last, "upstream" what Share A Refund shows now. Nothing changes.`,
		"  scim-bridge person show ada@example.com",
		oneArg("PERSON, a SCIM id, user name, e-mail address or account id"),
		func(cmd *cobra.Command, b *bridge.Bridge, tenant string, args []string) (*provision.PersonReport, error) {
			return b.Service.ShowPerson(cmd.Context(), tenant, args[0])
		})
}

func (c *cli) personAdopt() *cobra.Command {
	return c.person("adopt PERSON", "Let the provisioning client manage an account that was there before",
		`Hand an account that was there before the bridge over to the tenant's
provisioning client, whatever the tenant's policy on adoption says. Nothing
changes at Share A Refund now; what the client sends from now on does.`,
		"  scim-bridge person adopt ada@example.com",
		oneArg("PERSON, a SCIM id, user name, e-mail address or account id"),
		func(cmd *cobra.Command, b *bridge.Bridge, tenant string, args []string) (*provision.PersonReport, error) {
			return b.Service.AdoptPerson(cmd.Context(), tenant, args[0], actorCLI)
		})
}

func (c *cli) personRelink() *cobra.Command {
	two := func(_ *cobra.Command, args []string) error {
		if len(args) != 2 {
			return usagef("want two arguments: PERSON and the id of the ACCOUNT")
		}
		if id, err := strconv.ParseInt(args[1], 10, 64); err != nil || id <= 0 {
			return usagef("ACCOUNT %q: want the number that Share A Refund shows", args[1])
		}
		return nil
	}
	return c.person("relink PERSON ACCOUNT", "Make a person stand for another account",
		`Make a person stand for another account of Share A Refund, after the old one was
replaced there. The person's SCIM id stays, so the identity provider notices
nothing. The account must belong to the tenant and to nobody else the bridge
knows. Nothing changes at Share A Refund now.`,
		"  scim-bridge person relink ada@example.com 4021", two,
		func(cmd *cobra.Command, b *bridge.Bridge, tenant string, args []string) (*provision.PersonReport, error) {
			id, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("account %q: %w", args[1], err)
			}
			return b.Service.RelinkPerson(cmd.Context(), tenant, args[0], id, actorCLI)
		})
}
