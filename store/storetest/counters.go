package storetest

import (
	"fmt"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

var counterCases = []testCase{
	{"keeps when something was first noted", func(h *suite) {
		note := func(tenant, what string, at time.Time) error {
			return h.s.Update(h.ctx, func(tx store.Tx) error { return tx.NoteFirst(tenant, what, at) })
		}
		equal(h, time.Time{})(h.s.First(h.ctx, "t", "create"))
		for _, hours := range []int{1, 0, 2} {
			h.must(note("t", "create", base.Add(time.Duration(hours)*time.Hour)))
			equal(h, base.Add(time.Hour))(h.s.First(h.ctx, "t", "create"))
		}
		h.must(note("u", "create", base))
		equal(h, base.Add(time.Hour))(h.s.First(h.ctx, "t", "create"))
		equal(h, time.Time{})(h.s.First(h.ctx, "t", "other"))
		if err := note("t", "other", time.Time{}); err == nil {
			h.Fatal("noted at no time")
		}
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
