package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/provision/lint"
)

// finder lists the findings of a tenant; none is an empty list.
type finder func(ctx context.Context, slug string) ([]lint.Report, error)

// withFindings is withOffice for commands that show findings too.
func (c *cli) withFindings(ctx context.Context, f func(o *office, find finder) error) error {
	return c.withOffice(ctx, func(o *office) error {
		return o.withBridge(func(b *bridge.Bridge) error {
			return f(o, func(ctx context.Context, slug string) ([]lint.Report, error) {
				found, err := b.Linter.Reports(ctx, slug)
				return append([]lint.Report{}, found...), err
			})
		})
	})
}

// counted is the number of findings as a table shows it: "-", "3", "3 (1 error)".
func counted(found []lint.Report) string {
	errors := 0
	for _, f := range found {
		if f.Severity == lint.Error {
			errors++
		}
	}
	switch {
	case len(found) == 0:
		return "-"
	case errors == 0:
		return fmt.Sprint(len(found))
	case errors == 1:
		return fmt.Sprintf("%d (1 error)", len(found))
	}
	return fmt.Sprintf("%d (%d errors)", len(found), errors)
}

// printTenant shows a tenant in the form of tenant.yaml, and its findings.
func (c *cli) printTenant(shown tenantShown, found []lint.Report) error {
	text, err := json.Marshal(shown)
	if err != nil {
		return err
	}
	document, err := yaml.JSONToYAML(text)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.Write(document)
	if len(found) == 0 {
		b.WriteString("\nno findings\n")
	}
	for i := range found {
		f := &found[i]
		fmt.Fprintf(&b, "\n%s: %s (%s)\n", f.Severity, f.Title, f.Code)
		if about := f.About(); about != "" {
			fmt.Fprintf(&b, "  %s\n", plain(about))
		}
		if seen := seenBy(f); seen != "" {
			fmt.Fprintf(&b, "  %s\n", plain(seen))
		}
		fmt.Fprintf(&b, "  Why: %s\n  Do:  %s\n", plain(f.Why), plain(f.Remedy))
	}
	_, err = fmt.Fprint(c.stdout, b.String())
	return err
}

// seenBy says in whose traffic a finding was seen, how often and when; "" when
// it was not traffic that showed it.
func seenBy(f *lint.Report) string {
	if f.Count == 0 {
		return ""
	}
	client := f.Client
	if client == "" {
		client = "a client"
	}
	times := fmt.Sprintf("%d times", f.Count)
	if f.Count == 1 {
		times = "once"
	}
	return fmt.Sprintf("sent by %s (%s) %s, last at %s", client, strings.Join(f.Credentials, ", "), times, stamp(f.LastSeen))
}
