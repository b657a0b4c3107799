package storetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/store"
)

// put puts role work of a tenant, written as "group/person", a removal with "!".
func (h *suite) put(tenant string, work ...string) []store.RoleWork {
	h.Helper()
	list := make([]store.RoleWork, len(work))
	for i, text := range work {
		text, removal := strings.CutSuffix(text, "!")
		g, p, _ := strings.Cut(text, "/")
		list[i] = store.RoleWork{Tenant: tenant, GroupID: g, PersonID: p, Removal: removal, RunAt: base, CreatedAt: base}
	}
	h.update(func(tx store.Tx) error { return tx.PutRoleWork(list) })
	return list
}

// work checks which work a query lists, written as for put.
func (h *suite) work(tenant string, q store.RoleWorkQuery, want ...string) []store.RoleWork {
	h.Helper()
	list, err := h.s.RoleWork(h.ctx, tenant, q)
	h.must(err)
	got := []string{}
	for i, w := range list {
		text := w.GroupID + "/" + w.PersonID
		if w.Removal {
			text += "!"
		}
		got = append(got, text)
		if i > 0 && w.Seq <= list[i-1].Seq {
			h.Fatalf("seq %d follows %d", w.Seq, list[i-1].Seq)
		}
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		h.Fatalf("%+v (-want +got)\n%s", q, diff)
	}
	return list
}

