package upstream

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	maxRetryAfter     = time.Hour        // a longer Retry-After is a mistake of theirs
	unaskedPause      = time.Second      // after a 429 that names no time
	patience          = 25 * time.Second // for retries, when the caller's context has no deadline
	callsPerRetry     = 10               // that earn it
	budgetReserve     = 10               // retries that a quiet client saves up, one a second
	budgetCap         = 100              // retries that a busy client saves up
	firstBackoff      = 50 * time.Millisecond
	backoffMultiplier = 2
	maxBackoff        = time.Second
)

// newBackoff gives full jitter: every pause is uniform between nothing and twice an interval that doubles.
func newBackoff() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: firstBackoff, RandomizationFactor: 1, Multiplier: backoffMultiplier, MaxInterval: maxBackoff,
	}
}

// retryAfter reads a Retry-After header (RFC 9110 §10.2.3): seconds or a date. 0 means none, or one that makes no
// sense; the longest is an hour.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter // only digits: too many of them
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// retryBudget keeps retries at a tenth of the traffic, plus one a second up to a small reserve, so that they never
// multiply the load of a service that is failing. It is safe for concurrent use.
type retryBudget struct {
	now func() time.Time

	mu     sync.Mutex
	saved  float64 // in calls: a retry costs callsPerRetry of them
	filled time.Time
}

func newRetryBudget(now func() time.Time) *retryBudget {
	return &retryBudget{now: now, saved: budgetReserve * callsPerRetry, filled: now()}
}

// earn counts one call.
func (b *retryBudget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saved = min(b.saved+1, budgetCap*callsPerRetry)
}

// spend asks for one retry.
func (b *retryBudget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.saved < budgetReserve*callsPerRetry {
		b.saved = min(b.saved+max(now.Sub(b.filled).Seconds(), 0)*callsPerRetry, budgetReserve*callsPerRetry)
	}
	b.filled = now
	if b.saved < callsPerRetry {
		return false
	}
	b.saved -= callsPerRetry
	return true
}
