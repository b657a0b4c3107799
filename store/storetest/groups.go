package storetest

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/store"
)

// group is a group with every field set, different for each n.
func group(tenant string, n int) *store.Group {
	return &store.Group{Tenant: tenant, ID: fmt.Sprintf("group-%d", n), DisplayName: fmt.Sprintf("Gröup%d", n),
		FoldedName: fmt.Sprintf("gröup%d", n), ExternalID: fmt.Sprintf("Ext-%d", n),
		CreatedAt: base, ModifiedAt: base.Add(time.Hour)}
}

// insertGroups stores groups.
func (h *suite) insertGroups(groups ...*store.Group) {
	h.Helper()
	h.update(func(tx store.Tx) error {
		for _, g := range groups {
			if err := tx.InsertGroup(g); err != nil {
				return err
			}
		}
		return nil
	})
}

func (h *suite) insertGroup(g *store.Group) error {
	return h.s.Update(h.ctx, func(tx store.Tx) error { return tx.InsertGroup(g) })
}

func (h *suite) updateGroup(g *store.Group) error {
	return h.s.Update(h.ctx, func(tx store.Tx) error { return tx.UpdateGroup(g) })
}

func (h *suite) deleteGroup(g *store.Group, at time.Time) error {
	return h.s.Update(h.ctx, func(tx store.Tx) error { return tx.DeleteGroup(g, at) })
}

// heartbeat does what a replica does from time to time, house-keeping included.
func (h *suite) heartbeat() {
	h.Helper()
	_, err := h.s.Heartbeat(h.ctx, "replica", time.Minute)
	h.must(err)
}