var roleWorkCases = []testCase{
	{"is put, and put anew with a new seq", func(h *suite) {
		first := h.put("t", "g/a", "g/b!")
		at := base.Add(time.Hour)
		h.update(func(tx store.Tx) error {
			return errors.Join(tx.DelayRoleWork("t", "a", math.MaxInt64, at, "no"), tx.DelayRoleWork("t", "b", math.MaxInt64, at, "no"),
				tx.DelayRoleWork("t", "b", math.MaxInt64, at, "never"))
		})
		first[0].Attempts, first[0].Error, first[0].RunAt = 1, "no", at
		first[1].Attempts, first[1].Error, first[1].RunAt = 2, "never", at
		equal(h, first)(h.s.RoleWork(h.ctx, "t", store.RoleWorkQuery{}))

		again := []store.RoleWork{{Tenant: "t", GroupID: "g", PersonID: "b", RunAt: at.Add(time.Hour), CreatedAt: at}}
		h.update(func(tx store.Tx) error { return tx.PutRoleWork(again) })
		if again[0].Seq <= first[1].Seq {
			h.Fatalf("seq %d after %d", again[0].Seq, first[1].Seq)
		}
		want := again[0]
		want.Removal, want.CreatedAt = true, base
		equal(h, []store.RoleWork{first[0], want})(h.s.RoleWork(h.ctx, "t", store.RoleWorkQuery{}))
	}},
	{"is a removal if it ever was", func(h *suite) {
		h.put("t", "g/a!", "g/b", "h/a")
		h.put("t", "g/a", "g/b!")
		h.work("t", store.RoleWorkQuery{}, "h/a", "g/a!", "g/b!")
		h.put("t", "h/a!", "h/a", "h/b", "h/b!")
		h.work("t", store.RoleWorkQuery{}, "g/a!", "g/b!", "h/a!", "h/b!")
		h.update(func(tx store.Tx) error { return tx.EndRoleWork("t", "a", math.MaxInt64) })
		h.put("t", "g/a")
		h.work("t", store.RoleWorkQuery{PersonIDs: []string{"a"}}, "g/a")
	}},
	{"never has a seq that was given before", func(h *suite) {
		seen := make(map[int64]bool)
		var last int64
		for range 3 {
			for _, w := range h.put("t", "g/a", "g/b", "h/a") {
				if seen[w.Seq] || w.Seq <= last {
					h.Fatalf("seq %d after %d", w.Seq, last)
				}
				seen[w.Seq], last = true, w.Seq
			}
			h.update(func(tx store.Tx) error {
				return errors.Join(tx.EndRoleWork("t", "a", math.MaxInt64), tx.EndRoleWork("t", "b", math.MaxInt64))
			})
		}
	}},
	{"is selected", func(h *suite) {
		h.put("t", "g/a!", "g/b", "h/a", "h/c!")
		h.put("u", "g/a")
		h.update(func(tx store.Tx) error {
			return tx.DelayRoleWork("t", "c", math.MaxInt64, base.Add(time.Hour), "later")
		})
		for _, c := range []struct {
			q    store.RoleWorkQuery
			want string
		}{
			{store.RoleWorkQuery{}, "g/a! g/b h/a h/c!"},
			{store.RoleWorkQuery{GroupID: "g"}, "g/a! g/b"},
			{store.RoleWorkQuery{GroupID: "\x00"}, ""},
			{store.RoleWorkQuery{PersonIDs: []string{"c", "a", "nobody"}}, "g/a! h/a h/c!"},
			{store.RoleWorkQuery{PersonIDs: []string{"\x00"}}, ""},
			{store.RoleWorkQuery{Removals: true}, "g/a! h/c!"},
			{store.RoleWorkQuery{DueBy: base.Add(-time.Second)}, ""},
			{store.RoleWorkQuery{DueBy: base}, "g/a! g/b h/a"},
			{store.RoleWorkQuery{DueBy: base.Add(time.Hour), GroupID: "h"}, "h/a h/c!"},
			{store.RoleWorkQuery{GroupID: "h", PersonIDs: []string{"a", "c"}, Removals: true, DueBy: base.Add(2 * time.Hour), Limit: 9}, "h/c!"},
			{store.RoleWorkQuery{Limit: 2}, "g/a! g/b"},
		} {
			h.work("t", c.q, strings.Fields(c.want)...)
		}
		for tenant, want := range map[string][2]int{"t": {4, 2}, "u": {1, 0}, "v": {0, 0}} {
			all, removals, err := h.s.CountRoleWork(h.ctx, tenant)
			if err != nil || all != want[0] || removals != want[1] {
				h.Fatalf("%s: %d and %d removals, %v", tenant, all, removals, err)
			}
		}
	}},
	{"ends up to what was seen", func(h *suite) {
		seen := h.put("t", "g/a!", "h/a", "g/b")
		h.put("u", "g/a")
		h.put("t", "h/a!", "i/a")
		h.update(func(tx store.Tx) error { return tx.EndRoleWork("t", "a", seen[2].Seq) })
		left := h.work("t", store.RoleWorkQuery{}, "g/b", "h/a!", "i/a")
		h.update(func(tx store.Tx) error { return tx.DelayRoleWork("t", "a", left[1].Seq, base.Add(time.Hour), "x") })
		h.work("t", store.RoleWorkQuery{DueBy: base}, "g/b", "i/a")
		h.work("u", store.RoleWorkQuery{DueBy: base}, "g/a")
	}},
	{"drops grants and leaves removals", func(h *suite) {
		seen := h.put("t", "g/a!", "g/b", "h/b", "h/c")
		h.put("t", "h/c", "h/d")
		h.put("u", "g/b")
		for _, want := range []int{2, 0} {
			h.update(func(tx store.Tx) error {
				equal(h, want)(tx.DropGrants("t", seen[3].Seq))
				return nil
			})
			h.work("t", store.RoleWorkQuery{}, "g/a!", "h/c", "h/d")
		}
		h.work("u", store.RoleWorkQuery{}, "g/b")
	}},
	{"may be much", func(h *suite) {
		const much = 20_000
		work := make([]string, much)
		people := make([]string, much)
		for i := range work {
			people[i] = fmt.Sprintf("p%05d", i)
			work[i] = "g/" + people[i]
		}
		h.put("t", work...)
		h.work("t", store.RoleWorkQuery{PersonIDs: people, Limit: much}, work...)
		h.work("t", store.RoleWorkQuery{}, work[:1000]...)
		h.put("t", work...)
		h.work("t", store.RoleWorkQuery{Limit: 2 * much}, work...)
	}},
	{"is seen with all that has a smaller seq", func(h *suite) {
		const writers, each = 6, 25
		var given [writers]atomic.Int64
		stop := make(chan struct{})
		watched := make(chan error, 1)
		go func() { watched <- h.watchWork(stop) }()
		errs := together(writers, func(w int) error {
			for i := range each {
				work := []store.RoleWork{{Tenant: "t", GroupID: fmt.Sprint("g", w), PersonID: fmt.Sprint("p", i)}}
				err := h.s.Update(h.ctx, func(tx store.Tx) error {
					if err := tx.PutRoleWork(work); err != nil {
						return err
					}
					// Whatever else the transaction does takes time, in which others would pass it.
					_, err := tx.CountPersons(h.ctx, "t")
					return err
				})
				if err != nil {
					return err
				}
				given[w].Store(work[0].Seq)
			}
			return nil
		})
		close(stop)
		h.must(errors.Join(append(errs, <-watched)...))
		all, _, err := h.s.CountRoleWork(h.ctx, "t")
		h.must(err)
		if all != writers*each {
			h.Fatalf("%d rows", all)
		}
	}},
}

// watchWork checks until stop is closed that work appears at the end alone.
func (h *suite) watchWork(stop <-chan struct{}) error {
	var seen []store.RoleWork
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		now, err := h.s.RoleWork(h.ctx, "t", store.RoleWorkQuery{})
		if err != nil {
			return err
		}
		if len(now) < len(seen) {
			return fmt.Errorf("%d rows after %d", len(now), len(seen))
		}
		if diff := cmp.Diff(seen, now[:len(seen)]); len(seen) > 0 && diff != "" {
			return fmt.Errorf("work came before what was there (-before +now)\n%s", diff)
		}
		seen = now
	}
}
