package storetest

import (
	"fmt"
	"math/rand/v2"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sharearefund/scim-bridge/store"
)

var listCases = []testCase{
	{"shows windows of the listed and living by seq", func(h *suite) {
		var people []*store.Person
		for n := range 12 {
			p := person("t", n)
			p.Listed = n%4 != 1
			people = append(people, p)
		}
		h.insert(people...)
		h.update(func(tx store.Tx) error { return tx.DeletePerson(people[6], base) })
		var want []*store.Person
		for n, p := range people {
			if p.Listed && n != 6 {
				want = append(want, p)
			}
		}
		equal(h, len(want))(h.s.CountPersons(h.ctx, "t"))
		for _, after := range []int64{0, want[0].Seq, want[3].Seq, people[6].Seq, want[len(want)-1].Seq, 1 << 40} {
			for offset := range 10 {
				for limit := range 10 {
					w := store.Window{After: after, Offset: offset, Limit: limit}
					got, err := h.s.Persons(h.ctx, "t", w)
					h.must(err)
					if diff := cmp.Diff(ids(window(want, w)), ids(got)); diff != "" {
						h.Fatalf("%+v (-want +got)\n%s", w, diff)
					}
					var revisions []store.Revision
					for _, p := range got {
						revisions = append(revisions, store.Revision{Seq: p.Seq, Revision: p.Revision})
					}
					seen, err := h.s.Revisions(h.ctx, "t", w)
					h.must(err)
					if diff := cmp.Diff(revisions, seen, cmpopts.EquateEmpty()); diff != "" {
						h.Fatalf("revisions of %+v (-want +got)\n%s", w, diff)
					}
				}
			}
		}
		equal(h, []string{})(idsOf(h.s.Persons(h.ctx, "t", store.Window{Limit: -1})))
	}},
	{"counts the listed and living that are active", func(h *suite) {
		for n := range 8 {
			p := person("t", n)
			p.Listed, p.Active = n&1 != 0, n&2 != 0
			h.insert(p)
			if n&4 != 0 {
				h.update(func(tx store.Tx) error { return tx.DeletePerson(p, base) })
			}
		}
		h.insert(person("u", 1))
		equal(h, 1)(h.s.CountActive(h.ctx, "t"))
		p, err := h.s.Person(h.ctx, "t", "id-3")
		h.must(err)
		for want, write := range []func(tx store.Tx) error{
			func(tx store.Tx) error { p.Active = false; return tx.SeePerson(p) },
			func(tx store.Tx) error { p.Active = true; return tx.UpdatePerson(p) },
		} {
			h.update(write)
			equal(h, want)(h.s.CountActive(h.ctx, "t"))
			equal(h, copyOf(p))(h.s.Person(h.ctx, "t", "id-3"))
		}
	}},
	{"counts the writes of a row in its revision", func(h *suite) {
		p := person("t", 1)
		h.insert(p)
		at := func() int64 {
			all, err := h.s.Revisions(h.ctx, "t", store.Window{Limit: 1})
			h.must(err)
			if len(all) != 1 || all[0].Revision != p.Revision {
				h.Fatalf("revisions are %v, the row has %d", all, p.Revision)
			}
			return all[0].Revision
		}
		first := at()
		h.update(func(tx store.Tx) error { return tx.SeePerson(p) })
		second := at()
		h.update(func(tx store.Tx) error { return tx.UpdatePerson(p) })
		if third := at(); first >= second || second >= third {
			h.Fatalf("revisions %d, %d, %d do not grow", first, second, third)
		}
	}},
	{"counts what it lists, whatever happens", func(h *suite) {
		random := rand.New(rand.NewPCG(1, 2))
		var people []*store.Person
		for step := range 150 {
			fail := random.IntN(5) == 0
			err := h.s.Update(h.ctx, func(tx store.Tx) error {
				for range 1 + random.IntN(3) {
					next, err := h.step(tx, random, people, step)
					if err != nil {
						return err
					}
					people = next
				}
				h.counts(tx)
				if fail {
					return errStop
				}
				return nil
			})
			if fail {
				h.is(err, errStop)
				people = people[:0]
				all, err := h.s.Persons(h.ctx, "t", store.Window{Limit: 1000})
				h.must(err)
				people = append(people, all...)
			} else {
				h.must(err)
			}
			h.counts(h.s)
		}
	}},
}

// window is the part of a list that a store.Window selects.
func window(list []*store.Person, w store.Window) []*store.Person {
	for len(list) > 0 && list[0].Seq <= w.After {
		list = list[1:]
	}
	list = list[min(w.Offset, len(list)):]
	return list[:min(w.Limit, len(list))]
}

var errStop = fmt.Errorf("stop")

// step changes people at random.
func (h *suite) step(tx store.Tx, random *rand.Rand, people []*store.Person, step int) ([]*store.Person, error) {
	if len(people) == 0 || random.IntN(3) == 0 {
		p := person("t", step*10+random.IntN(10))
		p.ID = fmt.Sprintf("%s-%d", p.ID, random.Uint64())
		p.FoldedUserName, p.FoldedEmail, p.UserID, p.Listed = p.ID, p.ID, 0, random.IntN(2) == 0
		return append(people, p), tx.InsertPerson(p)
	}
	at := random.IntN(len(people))
	p := people[at]
	p.Listed = random.IntN(2) == 0
	switch random.IntN(3) {
	case 0:
		return people, tx.UpdatePerson(p)
	case 1:
		return people, tx.SeePerson(p)
	default:
		rest := append(append([]*store.Person(nil), people[:at]...), people[at+1:]...)
		return rest, tx.DeletePerson(p, base)
	}
}

func (h *suite) counts(r store.Reader) {
	h.Helper()
	all, err := r.Persons(h.ctx, "t", store.Window{Limit: 10000})
	h.must(err)
	n, err := r.CountPersons(h.ctx, "t")
	h.must(err)
	if n != len(all) {
		h.Fatalf("%d counted, %d listed", n, len(all))
	}
}
