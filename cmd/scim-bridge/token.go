package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/provision/credentials"
	"github.com/sharearefund/scim-bridge/store"
)

func (c *cli) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "token", Short: "Manage tokens of provisioning clients: create, list, revoke",
		Long: `A token is what an identity provider authenticates with. It belongs to one
tenant. Several may live at once, so that one can be replaced without a gap:
create the new one, give it to the identity provider, revoke the old one.`,
		Example: `  scim-bridge token create --tenant acme --client okta --expires 365d
  scim-bridge token list --tenant acme
  scim-bridge token revoke tok_0a1B2c3D4e5`,
	}
	return group(cmd, c.tokenCreate(), c.tokenList(), c.tokenRevoke())
}

func (c *cli) tokenCreate() *cobra.Command {
	var tenant, name, client, expires string
	cmd := &cobra.Command{
		Use: "create --tenant SLUG", Short: "Create a token", Args: noArgs,
		Long: `Create a token and print it, alone, on standard output. It is shown this once;
the bridge keeps its hash.

--client says which client uses it, and so which departures from the SCIM
standard are tolerated: auto (recognised from the requests), rfc (none), entra,
okta, onelogin, jumpcloud or ping.`,
		Example: `  scim-bridge token create --tenant acme --client entra --name "Entra production"
  scim-bridge token create --tenant acme --expires 2027-06-30 > token.txt`,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			until, err := parseExpiry(expires, time.Now())
			if err != nil {
				return err
			}
			if err := credentials.CheckClient(client); err != nil {
				return usagef("--client: %s", err)
			}
			return c.withOffice(cmd.Context(), func(o *office) error {
				row, err := o.tenant(cmd.Context(), tenant)
				if err != nil {
					return err
				}
				secret, cred, err := o.credentials.Create(cmd.Context(), credentials.Request{
					Tenant: row.Slug, Name: name, Client: client, Expires: until, Actor: actorCLI,
				})
				if err != nil {
					return err
				}
				end := "does not expire"
				if !until.IsZero() {
					end = "expires " + stamp(until)
				}
				fmt.Fprintf(c.stderr, "token %s of tenant %s, client %s, %s; it is not shown again:\n", cred.ID, cred.Tenant, cred.Client, end)
				_, err = fmt.Fprintln(c.stdout, string(secret))
				return err
			})
		}),
	}
	f := cmd.Flags()
	c.tenantFlag(cmd, &tenant)
	f.StringVar(&name, "name", "", "a `NAME` to recognise it by")
	f.StringVar(&client, "client", credentials.Auto, "the `CLIENT` that uses it")
	f.StringVar(&expires, "expires", "never", "when it ends: never, a `TIME` such as 2027-06-30, or a span such as 90d or 12h")
	_ = cmd.RegisterFlagCompletionFunc("client", cobra.FixedCompletions([]string{"auto", "rfc", "entra", "okta", "onelogin", "jumpcloud", "ping"}, cobra.ShellCompDirectiveNoFileComp))
	c.configFlag(cmd)
	return cmd
}

// parseExpiry reads --expires; the zero time is never.
func parseExpiry(s string, now time.Time) (time.Time, error) {
	if s == "never" || s == "" {
		return time.Time{}, nil
	}
	var t time.Time
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err == nil && n > 0 && n <= 36500 {
			t = now.AddDate(0, 0, n)
		}
	} else if span, err := time.ParseDuration(s); err == nil && span > 0 {
		t = now.Add(span)
	} else if at, err := time.Parse(time.RFC3339, s); err == nil {
		t = at
	} else if at, err := time.Parse(time.DateOnly, s); err == nil {
		t = at
	}
	switch {
	case t.IsZero():
		return t, usagef("--expires %q: want never, a date such as 2027-06-30, a time such as 2027-06-30T12:00:00Z, or a span such as 90d or 12h", s)
	case !t.After(now):
		return t, usagef("--expires %q: that is in the past", s)
	}
	return t, nil
}

func (c *cli) tokenList() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use: "list [--tenant SLUG]", Short: "List tokens", Args: noArgs,
		Long:    "List the tokens of a tenant, or of all, revoked and expired ones included.\nThe hint is how a token begins.",
		Example: "  scim-bridge token list --tenant acme",
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), func(o *office) error {
				slugs, err := o.slugs(cmd.Context(), tenant)
				if err != nil {
					return err
				}
				t := c.table("ID", "TENANT", "NAME", "CLIENT", "HINT", "STATE", "EXPIRES", "LAST USED")
				n := 0
				for _, slug := range slugs {
					all, err := o.credentials.List(cmd.Context(), slug)
					if err != nil {
						return err
					}
					for _, cred := range all {
						client := cred.Client
						if cred.Evidence != "" {
							client += " (" + cred.Evidence + ")"
						}
						t.row(cred.ID, cred.Tenant, cred.Name, client, cred.Hint, tokenState(cred, time.Now()), stamp(cred.ExpiresAt), stamp(cred.LastUsedAt))
						n++
					}
				}
				if n == 0 {
					fmt.Fprintln(c.stderr, "no tokens yet: create one with `scim-bridge token create --tenant SLUG`")
					return nil
				}
				return t.flush()
			})
		}),
	}
	c.tenantFlag(cmd, &tenant)
	c.configFlag(cmd)
	return cmd
}

func tokenState(c *store.Credential, now time.Time) string {
	switch {
	case !c.RevokedAt.IsZero():
		return "revoked"
	case !c.ExpiresAt.IsZero() && !c.ExpiresAt.After(now):
		return "expired"
	}
	return "live"
}

func (c *cli) tokenRevoke() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "Revoke a token", Args: oneArg("the token's ID, from `scim-bridge token list`"),
		Long:    "Revoke a token, by its id, not the token itself. Every server refuses it within\nfive seconds.",
		Example: "  scim-bridge token revoke tok_0a1B2c3D4e5",
		RunE: does(func(cmd *cobra.Command, args []string) error {
			if strings.HasPrefix(args[0], credentials.Prefix) {
				return usagef("that is a token, not the id of one; see `scim-bridge token list` (and revoke it: it is in your shell's history now)")
			}
			return c.withOffice(cmd.Context(), func(o *office) error {
				slugs, err := o.slugs(cmd.Context(), tenant)
				if err != nil {
					return err
				}
				for _, slug := range slugs {
					err := o.credentials.Revoke(cmd.Context(), slug, args[0], actorCLI)
					if errors.Is(err, store.ErrNotFound) {
						continue
					}
					if err == nil {
						_, err = fmt.Fprintf(c.stdout, "token %s of tenant %s revoked\n", args[0], slug)
					}
					return err
				}
				return fmt.Errorf("token %q does not exist; see `scim-bridge token list`", args[0])
			})
		}),
	}
	c.tenantFlag(cmd, &tenant)
	c.configFlag(cmd)
	return cmd
}
