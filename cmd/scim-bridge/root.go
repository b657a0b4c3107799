package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "scim-bridge",
		Short: "Provision Share A Refund from an identity provider over SCIM 2.0",
		Long: `scim-bridge takes people from an identity provider (Okta, Microsoft Entra ID or
any SCIM 2.0 client) and turns them into Share A Refund accounts, memberships,
roles and invites.

Try it:    scim-bridge demo
Run it:    scim-bridge serve --config server.yaml
Connect:   scim-bridge tenant apply -f tenant.yaml
           scim-bridge token create --tenant acme --client okta
Look:      scim-bridge events --follow`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%s", err) })
	root.PersistentFlags().SortFlags = false
	group(root,
		c.demoCommand(), c.serveCommand(), c.sandboxCommand(), c.simulateCommand(), c.doctorCommand(),
		c.tenantCommand(), c.tokenCommand(), c.personCommand(),
		c.eventsCommand(), c.jobsCommand(), c.reconcileCommand(), c.rebuildCommand(), c.backupCommand(), c.versionCommand())
	return root
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show what runs", Args: noArgs,
		Long:    "Show the version of this program, of Go and of the platform.",
		Example: `  scim-bridge version`,
		RunE: does(func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(c.stdout, "scim-bridge %s (%s)\n", version(), platform())
			return err
		}),
	}
}

// configFlag adds --config to a command that works on a server's store.
func (c *cli) configFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.config, "config", "", "the server's configuration `FILE` (default $SCIM_BRIDGE_CONFIG)")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // the flag exists
}
