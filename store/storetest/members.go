package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/store"
)

// members are the ids of a group's members, as read by pages of the given size.
func (h *suite) members(groupID string, page int) []string {
	h.Helper()
	var all []string
	for after := ""; ; {
		got, err := h.s.Members(h.ctx, "t", groupID, after, page)
		h.must(err)
		for _, m := range got {
			all = append(all, m.PersonID)
			after = m.PersonID
		}
		if len(got) < page {
			return all
		}
	}
}

func (h *suite) add(groupID string, ids ...string) error {
	return h.s.Update(h.ctx, func(tx store.Tx) error { return tx.AddMembers("t", groupID, ids) })
}

func (h *suite) remove(groupID string, ids ...string) error {
	return h.s.Update(h.ctx, func(tx store.Tx) error { return tx.RemoveMembers("t", groupID, ids) })
}

// named is a person with an id alone.
func named(tenant, id string) *store.Person {
	return &store.Person{Tenant: tenant, ID: id, UserName: "name of " + id, FoldedUserName: "name of " + id}
}

var memberCases = []testCase{
	{"are listed in the byte order of their ids", func(h *suite) {
		ids := []string{"b", "a", "B", "é", "A", "a-b", "ab", "_", "z", "Z", "10", "9"}
		for _, id := range ids {
			h.insert(named("t", id))
		}
		h.insertGroups(group("t", 1), group("t", 2))
		h.must(h.add("group-1", ids...))
		slices.Sort(ids)
		for page := 1; page < len(ids)+2; page++ {
			if diff := cmp.Diff(ids, h.members("group-1", page)); diff != "" {
				h.Fatalf("by %d (-want +got)\n%s", page, diff)
			}
		}
		equal(h, []store.Member{{PersonID: "A", UserName: "name of A"}})(h.s.Members(h.ctx, "t", "group-1", "9", 1))
		for _, c := range []struct {
			group, after string
			limit        int
		}{{"group-1", "", 0}, {"group-1", "", -1}, {"group-1", "é", 9}, {"group-2", "", 9}, {"nothing", "", 9}, {"\x00", "", 9}} {
			equal(h, []store.Member(nil))(sameEmpty(h.s.Members(h.ctx, "t", c.group, c.after, c.limit)))
		}
	}},
	{"are added and removed any number of times", func(h *suite) {
		for n := range 4 {
			h.insert(person("t", n))
		}
		h.insertGroups(group("t", 1), group("t", 2))
		for range 2 {
			h.must(h.add("group-1", "id-2", "id-0", "id-2"))
			h.must(h.add("group-1", "id-0", "id-1"))
		}
		h.must(h.add("group-2", "id-0"))
		if diff := cmp.Diff([]string{"id-0", "id-1", "id-2"}, h.members("group-1", 10)); diff != "" {
			h.Fatal(diff)
		}
		for range 2 {
			h.must(h.remove("group-1", "id-0", "id-0", "id-3", "nobody", "\x00"))
			h.must(h.remove("nothing", "id-1"))
			h.must(h.remove("group-1"))
		}
		if diff := cmp.Diff([]string{"id-1", "id-2"}, h.members("group-1", 10)); diff != "" {
			h.Fatal(diff)
		}
		equal(h, map[string]bool{"id-1": true, "id-2": true})(h.s.MembersAmong(h.ctx, "t", "group-1",
			[]string{"id-2", "id-0", "id-1", "id-2", "nobody", "\xff"}))
		equal(h, map[string]bool{})(h.s.MembersAmong(h.ctx, "t", "group-1", nil))
		equal(h, map[string]bool{})(h.s.MembersAmong(h.ctx, "t", "nothing", []string{"id-1"}))
	}},
	{"are living persons of a living group", func(h *suite) {
		dead := person("t", 2)
		h.insert(person("t", 1), dead, person("u", 3))
		h.update(func(tx store.Tx) error { return tx.DeletePerson(dead, base) })
		g := group("t", 1)
		h.insertGroups(g)
		h.must(h.add(g.ID, "id-1", "id-2", "id-3", "nobody", "\x00"))
		if diff := cmp.Diff([]string{"id-1"}, h.members(g.ID, 10)); diff != "" {
			h.Fatal(diff)
		}
		h.must(h.deleteGroup(g, base))
		for _, id := range []string{g.ID, "nothing", "\x00"} {
			h.is(h.add(id, "id-1"), store.ErrNotFound)
		}
	}},
	{"know their groups by seq", func(h *suite) {
		h.insert(person("t", 1), person("t", 2), person("t", 3))
		h.insertGroups(group("t", 3), group("t", 1), group("t", 2))
		h.must(errors.Join(h.add("group-1", "id-1", "id-2"), h.add("group-2", "id-1"), h.add("group-3", "id-1", "id-3")))
		ref := func(n int) store.GroupRef {
			g := group("t", n)
			return store.GroupRef{ID: g.ID, DisplayName: g.DisplayName, ExternalID: g.ExternalID}
		}
		equal(h, map[string][]store.GroupRef{"id-1": {ref(3), ref(1), ref(2)}, "id-2": {ref(1)}})(
			h.s.GroupsOf(h.ctx, "t", []string{"id-2", "id-1", "id-1", "nobody", "\x00"}))
		equal(h, map[string][]store.GroupRef{})(h.s.GroupsOf(h.ctx, "t", nil))
	}},
	{"go with a deleted person, and so does the role work", func(h *suite) {
		gone := person("t", 1)
		h.insert(gone, person("t", 2))
		h.insertGroups(group("t", 1))
		h.must(h.add("group-1", "id-1", "id-2"))
		h.update(func(tx store.Tx) error {
			return errors.Join(tx.PutRoleWork([]store.RoleWork{
				{Tenant: "t", GroupID: "group-1", PersonID: "id-1", Removal: true}, {Tenant: "t", GroupID: "group-1", PersonID: "id-2"}}),
				tx.DeletePerson(gone, base))
		})
		if diff := cmp.Diff([]string{"id-2"}, h.members("group-1", 10)); diff != "" {
			h.Fatal(diff)
		}
		equal(h, map[string]bool{"id-2": true})(h.s.MembersAmong(h.ctx, "t", "group-1", []string{"id-1", "id-2"}))
		h.work("t", store.RoleWorkQuery{}, "group-1/id-2")
		g, err := h.s.Group(h.ctx, "t", "group-1")
		h.must(err)
		if g.Version != 1 {
			h.Fatalf("the group's version became %d", g.Version)
		}
	}},
	{"are not lost in a crowd of one-member changes", func(h *suite) {
		const joining = 50
		h.insertGroups(group("t", 1))
		for n := range 2 * joining {
			h.insert(named("t", fmt.Sprintf("p%03d", n)))
		}
		var want []string
		for n := range joining {
			h.must(h.add("group-1", fmt.Sprintf("p%03d", joining+n)))
			want = append(want, fmt.Sprintf("p%03d", n))
		}
		errs := together(2*joining, func(n int) error {
			return h.s.Update(h.ctx, func(tx store.Tx) error {
				g, err := tx.LockGroup("t", "group-1")
				if err != nil {
					return err
				}
				change := tx.AddMembers
				if n >= joining {
					change = tx.RemoveMembers
				}
				return errors.Join(change("t", g.ID, []string{fmt.Sprintf("p%03d", n)}), tx.UpdateGroup(g))
			})
		})
		h.must(errors.Join(errs...))
		if diff := cmp.Diff(want, h.members("group-1", 1000)); diff != "" {
			h.Fatal(diff)
		}
		g, err := h.s.Group(h.ctx, "t", "group-1")
		h.must(err)
		if g.Version != 1+2*joining {
			h.Fatalf("version %d", g.Version)
		}
	}},
	{"do not change while others have the group locked", func(h *suite) {
		h.insert(person("t", 1), person("t", 2))
		h.insertGroups(group("t", 1))
		h.must(h.add("group-1", "id-1"))
		changed := make(chan error, 2)
		h.update(func(tx store.Tx) error {
			if _, err := tx.LockGroup("t", "group-1"); err != nil {
				return err
			}
			go func() { changed <- h.add("group-1", "id-2") }()
			go func() { changed <- h.remove("group-1", "id-1") }()
			select {
			case err := <-changed:
				h.Errorf("changed under the lock: %v", err)
				changed <- err
			case <-time.After(50 * time.Millisecond):
			}
			return nil
		})
		h.must(errors.Join(<-changed, <-changed))
		if diff := cmp.Diff([]string{"id-2"}, h.members("group-1", 10)); diff != "" {
			h.Fatal(diff)
		}
	}},
	{"are never persons who are deleted at the same time", func(h *suite) {
		const people = 20
		h.insertGroups(group("t", 1))
		for n := range people {
			h.insert(named("t", fmt.Sprint(n)))
		}
		errs := together(2*people, func(i int) error {
			id := fmt.Sprint(i / 2)
			if i%2 == 0 {
				return h.add("group-1", id)
			}
			return h.s.Update(h.ctx, func(tx store.Tx) error {
				p, err := tx.Person(h.ctx, "t", id)
				if err != nil {
					return err
				}
				return tx.DeletePerson(p, base)
			})
		})
		h.must(errors.Join(errs...))
		var everybody []string
		for n := range people {
			everybody = append(everybody, fmt.Sprint(n))
		}
		equal(h, map[string]bool{})(h.s.MembersAmong(h.ctx, "t", "group-1", everybody))
	}},
	{"may be many", func(h *suite) {
		const many = 5000
		everybody := make([]string, many)
		h.update(func(tx store.Tx) error {
			for n := range many {
				everybody[n] = fmt.Sprintf("p%05d", n)
				if err := tx.InsertPerson(&store.Person{Tenant: "t", ID: everybody[n]}); err != nil {
					return err
				}
			}
			return nil
		})
		h.insertGroups(group("t", 1))
		// Four times as many as there are, so that a call has 20,000.
		asked := slices.Clone(everybody)
		for n := range 3 * many {
			asked = append(asked, fmt.Sprintf("nobody-%d", n))
		}
		h.must(h.add("group-1", asked...))
		if diff := cmp.Diff(everybody, h.members("group-1", 999)); diff != "" {
			h.Fatal(diff)
		}
		among, err := h.s.MembersAmong(h.ctx, "t", "group-1", asked)
		h.must(err)
		groups, err := h.s.GroupsOf(h.ctx, "t", asked)
		h.must(err)
		persons, err := h.s.PersonsByID(h.ctx, "t", asked)
		h.must(err)
		if len(among) != many || len(groups) != many || len(persons) != many {
			h.Fatalf("%d members, %d in groups, %d persons", len(among), len(groups), len(persons))
		}
		h.must(h.remove("group-1", asked[1:]...))
		if diff := cmp.Diff(everybody[:1], h.members("group-1", many)); diff != "" {
			h.Fatal(diff)
		}
	}},
}
