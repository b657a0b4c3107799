package sandbox

import "sync/atomic"

// Stats count calls since the start or the last reset.
type Stats struct {
	Calls         map[string]int64 `json:"calls"`          // by operation, refused ones included
	PeopleInvited int64            `json:"people_invited"` // results "invited" of invite_users
	RateLimited   int64            `json:"rate_limited"`   // calls answered 429 by the rate limit
}

type counters struct {
	calls                map[string]*atomic.Int64 // not changed after start
	invited, rateLimited atomic.Int64
}

func (c *counters) start(operations []*operation) {
	c.calls = make(map[string]*atomic.Int64, len(operations))
	for _, op := range operations {
		c.calls[op.name] = new(atomic.Int64)
	}
}

func (c *counters) call(operation string) { c.calls[operation].Add(1) }

func (c *counters) reset() {
	for _, n := range c.calls {
		n.Store(0)
	}
	c.invited.Store(0)
	c.rateLimited.Store(0)
}

// Stats returns the counts so far; operations that were not called are left out.
func (s *Sandbox) Stats() Stats {
	out := Stats{Calls: map[string]int64{}, PeopleInvited: s.counters.invited.Load(), RateLimited: s.counters.rateLimited.Load()}
	for name, n := range s.counters.calls {
		if v := n.Load(); v > 0 {
			out.Calls[name] = v
		}
	}
	return out
}
