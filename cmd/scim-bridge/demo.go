package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/play"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
	"github.com/sharearefund/scim-bridge/provision/credentials"
	"github.com/sharearefund/scim-bridge/provision/requestlog"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/seal"
	"github.com/sharearefund/scim-bridge/store/sqlstore"
	"github.com/sharearefund/scim-bridge/upstream"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

const (
	demoTenant = "acme"
	// demoToken is used where only this machine can use it.
	demoToken = "demo-token"
	// demoRequests is how many requests the demo's log keeps.
	demoRequests = 100_000
)

// demo is one run of the demo command.
type demo struct {
	c                 *cli
	addr, sandboxAddr string
	token             string
	data, play        string
	invites           string
	verbose           bool
	sandbox           sandbox.Options
}

func (c *cli) demoCommand() *cobra.Command {
	d := &demo{c: c}
	choices := append(idp.Names(), "none")
	cmd := &cobra.Command{
		Use: "demo", Short: "Try the bridge on this machine, with nothing to install", Args: noArgs,
		Long: `Start a sandboxed Share A Refund, and a bridge in front of it with one tenant and
one token; play a short onboarding of ten people and three groups as an identity
provider sends it, showing every request, what arrived upstream, and the roles
that people hold there as a result; then go on serving until Ctrl-C. Nothing is
left behind unless --data says where.

The tenant maps the groups Administrators, Managers and Analysts to the roles
Administrator, Manager and Analyst.`,
		Example: `  scim-bridge demo
  scim-bridge demo --play entra --invites deferred
  scim-bridge demo --play none --users 20000 --latency 50ms --rate 20
  scim-bridge demo --data ./demo`,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(choices, d.play) {
				return usagef("--play %q: use %s", d.play, strings.Join(choices, ", "))
			}
			return d.run(cmd.Context())
		}),
	}
	f := cmd.Flags()
	f.StringVar(&d.addr, "addr", "127.0.0.1:8080", "serve SCIM on this `HOST:PORT`; port 0 takes a free one")
	f.StringVar(&d.sandboxAddr, "sandbox-addr", "127.0.0.1:8090", "serve the sandbox on this loopback `HOST:PORT`")
	f.StringVar(&d.token, "token", "", "the bearer `TOKEN`; it may be short on a loopback address (default \""+demoToken+"\" there)")
	f.StringVar(&d.data, "data", "", "keep the data in this `DIRECTORY` (default: a temporary one, removed at the end)")
	f.StringVar(&d.play, "play", "okta", "play an onboarding as this `PROVIDER` sends it: okta, entra, onelogin, jumpcloud or none")
	sandboxFlags(cmd, &d.sandbox, &d.invites)
	f.BoolVar(&d.verbose, "verbose", false, "log every request to standard error")
	_ = cmd.MarkFlagDirname("data")
	_ = cmd.RegisterFlagCompletionFunc("play", cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// check refuses what would put people at risk: a token that can be guessed, or
// a sandbox that anybody can rearrange, where other machines reach it.
func (d *demo) check() error {
	if err := checkInvites(d.invites); err != nil {
		return err
	}
	if d.sandbox.Users < 0 || d.sandbox.Rate < 0 || d.sandbox.Latency < 0 {
		return usagef("--users, --rate and --latency must not be negative")
	}
	if !isLoopback(d.sandboxAddr) {
		return usagef("--sandbox-addr %q: the demo's sandbox has no authentication; listen on a loopback address such as 127.0.0.1:8090", d.sandboxAddr)
	}
	switch {
	case isLoopback(d.addr):
		if d.token == "" {
			d.token = demoToken
		}
	case d.token != "" && credentials.CheckToken(d.token) != nil:
		return usagef("--addr %q: other machines can reach it, and --token is short enough to guess; leave --token out to have one made, or listen on a loopback address such as 127.0.0.1:8080", d.addr)
	}
	return nil
}

// run serves until ctx is done, and takes down what it put up in reverse order.
func (d *demo) run(ctx context.Context) (err error) {
	if err := d.check(); err != nil {
		return err
	}
	dir, remove, err := d.directory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()

	// Both ports first: a port in use is found before anything is made.
	scimListener, err := listen("--addr", d.addr)
	if err != nil {
		return err
	}
	defer scimListener.Close()
	sandboxListener, err := listen("--sandbox-addr", d.sandboxAddr)
	if err != nil {
		return err
	}
	stopSandbox, err := d.startSandbox(ctx, sandboxListener, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopSandbox()) }()

	st, err := sqlstore.Open(ctx, sqlstore.Options{URL: "sqlite:" + filepath.Join(dir, "bridge.db"), Logger: d.logger()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	key, err := demoKey(filepath.Join(dir, "secrets.key"))
	if err != nil {
		return err
	}
	sealing, err := seal.New(key)
	if err != nil {
		return err
	}
	names, err := requestlog.NewPseudonyms(key)
	if err != nil {
		return err
	}
	base := "http://" + reachable(scimListener.Addr())
	b, err := bridge.New(bridge.Options{
		Store: st, StoreKind: "sqlite", OpenSecret: sealing.Open, PublicURL: base, Version: version(),
		AllowShortTokens: isLoopback(d.addr), Logger: d.logger(),
		RequestLog: &bridge.RequestLogOptions{Pseudonyms: names, MaxRows: demoRequests},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()

	sandboxURL := "http://" + sandboxListener.Addr().String()
	token, err := d.setUp(ctx, &office{store: st, seal: sealing}, b, sandboxURL)
	if err != nil {
		return err
	}
	if d.sandbox.Users >= 1000 {
		fmt.Fprintf(d.c.stdout, "Reading the sandbox's %d people …\n", d.sandbox.Users)
	}
	if _, err := b.Service.ScanNow(ctx, demoTenant); err != nil {
		return fmt.Errorf("reading the sandbox's people: %w", err)
	}
	return d.serve(ctx, b, scimListener, base, sandboxURL, token)
}

// serve serves, says where, and plays.
func (d *demo) serve(ctx context.Context, b *bridge.Bridge, l net.Listener, base, sandboxURL, token string) error {
	served := make(chan error, 1)
	ready := make(chan struct{})
	serveCtx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		served <- b.Serve(serveCtx, l, bridge.ServeOptions{Ready: func() { close(ready) }})
	}()
	<-ready
	d.greet(base, sandboxURL, token)
	if d.play != "none" {
		client := &http.Client{Timeout: time.Minute, Transport: new(http.Transport)}
		err := play.Run(serveCtx, play.Options{
			Client: d.play, BaseURL: base + "/scim/v2", Token: token, SandboxURL: sandboxURL,
			HTTP: client, Out: d.c.stdout, Quiet: d.quiet(),
		})
		client.CloseIdleConnections() // a server that stops waits for unused ones
		if errors.Is(err, syscall.EPIPE) {
			stop() // nobody looks any more
		} else if err != nil && ctx.Err() == nil {
			fmt.Fprintf(d.c.stderr, "scim-bridge: the play ended early: %v\n", err)
		}
	}
	if ctx.Err() == nil {
		fmt.Fprintf(d.c.stdout, "\nServing until Ctrl-C.\n")
	}
	return <-served
}

// quiet is longer than the pauses that the sandbox was told to make between two
// changes of one piece of work.
func (d *demo) quiet() time.Duration {
	q := 500*time.Millisecond + 4*d.sandbox.Latency
	if d.sandbox.Rate > 0 {
		q += time.Duration(min(4/d.sandbox.Rate, 20) * float64(time.Second))
	}
	return q
}

// reachable is an address by which others find a listener on all addresses.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsUnspecified() {
		return a.String()
	}
	if name, err := os.Hostname(); err == nil {
		host = name
	}
	return net.JoinHostPort(host, port)
}

func (d *demo) logger() *slog.Logger {
	level := slog.LevelError
	if d.verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(d.c.stderr, &slog.HandlerOptions{Level: level}))
}

