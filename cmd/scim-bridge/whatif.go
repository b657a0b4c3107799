package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/store"
)

// whatIfPage is how many changes are aligned with each other: those of a large
// tenant are printed while the others are still being found.
const whatIfPage = 200

func (c *cli) tenantWhatIf() *cobra.Command {
	var file string
	var asJSON, moved bool
	cmd := &cobra.Command{
		Use: "what-if -f FILE", Short: "Show who would change role or access if a file were applied", Args: noArgs,
		Long: `Check a tenant's file as apply does, look its names up at Share A Refund, and
show for everybody whom the identity provider manages what the file would
change: the role or access in each organization, from what to what, and the rule
and group because of which. Nothing is stored and nobody changes.

What a guard would hold is shown all the same. With --json every change is a line
{"change": …}, and the last line is {"report": …}.`,
		Example: `  scim-bridge tenant what-if -f new.yaml
  scim-bridge tenant what-if -f new.yaml --json | jq -r '.change.user_name // empty'`,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			config, err := c.readTenant(file)
			if err != nil {
				return err
			}
			return c.withOffice(cmd.Context(), func(o *office) error {
				if err := rehearse(cmd.Context(), o, config, moved); err != nil {
					return err
				}
				return o.withBridge(func(b *bridge.Bridge) error {
					w := &whatIf{c: c, asJSON: asJSON}
					report, err := b.Service.WhatIf(cmd.Context(), config, w.change)
					if wrong, ok := errors.AsType[*provision.ConfigError](err); ok {
						return &faultsError{documentName(file) + ": " + wrong.Detail}
					}
					if err != nil {
						return err
					}
					return w.end(report)
				})
			})
		}),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the tenant's `FILE`; - is standard input")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.Flags().BoolVar(&moved, "moved", false, "upstream.base_url is a new address of the same service, as for apply")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	c.configFlag(cmd)
	return cmd
}

// errRehearsed takes back what was only tried.
var errRehearsed = errors.New("rehearsed")

// rehearse reports whether apply would store the tenant, which it does not.
func rehearse(ctx context.Context, o *office, config *tenantconfig.Config, moved bool) error {
	err := o.store.Update(ctx, func(tx store.Tx) error {
		if _, err := o.putTenant(ctx, tx, config, actorCLI, moved); err != nil {
			return err
		}
		return errRehearsed
	})
	if errors.Is(err, errRehearsed) {
		return nil
	}
	return tenantConflict(config, err)
}

// whatIf prints what a file would change.
type whatIf struct {
	c      *cli
	asJSON bool
	page   *table
	rows   int
}

func (w *whatIf) change(ch provision.WhatIfChange) error {
	if w.asJSON {
		return w.c.printJSON(map[string]any{"change": ch})
	}
	if w.page == nil {
		w.page = w.c.table("PERSON", "ORGANIZATION", "FROM", "TO", "BECAUSE")
	}
	if ch.Problem != "" {
		w.page.row(ch.UserName, "-", "-", "-", "not possible any more: "+ch.Problem)
	} else {
		w.page.row(ch.UserName, fmt.Sprint(ch.OrganizationID), station(ch.From), station(ch.To), ch.To.Because)
	}
	if w.rows++; w.rows%whatIfPage > 0 {
		return nil
	}
	return w.page.flush()
}

func station(s provision.WhatIfState) string {
	if !s.Access {
		return "no access"
	}
	return s.Role
}

func (w *whatIf) end(r provision.WhatIfReport) error {
	w.c.warn(r.Warnings)
	if w.asJSON {
		return w.c.printJSON(map[string]any{"report": r})
	}
	if w.page != nil {
		if err := w.page.flush(); err != nil {
			return err
		}
	}
	if r.New {
		_, err := fmt.Fprintf(w.c.stdout, "tenant %s does not exist yet: nobody changes\n", r.Tenant)
		return err
	}
	read := "never read"
	if !r.DirectoryAt.IsZero() {
		read = "read " + stamp(r.DirectoryAt)
	}
	_, err := fmt.Fprintf(w.c.stdout, "%d of %d people change%s; directory %s\n", r.Changing, r.People, kinds(r), read)
	return err
}

// kinds counts the people by what changes of them.
func kinds(r provision.WhatIfReport) string {
	var parts []string
	for _, k := range []struct {
		what string
		n    int
	}{
		{"higher role", r.Raised}, {"lower role", r.Lowered}, {"access gained", r.Admitted}, {"access lost", r.ShutOut}, {"not possible", r.Problems},
	} {
		if k.n > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d", k.what, k.n))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// warn prints warnings on standard error.
func (c *cli) warn(warnings []string) {
	for _, text := range warnings {
		fmt.Fprintln(c.stderr, plain("scim-bridge: warning: "+text))
	}
}
