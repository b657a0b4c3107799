package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
)

// guard runs calls to a server that may be down or slow: it bounds each, stops
// trying after a few failures, and tries again in the background.
type guard struct {
	guardOptions
	breaker   *gobreaker.TwoStepCircuitBreaker[struct{}]
	bypassing atomic.Bool // the breaker is not closed
	closed    atomic.Bool
	last      atomic.Pointer[failure]

	wake  chan struct{} // holds one token after the breaker opened
	stop  context.CancelFunc
	ended chan struct{}

	logMu   sync.Mutex
	logged  time.Time
	dropped int
}

type guardOptions struct {
	timeout  time.Duration
	interval time.Duration // between probes
	logger   *slog.Logger
	observe  Observer
	now      func() time.Time
	probe    func(ctx context.Context, tenant string) error
}

// failure is why Redis is bypassed.
type failure struct {
	err    error
	tenant string // whose call failed: in a cluster, that shard is the one to probe
}

const (
	// consecutiveFailures within countWindow open the breaker, and so does the
	// failing of half of minCalls or more.
	consecutiveFailures = 3
	minCalls            = 20
	countWindow         = 30 * time.Second
	countStep           = 5 * time.Second
	// logInterval is the least time between lines about single calls.
	logInterval = 10 * time.Second
)

var (
	errCallerLeft = errors.New("the caller left")
	errClosed     = errors.New("the redis cache is closed")
)

func newGuard(o guardOptions) *guard {
	ctx, stop := context.WithCancel(context.Background())
	g := &guard{guardOptions: o, wake: make(chan struct{}, 1), stop: stop, ended: make(chan struct{})}
	g.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         "redis",
		Interval:     countWindow,
		BucketPeriod: countStep,
		// Shorter than the pause between probes, so that none comes too early.
		Timeout: o.interval / 2,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= consecutiveFailures ||
				c.Requests >= minCalls && 2*c.TotalFailures >= c.Requests
		},
		IsExcluded:    func(err error) bool { return errors.Is(err, errCallerLeft) },
		OnStateChange: func(_ string, _, to gobreaker.State) { g.turned(to) },
	})
	go g.run(ctx)
	return g
}

// turned is called by the breaker under its lock.
func (g *guard) turned(to gobreaker.State) {
	switch to {
	case gobreaker.StateOpen:
		g.bypassing.Store(true)
		select {
		case g.wake <- struct{}{}:
		default:
		}
	case gobreaker.StateClosed:
		g.bypassing.Store(false)
	}
}

// do runs f, unless Redis is bypassed, and reports how it ended.
func (g *guard) do(ctx context.Context, op Op, tenant string, f func(context.Context) (Outcome, error)) Outcome {
	start := g.now()
	outcome, err := g.attempt(ctx, tenant, f)
	if err != nil {
		g.complain("redis cache call failed", err, slog.String("op", string(op)))
	}
	if g.observe != nil {
		g.observe(op, outcome, g.now().Sub(start))
	}
	return outcome
}

// attempt's error is a failure of Redis; other outcomes have none.
func (g *guard) attempt(ctx context.Context, tenant string, f func(context.Context) (Outcome, error)) (Outcome, error) {
	if g.bypassing.Load() || g.closed.Load() {
		return OutcomeBypassed, nil
	}
	if ctx.Err() != nil {
		return OutcomeCancelled, nil
	}
	done, err := g.breaker.Allow()
	if err != nil {
		return OutcomeBypassed, nil
	}
	return g.call(ctx, tenant, done, f)
}

// call runs f within the time allowed and tells the breaker how it ended.
func (g *guard) call(ctx context.Context, tenant string, done func(error), f func(context.Context) (Outcome, error)) (Outcome, error) {
	bounded, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	outcome, err := f(bounded)
	switch {
	case err == nil:
		done(nil)
		return outcome, nil
	case ctx.Err() != nil || isTimeout(err) && endsFirst(ctx, bounded):
		// Whether Redis was too slow or the caller too hasty is not known.
		done(errCallerLeft)
		return OutcomeCancelled, nil
	}
	g.last.Store(&failure{err: err, tenant: tenant})
	done(err)
	if isTimeout(err) {
		return OutcomeTimeout, err
	}
	return OutcomeError, err
}

// endsFirst reports whether the caller's own deadline is the one that bounds the
// call: a socket notices it a moment before the context does.
func endsFirst(caller, bounded context.Context) bool {
	own, ok := caller.Deadline()
	both, _ := bounded.Deadline()
	return ok && !own.After(both)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, redis.ErrPoolTimeout) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// ping tries Redis with a write.
func (g *guard) ping(ctx context.Context) error {
	var failed error
	outcome := g.do(ctx, OpProbe, "", func(ctx context.Context) (Outcome, error) {
		failed = g.probe(ctx, "")
		return OutcomeOK, failed
	})
	switch {
	case outcome == OutcomeOK:
		return nil
	case outcome == OutcomeCancelled:
		return ctx.Err()
	case outcome != OutcomeBypassed:
		return fmt.Errorf("redis does not work: %w", failed)
	case g.closed.Load():
		return errClosed
	default:
		return fmt.Errorf("redis is bypassed until it works again: %w", g.last.Load().err)
	}
}

// run probes while the breaker is open, until ctx ends.
func (g *guard) run(ctx context.Context) {
	defer close(g.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.wake:
		}
		if !g.bypassing.Load() {
			continue // the token of a probe that failed before one succeeded
		}
		since := g.now()
		g.logger.Warn("redis cache is bypassed: everything works, but slower", "err", g.last.Load().err)
		if !g.recover(ctx) {
			return
		}
		g.logger.Info("redis cache is used again", "after", g.now().Sub(since).Round(time.Millisecond).String())
	}
}

// recover returns true when a probe succeeded, false when ctx ended.
func (g *guard) recover(ctx context.Context) bool {
	tick := time.NewTicker(g.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		done, err := g.breaker.Allow()
		if err != nil {
			continue // still too early
		}
		start, tenant := g.now(), g.last.Load().tenant
		outcome, _ := g.call(ctx, tenant, done, func(ctx context.Context) (Outcome, error) {
			return OutcomeOK, g.probe(ctx, tenant)
		})
		if g.observe != nil {
			g.observe(OpProbe, outcome, g.now().Sub(start))
		}
		if outcome == OutcomeOK {
			return true
		}
	}
}

// complain logs at most one line per logInterval and counts what it kept back.
func (g *guard) complain(msg string, err error, attrs ...slog.Attr) {
	g.logMu.Lock()
	now := g.now()
	if !g.logged.IsZero() && now.Sub(g.logged) < logInterval {
		g.dropped++
		g.logMu.Unlock()
		return
	}
	dropped := g.dropped
	g.logged, g.dropped = now, 0
	g.logMu.Unlock()
	attrs = append(attrs, slog.String("err", err.Error()), slog.Int("similar_not_logged", dropped))
	g.logger.LogAttrs(context.Background(), slog.LevelWarn, msg, attrs...)
}

// close ends the probing; from now on everything is bypassed.
func (g *guard) close() {
	g.closed.Store(true)
	g.stop()
	<-g.ended
}