// directory is where the demo keeps its data, and what to do about it at the
// end.
func (d *demo) directory() (dir string, remove func() error, err error) {
	if d.data != "" {
		if err := os.MkdirAll(d.data, 0o700); err != nil {
			return "", nil, fmt.Errorf("--data: %w", err)
		}
		dir, err := filepath.Abs(d.data)
		return dir, func() error { return nil }, err
	}
	dir, err = os.MkdirTemp("", "scim-bridge-demo-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// startSandbox serves the sandbox until the returned function is called.
func (d *demo) startSandbox(ctx context.Context, l net.Listener, dir string) (stop func() error, err error) {
	o := d.sandbox
	o.Invites, o.Control = sandbox.InviteMode(d.invites), true
	if d.data != "" {
		o.DataFile = filepath.Join(dir, "sandbox.jsonl")
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it outlives the bridge in front of it
	served := make(chan error, 1)
	go func() { served <- sandbox.Serve(ctx, o, l) }()
	return func() error {
		cancel()
		return <-served
	}, nil
}

// setUp makes the tenant and the token, or finds those of an earlier run.
func (d *demo) setUp(ctx context.Context, o *office, b *bridge.Bridge, sandboxURL string) (token string, err error) {
	config, err := tenantconfig.Parse(fmt.Appendf(nil, `
slug: %s
name: Acme
upstream: {base_url: %q, client_id: %s, client_secret_env: SECRET}
organizations: [113, 114]
domains: [example.com]
default_role: Viewer
rules:
  - {match: Administrators, role: Administrator}
  - {match: Managers, role: Manager}
  - {match: Analysts, role: Analyst}
guards: {deactivations: off, role_losses: off, invites: off, addresses: off}
`, demoTenant, sandboxURL, sandboxClient), func(string) (string, bool) { return sandboxSecret, true }, os.ReadFile)
	if err != nil {
		return "", err
	}
	if _, err := applyTenant(ctx, o, config, "demo", true); err != nil {
		return "", err
	}
	secret, _, err := b.Credentials.Create(ctx, credentials.Request{
		Tenant: demoTenant, Name: "demo", Actor: "demo", Token: upstream.Secret(d.token),
	})
	if conflict, ok := errors.AsType[*store.ConflictError](err); ok && conflict.Field == "hash" && conflict.Owner == demoTenant {
		return d.token, nil // an earlier run on the same data made it
	}
	return string(secret), err
}

func (d *demo) greet(base, sandboxURL, token string) {
	fmt.Fprintf(d.c.stdout, `SCIM base URL  %[1]s/scim/v2
Bearer token   %[2]s
Sandbox        %[3]s   (its state: %[3]s/_sandbox/state)
Tenant         %[4]s: organizations 113 and 114, domain example.com
Roles          by group: Administrators → Administrator, Managers → Manager,
               Analysts → Analyst; everybody else is a Viewer

Try it from another terminal:
  curl -H 'Authorization: Bearer %[2]s' '%[1]s/scim/v2/Users?count=1'
`, base, token, sandboxURL, demoTenant)
}
