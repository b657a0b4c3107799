package storetest

import (
	"errors"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// acquire takes a lease in an update of its own.
func (h *suite) acquire(tenant, key, holder string, ttl time.Duration) (store.Lease, error) {
	var l store.Lease
	err := h.s.Update(h.ctx, func(tx store.Tx) error {
		var err error
		l, err = tx.AcquireLease(tenant, key, holder, ttl)
		return err
	})
	return l, err
}

func (h *suite) check(l store.Lease) error {
	return h.s.Update(h.ctx, func(tx store.Tx) error { return tx.CheckLease(l) })
}

func (h *suite) release(l store.Lease) {
	h.Helper()
	h.update(func(tx store.Tx) error { return tx.ReleaseLease(l) })
}

// heldBy checks that another holder's lease is refused.
func (h *suite) heldBy(err error, key string) {
	h.Helper()
	held, ok := errors.AsType[*store.LeaseHeldError](err)
	if !ok || held.Key != key || held.Until.IsZero() {
		h.Fatalf("error is %v, want a *store.LeaseHeldError of %q", err, key)
	}
}

var leaseCases = []testCase{
	{"is held by one until it is released", func(h *suite) {
		a, err := h.acquire("t", "k", "a", time.Minute)
		h.must(err)
		if a.Tenant != "t" || a.Key != "k" || a.Holder != "a" || a.Token == 0 {
			h.Fatalf("lease %+v", a)
		}
		h.must(h.check(a))
		_, err = h.acquire("t", "k", "b", time.Minute)
		h.heldBy(err, "k")
		h.release(a)
		h.is(h.check(a), store.ErrLeaseLost)
		b, err := h.acquire("t", "k", "b", time.Minute)
		h.must(err)
		if b.Token <= a.Token {
			h.Fatalf("token %d after %d", b.Token, a.Token)
		}
	}},
	{"is renewed by its holder with a new token", func(h *suite) {
		first, err := h.acquire("t", "k", "a", time.Minute)
		h.must(err)
		second, err := h.acquire("t", "k", "a", time.Minute)
		h.must(err)
		if second.Token <= first.Token {
			h.Fatalf("token %d after %d", second.Token, first.Token)
		}
		h.is(h.check(first), store.ErrLeaseLost)
		h.release(first)
		h.must(h.check(second))
		_, err = h.acquire("t", "k", "b", time.Minute)
		h.heldBy(err, "k")
	}},
	{"ends with its time", func(h *suite) {
		a, err := h.acquire("t", "k", "a", time.Minute)
		h.must(err)
		h.pass(59 * time.Second)
		h.must(h.check(a))
		_, err = h.acquire("t", "k", "b", time.Minute)
		h.heldBy(err, "k")
		h.pass(2 * time.Second)
		h.is(h.check(a), store.ErrLeaseLost)
		b, err := h.acquire("t", "k", "b", time.Minute)
		h.must(err)
		h.release(a)
		h.must(h.check(b))
		h.is(h.check(store.Lease{Tenant: "t", Key: "k", Holder: "a", Token: b.Token}), store.ErrLeaseLost)
	}},
	{"says when it ends, not later than it does", func(h *suite) {
		a, err := h.acquire("t", "k", "a", time.Minute)
		h.must(err)
		b, err := h.acquire("t", "k", "a", 2*time.Minute)
		h.must(err)
		if d := b.Until.Sub(a.Until); d < 59*time.Second || b.Until.Nanosecond()%1000 != 0 {
			h.Fatalf("until %v, then %v", a.Until, b.Until)
		}
	}},
	{"is apart for every key and tenant, I5", func(h *suite) {
		_, err := h.acquire("t", "k", "a", time.Minute)
		h.must(err)
		_, err = h.acquire("t", "other", "b", time.Minute)
		h.must(err)
		l, err := h.acquire("u", "k", "b", time.Minute)
		h.must(err)
		l.Tenant = "t"
		h.is(h.check(l), store.ErrLeaseLost)
	}},
	{"goes with the transaction that took it", func(h *suite) {
		var l store.Lease
		err := h.s.Update(h.ctx, func(tx store.Tx) error {
			var err error
			if l, err = tx.AcquireLease("t", "k", "a", time.Minute); err != nil {
				return err
			}
			if err := tx.CheckLease(l); err != nil {
				return err
			}
			return errStop
		})
		h.is(err, errStop)
		h.is(h.check(l), store.ErrLeaseLost)
		_, err = h.acquire("t", "k", "b", time.Minute)
		h.must(err)
	}},
	{"is taken by one of a crowd", func(h *suite) {
		for range 3 {
			errs := together(crowd, func(i int) error {
				_, err := h.acquire("t", "k", string(rune('A'+i)), time.Minute)
				return err
			})
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
					continue
				}
				h.heldBy(err, "k")
			}
			if won != 1 {
				h.Fatalf("%d hold the lease", won)
			}
			h.pass(2 * time.Minute)
		}
	}},
	{"keeps its token growing when house-keeping removed it", func(h *suite) {
		a, err := h.acquire("t", "k", "a", time.Minute)
		h.must(err)
		h.release(a)
		h.pass(48 * time.Hour)
		_, err = h.s.Heartbeat(h.ctx, "replica", time.Minute)
		h.must(err)
		b, err := h.acquire("t", "k", "a", time.Minute)
		h.must(err)
		if b.Token <= a.Token {
			h.Fatalf("token %d after %d", b.Token, a.Token)
		}
	}},
}
