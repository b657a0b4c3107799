package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

func (c *cli) sandboxCommand() *cobra.Command {
	var addr, invites string
	var o sandbox.Options
	var verbose, exposed bool
	cmd := &cobra.Command{
		Use: "sandbox", Short: "Run a sandboxed Share A Refund", Args: noArgs,
		Long: `Run a complete Share A Refund API on this machine: accounts, memberships, roles
with weights, invites, paging, token expiry and the rate limit. It starts with
the organizations 113 Acme Freight, 114 Acme Retail and 200 Globex Parcel, the
roles Owner, Administrator, Manager, Analyst and Viewer, and the credentials
"acme" (113 and 114) and "globex" (200).

With --control a side door at /_sandbox/ shows the state and a ledger of every
effect, lets people accept invites, and injects faults. It has no
authentication: it is refused where other machines reach it, unless
--control-exposed says that this is meant.`,
		Example: `  scim-bridge sandbox --control
  scim-bridge sandbox --users 20000 --latency 50ms --rate 20 --invites deferred
  curl -s http://127.0.0.1:8090/_sandbox/ledger`,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			if err := checkInvites(invites); err != nil {
				return err
			}
			if o.Users < 0 || o.Rate < 0 || o.Latency < 0 {
				return usagef("--users, --rate and --latency must not be negative")
			}
			if o.Control && !isLoopback(addr) {
				if !exposed {
					return usagef("--addr %q: other machines can reach it, and --control has no authentication: whoever does can read and change everything; listen on a loopback address such as 127.0.0.1:8090, or add --control-exposed if that is meant", addr)
				}
				fmt.Fprintf(c.stderr, "scim-bridge: warning: whoever reaches %s can read and change everything by the side door\n", addr)
			}
			o.Invites = sandbox.InviteMode(invites)
			if verbose {
				o.Logger = slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
			}
			l, err := listen("--addr", addr)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "Share A Refund sandbox: http://%s (client %s, secret %s)\n", reachable(l.Addr()), sandboxClient, sandboxSecret)
			if o.Control {
				fmt.Fprintf(c.stdout, "side door:              http://%s/_sandbox/state\n", reachable(l.Addr()))
			}
			return sandbox.Serve(cmd.Context(), o, l)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&addr, "addr", "127.0.0.1:8090", "listen on this `HOST:PORT`; port 0 takes a free one")
	f.BoolVar(&o.Control, "control", false, "open the side door /_sandbox/")
	f.BoolVar(&exposed, "control-exposed", false, "open the side door on an address that other machines reach, too")
	f.StringVar(&o.DataFile, "data", "", "keep the state in this `FILE`")
	sandboxFlags(cmd, &o, &invites)
	f.BoolVar(&verbose, "verbose", false, "log every call to standard error")
	return cmd
}

// sandboxFlags adds the flags that the sandbox and the demo share.
func sandboxFlags(cmd *cobra.Command, o *sandbox.Options, invites *string) {
	f := cmd.Flags()
	f.IntVar(&o.Users, "users", 0, "start with this `NUMBER` of accounts besides the owners")
	f.StringVar(invites, "invites", string(sandbox.Immediate), "when an invited person becomes an account: immediate or deferred (on acceptance)")
	f.DurationVar(&o.Latency, "latency", 0, "delay every call by this `DURATION`, such as 50ms")
	f.Float64Var(&o.Rate, "rate", 0, "allow each credential this many calls a second; 0 is no limit")
	_ = cmd.RegisterFlagCompletionFunc("invites", cobra.FixedCompletions([]string{"immediate", "deferred"}, cobra.ShellCompDirectiveNoFileComp))
}

func checkInvites(mode string) error {
	if mode != string(sandbox.Immediate) && mode != string(sandbox.Deferred) {
		return usagef("--invites %q: use immediate or deferred", mode)
	}
	return nil
}

// listen opens a TCP port. setting names what the address was given by.
func listen(setting, addr string) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, usagef("%s %q: want HOST:PORT, such as 127.0.0.1:8080", setting, addr)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s %s: the port is in use; stop what listens there or choose another one", setting, addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s %s: this user may not listen on that port; choose one above 1023", setting, addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s %s: this machine does not have that address; use one of its own, or 0.0.0.0 for all", setting, addr)
	}
	return nil, fmt.Errorf("%s %s: %w", setting, addr, err)
}

// isLoopback reports whether only this machine can reach the address.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// The sandbox's credential for the organizations 113 and 114.
const (
	sandboxClient = "acme"
	sandboxSecret = "acme-secret"
)
