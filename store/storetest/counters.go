package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

var counterCases = []testCase{
	{"sums what a guard counted since a time", func(h *suite) {
		add := func(tenant, guard string, at time.Time, n int) {
			h.Helper()
			h.update(func(tx store.Tx) error { return tx.AddGuardCount(tenant, guard, at, n) })
		}
		for _, minute := range []int{0, 10, 20} {
			add("t", "deactivate", base.Add(time.Duration(minute)*time.Minute), 1+minute)
		}
		add("t", "deactivate", base, 2)
		add("t", "other", base, 100)
		add("u", "deactivate", base, 1000)
		for _, c := range []struct {
			since time.Time
			want  int
		}{
			{base.Add(-time.Hour), 35}, {base, 35}, {base.Add(time.Minute), 32},
			{base.Add(20 * time.Minute), 21}, {base.Add(21 * time.Minute), 0}, {time.Time{}, 35},
		} {
			equal(h, c.want)(h.s.GuardCount(h.ctx, "t", "deactivate", c.since))
		}
		equal(h, 0)(h.s.GuardCount(h.ctx, "v", "deactivate", base))
	}},
	{"counts for a guard without losing any", func(h *suite) {
		errs := together(crowd, func(i int) error {
			return h.s.Update(h.ctx, func(tx store.Tx) error {
				return tx.AddGuardCount("t", "g", base.Add(time.Duration(i%3)*time.Second), 1)
			})
		})
		h.must(errors.Join(errs...))
		equal(h, crowd)(h.s.GuardCount(h.ctx, "t", "g", base))
	}},
	{"keeps the directory's state", func(h *suite) {
		equal(h, store.Directory{})(h.s.Directory(h.ctx, "t"))
		d := store.Directory{StartedAt: base, CompletedAt: base.Add(time.Minute), People: 42}
		for range 2 {
			h.update(func(tx store.Tx) error { return tx.PutDirectory("t", d) })
			equal(h, d)(h.s.Directory(h.ctx, "t"))
			equal(h, store.Directory{})(h.s.Directory(h.ctx, "u"))
			d.People, d.CompletedAt = 43, time.Time{}
		}
	}},
	{"counts the living replicas", func(h *suite) {
		equal(h, 1)(h.s.Heartbeat(h.ctx, "a", time.Minute))
		equal(h, 1)(h.s.Heartbeat(h.ctx, "a", time.Minute))
		equal(h, 2)(h.s.Heartbeat(h.ctx, "b", time.Hour))
		h.pass(2 * time.Minute)
		equal(h, 1)(h.s.Heartbeat(h.ctx, "b", time.Hour))
		equal(h, 2)(h.s.Heartbeat(h.ctx, "a", time.Minute))
		h.must(h.s.RemoveReplica(h.ctx, "b"))
		h.must(h.s.RemoveReplica(h.ctx, "b"))
		equal(h, 1)(h.s.Heartbeat(h.ctx, "a", time.Minute))
	}},
	{"keeps intents until they are deleted", func(h *suite) {
		put := func(i *store.Intent) {
			h.Helper()
			h.update(func(tx store.Tx) error { return tx.PutIntent(i) })
		}
		var all []*store.Intent
		for n := range 4 {
			i := &store.Intent{Tenant: "t", Key: fmt.Sprint("k", n), Kind: "create", PersonID: "p", Payload: []byte("{}"),
				CreatedAt: base.Add(time.Duration(n) * time.Minute)}
			all = append(all, i)
		}
		for _, n := range []int{2, 0, 3, 1} {
			put(all[n])
		}
		put(&store.Intent{Tenant: "u", Key: "k0", CreatedAt: base})
		equal(h, all[0])(h.s.Intent(h.ctx, "t", "k0"))
		equal(h, all[:3])(h.s.Intents(h.ctx, "t", base.Add(3*time.Minute), 10))
		equal(h, all[:2])(h.s.Intents(h.ctx, "t", base.Add(time.Hour), 2))
		all[0].Kind, all[0].Payload, all[0].PersonID = "delete", nil, ""
		put(all[0])
		equal(h, all[0])(h.s.Intent(h.ctx, "t", "k0"))
		for range 2 {
			h.update(func(tx store.Tx) error { return tx.DeleteIntent("t", "k0") })
			notFound[store.Intent](h)(h.s.Intent(h.ctx, "t", "k0"))
		}
		_, err := h.s.Intent(h.ctx, "u", "k0")
		h.must(err)
	}},
}
