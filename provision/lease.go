package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/sharearefund/scim-bridge/store"
)

// leaseTTL outlasts the work of any request, so that a lease is lost only by
// a process that stopped.
const leaseTTL = 45 * time.Second

// The keys of leases: a person, and the names that a person is to have.
func personKey(id string) string          { return "person:" + id }
func userNameKey(folded string) string    { return "userName:" + folded }
func emailKey(folded string) string       { return "email:" + folded }
func intentKey(foldedEmail string) string { return "create:" + foldedEmail }

// claim is what a request holds while it changes a person: leases in the
// database and locks in this process. It is used by one goroutine.
type claim struct {
	s      *Service
	tenant string
	holder string
	leases []store.Lease
	unlock []func()
}

// newClaim locks the keys in this process, in an order that cannot deadlock.
func (s *Service) newClaim(ctx context.Context, tenant string, keys ...string) (*claim, error) {
	c := &claim{s: s, tenant: tenant, holder: s.opts.Replica + "/" + uuid.NewString()}
	if err := c.lock(ctx, keys...); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *claim) lock(ctx context.Context, keys ...string) error {
	ctx, cancel := context.WithTimeout(ctx, c.s.opts.LeaseWait)
	defer cancel()
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		unlock, err := c.s.locks.lock(ctx, c.tenant+"\x00"+k)
		if err != nil {
			c.release()
			return &store.LeaseHeldError{Key: k}
		}
		c.unlock = append(c.unlock, unlock)
	}
	return nil
}

// update runs fn in a transaction after it acquired the leases of the keys,
// waiting while another process holds one of them.
func (c *claim) update(ctx context.Context, keys []string, fn func(tx store.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.s.opts.LeaseWait)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		var got []store.Lease
		err := c.s.store.Update(ctx, func(tx store.Tx) error {
			got = got[:0]
			for _, k := range keys {
				l, err := tx.AcquireLease(c.tenant, k, c.holder, leaseTTL)
				if err != nil {
					return err
				}
				got = append(got, l)
			}
			return fn(tx)
		})
		if err == nil {
			c.leases = append(c.leases, got...)
			return nil
		}
		if _, held := errors.AsType[*store.LeaseHeldError](err); !held {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// check fails when a step begun now could outlive one of the leases: whoever
// takes the lease over must not meet our step upstream.
func (c *claim) check() error {
	for _, l := range c.leases {
		if left := time.Until(l.Until); left < leaseTTL/4 {
			return fmt.Errorf("%w: %q has %s left", store.ErrLeaseLost, l.Key, left)
		}
	}
	return nil
}

// settle verifies the leases inside the transaction that ends the work, and
// gives them up.
func (c *claim) settle(tx store.Tx) error {
	if err := c.verify(tx); err != nil {
		return err
	}
	return c.giveUp(tx)
}

// verify checks that the leases are still held.
func (c *claim) verify(tx store.Tx) error {
	for _, l := range c.leases {
		if err := tx.CheckLease(l); err != nil {
			return err
		}
	}
	return nil
}

func (c *claim) giveUp(tx store.Tx) error {
	for _, l := range c.leases {
		if err := tx.ReleaseLease(l); err != nil {
			return err
		}
	}
	return nil
}

// done forgets the leases after a transaction gave them up.
func (c *claim) done() { c.leases = nil }

// release gives up whatever is still held. It works although the request's
// context ended.
func (c *claim) release() {
	if len(c.leases) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := c.s.store.Update(ctx, c.giveUp); err != nil {
			c.s.log.Warn("leases stay until they expire", "tenant", c.tenant, "err", err)
		}
		c.leases = nil
	}
	for _, u := range slices.Backward(c.unlock) {
		u()
	}
	c.unlock = nil
}
