package upstream

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"
)

// BreakerOptions configure the circuit breaker, which spares a service that does not answer and its callers the wait.
// A refusal of one request (4xx) never counts as a failure.
type BreakerOptions struct {
	Failures int           // consecutive attempts without a proper answer that open it; 0: 10
	OpenFor  time.Duration // how long it refuses before one attempt probes the service; 0: 2 s
	Disabled bool          // true: no breaker
}

// errExcluded marks an attempt that says nothing about the service: its caller went away.
var errExcluded = errors.New("caller went away")

// breaker is shared by all calls of a client and of those derived from it.
type breaker struct {
	steps   *gobreaker.TwoStepCircuitBreaker[struct{}] // nil: disabled
	openFor time.Duration
}

func newBreaker(o BreakerOptions, log *slog.Logger, host string) *breaker {
	if o.Disabled {
		return &breaker{}
	}
	failures, openFor := uint32(10), 2*time.Second
	if o.Failures > 0 {
		failures = uint32(o.Failures)
	}
	if o.OpenFor > 0 {
		openFor = o.OpenFor
	}
	return &breaker{openFor: openFor, steps: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        host,
		MaxRequests: 1,
		Timeout:     openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failures },
		IsExcluded:  func(err error) bool { return errors.Is(err, errExcluded) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			log.Warn("upstream circuit breaker", "host", host, "from", from.String(), "to", to.String())
		},
	})}
}

// refuses tells that no attempt is let through at the moment.
func (b *breaker) refuses() bool { return b.steps != nil && b.steps.State() == gobreaker.StateOpen }

// allow asks to make one attempt; report must be called with its outcome.
func (b *breaker) allow() (report func(error), err error) {
	if b.steps == nil {
		return func(error) {}, nil
	}
	return b.steps.Allow()
}

// verdict translates an attempt's outcome for the breaker.
func (c *Client) verdict(ctx context.Context, err *Error, took time.Duration) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled), ctx.Err() != nil && took < c.opts.AttemptTimeout/2:
		return errExcluded // the caller left, or came with little time
	case err.Status >= 500, err.Status < 300:
		return err // no answer, none that can be read, or one that says that the service is in trouble
	}
	return nil
}
