package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
	"github.com/sharearefund/scim-bridge/provision/credentials"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// simulationMost bounds the simulation of one client.
const simulationMost = 5 * time.Minute

// everyClient is what --simulate takes for all of them.
const everyClient = "all"

// clients are those that --simulate asks for.
func (e *examination) clients() ([]string, error) {
	switch {
	case e.simulate == "":
		return nil, nil
	case e.simulate == everyClient:
		return idp.Names(), nil
	case slices.Contains(idp.Names(), e.simulate):
		return []string{e.simulate}, nil
	}
	return nil, usagef("--simulate %q: use %s or %s", e.simulate, strings.Join(idp.Names(), ", "), everyClient)
}

// simulations plays the clients one after the other, each in a tenant of its
// own, and returns what they met.
func (x *patient) simulations(ctx context.Context, clients []string) []doctor.Finding {
	if x.office == nil {
		return doctor.Run(ctx, []doctor.Check{doctor.Unlooked(doctor.Simulation, "", x.why())}, doctor.RunOptions{})
	}
	var checks []doctor.Check
	for _, client := range clients {
		checks = append(checks, doctor.CheckSimulation(client, x.play))
	}
	// Longer than removing what was made takes at most.
	return doctor.Run(ctx, checks, doctor.RunOptions{Timeout: simulationMost, Parallel: 1, Grace: time.Minute})
}

// play runs a client against this configuration's bridge over a sandbox, both
// on loopback in this process, in a throw-away tenant that has a database of its
// own: of what the simulation does, nothing comes to the deployment's. That one
// is asked for a commit before, as the simulation commits elsewhere.
func (x *patient) play(ctx context.Context, client string) (report *simulate.Report, err error) {
	if err := x.commit(ctx); err != nil {
		return nil, fmt.Errorf("the database does not commit: %w", err)
	}
	secret := rand.Text()
	sandboxURL, stop, err := serveLoopback(func() (http.Handler, func() error, error) {
		sb, err := sandbox.New(sandbox.Options{Clients: []sandbox.Client{{
			ID: throwAwayClient, Secret: secret, Organizations: []int64{113, 114}, Weight: 80,
		}}})
		if err != nil {
			return nil, nil, err
		}
		return sb.Handler(), sb.Close, nil
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	t, err := newThrowAway(ctx, x.office, sandboxURL, secret)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.remove()) }()
	return playAs(ctx, client, t.office)
}

// playAs runs a client against a bridge of the office, in its throw-away tenant.
func playAs(ctx context.Context, client string, away *office) (report *simulate.Report, err error) {
	opts, err := away.bridgeOptions()
	if err != nil {
		return nil, err
	}
	l, err := listen("the simulation", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	opts.PublicURL, opts.Logger = "http://"+l.Addr().String(), slog.New(slog.DiscardHandler)
	opts.StoreKind = "sqlite"
	opts.Redis = nil      // the servers' keys are not for a tenant that they do not have
	opts.RequestLog = nil // nobody would read it
	b, err := bridge.New(opts)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	server := serveOn(l, b.Handler())
	defer func() { err = errors.Join(err, server.Close()) }()

	token, _, err := b.Credentials.Create(ctx, credentials.Request{Tenant: throwAwaySlug, Name: "doctor", Client: client, Actor: actorCLI})
	if err != nil {
		return nil, err
	}
	if _, err := b.Service.ScanNow(ctx, throwAwaySlug); err != nil {
		return nil, fmt.Errorf("reading the sandbox's people: %w", err)
	}
	transport := new(http.Transport) // no proxy on the way to loopback
	defer transport.CloseIdleConnections()
	return simulate.Run(ctx, simulate.Options{
		Client: client, BaseURL: opts.PublicURL + "/scim/v2", Token: string(token), Keep: true, // all of it goes with the tenant
		HTTP: &http.Client{Transport: transport},
	})
}

// serveLoopback serves what open gives on a free port of this machine, until
// stop is called.
func serveLoopback(open func() (h http.Handler, end func() error, err error)) (address string, stop func() error, err error) {
	l, err := listen("the simulation", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	h, end, err := open()
	if err != nil {
		return "", nil, errors.Join(err, l.Close())
	}
	server := serveOn(l, h)
	return "http://" + l.Addr().String(), func() error { return errors.Join(end(), server.Close()) }, nil
}

// serveOn serves on a listener until the server is closed.
func serveOn(l net.Listener, h http.Handler) *http.Server {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 256 << 10}
	go func() { _ = server.Serve(l) }() // it ends with Close; the simulation notices when it ends before
	return server
}
