package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/store"
)

// seen is a finding of tenant "t" that was seen in the given minutes after
// base, and settled in another one; a negative minute is never.
func seen(subject string, first, last, settled int, count int64) store.Finding {
	at := func(minute int) time.Time {
		if minute < 0 {
			return time.Time{}
		}
		return base.Add(time.Duration(minute) * time.Minute)
	}
	return store.Finding{
		Tenant: "t", Credential: "cred", Code: "code", Subject: subject,
		FirstSeen: at(first), LastSeen: at(last), SettledAt: at(settled), Count: count,
	}
}

// merge merges findings into a tenant.
func (h *suite) merge(tenant string, findings ...store.Finding) {
	h.Helper()
	h.must(h.s.MergeFindings(h.ctx, tenant, findings))
}

// found checks a tenant's findings.
func (h *suite) found(slug string, want ...store.Finding) {
	h.Helper()
	all, err := h.s.Findings(h.ctx, slug)
	h.must(err)
	got := make([]store.Finding, len(all))
	for i, f := range all {
		got[i] = *f
	}
	if diff := cmp.Diff(append([]store.Finding{}, want...), got); diff != "" {
		h.Fatalf("(-want +got)\n%s", diff)
	}
}

// tenants stores tenants that manage nothing in common.
func (h *suite) tenants(slugs ...string) {
	h.Helper()
	h.update(func(tx store.Tx) error {
		for i, slug := range slugs {
			if err := tx.PutTenant(tenant(slug, int64(i+1))); err != nil {
				return err
			}
		}
		return nil
	})
}

var findingCases = []testCase{
	{"keeps what was seen, in order", func(h *suite) {
		h.tenants("t")
		h.found("t")
		other := seen("", 3, 4, -1, 1)
		other.Code = "b"
		second := seen("", 0, 0, -1, 1)
		second.Credential = "x"
		h.merge("t", second, other, seen("é", 1, 2, -1, 3), seen("B", 1, 2, -1, 3), seen("a", 1, 2, 5, 3))
		h.merge("t")
		h.found("t", other, seen("B", 1, 2, -1, 3), seen("a", 1, 2, 5, 3), seen("é", 1, 2, -1, 3), second)
	}},
	{"merges the same whatever comes first", func(h *suite) {
		parts := []store.Finding{seen("s", 5, 9, -1, 2), seen("s", 2, 6, -1, 3), seen("s", -1, -1, 7, 0), seen("s", 4, 4, 1, 1)}
		want := seen("s", 2, 9, 7, 6)
		for i, order := range [][]int{{0, 1, 2, 3}, {2, 0, 1, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}} {
			slug := fmt.Sprint("t", i)
			h.update(func(tx store.Tx) error { return tx.PutTenant(tenant(slug, int64(100+i))) })
			for _, n := range order {
				h.merge(slug, parts[n])
			}
			all, err := h.s.Findings(h.ctx, slug)
			h.must(err)
			got := *all[0]
			if len(all) != 1 || !got.LastSeen.Equal(want.LastSeen) || !got.SettledAt.Equal(want.SettledAt) || !got.Open() {
				h.Errorf("order %v: %+v", order, got)
			}
		}
		h.tenants("t")
		h.merge("t", parts...)
		h.found("t", want)
	}},
	{"begins anew what is seen after it was settled", func(h *suite) {
		h.tenants("t")
		h.merge("t", seen("s", 0, 1, -1, 5))
		h.merge("t", seen("s", -1, -1, 2, 0))
		h.found("t", seen("s", 0, 1, 2, 5))
		// What comes late was seen before: it is still over.
		h.merge("t", seen("s", 1, 2, -1, 1))
		h.found("t", seen("s", 0, 2, 2, 6))
		h.merge("t", seen("s", 3, 4, -1, 1))
		h.found("t", seen("s", 3, 4, 2, 1))
	}},
	{"keeps that the contrary was seen first", func(h *suite) {
		h.tenants("t")
		h.merge("t", seen("", -1, -1, 5, 0))
		h.found("t", seen("", -1, -1, 5, 0))
		h.merge("t", seen("", 7, 8, -1, 2))
		h.found("t", seen("", 7, 8, 5, 2))
	}},
	{"keeps nothing of a tenant that does not exist", func(h *suite) {
		h.merge("t", seen("s", 0, 1, -1, 1))
		h.found("t")
		h.tenants("t", "u")
		h.merge("t", seen("s", 0, 1, -1, 1))
		h.found("u")
		h.update(func(tx store.Tx) error { return tx.DeleteTenant("t") })
		h.found("t")
	}},
	{"keeps nothing of a tenant that is being deleted", func(h *suite) {
		h.tenants("t")
		var merging sync.WaitGroup
		err := h.s.Update(h.ctx, func(tx store.Tx) error {
			if err := tx.DeleteTenant("t"); err != nil {
				return err
			}
			var merged atomic.Bool
			merging.Go(func() {
				defer merged.Store(true)
				if err := h.s.MergeFindings(h.ctx, "t", []store.Finding{seen("s", 0, 1, -1, 1)}); err != nil {
					h.Error(err)
				}
			})
			// Time to go wrong in: whoever waits for this transaction is not done.
			for range 200 {
				if _, err := tx.Group(h.ctx, "t", "g"); !errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("a group of a deleted tenant: %w", err)
				}
				if merged.Load() {
					break
				}
			}
			return nil
		})
		merging.Wait()
		h.must(err)
		h.tenants("t")
		h.found("t")
	}},
	{"forgets what is old", func(h *suite) {
		h.tenants("t")
		open, over, late, never := seen("open", 0, 10, 5, 1), seen("over", 0, 10, 20, 1), seen("late", 0, 10, 60, 1), seen("never", -1, -1, 20, 0)
		prune := func(unseen, settled int) {
			h.Helper()
			h.must(h.s.PruneFindings(h.ctx, base.Add(time.Duration(unseen)*time.Minute), base.Add(time.Duration(settled)*time.Minute)))
		}
		h.merge("t", open, over, late, never)
		prune(0, 20)
		h.found("t", late, never, open, over)
		prune(0, 21)
		h.found("t", late, open)
		prune(10, 21)
		h.found("t", late, open)
		prune(11, 21)
		h.found("t", late)
	}},
	{"takes many at once, from many at a time", func(h *suite) {
		h.tenants("t")
		const callers, each = 8, 500
		h.must(errors.Join(together(callers, func(i int) error {
			batch := make([]store.Finding, each)
			for n := range batch {
				batch[n] = seen(fmt.Sprintf("s%04d", (n*7+i*13)%each), i, i+1, -1, 1)
			}
			return h.s.MergeFindings(h.ctx, "t", batch)
		})...))
		all, err := h.s.Findings(h.ctx, "t")
		h.must(err)
		if len(all) != each {
			h.Fatalf("%d findings", len(all))
		}
		for _, f := range all {
			if *f != seen(f.Subject, 0, callers, -1, callers) {
				h.Fatalf("%+v", f)
			}
		}
	}},
	{"refuses what cannot be stored", func(h *suite) {
		h.tenants("t")
		if err := h.s.MergeFindings(h.ctx, "t", []store.Finding{seen("ok", 0, 0, -1, 1), seen("\x00", 0, 0, -1, 1)}); err == nil {
			h.Fatal("merged")
		}
		h.found("t")
	}},
}
