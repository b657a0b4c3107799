package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/settings"
)

func (c *cli) serveCommand() *cobra.Command {
	var drainDelay time.Duration
	cmd := &cobra.Command{
		Use: "serve --config FILE", Short: "Serve SCIM for the tenants of a store", Args: noArgs,
		Long: `Serve SCIM at public_url + /scim/v2 until SIGTERM or Ctrl-C, and /healthz,
/readyz and /metrics beside it. Several processes may serve one PostgreSQL
database.

On the first signal readiness fails, requests are served on for --drain-delay,
for load balancers to notice, and those under way finish; a second signal ends
the process at once.

Settings are one YAML file; every key can be set by an environment variable too
(limits.body_bytes: SCIM_BRIDGE_LIMITS_BODY_BYTES). All that is wrong is said at
once, with exit status 2.

  listen: 0.0.0.0:8443
  public_url: https://scim.example.com
  tls: {cert_file: tls.crt, key_file: tls.key}     # or trusted_proxies: [10.0.0.0/8]
  store: {url: "sqlite:scim-bridge.db"}            # or postgres://user@host/database
  redis: {url: "redis://localhost:6379/0"}         # optional
  secrets: {key_file: bridge.key}                  # openssl rand -base64 32`,
		Example: `  scim-bridge serve --config server.yaml
  SCIM_BRIDGE_CONFIG=server.yaml scim-bridge serve`,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			if drainDelay < 0 || drainDelay > 10*time.Minute {
				return usagef("--drain-delay %s: want 0s to 10m", drainDelay)
			}
			s, err := c.loadSettings()
			if err != nil {
				return err
			}
			return c.serve(cmd.Context(), s, drainDelay)
		}),
	}
	cmd.Flags().DurationVar(&drainDelay, "drain-delay", 3*time.Second, "how long requests are served on after readiness failed")
	c.configFlag(cmd)
	return cmd
}

func (c *cli) serve(ctx context.Context, s *settings.Settings, drainDelay time.Duration) (err error) {
	log := c.serverLogger(s.Log)
	cache.RouteClientLog(log)
	listeners, err := openListeners(s)
	if err != nil {
		return err
	}
	defer func() {
		for _, l := range []net.Listener{listeners.scim, listeners.operator} {
			if l != nil {
				_ = l.Close() // closed already when it was served
			}
		}
	}()
	o, err := openOffice(ctx, s, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.store.Close()) }()
	opts, err := o.bridgeOptions()
	if err != nil {
		return err
	}
	b, err := bridge.New(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return b.Serve(ctx, listeners.scim, bridge.ServeOptions{
		TLS: listeners.tls, Operator: listeners.operator,
		DrainDelay: drainDelay, ShutdownTimeout: s.Limits.DrainTimeout,
		Ready: func() {
			operator := listeners.scim
			if listeners.operator != nil {
				operator = listeners.operator
			}
			log.Info("serving", "listen", listeners.scim.Addr().String(), "metrics_listen", operator.Addr().String(),
				"scim_base_url", s.PublicURL.String()+"/scim/v2", "store", storeKind(s.Store.URL), "version", version())
		},
	})
}

// listeners are where a server serves.
type listeners struct {
	scim net.Listener
	// operator is for health and metrics; nil: they are served beside SCIM.
	operator net.Listener
	tls      *tls.Config
}

// openListeners opens the ports first of all: one in use is the likeliest
// fault, and nothing is to be undone then.
func openListeners(s *settings.Settings) (l listeners, err error) {
	if s.TLS.CertFile != "" {
		certs := &certificate{certFile: s.TLS.CertFile, keyFile: s.TLS.KeyFile}
		if _, err := certs.get(nil); err != nil {
			return l, fmt.Errorf("tls.cert_file %s: %w", s.TLS.CertFile, err)
		}
		l.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certs.get, NextProtos: []string{"h2", "http/1.1"}}
	}
	if l.scim, err = listen("listen", s.Listen); err != nil {
		return l, err
	}
	if s.MetricsListen == "" {
		return l, nil
	}
	if l.operator, err = listen("metrics_listen", s.MetricsListen); err != nil {
		return listeners{}, errors.Join(err, l.scim.Close())
	}
	return l, nil
}

func (c *cli) serverLogger(s settings.Log) *slog.Logger {
	o := &slog.HandlerOptions{Level: s.Level}
	if s.Format == "text" {
		return slog.New(slog.NewTextHandler(c.stderr, o))
	}
	return slog.New(slog.NewJSONHandler(c.stderr, o))
}
