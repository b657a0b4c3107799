package upstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter is the rate limit of one credential: every client and replica share of it takes its slots here. After the
// service said 429 everybody waits until the pause that it asked for is over. It is safe for concurrent use.
type Limiter struct {
	slots *rate.Limiter

	mu      sync.Mutex
	rate    float64
	burst   int
	share   int
	resumes time.Time // no slot before this moment
}

// NewLimiter allows callsPerSecond (≤ 0: no limit) with bursts of up to burst calls (< 1: 1).
func NewLimiter(callsPerSecond float64, burst int) *Limiter {
	l := &Limiter{slots: rate.NewLimiter(rate.Inf, 1), rate: callsPerSecond, burst: max(burst, 1), share: 1}
	l.apply()
	return l
}

// SetRate changes the credential's rate (≤ 0: no limit), before it is shared out.
func (l *Limiter) SetRate(callsPerSecond float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = callsPerSecond
	l.apply()
}

// SetShare gives this process an equal share among the live replicas (< 1: 1).
func (l *Limiter) SetShare(replicas int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.share = max(replicas, 1)
	l.apply()
}

func (l *Limiter) apply() {
	if l.rate <= 0 {
		l.slots.SetLimit(rate.Inf)
		return
	}
	l.slots.SetBurst(max(l.burst/l.share, 1))
	l.slots.SetLimit(rate.Limit(l.rate / float64(l.share)))
}

// Pause keeps every caller waiting for d from now on; a longer pause that is under way stays.
func (l *Limiter) Pause(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(d); until.After(l.resumes) {
		l.resumes = until
	}
}

// Ready tells that Wait would return at once.
func (l *Limiter) Ready() bool { return l.paused() <= 0 && l.slots.Tokens() >= 1 }

// paused gives what is left of the pause.
func (l *Limiter) paused() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.resumes)
}

// Wait takes a slot. It fails at once with a *WaitError when ctx ends before the slot would be free, and with ctx's
// error when ctx ends while waiting; no slot is taken then.
func (l *Limiter) Wait(ctx context.Context) error {
	if err := l.outlast(ctx); err != nil {
		return err
	}
	slot := l.slots.Reserve()
	delay := slot.Delay()
	if tooLate(ctx, delay) {
		slot.Cancel()
		return &WaitError{After: delay}
	}
	if err := sleep(ctx, delay); err != nil {
		slot.Cancel()
		return err
	}
	// A 429 may have arrived meanwhile; the slot stays ours.
	return l.outlast(ctx)
}

// outlast waits until no pause is left.
func (l *Limiter) outlast(ctx context.Context) error {
	for {
		left := l.paused()
		if left <= 0 {
			return nil
		}
		if tooLate(ctx, left) {
			return &WaitError{After: left, Paused: true}
		}
		if err := sleep(ctx, left); err != nil {
			return err
		}
	}
}

// WaitError tells that a slot is free only after the caller's deadline.
type WaitError struct {
	After  time.Duration // until a slot is free
	Paused bool          // the service asked for the pause (429)
}

// Error implements error.
func (e *WaitError) Error() string {
	if e.Paused {
		return fmt.Sprintf("the service asked for a pause that still lasts %s, longer than the deadline", e.After.Round(time.Millisecond))
	}
	return fmt.Sprintf("the rate limit has a slot free in %s, after the deadline", e.After.Round(time.Millisecond))
}

func tooLate(ctx context.Context, delay time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < delay
}

// sleep waits for d or until ctx ends, and gives ctx's error then.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
