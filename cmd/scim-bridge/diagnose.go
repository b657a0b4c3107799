package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/settings"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// examination is one run of the doctor command.
type examination struct {
	c                     *cli
	tenant                string
	only, skip            []string
	asJSON, quiet, strict bool
	timeout               time.Duration
	// simulate is an identity provider, everyClient, or "".
	simulate string
}

func (c *cli) doctorCommand() *cobra.Command {
	e := &examination{c: c}
	cmd := &cobra.Command{
		Use: "doctor", Short: "Find out what is wrong with a deployment, and what to do", Args: noArgs,
		Long: `Look at the configuration, the database, the keys, the cache, the clocks, the
public address, upstream, and every tenant: its credential, the names in its
configuration, directory, jobs, guards and tokens. Each finding says what to do.

  ok       as it should be
  notice   worth knowing
  warning  works, but slower, less safe, or about to break
  error    requests are refused, or will be

The checks are ` + strings.Join(doctor.Names()[:7], ", ") + `,
` + strings.Join(doctor.Names()[7:], ", ") + `.

It changes nothing. It commits a time stamp to the database, in a row that is
there for this, and one key to Redis, which expires after a minute. To the public
address it sends some requests without a valid token.

With --simulate it plays an identity provider besides, against a bridge with this
configuration over a sandbox, both in this process, in a throw-away tenant with a
temporary database: your database is asked for a commit, and gets nothing of it,
Redis is left out, and no request leaves this machine.

The exit status is 0 without an error, 1 with one (with --strict: or a warning),
and 2 when the configuration cannot be used.`,
		Example: `  scim-bridge doctor
  scim-bridge doctor --tenant acme --quiet
  scim-bridge doctor --only public-url,clock
  scim-bridge doctor --simulate all
  scim-bridge doctor --json | jq '.findings[] | select(.level == "error")'`,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			for _, name := range slices.Concat(e.only, e.skip) {
				if !slices.Contains(doctor.Names(), name) {
					return usagef("unknown check %q: use %s", name, strings.Join(doctor.Names(), ", "))
				}
			}
			if !slices.ContainsFunc(doctor.Names(), e.wants) {
				return usagef("--only and --skip leave no check: leave one of them out")
			}
			if e.timeout <= 0 || e.timeout > 10*time.Minute {
				return usagef("--timeout %s: want 1s to 10m", e.timeout)
			}
			clients, err := e.clients()
			switch {
			case err != nil:
				return err
			case clients == nil && slices.Contains(e.only, doctor.Simulation):
				return usagef("--only %s: say which client by --simulate", doctor.Simulation)
			}
			return e.run(cmd.Context(), clients)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&e.tenant, "tenant", "", "look at no other tenant than this `SLUG`")
	f.StringSliceVar(&e.only, "only", nil, "make these `CHECKS` alone, separated by commas")
	f.StringSliceVar(&e.skip, "skip", nil, "leave these `CHECKS` out")
	f.DurationVar(&e.timeout, "timeout", 15*time.Second, "how long each check may take")
	f.BoolVar(&e.quiet, "quiet", false, "show warnings and errors alone")
	f.BoolVar(&e.strict, "strict", false, "end with status 1 for a warning, too")
	f.BoolVar(&e.asJSON, "json", false, "print the report as JSON")
	f.StringVar(&e.simulate, "simulate", "", "play this `CLIENT` in a throw-away tenant: "+strings.Join(idp.Names(), ", ")+" or "+everyClient)
	_ = cmd.RegisterFlagCompletionFunc("simulate", cobra.FixedCompletions(append(idp.Names(), everyClient), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("tenant", c.completeSlug)
	for _, name := range []string{"only", "skip"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(doctor.Names(), cobra.ShellCompDirectiveNoFileComp))
	}
	c.configFlag(cmd)
	return cmd
}

// wants says that a check was asked for.
func (e *examination) wants(name string) bool {
	return (len(e.only) == 0 || slices.Contains(e.only, name)) && !slices.Contains(e.skip, name)
}

// wantsAny is wants of one of them.
func (e *examination) wantsAny(names ...string) bool { return slices.ContainsFunc(names, e.wants) }

func (e *examination) run(ctx context.Context, clients []string) error {
	file := e.c.config
	if file == "" {
		file, _ = e.c.env("SCIM_BRIDGE_CONFIG")
	}
	s, err := settings.Load(file, e.c.env)
	checks := []doctor.Check{doctor.CheckConfiguration(doctor.ConfigurationOptions{File: file, Settings: s, Err: err})}
	if err != nil {
		// Nothing else can be looked at, so this is shown whatever was asked for.
		report := doctor.NewReport(doctor.Run(ctx, checks, doctor.RunOptions{Timeout: e.timeout}))
		return errors.Join(e.print(report), &faultsError{"scim-bridge: " + cmp.Or(file, "the environment") + ": the configuration cannot be used; nothing else was looked at"})
	}
	// What goes wrong is a finding: nothing is to be logged beside it.
	quiet := slog.New(slog.DiscardHandler)
	cache.RouteClientLog(quiet)
	x, err := e.open(ctx, s, quiet)
	if err != nil {
		return err
	}
	found := doctor.Run(ctx, slices.DeleteFunc(append(checks, x.checks()...), func(c doctor.Check) bool { return !e.wants(c.Name) }),
		doctor.RunOptions{Timeout: e.timeout})
	if len(clients) > 0 && e.wants(doctor.Simulation) {
		found = append(found, x.simulations(ctx, clients)...)
	}
	if err := errors.Join(x.close(), ctx.Err()); err != nil {
		return err
	}
	report := doctor.NewReport(found)
	return cmp.Or(e.print(report), e.verdict(report))
}

func (e *examination) print(r doctor.Report) error {
	if e.quiet {
		r = r.Quiet()
	}
	if e.asJSON {
		return r.WriteJSON(e.c.stdout)
	}
	return r.WriteText(e.c.stdout, plain)
}

// verdict is the error that makes the exit status.
func (e *examination) verdict(r doctor.Report) error {
	switch {
	case r.Status == doctor.Error:
		return fmt.Errorf("errors found: %d; warnings: %d", r.Counts[doctor.Error], r.Counts[doctor.Warning])
	case r.Status == doctor.Warning && e.strict:
		return fmt.Errorf("warnings found: %d", r.Counts[doctor.Warning])
	}
	return nil
}
