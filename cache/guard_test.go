package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errBroken = errors.New("broken")

type guardRig struct {
	*guard
	log      bytes.Buffer
	mu       sync.Mutex
	outcomes map[string]int
	probes   atomic.Int64
	broken   atomic.Bool
	probed   atomic.Value // the tenant probed last
}

// newGuardRig must be called in a synctest bubble.
func newGuardRig(t *testing.T) *guardRig {
	r := &guardRig{outcomes: map[string]int{}}
	r.guard = newGuard(guardOptions{
		timeout: 250 * time.Millisecond, interval: time.Second, now: time.Now,
		logger: slog.New(slog.NewTextHandler(&r.log, nil)),
		observe: func(op Op, o Outcome, _ time.Duration) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.outcomes[string(op)+" "+string(o)]++
		},
		probe: func(ctx context.Context, tenant string) error {
			r.probes.Add(1)
			r.probed.Store(tenant)
			return r.work(ctx)
		},
	})
	t.Cleanup(r.close)
	return r
}

func (r *guardRig) count(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outcomes[what]
}

func (r *guardRig) work(context.Context) error {
	if r.broken.Load() {
		return errBroken
	}
	return nil
}

func (r *guardRig) ask(ctx context.Context, tenant string) Outcome {
	return r.do(ctx, OpGet, tenant, func(ctx context.Context) (Outcome, error) { return OutcomeOK, r.work(ctx) })
}

func TestGuardStopsAskingAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGuardRig(t)
		r.broken.Store(true)
		for range 100 {
			r.ask(t.Context(), "acme")
		}
		if got := r.count("get error"); got != consecutiveFailures {
			t.Errorf("%d calls were tried, want %d", got, consecutiveFailures)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := r.probes.Load(); got != 60 {
			t.Errorf("%d probes in a minute, want 60", got)
		}
		if got := r.probed.Load(); got != "acme" {
			t.Errorf("probed for tenant %q, want the one whose call failed", got)
		}
		if got := r.ask(t.Context(), "acme"); got != OutcomeBypassed {
			t.Errorf("a call while probes fail: %s, want %s", got, OutcomeBypassed)
		}
		r.broken.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.ask(t.Context(), "acme"); got != OutcomeOK {
			t.Errorf("a call one second after Redis works: %s, want %s", got, OutcomeOK)
		}
		r.close()
		log := r.log.String()
		if got := strings.Count(log, "is bypassed"); got != 1 {
			t.Errorf("%d lines say that Redis is bypassed, want 1:\n%s", got, log)
		}
		if got := strings.Count(log, "is used again"); got != 1 {
			t.Errorf("%d lines say that Redis is used again, want 1:\n%s", got, log)
		}
	})
}

func TestGuardBoundsSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGuardRig(t)
		start := time.Now()
		for range 1000 {
			r.do(t.Context(), OpGet, "acme", func(ctx context.Context) (Outcome, error) {
				<-ctx.Done()
				return OutcomeOK, ctx.Err()
			})
		}
		if took, most := time.Since(start), consecutiveFailures*250*time.Millisecond; took > most {
			t.Errorf("1000 calls to a hanging Redis cost %s, want at most %s", took, most)
		}
		if got := r.count("get timeout"); got != consecutiveFailures {
			t.Errorf("%d timeouts, want %d", got, consecutiveFailures)
		}
	})
}

func TestGuardOpensWhenHalfOfTheCallsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGuardRig(t)
		for n := range 2 * minCalls {
			r.broken.Store(n%2 == 1)
			r.ask(t.Context(), "acme")
		}
		if got := r.count("get ok") + r.count("get error"); got != minCalls {
			t.Errorf("%d calls were tried, want %d", got, minCalls)
		}
	})
}

func TestGuardCountsFailuresThatAreFarApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGuardRig(t)
		r.broken.Store(true)
		for range 10 {
			time.Sleep(countWindow / 4)
			r.ask(t.Context(), "acme")
		}
		if got := r.count("get error"); got != consecutiveFailures {
			t.Errorf("%d calls were tried, want %d", got, consecutiveFailures)
		}
	})
}

// Failures count together wherever the windows begin.
func TestGuardCountsInARollingWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGuardRig(t)
		r.broken.Store(true)
		time.Sleep(countWindow * 2 / 3)
		for range consecutiveFailures {
			r.ask(t.Context(), "acme")
			time.Sleep(countWindow / 4)
		}
		if got := r.ask(t.Context(), "acme"); got != OutcomeBypassed {
			t.Errorf("after %d failures within %s a call is %s, want %s", consecutiveFailures, countWindow, got, OutcomeBypassed)
		}
	})
}

// Impatient callers say nothing about Redis.
func TestGuardIgnoresCallersWhoLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGuardRig(t)
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			got := r.do(ctx, OpGet, "acme", func(ctx context.Context) (Outcome, error) {
				<-ctx.Done()
				return OutcomeOK, ctx.Err()
			})
			if got != OutcomeCancelled {
				t.Fatalf("a call whose caller left: %s, want %s", got, OutcomeCancelled)
			}
			// A socket may notice the caller's deadline before the context does.
			early, stop := context.WithTimeout(t.Context(), time.Millisecond)
			got = r.do(early, OpGet, "acme", func(context.Context) (Outcome, error) { return OutcomeOK, os.ErrDeadlineExceeded })
			if stop(); got != OutcomeCancelled {
				t.Fatalf("a call that timed out on its caller's deadline: %s, want %s", got, OutcomeCancelled)
			}
			if got := r.ask(ctx, "acme"); got != OutcomeCancelled {
				t.Fatalf("a call whose caller had left before: %s, want %s", got, OutcomeCancelled)
			}
			cancel()
		}
		if got := r.ask(t.Context(), "acme"); got != OutcomeOK {
			t.Errorf("after them a call is %s, want %s", got, OutcomeOK)
		}
	})
}

func TestGuardPingSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGuardRig(t)
		if err := r.ping(t.Context()); err != nil {
			t.Fatalf("Ping: %v", err)
		}
		r.broken.Store(true)
		for n := range 5 {
			want := "does not work"
			if n >= consecutiveFailures {
				want = "is bypassed"
			}
			err := r.ping(t.Context())
			if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), want) {
				t.Errorf("ping %d: %v, want %q and the cause", n, err, want)
			}
		}
		r.close()
		if err := r.ping(t.Context()); !errors.Is(err, errClosed) {
			t.Errorf("ping after close: %v, want %v", err, errClosed)
		}
	})
}

func TestGuardLogsFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGuardRig(t)
		for range 600 {
			r.complain("call failed", errBroken)
			time.Sleep(100 * time.Millisecond)
		}
		log := r.log.String()
		if got := strings.Count(log, "\n"); got != 6 {
			t.Errorf("%d lines in a minute, want 6:\n%s", got, log)
		}
		if !strings.Contains(log, "similar_not_logged=99") {
			t.Errorf("no line says how many were kept back:\n%s", log)
		}
	})
}

func TestGuardCloseEndsAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probing := make(chan struct{})
		g := newGuard(guardOptions{
			timeout: time.Hour, interval: time.Second, now: time.Now, logger: slog.New(slog.DiscardHandler),
			probe: func(ctx context.Context, _ string) error {
				close(probing)
				<-ctx.Done()
				return fmt.Errorf("probe: %w", ctx.Err())
			},
		})
		for range consecutiveFailures {
			g.do(t.Context(), OpGet, "", func(context.Context) (Outcome, error) { return OutcomeOK, errBroken })
		}
		<-probing
		g.close()
		g.close()
	})
}
