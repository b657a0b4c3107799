package sandbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// InviteMode says when an invited person becomes an account.
type InviteMode string

const (
	// Immediate creates the account with the invite, in state new.
	Immediate InviteMode = "immediate"
	// Deferred creates the account when the invite is accepted.
	Deferred InviteMode = "deferred"
)

// Options configure a Sandbox; the zero value is a usable one.
type Options struct {
	// Now is the clock; nil: time.Now. It is called concurrently.
	Now func() time.Time
	// Logger receives a line per answered call at debug level; nil: nothing is logged.
	Logger *slog.Logger
	// Users is how many accounts (person00001@example.com …, active Viewers of 113, of 114 or of both, in turn) the
	// seeds have besides the owners; 0: none. It does not apply to a data file that exists already.
	Users int
	// Latency delays every API call before it takes effect; 0: none.
	Latency time.Duration
	// Rate is how many calls a second each credential has, with as many (at least one) in a burst; 0: no limit.
	Rate float64
	// Invites says when invited persons become accounts; "": Immediate.
	Invites InviteMode
	// DataFile keeps state and ledger across restarts; "": they live in memory.
	DataFile string
	// Control opens the side door /_sandbox/ and allows rules that kill a process; false: both are refused.
	Control bool
	// TokenTTL is how long an access token lives; 0: one hour.
	TokenTTL time.Duration
	// InviteTTL is how long an invite can be accepted; 0: seven days.
	InviteTTL time.Duration
	// TokenSecret signs tokens; nil: a random one (kept in the data file, so that tokens survive a restart).
	TokenSecret []byte
	// Clients are API credentials besides acme and globex.
	Clients []Client
	// VerifyIDToken checks the subject token of a token exchange; nil: only tokens that IDToken made are accepted.
	VerifyIDToken func(ctx context.Context, raw string) (Identity, error)
}

// Sandbox is one instance of the service. Its methods may be called concurrently. It runs no goroutine of its own.
type Sandbox struct {
	opts      Options
	log       *slog.Logger
	catalogue *catalogue
	routes    []*operation
	faults    *faults
	counters  counters
	closed    chan struct{}
	closing   sync.Once

	mu         sync.Mutex // guards what follows
	state      *state
	journal    *journal
	broken     error // the journal could not be written
	secret     []byte
	tokenEpoch int64
	tokenSeq   int64
	limiters   map[string]*rate.Limiter
}

// New returns a sandbox with the seeds, or with what the data file holds. The caller closes it.
func New(o Options) (*Sandbox, error) {
	o.TokenTTL = cmp.Or(o.TokenTTL, time.Hour)
	o.InviteTTL = cmp.Or(o.InviteTTL, 7*24*time.Hour)
	o.Invites = cmp.Or(o.Invites, Immediate)
	switch {
	case o.Invites != Immediate && o.Invites != Deferred:
		return nil, fmt.Errorf("sandbox: unknown invite mode %q: use %q or %q", o.Invites, Immediate, Deferred)
	case o.Users < 0 || o.Latency < 0 || o.Rate < 0 || o.TokenTTL < 0 || o.InviteTTL < 0:
		return nil, errors.New("sandbox: users, latency, rate and lifetimes must not be negative")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	catalogue, err := newCatalogue(o.Clients)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{
		opts: o, log: o.Logger, catalogue: catalogue, routes: operations(), closed: make(chan struct{}),
		limiters: map[string]*rate.Limiter{}, secret: o.TokenSecret,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.faults = newFaults(s.closed)
	s.counters.start(s.routes)
	if s.secret == nil {
		s.secret = make([]byte, 32)
		if _, err := rand.Read(s.secret); err != nil {
			return nil, fmt.Errorf("sandbox: token secret: %w", err)
		}
	}
	if o.DataFile == "" {
		s.state = s.seeds()
		return s, nil
	}
	if err := s.openJournal(); err != nil {
		return nil, fmt.Errorf("sandbox: data file %q: %w", o.DataFile, err)
	}
	return s, nil
}

// now is the clock, in UTC and in the milliseconds that records show.
func (s *Sandbox) now() time.Time { return s.opts.Now().UTC().Truncate(time.Millisecond) }

// Close releases the calls that a rule holds, without an answer, and closes the data file. Later calls are
// answered 503.
func (s *Sandbox) Close() error {
	s.closing.Do(func() { close(s.closed) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal == nil {
		return nil
	}
	err := s.journal.close()
	s.journal = nil
	return err
}

// Reset brings the seeds back and empties ledger, outbox, statistics and fault rules. Tokens stay valid.
func (s *Sandbox) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	seeds := s.seeds()
	if s.opts.DataFile != "" {
		if err := s.rewriteJournal(seeds); err != nil {
			return fmt.Errorf("sandbox: data file %q: %w", s.opts.DataFile, err)
		}
	}
	s.state, s.broken = seeds, nil
	s.limiters = map[string]*rate.Limiter{}
	s.counters.reset()
	return s.faults.replace(nil)
}

// read runs f on the state as the call sees it.
func (s *Sandbox) read(c *call, f func(reader) (answer, error)) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := reader{state: s.state}
	if c.stale > 0 {
		r.asOf = s.now().Add(-c.stale)
	}
	return f(r)
}

// write runs f with the right to change the state, and keeps its effects before it returns.
func (s *Sandbox) write(operation, credential string, f func(*tx) (answer, error)) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return answer{}, unavailable("the sandbox is closed")
	default:
	}
	if s.broken != nil {
		return answer{}, s.broken
	}
	t := &tx{state: s.state, now: s.now(), operation: operation, credential: credential}
	out, err := f(t)
	if len(t.effects) > 0 && s.journal != nil {
		if failed := s.journal.append(t.effects); failed != nil {
			s.broken = fmt.Errorf("data file %q: %w", s.opts.DataFile, failed)
			return answer{}, s.broken
		}
	}
	return out, err
}

// serveGrace is how long calls under way may take once Serve is told to stop. It exceeds the 5 s for which
// http.Server counts a connection that has asked for nothing yet as busy.
const serveGrace = 10 * time.Second

// Serve runs a sandbox on the listener until the context ends, then ends open calls, within 10 s, and returns nil.
// It closes the listener.
func Serve(ctx context.Context, o Options, l net.Listener) error {
	s, err := New(o)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = s.Close() // first, so that held calls do not hold the shutdown up
		err = errors.Join(err, shutdown(ctx, server))
		if e := <-done; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return err
	}
	return errors.Join(err, s.Close())
}

// shutdown ends the server. Calls that do not end in time are cut off, which is no error.
func shutdown(ctx context.Context, server *http.Server) error {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), serveGrace)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}
