package bridge

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// rates limits how many requests each credential makes. There are as many
// entries as credentials that were used: only authenticated ones get here.
type rates struct {
	limit rate.Limit
	burst int

	mu  sync.Mutex
	all map[string]*rate.Limiter
}

// newRates returns nil, which limits nothing, when perSecond is 0.
func newRates(perSecond float64, burst int) *rates {
	if perSecond <= 0 {
		return nil
	}
	return &rates{limit: rate.Limit(perSecond), burst: max(burst, 1), all: map[string]*rate.Limiter{}}
}

// take counts a request. It returns 0 while the credential is within its
// limit, else the time until it is again.
func (r *rates) take(credential string) time.Duration {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	l := r.all[credential]
	if l == nil {
		l = rate.NewLimiter(r.limit, r.burst)
		r.all[credential] = l
	}
	r.mu.Unlock()
	reservation := l.Reserve()
	wait := reservation.Delay()
	if wait > 0 {
		reservation.Cancel()
	}
	return wait
}
