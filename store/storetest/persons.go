package storetest

import (
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/store"
)

var personCases = []testCase{
	{"finds a person as stored by every key", func(h *suite) {
		p, other := person("t", 1), person("t", 2)
		h.insert(p, other)
		if p.Seq == 0 || p.Version != 1 || other.Seq <= p.Seq {
			h.Fatalf("seq %d, %d and version %d after inserting", p.Seq, other.Seq, p.Version)
		}
		want := copyOf(p)
		equal(h, want)(h.s.Person(h.ctx, "t", p.ID))
		equal(h, want)(h.s.PersonByUserName(h.ctx, "t", p.FoldedUserName))
		equal(h, want)(h.s.PersonByEmail(h.ctx, "t", p.FoldedEmail))
		equal(h, want)(h.s.PersonByUserID(h.ctx, "t", p.UserID))
		for _, id := range p.InviteIDs {
			equal(h, want)(h.s.PersonByInviteID(h.ctx, "t", id))
		}
		for _, address := range p.AnyEmails {
			equal(h, []*store.Person{want})(h.s.PersonsByAnyEmail(h.ctx, "t", address))
		}
		equal(h, []*store.Person{want})(h.s.PersonsByExternalID(h.ctx, "t", p.ExternalID))
		equal(h, []*store.Person{want})(h.s.Persons(h.ctx, "t", store.Window{Limit: 1}))
	}},
	{"does not find what is not there", func(h *suite) {
		h.insert(person("t", 1))
		none := notFound[store.Person](h)
		for _, key := range []string{"", "nobody", "ID-1", "id-1\x00", "\xff"} {
			none(h.s.Person(h.ctx, "t", key))
			none(h.s.PersonByUserName(h.ctx, "t", key))
			none(h.s.PersonByEmail(h.ctx, "t", key))
			none(h.s.PersonByInviteID(h.ctx, "t", key))
			none(h.s.Tombstone(h.ctx, "t", key))
			equal(h, []string{})(idsOf(h.s.PersonsByAnyEmail(h.ctx, "t", key)))
			equal(h, []string{})(idsOf(h.s.PersonsByExternalID(h.ctx, "t", key)))
			equal(h, []string{})(idsOf(h.s.TombstonesByUpstream(h.ctx, "t", 0, key)))
		}
		none(h.s.PersonByUserID(h.ctx, "t", 0))
		none(h.s.PersonByUserID(h.ctx, "t", 99))
	}},
	{"compares external ids byte for byte", func(h *suite) {
		a, b, c := person("t", 1), person("t", 2), person("t", 3)
		a.ExternalID, b.ExternalID, c.ExternalID = "same", "same", "Same"
		h.insert(a, b, c)
		equal(h, []string{a.ID, b.ID})(idsOf(h.s.PersonsByExternalID(h.ctx, "t", "same")))
	}},
	{"finds everybody who has an address, by seq", func(h *suite) {
		a, b := person("t", 1), person("t", 2)
		a.AnyEmails, b.AnyEmails = append(a.AnyEmails, "shared@example.com"), append(b.AnyEmails, "shared@example.com")
		h.insert(a, b)
		equal(h, []string{a.ID, b.ID})(idsOf(h.s.PersonsByAnyEmail(h.ctx, "t", "shared@example.com")))
	}},
	{"keeps persons without names, addresses and accounts apart", func(h *suite) {
		a := &store.Person{Tenant: "t", ID: "a"}
		b := &store.Person{Tenant: "t", ID: "b"}
		h.insert(a, b)
		equal(h, &store.Person{Tenant: "t", ID: "b", Seq: b.Seq, Version: 1})(h.s.Person(h.ctx, "t", "b"))
		notFound[store.Person](h)(h.s.PersonByEmail(h.ctx, "t", ""))
	}},
	{"gives rows that belong to the caller", func(h *suite) {
		h.insert(person("t", 1))
		first, err := h.s.Person(h.ctx, "t", "id-1")
		h.must(err)
		want := copyOf(first)
		first.Desired[0], first.InviteIDs[0], first.AnyEmails[0] = 'X', "X", "X"
		equal(h, want)(h.s.Person(h.ctx, "t", "id-1"))
	}},
	{"replaces a person and every key", func(h *suite) {
		p := person("t", 1)
		h.insert(p)
		seq := p.Seq
		next := person("t", 7)
		next.ID, next.Seq, next.Version = p.ID, p.Seq, p.Version
		next.InviteIDs = []string{p.InviteIDs[1], "inv-new"}
		next.Managed, next.Created, next.Desired = false, false, nil
		h.update(func(tx store.Tx) error { return tx.UpdatePerson(next) })
		if next.Version != 2 || next.Seq != seq {
			h.Fatalf("version %d, seq %d after the update", next.Version, next.Seq)
		}
		equal(h, copyOf(next))(h.s.Person(h.ctx, "t", p.ID))
		equal(h, copyOf(next))(h.s.PersonByUserName(h.ctx, "t", next.FoldedUserName))
		for _, id := range next.InviteIDs {
			equal(h, copyOf(next))(h.s.PersonByInviteID(h.ctx, "t", id))
		}
		notFound[store.Person](h)(h.s.PersonByUserName(h.ctx, "t", p.FoldedUserName))
		notFound[store.Person](h)(h.s.PersonByEmail(h.ctx, "t", p.FoldedEmail))
		notFound[store.Person](h)(h.s.PersonByUserID(h.ctx, "t", p.UserID))
		notFound[store.Person](h)(h.s.PersonByInviteID(h.ctx, "t", p.InviteIDs[0]))
		equal(h, []string{})(idsOf(h.s.PersonsByAnyEmail(h.ctx, "t", p.AnyEmails[0])))
		equal(h, []string{p.ID})(idsOf(h.s.PersonsByAnyEmail(h.ctx, "t", next.AnyEmails[1])))
	}},
	{"stores what upstream shows and nothing else", func(h *suite) {
		p := person("t", 1)
		h.insert(p)
		seen := copyOf(p)
		seen.LastSeen, seen.LastSeenAt, seen.UserID = []byte(`{"now":1}`), base.Add(48*time.Hour), 5001
		seen.InviteIDs, seen.Listed, seen.Active = []string{"inv-x"}, false, false
		want := copyOf(seen)
		seen.UserName, seen.FoldedUserName, seen.Desired, seen.AnyEmails = "x", "x", []byte("x"), []string{"x"}
		h.update(func(tx store.Tx) error { return tx.SeePerson(seen) })
		equal(h, want)(h.s.Person(h.ctx, "t", p.ID))
		equal(h, want)(h.s.PersonByUserID(h.ctx, "t", 5001))
		equal(h, want)(h.s.PersonByInviteID(h.ctx, "t", "inv-x"))
		notFound[store.Person](h)(h.s.PersonByInviteID(h.ctx, "t", "inv-1-a"))
		equal(h, 0)(h.s.CountPersons(h.ctx, "t"))
	}},
	{"refuses a stale row, I13", func(h *suite) {
		p := person("t", 1)
		h.insert(p)
		stale := copyOf(p)
		h.update(func(tx store.Tx) error { return tx.UpdatePerson(p) })
		missing, ahead := person("t", 9), copyOf(p)
		missing.Version, ahead.Version = 1, p.Version+1
		for _, row := range []*store.Person{stale, missing, ahead} {
			version := row.Version
			h.is(h.s.Update(h.ctx, func(tx store.Tx) error { return tx.UpdatePerson(row) }), store.ErrStale)
			h.is(h.s.Update(h.ctx, func(tx store.Tx) error { return tx.SeePerson(row) }), store.ErrStale)
			h.is(h.s.Update(h.ctx, func(tx store.Tx) error { return tx.DeletePerson(row, base) }), store.ErrStale)
			if row.Version != version {
				h.Fatalf("the refused row's version became %d", row.Version)
			}
		}
		equal(h, copyOf(p))(h.s.Person(h.ctx, "t", p.ID))
	}},
	{"keeps ids alone of a deleted person", func(h *suite) {
		p := person("t", 1)
		h.insert(p)
		h.update(func(tx store.Tx) error { return tx.AddAlias("t", "old-id", p.ID) })
		at := base.Add(72 * time.Hour)
		h.update(func(tx store.Tx) error { return tx.DeletePerson(copyOf(p), at) })
		want := &store.Person{Tenant: "t", ID: p.ID, Seq: p.Seq, UserID: p.UserID, InviteIDs: p.InviteIDs,
			CreatedAt: p.CreatedAt, ModifiedAt: at, DeletedAt: at, Version: 2}
		equal(h, want)(h.s.Tombstone(h.ctx, "t", p.ID))
		equal(h, want)(h.s.Tombstone(h.ctx, "t", "old-id"))
		equal(h, []*store.Person{want})(h.s.TombstonesByUpstream(h.ctx, "t", p.UserID, ""))
		equal(h, []*store.Person{want})(h.s.TombstonesByUpstream(h.ctx, "t", 0, p.InviteIDs[0]))
		equal(h, []*store.Person{want})(h.s.TombstonesByUpstream(h.ctx, "t", p.UserID, p.InviteIDs[1]))
		none := notFound[store.Person](h)
		none(h.s.Person(h.ctx, "t", p.ID))
		none(h.s.Person(h.ctx, "t", "old-id"))
		none(h.s.PersonByUserName(h.ctx, "t", p.FoldedUserName))
		none(h.s.PersonByEmail(h.ctx, "t", p.FoldedEmail))
		none(h.s.PersonByUserID(h.ctx, "t", p.UserID))
		none(h.s.PersonByInviteID(h.ctx, "t", p.InviteIDs[0]))
		equal(h, []string{})(idsOf(h.s.PersonsByAnyEmail(h.ctx, "t", p.AnyEmails[0])))
		equal(h, []string{})(idsOf(h.s.PersonsByExternalID(h.ctx, "t", p.ExternalID)))
		equal(h, []string{})(idsOf(h.s.Persons(h.ctx, "t", store.Window{Limit: 10})))
		equal(h, 0)(h.s.CountPersons(h.ctx, "t"))
		dead := copyOf(want)
		h.is(h.s.Update(h.ctx, func(tx store.Tx) error { return tx.UpdatePerson(dead) }), store.ErrStale)
	}},
	{"lets a deleted person be created again under another id, I6", func(h *suite) {
		for n := range 3 {
			p := person("t", 1)
			p.ID = []string{"first", "second", "third"}[n]
			h.insert(p)
			h.update(func(tx store.Tx) error { return tx.DeletePerson(p, base.Add(time.Duration(n)*time.Hour)) })
		}
		equal(h, []string{"third", "second", "first"})(idsOf(h.s.TombstonesByUpstream(h.ctx, "t", 4001, "")))
		again := person("t", 5)
		again.ID = "second"
		h.conflict(h.s.Update(h.ctx, func(tx store.Tx) error { return tx.InsertPerson(again) }),
			store.ConflictError{Field: "id", Value: "second", Owner: "second"})
	}},
	{"finds a living person by an alias", func(h *suite) {
		p, other := person("t", 1), person("t", 2)
		h.insert(p, other)
		alias := func(alias, id string) error {
			return h.s.Update(h.ctx, func(tx store.Tx) error { return tx.AddAlias("t", alias, id) })
		}
		h.must(alias("other-name", p.ID))
		h.must(alias("other-name", p.ID))
		h.must(alias("third-name", "other-name"))
		h.must(alias(p.ID, p.ID))
		for _, id := range []string{"other-name", "third-name"} {
			equal(h, copyOf(p))(h.s.Person(h.ctx, "t", id))
		}
		h.is(alias("x", "nobody"), store.ErrNotFound)
		h.conflict(alias("other-name", other.ID), store.ConflictError{Field: "alias", Value: "other-name", Owner: p.ID})
		h.conflict(alias(p.ID, other.ID), store.ConflictError{Field: "alias", Value: p.ID, Owner: p.ID})
		taken := person("t", 3)
		taken.ID = "other-name"
		h.conflict(h.s.Update(h.ctx, func(tx store.Tx) error { return tx.InsertPerson(taken) }),
			store.ConflictError{Field: "id", Value: "other-name", Owner: p.ID})
	}},
	{"finds many by id and alias", func(h *suite) {
		a, b, dead, foreign := person("t", 1), person("t", 2), person("t", 3), person("u", 4)
		h.insert(a, b, dead, foreign)
		h.update(func(tx store.Tx) error {
			return errors.Join(tx.AddAlias("t", "alias-a", a.ID), tx.AddAlias("t", "alias-dead", dead.ID), tx.DeletePerson(dead, base))
		})
		equal(h, map[string]*store.Person{a.ID: a, "alias-a": a, b.ID: b})(h.s.PersonsByID(h.ctx, "t",
			[]string{b.ID, "alias-a", a.ID, a.ID, dead.ID, "alias-dead", foreign.ID, "nobody", "", "\x00", "\xff"}))
		for _, none := range [][]string{nil, {}, {"nobody"}} {
			equal(h, map[string]*store.Person{})(h.s.PersonsByID(h.ctx, "t", none))
		}
	}},
	{"gives the rows back as they were when an update fails", func(h *suite) {
		p := person("t", 1)
		h.insert(p)
		fresh, event, tenant := person("t", 2), &store.Event{Tenant: "t"}, &store.Tenant{Slug: "t"}
		g, work := group("t", 1), []store.RoleWork{{Tenant: "t", GroupID: "g", PersonID: "p"}}
		want, wantFresh := copyOf(p), copyOf(fresh)
		failure := errors.New("no")
		err := h.s.Update(h.ctx, func(tx store.Tx) error {
			return errors.Join(tx.UpdatePerson(p), tx.UpdatePerson(p), tx.InsertPerson(fresh),
				tx.AppendEvent(event), tx.PutTenant(tenant), tx.InsertGroup(g), tx.UpdateGroup(g), tx.PutRoleWork(work), failure)
		})
		h.is(err, failure)
		if diff := cmp.Diff([]*store.Person{want, wantFresh}, []*store.Person{p, fresh}); diff != "" {
			h.Fatalf("(-want +got)\n%s", diff)
		}
		if event.Seq != 0 || tenant.Version != 0 || work[0].Seq != 0 {
			h.Fatalf("seq %d, tenant version %d, work's seq %d", event.Seq, tenant.Version, work[0].Seq)
		}
		if diff := cmp.Diff(group("t", 1), g); diff != "" {
			h.Fatalf("group (-want +got)\n%s", diff)
		}
		h.update(func(tx store.Tx) error { return errors.Join(tx.UpdatePerson(p), tx.InsertPerson(fresh)) })
	}},
	{"refuses text that not every database can hold", func(h *suite) {
		for _, spoil := range []func(p *store.Person){
			func(p *store.Person) { p.ExternalID = "a\x00b" },
			func(p *store.Person) { p.UserName = "\xff" },
			func(p *store.Person) { p.AnyEmails = []string{"\x00"} },
			func(p *store.Person) { p.InviteIDs = []string{"\x00"} },
		} {
			p := person("t", 1)
			spoil(p)
			if err := h.s.Update(h.ctx, func(tx store.Tx) error { return tx.InsertPerson(p) }); err == nil {
				h.Fatal("stored")
			}
		}
		h.insert(person("t", 1))
	}},
}

func idsOf(persons []*store.Person, err error) ([]string, error) { return ids(persons), err }
