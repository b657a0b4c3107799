package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/provision"
)

func (c *cli) reconcileCommand() *cobra.Command {
	var tenant string
	var fix, asJSON bool
	cmd := &cobra.Command{
		Use: "reconcile", Short: "Compare Share A Refund with what the identity provider said", Args: noArgs,
		Long: `Read a tenant's people from Share A Refund and compare, for everybody whom the
identity provider manages, three things: what it said last (SAID), what the
bridge wrote last (WRITTEN) and what is there now (NOW). Compared are name,
e-mail address, country, access and role in every organization, and the invite.
Every difference has its reason.

With --fix what the identity provider said is restored. Guards hold what goes
beyond their limits and protected accounts stay as they are: who could not be
restored is listed. Who is gone at Share A Refund is invited again and keeps the
SCIM id.

It is a job: a running server carries it out, or else this command; an
interrupted one goes on where it stopped. The exit status is 1 when differences
are left, or when people were not compared because they were written less than a
minute before: what Share A Refund shows of them may be older.`,
		Example: `  scim-bridge reconcile --tenant acme
  scim-bridge reconcile --tenant acme --fix
  scim-bridge reconcile --json | jq '.list[] | select(.field == "role")'`,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), func(o *office) error {
				row, err := o.tenant(cmd.Context(), tenant)
				if err != nil {
					return err
				}
				return o.withBridge(func(b *bridge.Bridge) error {
					p := c.progress("reconcile")
					report, err := b.Service.Reconcile(cmd.Context(), row.Slug, fix, p.show)
					p.end()
					if err != nil {
						return err
					}
					return c.reconciled(report, asJSON)
				})
			})
		}),
	}
	c.tenantFlag(cmd, &tenant)
	cmd.Flags().BoolVar(&fix, "fix", false, "restore what the identity provider said")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	c.configFlag(cmd)
	return cmd
}

// reconciled prints a report; its error is that differences are left.
func (c *cli) reconciled(report provision.ReconcileReport, asJSON bool) error {
	show := c.printDifferences
	if asJSON {
		show = func(r provision.ReconcileReport) error { return c.printIndented(r) }
	}
	switch err := show(report); {
	case err != nil || report.Left+report.Recent == 0:
		return err
	case report.Left == 0:
		return fmt.Errorf("people not compared, because they were written less than a minute before: %d; run it again", report.Recent)
	}
	if report.Fix {
		return fmt.Errorf("differences left: %d; the table says why", report.Left)
	}
	return fmt.Errorf("differences left: %d; `scim-bridge reconcile --tenant %s --fix` restores what the identity provider said", report.Left, report.Tenant)
}

func (c *cli) printDifferences(report provision.ReconcileReport) error {
	if len(report.List) > 0 {
		t := c.table("PERSON", "FIELD", "SAID", "WRITTEN", "NOW", "REASON")
		for _, d := range report.List {
			field := d.Field
			if d.OrganizationID != 0 {
				field += fmt.Sprintf(" in %d", d.OrganizationID)
			}
			said := cmp.Or(d.Said, "-")
			if d.Because != "" {
				said += " (" + d.Because + ")"
			}
			reason := d.Reason
			switch {
			case d.Restored:
				reason = "restored: it was " + reason
			case d.Failure != "":
				reason += "; not restored: " + d.Failure
			}
			t.row(d.UserName, field, said, cmp.Or(d.Written, "-"), cmp.Or(d.Seen, "-"), reason)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if report.Omitted > 0 {
		fmt.Fprintf(c.stdout, "… and %d more\n", report.Omitted)
	}
	if report.Recent > 0 {
		fmt.Fprintf(c.stdout, "people not compared, because they were written less than a minute before: %d\n", report.Recent)
	}
	_, err := fmt.Fprintf(c.stdout, "people compared: %d, differing: %d, differences: %d, restored: %d, left: %d\n",
		report.People, report.Differing, report.Found, report.Restored, report.Left)
	return err
}
