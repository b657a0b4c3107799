package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/sharearefund/scim-bridge/store"
)

// uniques are the values that one living person of a tenant has.
var uniques = []struct {
	field string
	value string
	// take gives p the value of person 1.
	take func(p *store.Person)
}{
	{"userName", "pérson1", func(p *store.Person) { p.FoldedUserName = "pérson1" }},
	{"email", "p1@example.com", func(p *store.Person) { p.FoldedEmail = "p1@example.com" }},
	{"userID", "4001", func(p *store.Person) { p.UserID = 4001 }},
}

// crowd is how many contend for one value.
const crowd = 64

var conflictCases = []testCase{
	{"names the owner of a taken value and goes on", func(h *suite) {
		owner, second := person("t", 1), person("t", 2)
		h.insert(owner, second)
		for n, u := range uniques {
			fresh, changed := person("t", 10+n), copyOf(second)
			u.take(fresh)
			u.take(changed)
			want := store.ConflictError{Field: u.field, Value: u.value, Owner: owner.ID}
			h.update(func(tx store.Tx) error {
				h.conflict(tx.InsertPerson(fresh), want)
				h.conflict(tx.UpdatePerson(changed), want)
				if u.field == "userID" {
					h.conflict(tx.SeePerson(changed), want)
				}
				return tx.AppendEvent(&store.Event{Tenant: "t", Action: u.field, Outcome: store.OutcomeFailed})
			})
			notFound[store.Person](h)(h.s.Person(h.ctx, "t", fresh.ID))
			fresh.FoldedUserName, fresh.FoldedEmail, fresh.UserID = fmt.Sprint("free", n), fmt.Sprint("free", n), 0
			h.insert(fresh)
		}
		equal(h, copyOf(second))(h.s.Person(h.ctx, "t", second.ID))
		events, err := h.s.Events(h.ctx, store.EventQuery{Failed: true})
		if err != nil || len(events) != len(uniques) {
			h.Fatalf("%d events, %v", len(events), err)
		}
	}},
	{"names the owner of a taken id", func(h *suite) {
		h.insert(person("t", 1))
		p := person("t", 2)
		p.ID = "id-1"
		h.conflict(h.s.Update(h.ctx, func(tx store.Tx) error { return tx.InsertPerson(p) }),
			store.ConflictError{Field: "id", Value: "id-1", Owner: "id-1"})
	}},
	{"does not mind a person's own values, nor swapped ones in turn", func(h *suite) {
		a, b := person("t", 1), person("t", 2)
		h.insert(a, b)
		h.update(func(tx store.Tx) error {
			nameA, nameB := a.FoldedUserName, b.FoldedUserName
			a.FoldedUserName = "meanwhile"
			if err := tx.UpdatePerson(a); err != nil {
				return err
			}
			a.FoldedUserName, b.FoldedUserName = nameB, nameA
			return errors.Join(tx.UpdatePerson(b), tx.UpdatePerson(a))
		})
		equal(h, copyOf(b))(h.s.PersonByUserName(h.ctx, "t", "pérson1"))
	}},
	{"lets one of a crowd insert a value", func(h *suite) {
		for _, u := range uniques {
			var winner atomic.Pointer[store.Person]
			errs := together(crowd, func(i int) error {
				p := person("t", 100+i)
				p.ID = fmt.Sprintf("%s-%d", u.field, i)
				p.FoldedUserName, p.FoldedEmail, p.UserID = p.ID, p.ID, 0
				u.take(p)
				err := h.s.Update(h.ctx, func(tx store.Tx) error { return tx.InsertPerson(p) })
				if err == nil {
					winner.Store(p)
				}
				return err
			})
			h.oneWins(errs, u.field, u.value, func() string { return winner.Load().ID })
			h.update(func(tx store.Tx) error { return tx.DeletePerson(winner.Load(), base) })
		}
	}},
	{"lets one of a crowd change to a value", func(h *suite) {
		people := make([]*store.Person, crowd)
		for i := range people {
			people[i] = person("t", 1000+i)
		}
		h.insert(people...)
		for _, u := range uniques {
			var winner atomic.Int64
			errs := together(crowd, func(i int) error {
				p := copyOf(people[i])
				u.take(p)
				err := h.s.Update(h.ctx, func(tx store.Tx) error { return tx.UpdatePerson(p) })
				if err == nil {
					people[i].Version = p.Version
					winner.Store(int64(i))
				}
				return err
			})
			owner := people[winner.Load()]
			h.oneWins(errs, u.field, u.value, func() string { return owner.ID })
			h.update(func(tx store.Tx) error { return tx.UpdatePerson(owner) })
		}
	}},
	{"lets one of a crowd have an id or alias", func(h *suite) {
		people := make([]*store.Person, crowd)
		for i := range people {
			people[i] = person("t", i)
		}
		h.insert(people...)
		errs := together(2*crowd, func(i int) error {
			return h.s.Update(h.ctx, func(tx store.Tx) error {
				if i%2 == 0 {
					return tx.AddAlias("t", "wanted", people[i/2].ID)
				}
				p := person("t", 1000+i)
				p.ID = "wanted"
				return tx.InsertPerson(p)
			})
		})
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if _, ok := errors.AsType[*store.ConflictError](err); !ok {
				h.Fatal(err)
			}
		}
		if won != 1 {
			h.Fatalf("%d of %d have the id", won, len(errs))
		}
		_, err := h.s.Person(h.ctx, "t", "wanted")
		h.must(err)
	}},
}

// oneWins checks that all but one met the winner's value.
func (h *suite) oneWins(errs []error, field, value string, owner func() string) {
	h.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		h.conflict(err, store.ConflictError{Field: field, Value: value, Owner: owner()})
	}
	if won != 1 {
		h.Fatalf("%s: %d of %d succeeded", field, won, len(errs))
	}
}
