package server

import (
	"net/netip"
	"sync"
	"time"
)

// maxAddresses bounds each of the two generations of counted addresses.
const maxAddresses = 4096

// attempts limits failed authentications per client address by token buckets.
// It holds at most 2·maxAddresses buckets: when a generation is full or a
// minute old, it becomes the previous one and the one before is forgotten. A
// forgotten bucket is a full one again; a bucket refills within a minute, so
// that age alone forgives nothing.
type attempts struct {
	perMinute float64

	mu       sync.Mutex
	started  time.Time
	current  map[netip.Addr]*bucket
	previous map[netip.Addr]*bucket
}

type bucket struct {
	tokens float64
	last   time.Time
}

func newAttempts(perMinute int) *attempts {
	return &attempts{perMinute: float64(perMinute), current: map[netip.Addr]*bucket{}}
}

// failed counts one failure. It returns 0 while the address is within its
// limit, else the time until it is again.
func (a *attempts) failed(addr netip.Addr, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.bucket(network(addr), now)
	if gone := now.Sub(b.last); gone > 0 {
		b.tokens = min(a.perMinute, b.tokens+a.perMinute*gone.Minutes())
		b.last = now
	}
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return max(1, time.Duration((1-b.tokens)/a.perMinute*float64(time.Minute)))
}

func (a *attempts) bucket(addr netip.Addr, now time.Time) *bucket {
	if b := a.current[addr]; b != nil {
		return b
	}
	if len(a.current) >= maxAddresses || now.Sub(a.started) > time.Minute {
		a.previous, a.current, a.started = a.current, make(map[netip.Addr]*bucket), now
	}
	b := a.previous[addr]
	if b == nil {
		b = &bucket{tokens: a.perMinute, last: now}
	}
	a.current[addr] = b
	return b
}

// network is what one client is assumed to hold: an IPv4 address, or a /64.
func network(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
