package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/provision"
)

const (
	// longestRelease is how long a guard can be lifted at once.
	longestRelease = 7 * 24 * time.Hour
	// heldShown is how many of those that a guard holds a table names.
	heldShown = 5
)

func (c *cli) tenantGuard() *cobra.Command {
	cmd := &cobra.Command{
		Use: "guard", Short: "Look at a tenant's limits, or lift them: show, release",
		Long: `A guard limits what an identity provider can do in a short time: deactivations
(and removals of people), role_losses (people who lose a role because groups or
rules changed), invites (once the initial load is over) and addresses (people who
get another user name or e-mail address). What goes beyond is held: it is
answered 429 and was not done, and the identity provider sends it again. The
limits stand under "guards" in tenant.yaml.`,
		Example: `  scim-bridge tenant guard show --tenant acme
  scim-bridge tenant guard release deactivations --tenant acme --for 2h`,
	}
	return group(cmd, c.guardShow(), c.guardRelease())
}

func (c *cli) guardShow() *cobra.Command {
	var tenant string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show", Short: "Show how far a tenant's guards are used up", Args: noArgs,
		Long: `Show every guard of a tenant: how many may pass in its window, how many did, and
who is held.`,
		Example: "  scim-bridge tenant guard show --tenant acme",
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			return c.withGuards(cmd.Context(), tenant, func(b *bridge.Bridge, slug string) error {
				all, err := b.Service.ShowGuards(cmd.Context(), slug)
				if err != nil {
					return err
				}
				if asJSON {
					return c.printIndented(all)
				}
				return c.printGuards(slug, all)
			})
		}),
	}
	c.tenantFlag(cmd, &tenant)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print them as JSON, with all who are held")
	c.configFlag(cmd)
	return cmd
}

func (c *cli) withGuards(ctx context.Context, tenant string, f func(b *bridge.Bridge, slug string) error) error {
	return c.withOffice(ctx, func(o *office) error {
		row, err := o.tenant(ctx, tenant)
		if err != nil {
			return err
		}
		return o.withBridge(func(b *bridge.Bridge) error { return f(b, row.Slug) })
	})
}

func (c *cli) printGuards(slug string, all []provision.GuardReport) error {
	t := c.table("GUARD", "LIMIT", "WINDOW", "USED", "HELD", "STATE")
	held := false
	for _, g := range all {
		limit, window := "-", g.Window
		switch {
		case g.Off:
			window = "-"
		case g.Active > 0 && g.Limit == g.Active*g.Percent/100:
			limit = fmt.Sprintf("%d (%d %% of %d active people)", g.Limit, g.Percent, g.Active)
		default:
			limit = fmt.Sprint(g.Limit)
		}
		t.row(g.Guard, limit, window, fmt.Sprint(g.Used), fmt.Sprint(g.Held), guardState(g))
		held = held || g.Held > 0
	}
	if err := t.flush(); err != nil || !held {
		return err
	}
	for _, g := range all {
		if g.Held == 0 {
			continue
		}
		names := g.Subjects[:min(heldShown, len(g.Subjects))]
		more := ""
		if n := g.Held - len(names); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		fmt.Fprintln(c.stdout, plain(fmt.Sprintf("%s holds %s%s; to let them pass: scim-bridge tenant guard release --tenant %s %s",
			g.Guard, strings.Join(names, ", "), more, slug, g.Guard)))
	}
	return nil
}

func guardState(g provision.GuardReport) string {
	switch {
	case g.Off:
		return "off"
	case !g.OpenUntil.IsZero():
		return "open until " + stamp(g.OpenUntil)
	case g.Loading && !g.LoadedAt.IsZero():
		return "not limited until " + stamp(g.LoadedAt) + ": initial load"
	case g.Loading:
		return "not limited until 24 hours after the first person is created"
	}
	return "limits"
}

func (c *cli) guardRelease() *cobra.Command {
	var tenant string
	var all bool
	var d time.Duration
	cmd := &cobra.Command{
		Use: "release GUARD | --all", Short: "Lift a guard's limit for a time",
		Long: `Lift the limit of one of a tenant's guards, or of all, for a time. What was held
passes when the identity provider sends it again. --for 0 puts the limit back.
The release leaves an event.`,
		Example: `  scim-bridge tenant guard release deactivations --tenant acme --for 2h
  scim-bridge tenant guard release --all --tenant acme --for 0`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 0:
				return usagef("give a GUARD or --all, not both")
			case all:
				return nil
			case len(args) == 0:
				return usagef("missing argument: GUARD, one of %s, or --all", strings.Join(provision.Guards, ", "))
			case len(args) > 1:
				return usagef("unexpected argument %q", args[1])
			}
			if slices.Contains(provision.Guards, args[0]) {
				return nil
			}
			return usagef("unknown guard %q (have %s)", args[0], strings.Join(provision.Guards, ", "))
		},
		RunE: does(func(cmd *cobra.Command, args []string) error {
			if d < 0 || d > longestRelease {
				return usagef("--for %s: want 0 to %s", d, longestRelease)
			}
			if all {
				args = provision.Guards
			}
			return c.withGuards(cmd.Context(), tenant, func(b *bridge.Bridge, slug string) error {
				for _, g := range args {
					if err := b.Service.ReleaseGuard(cmd.Context(), slug, g, d, actorCLI); err != nil {
						return err
					}
					what := "limits again"
					if d > 0 {
						what = fmt.Sprintf("is open for %s: what was held passes when it is sent again", d)
					}
					fmt.Fprintf(c.stdout, "guard %s of tenant %s %s\n", g, slug, what)
				}
				return nil
			})
		}),
	}
	c.tenantFlag(cmd, &tenant)
	cmd.Flags().BoolVar(&all, "all", false, "every guard")
	cmd.Flags().DurationVar(&d, "for", time.Hour, "how long; 0 puts the limit back")
	c.configFlag(cmd)
	cmd.ValidArgsFunction = cobra.FixedCompletions(provision.Guards, cobra.ShellCompDirectiveNoFileComp)
	return cmd
}
