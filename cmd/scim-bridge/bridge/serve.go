package bridge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServeOptions configure Serve.
type ServeOptions struct {
	// TLS encrypts the listener; nil leaves that to a proxy in front.
	TLS *tls.Config
	// Operator serves health and metrics on a listener of their own; nil serves
	// them beside SCIM.
	Operator net.Listener
	// DrainDelay is how long requests are served on after readiness failed,
	// for load balancers to notice. 0: not at all.
	DrainDelay time.Duration
	// ShutdownTimeout bounds what requests under way take after that. 0: 35 s,
	// longer than any request lasts.
	ShutdownTimeout time.Duration
	// Ready is called when the listener serves. nil: nobody is told.
	Ready func()
}

// Serve serves requests on the listener, and works in the background, until
// ctx is done; then it stops gracefully and returns nil: readiness fails,
// requests are served on for DrainDelay, those under way finish, then what
// runs in the background does. It closes the listener, not the Bridge.
func (b *Bridge) Serve(ctx context.Context, l net.Listener, o ServeOptions) error {
	if o.ShutdownTimeout == 0 {
		o.ShutdownTimeout = 35 * time.Second
	}
	handler := b.Handler()
	if o.Operator != nil {
		handler = b.scim
	}
	srv := b.httpServer(handler, o.TLS)
	// The background outlives the requests: what they leave to it is done.
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	worked := make(chan error, 1)
	go func() { worked <- b.Run(background) }()
	served := make(chan error, 1)
	go func() {
		if o.TLS != nil {
			l = tls.NewListener(l, o.TLS)
		}
		served <- srv.Serve(l)
	}()
	if o.Operator != nil {
		operator := b.httpServer(b.OperatorHandler(), nil)
		go func() {
			if err := operator.Serve(o.Operator); !errors.Is(err, http.ErrServerClosed) {
				b.log.Error("health and metrics are not served any more", "err", err)
			}
		}()
		defer operator.Close() // last of all: readiness is told until the end
	}
	if o.Ready != nil {
		o.Ready()
	}
	b.health.current(ctx) // what does not answer is said at the start
	var cause error
	select {
	case <-ctx.Done():
		b.log.Info("stopping", "drain_delay", o.DrainDelay)
		b.draining.Store(true)
		select {
		case <-time.After(o.DrainDelay):
		case cause = <-served:
		}
	case cause = <-served:
	case cause = <-worked:
		cause = fmt.Errorf("background work ended: %w", errors.Join(cause, errEnded))
		worked <- nil
	}
	b.draining.Store(true)
	return errors.Join(ignoreClosed(cause), b.stop(ctx, srv, o.ShutdownTimeout, stopBackground, worked))
}

// backgroundGrace is how long the background work may take at least to stop: a job gives
// itself back to the queue within 5 s, and the replica its name within 2 s.
const backgroundGrace = 10 * time.Second

var errEnded = errors.New("it should only end when it is told to")

// stop ends the server, then the background work, and waits for both.
func (b *Bridge) stop(ctx context.Context, srv *http.Server, timeout time.Duration, stopBackground func(), worked <-chan error) error {
	start := time.Now()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	err := srv.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		b.log.Warn("requests under way were cut off; their clients send them again", "after", timeout)
		err = srv.Close()
	}
	stopBackground()
	left := max(timeout-time.Since(start), backgroundGrace) // requests may have used the time up
	late := time.NewTimer(left)
	defer late.Stop()
	select {
	case e := <-worked:
		err = errors.Join(err, e)
	case <-late.C:
		err = errors.Join(err, fmt.Errorf("background work did not finish within %s; its leases run out and another process goes on with it", left))
	}
	b.log.Info("stopped")
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// httpServer has the limits of a server that strangers reach. Headers may be
// larger here than the SCIM handler accepts, so that it refuses them in JSON.
func (b *Bridge) httpServer(h http.Handler, t *tls.Config) *http.Server {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       b.requestTimeout / 2,
		WriteTimeout:      b.requestTimeout + 5*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    256 << 10,
		ErrorLog:          slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
	}
	if t != nil {
		srv.TLSConfig = t
	}
	return srv
}
