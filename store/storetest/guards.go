package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// guardWindow is how far back the guards of the suite look.
const guardWindow = time.Hour

// take lets subjects pass guard "g" of tenant "t" some minutes after base.
func (h *suite) take(minute, limit int, subjects ...string) bool {
	h.Helper()
	var ok bool
	at := base.Add(time.Duration(minute) * time.Minute)
	h.update(func(tx store.Tx) (err error) {
		ok, err = tx.TakeGuard("t", "g", subjects, at, at.Add(-guardWindow), limit)
		return err
	})
	return ok
}

// hold holds subjects at it.
func (h *suite) hold(minute int, subjects ...string) {
	h.Helper()
	h.update(func(tx store.Tx) error {
		return tx.HoldGuard("t", "g", subjects, base.Add(time.Duration(minute)*time.Minute))
	})
}

func numbered(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s%05d", prefix, i)
	}
	return list
}

var guardCases = []testCase{
	{"lets all pass or none", func(h *suite) {
		for _, c := range []struct {
			subjects []string
			want     bool
			used     int
		}{
			{[]string{"a", "b", "a"}, true, 2},
			{nil, true, 2},
			{[]string{"c", "d"}, false, 2},
			{[]string{"c"}, true, 3},
			{[]string{"d"}, false, 3},
			{[]string{"a", "d"}, false, 3},
			{[]string{"a", "b", "c"}, true, 3},
		} {
			if got := h.take(0, 3, c.subjects...); got != c.want {
				h.Fatalf("%q: %v", c.subjects, got)
			}
			equal(h, store.GuardUse{Used: c.used, Oldest: base})(h.s.Guard(h.ctx, "t", "g", base.Add(-guardWindow)))
		}
		if h.take(0, 0, "e") || !h.take(0, 0, "a") {
			h.Fatal("a limit of none lets pass, or holds who has passed")
		}
	}},
	{"frees a place a window after it was taken", func(h *suite) {
		for minute, subject := range []string{"a", "b"} {
			if !h.take(10*minute, 2, subject) {
				h.Fatalf("%s is held", subject)
			}
		}
		// Passing again in the window is neither counted nor does it renew.
		if !h.take(30, 2, "a") || h.take(59, 2, "c") || h.take(60, 2, "c") || !h.take(61, 2, "c") {
			h.Fatal("the place of a is not free at the right time")
		}
		use := func(minute int) (store.GuardUse, error) {
			return h.s.Guard(h.ctx, "t", "g", base.Add(time.Duration(minute)*time.Minute))
		}
		equal(h, store.GuardUse{Used: 2, Oldest: base.Add(10 * time.Minute)})(use(1))
		equal(h, store.GuardUse{Used: 3, Oldest: base})(use(0))
		equal(h, store.GuardUse{})(use(62))
		if h.take(61, 2, "a") || !h.take(71, 2, "a") {
			h.Fatal("who passed before the window passes uncounted")
		}
		equal(h, store.GuardUse{Used: 2, Oldest: base.Add(61 * time.Minute)})(use(11))
	}},
	{"names whom it holds until they pass", func(h *suite) {
		use := func() store.GuardUse {
			h.Helper()
			u, err := h.s.Guard(h.ctx, "t", "g", base)
			h.must(err)
			return u
		}
		held := func(want ...string) {
			h.Helper()
			if u := use(); u.Held != len(want) || !slices.Equal(u.HeldSubjects, want) {
				h.Fatalf("%d held: %q, want %q", u.Held, u.HeldSubjects, want)
			}
		}
		h.hold(-1, "early")
		h.hold(0, "b", "a", "b")
		h.hold(1, "c")
		held("c", "a", "b")
		h.hold(2, "b")
		h.hold(1, "b")
		held("b", "c", "a")
		if !h.take(3, 1, "c") || h.take(3, 1, "a", "c") {
			h.Fatal("one may pass, not two")
		}
		held("b", "a")
		h.hold(4, "c")
		held("c", "b", "a")
		if !h.take(5, 1, "c") {
			h.Fatal("who has passed is held")
		}
		held("b", "a")
		h.hold(6, numbered("x", 250)...)
		if u := use(); u.Held != 252 || !slices.Equal(u.HeldSubjects, numbered("x", 100)) || u.Used != 1 {
			h.Fatalf("%d held, %d named, %d passed", u.Held, len(u.HeldSubjects), u.Used)
		}
	}},
	{"has no limit while it is open", func(h *suite) {
		open := func(until time.Time) {
			h.Helper()
			h.update(func(tx store.Tx) error { return tx.OpenGuard("t", "g", until) })
			u, err := h.s.Guard(h.ctx, "t", "g", base)
			h.must(err)
			if !u.OpenUntil.Equal(until) {
				h.Fatalf("open until %v", u.OpenUntil)
			}
		}
		open(base.Add(10 * time.Minute))
		if !h.take(9, 1, numbered("a", 5)...) || h.take(10, 1, "b") {
			h.Fatal("it is not open as long as it should be")
		}
		equal(h, store.GuardUse{Used: 5, Oldest: base.Add(9 * time.Minute), OpenUntil: base.Add(10 * time.Minute)})(
			h.s.Guard(h.ctx, "t", "g", base))
		open(base.Add(time.Hour))
		if !h.take(11, 1, "b") {
			h.Fatal("it is not open again")
		}
		open(time.Time{})
		if h.take(12, 1, "c") {
			h.Fatal("it is still open")
		}
	}},
	{"judges a crowd one after the other", func(h *suite) {
		const callers, limit = 20, 7
		var passed atomic.Int64
		errs := together(callers, func(i int) error {
			var ok bool
			err := h.s.Update(h.ctx, func(tx store.Tx) (err error) {
				ok, err = tx.TakeGuard("t", "g", []string{fmt.Sprint(i), "all"}, base, base, limit)
				return err
			})
			if ok {
				passed.Add(1)
			}
			return err
		})
		h.must(errors.Join(errs...))
		if n := passed.Load(); n != limit-1 {
			h.Fatalf("%d passed", n)
		}
		equal(h, store.GuardUse{Used: limit, Oldest: base})(h.s.Guard(h.ctx, "t", "g", base))
	}},
	{"keeps nothing of a transaction that failed", func(h *suite) {
		h.is(h.s.Update(h.ctx, func(tx store.Tx) error {
			ok, err := tx.TakeGuard("t", "g", []string{"a"}, base, base, 1)
			if !ok {
				return err
			}
			return errStop
		}), errStop)
		equal(h, store.GuardUse{})(h.s.Guard(h.ctx, "t", "g", base))
	}},
	{"lets many pass at once", func(h *suite) {
		many := numbered("s", 20_000)
		if h.take(0, len(many)-1, many...) || !h.take(0, len(many), many...) || !h.take(0, len(many), many...) {
			h.Fatal("the limit is not where it should be")
		}
		equal(h, store.GuardUse{Used: len(many), Oldest: base})(h.s.Guard(h.ctx, "t", "g", base))
	}},
	{"forgets after 31 days", func(h *suite) {
		ahead := base.AddDate(100, 0, 0)
		h.take(0, 9, "a", "b")
		h.hold(0, "c")
		h.update(func(tx store.Tx) error {
			_, err := tx.TakeGuard("t", "g", []string{"d"}, ahead, ahead, 9)
			return errors.Join(err, tx.HoldGuard("t", "g", []string{"b"}, ahead), tx.OpenGuard("t", "g", ahead))
		})
		h.heartbeat()
		equal(h, store.GuardUse{Used: 2, Oldest: base, Held: 1, HeldSubjects: []string{"b"}, OpenUntil: ahead})(
			h.s.Guard(h.ctx, "t", "g", time.Time{}))
	}},
	{"refuses to pass or hold at no time", func(h *suite) {
		h.update(func(tx store.Tx) error {
			if ok, err := tx.TakeGuard("t", "g", []string{"a"}, time.Time{}, base, 1); ok || err == nil {
				h.Errorf("passed: %v, %v", ok, err)
			}
			if err := tx.HoldGuard("t", "g", []string{"a"}, time.Time{}); err == nil {
				h.Error("held")
			}
			if ok, err := tx.TakeGuard("t", "g", []string{"\x00"}, base, base, 1); ok || err == nil {
				h.Errorf("passed: %v, %v", ok, err)
			}
			return nil
		})
	}},
}