var groupCases = []testCase{
	{"is found by every key", func(h *suite) {
		a, b, foreign := group("t", 1), group("t", 2), group("u", 1)
		b.ExternalID = a.ExternalID
		h.insertGroups(a, b, foreign)
		if a.Seq == 0 || b.Seq <= a.Seq || a.Version != 1 {
			h.Fatalf("seq %d and %d, version %d", a.Seq, b.Seq, a.Version)
		}
		equal(h, b)(h.s.Group(h.ctx, "t", b.ID))
		equal(h, b)(h.s.GroupByName(h.ctx, "t", b.FoldedName))
		equal(h, []*store.Group{a, b})(h.s.GroupsByExternalID(h.ctx, "t", a.ExternalID))
		none := notFound[store.Group](h)
		for _, id := range []string{"group-9", "", "\x00", "\xff"} {
			none(h.s.Group(h.ctx, "t", id))
			none(h.s.GroupByName(h.ctx, "t", id))
			none(h.s.DeletedGroup(h.ctx, "t", id))
		}
		none(h.s.DeletedGroup(h.ctx, "t", a.ID))
		none(h.s.GroupByName(h.ctx, "t", a.DisplayName))
		for _, external := range []string{"ext-1", "", "\x00"} {
			equal(h, []*store.Group(nil))(h.s.GroupsByExternalID(h.ctx, "t", external))
		}
		h.update(func(tx store.Tx) error {
			equal(h, a)(tx.LockGroup("t", a.ID))
			none(tx.LockGroup("t", "group-9"))
			return nil
		})
	}},
	{"shows windows of the living by seq", func(h *suite) {
		var living []*store.Group
		for n := range 9 {
			g := group("t", 9-n)
			g.ExternalID = ""
			h.insertGroups(g)
			if n%3 == 1 {
				h.must(h.deleteGroup(g, base))
				continue
			}
			living = append(living, g)
		}
		equal(h, len(living))(h.s.CountGroups(h.ctx, "t"))
		equal(h, 0)(h.s.CountGroups(h.ctx, "u"))
		for _, after := range []int64{0, living[1].Seq, living[5].Seq, math.MaxInt64} {
			for offset := range 8 {
				for limit := range 8 {
					var want []*store.Group
					for _, g := range living {
						if g.Seq > after {
							want = append(want, g)
						}
					}
					want = want[min(offset, len(want)):]
					want = want[:min(limit, len(want))]
					got, err := h.s.Groups(h.ctx, "t", store.Window{After: after, Offset: offset, Limit: limit})
					h.must(err)
					if diff := cmp.Diff(append([]*store.Group{}, want...), append([]*store.Group{}, got...)); diff != "" {
						h.Fatalf("after %d, offset %d, limit %d (-want +got)\n%s", after, offset, limit, diff)
					}
				}
			}
		}
	}},
	{"is replaced with every key", func(h *suite) {
		g := group("t", 1)
		h.insertGroups(g)
		next := group("t", 7)
		next.ID, next.Seq, next.Version, next.CreatedAt = g.ID, g.Seq, g.Version, g.CreatedAt
		h.must(h.updateGroup(next))
		if next.Version != 2 {
			h.Fatalf("version %d", next.Version)
		}
		equal(h, next)(h.s.GroupByName(h.ctx, "t", next.FoldedName))
		equal(h, []*store.Group{next})(h.s.GroupsByExternalID(h.ctx, "t", next.ExternalID))
		notFound[store.Group](h)(h.s.GroupByName(h.ctx, "t", g.FoldedName))
		next.ModifiedAt = next.ModifiedAt.Add(time.Hour)
		h.must(h.updateGroup(next))
		equal(h, next)(h.s.Group(h.ctx, "t", g.ID))
	}},
	{"has a name and an id of its own among the living", func(h *suite) {
		owner, other := group("t", 1), group("t", 2)
		h.insertGroups(owner, other, group("u", 1))
		taken := store.ConflictError{Field: "displayName", Value: owner.FoldedName, Owner: owner.ID}
		fresh, changed := group("t", 3), *other
		fresh.FoldedName, changed.FoldedName = owner.FoldedName, owner.FoldedName
		h.update(func(tx store.Tx) error {
			h.conflict(tx.InsertGroup(fresh), taken)
			h.conflict(tx.UpdateGroup(&changed), taken)
			return nil
		})
		equal(h, other)(h.s.Group(h.ctx, "t", other.ID))
		h.conflict(h.insertGroup(owner), store.ConflictError{Field: "id", Value: owner.ID, Owner: owner.ID})
		h.must(h.deleteGroup(owner, base))
		h.must(h.insertGroup(fresh))
		again := group("t", 4)
		again.ID = owner.ID
		for range 2 {
			h.conflict(h.insertGroup(again), store.ConflictError{Field: "id", Value: owner.ID, Owner: owner.ID})
		}
		h.update(func(tx store.Tx) error { return tx.PurgeGroup("t", owner.ID) })
		h.must(h.insertGroup(again))
	}},
	{"lets one of a crowd have a name", func(h *suite) {
		var winner atomic.Pointer[store.Group]
		errs := together(crowd, func(i int) error {
			g := group("t", i)
			g.FoldedName = "wanted"
			err := h.insertGroup(g)
			if err == nil {
				winner.Store(g)
			}
			return err
		})
		h.oneWins(errs, "displayName", "wanted", func() string { return winner.Load().ID })
	}},
	{"refuses a stale row, I13", func(h *suite) {
		g := group("t", 1)
		h.insertGroups(g)
		stale := *g
		h.must(h.updateGroup(g))
		missing, ahead := group("t", 9), *g
		missing.Version, ahead.Version = 1, g.Version+1
		for _, row := range []*store.Group{&stale, missing, &ahead} {
			version := row.Version
			h.is(h.updateGroup(row), store.ErrStale)
			h.is(h.deleteGroup(row, base), store.ErrStale)
			if row.Version != version {
				h.Fatalf("the refused row's version became %d", row.Version)
			}
		}
		equal(h, g)(h.s.Group(h.ctx, "t", g.ID))
	}},
	{"keeps its id and its role work when deleted, not its members", func(h *suite) {
		g := group("t", 1)
		h.insertGroups(g)
		h.insert(person("t", 1))
		h.update(func(tx store.Tx) error {
			return errors.Join(tx.AddMembers("t", g.ID, []string{"id-1"}),
				tx.PutRoleWork([]store.RoleWork{{Tenant: "t", GroupID: g.ID, PersonID: "id-1", Removal: true}}))
		})
		at := base.Add(72 * time.Hour)
		h.must(h.deleteGroup(g, at))
		want := *g
		want.Version, want.ModifiedAt, want.DeletedAt = 2, at, at
		equal(h, &want)(h.s.DeletedGroup(h.ctx, "t", g.ID))
		none := notFound[store.Group](h)
		none(h.s.Group(h.ctx, "t", g.ID))
		none(h.s.GroupByName(h.ctx, "t", g.FoldedName))
		equal(h, 0)(h.s.CountGroups(h.ctx, "t"))
		equal(h, []store.Member(nil))(sameEmpty(h.s.Members(h.ctx, "t", g.ID, "", 10)))
		equal(h, map[string][]store.GroupRef{})(h.s.GroupsOf(h.ctx, "t", []string{"id-1"}))
		h.is(h.deleteGroup(&want, at), store.ErrStale)
		h.is(h.updateGroup(&want), store.ErrStale)
		h.work("t", store.RoleWorkQuery{}, "group-1/id-1!")
		for range 2 {
			h.update(func(tx store.Tx) error { return tx.PurgeGroup("t", g.ID) })
			none(h.s.DeletedGroup(h.ctx, "t", g.ID))
		}
	}},
	{"lives again without its members when restored, unless its name is taken", func(h *suite) {
		g, rival := group("t", 1), group("t", 2)
		h.insertGroups(g)
		h.insert(person("t", 1))
		h.update(func(tx store.Tx) error { return tx.AddMembers("t", g.ID, []string{"id-1"}) })
		at := base.Add(72 * time.Hour)
		restore := func(tenant, id string) (restored *store.Group, err error) {
			err = h.s.Update(h.ctx, func(tx store.Tx) error {
				restored, err = tx.RestoreGroup(tenant, id, at)
				return err
			})
			return restored, err
		}
		none := notFound[store.Group](h)
		none(restore("t", g.ID))
		h.must(h.deleteGroup(g, base))
		none(restore("u", g.ID))
		rival.FoldedName = g.FoldedName
		h.insertGroups(rival)
		_, err := restore("t", g.ID)
		if c, ok := errors.AsType[*store.ConflictError](err); !ok || c.Field != "displayName" || c.Owner != rival.ID {
			h.Fatalf("restoring a group whose name is taken: %v", err)
		}
		h.must(h.deleteGroup(rival, base))
		want := *g
		want.Version, want.ModifiedAt = 3, at
		equal(h, &want)(restore("t", g.ID))
		equal(h, &want)(h.s.Group(h.ctx, "t", g.ID))
		none(h.s.DeletedGroup(h.ctx, "t", g.ID))
		equal(h, []store.Member(nil))(sameEmpty(h.s.Members(h.ctx, "t", g.ID, "", 10)))
	}},
	{"leaves another mark whenever it changes", func(h *suite) {
		seen := make(map[store.GroupsMark]string)
		marked := func(after string) {
			h.Helper()
			m, err := h.s.GroupsMark(h.ctx, "t")
			h.must(err)
			if same, ok := seen[m]; ok {
				h.Fatalf("after %s it is %+v, as after %s", after, m, same)
			}
			seen[m] = after
		}
		a, b, again := group("t", 1), group("t", 2), group("t", 3)
		again.FoldedName = a.FoldedName
		marked("nothing")
		h.insertGroups(a)
		marked("a")
		h.insertGroups(b)
		marked("b")
		h.must(h.updateGroup(a))
		marked("a change of a")
		h.must(h.updateGroup(b))
		marked("a change of b")
		h.must(h.deleteGroup(b, base))
		marked("the end of b")
		h.must(h.deleteGroup(a, base))
		h.insertGroups(again)
		h.must(h.updateGroup(again))
		marked("a new group of the same version")
		equal(h, store.GroupsMark{})(h.s.GroupsMark(h.ctx, "u"))
	}},
	{"is not purged while it lives", func(h *suite) {
		g := group("t", 1)
		h.insertGroups(g)
		h.update(func(tx store.Tx) error { return tx.PurgeGroup("t", g.ID) })
		equal(h, g)(h.s.Group(h.ctx, "t", g.ID))
	}},
	{"is forgotten a day after its end, unless it has role work", func(h *suite) {
		old, busy, living := group("t", 1), group("t", 2), group("t", 3)
		h.insertGroups(old, busy, living)
		h.must(errors.Join(h.deleteGroup(old, base), h.deleteGroup(busy, base)))
		h.update(func(tx store.Tx) error {
			return tx.PutRoleWork([]store.RoleWork{{Tenant: "t", GroupID: busy.ID, PersonID: "p"}})
		})
		ahead := group("t", 4)
		h.insertGroups(ahead)
		h.must(h.deleteGroup(ahead, base.AddDate(100, 0, 0)))
		there := func(want ...bool) {
			h.Helper()
			h.heartbeat()
			for i, id := range []string{old.ID, busy.ID, ahead.ID} {
				_, err := h.s.DeletedGroup(h.ctx, "t", id)
				if (err == nil) != want[i] {
					h.Fatalf("%s: %v", id, err)
				}
			}
		}
		there(false, true, true)
		h.update(func(tx store.Tx) error { return tx.EndRoleWork("t", "p", math.MaxInt64) })
		h.pass(2 * time.Hour)
		there(false, false, true)
		equal(h, living)(h.s.Group(h.ctx, "t", living.ID))
	}},
	{"refuses text that not every database can hold", func(h *suite) {
		for _, spoil := range []func(g *store.Group){
			func(g *store.Group) { g.DisplayName = "a\x00b" },
			func(g *store.Group) { g.ExternalID = "\xff" },
		} {
			g := group("t", 1)
			spoil(g)
			if err := h.insertGroup(g); err == nil {
				h.Fatal("stored")
			}
		}
		h.insertGroups(group("t", 1))
	}},
}

// sameEmpty makes nil of an empty list.
func sameEmpty[T any](list []T, err error) ([]T, error) {
	if len(list) == 0 {
		return nil, err
	}
	return list, err
}
