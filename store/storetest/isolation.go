package storetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/store"
)

var isolationCases = []testCase{
	{"shows a tenant nothing of another with the same data, I5", func(h *suite) {
		h.fill("a", 1)
		alone := h.snapshot("a")
		h.fill("b", 1)
		if diff := cmp.Diff(alone, h.snapshot("a")); diff != "" {
			h.Fatalf("a second tenant shows (-alone +beside)\n%s", diff)
		}
		for name, answer := range h.snapshot("b") {
			if text := fmt.Sprintf("%+v", answer); strings.Contains(text, "tenant-a") {
				h.Errorf("%s shows the other tenant: %s", name, text)
			}
		}
		h.change("b")
		if diff := cmp.Diff(alone, h.snapshot("a")); diff != "" {
			h.Fatalf("a change of the second tenant shows (-alone +beside)\n%s", diff)
		}
		h.update(func(tx store.Tx) error { return tx.DeleteTenant("b") })
		if diff := cmp.Diff(alone, h.snapshot("a")); diff != "" {
			h.Fatalf("the end of the second tenant shows (-alone +beside)\n%s", diff)
		}
	}},
	{"changes nothing by a row that names another tenant", func(h *suite) {
		h.fill("a", 1)
		alone := h.snapshot("a")
		p, err := h.s.Person(h.ctx, "a", "id-1")
		h.must(err)
		g, err := h.s.Group(h.ctx, "a", "group-1")
		h.must(err)
		p.Tenant, g.Tenant = "b", "b"
		for _, change := range []func(tx store.Tx) error{
			func(tx store.Tx) error { return tx.UpdatePerson(p) },
			func(tx store.Tx) error { return tx.SeePerson(p) },
			func(tx store.Tx) error { return tx.DeletePerson(p, base) },
			func(tx store.Tx) error { return tx.UpdateGroup(g) },
			func(tx store.Tx) error { return tx.DeleteGroup(g, base) },
		} {
			h.is(h.s.Update(h.ctx, change), store.ErrStale)
		}
		h.is(h.s.Update(h.ctx, func(tx store.Tx) error { return tx.AddAlias("b", "x", "id-1") }), store.ErrNotFound)
		h.is(h.s.Update(h.ctx, func(tx store.Tx) error { return tx.AddMembers("b", "group-1", []string{"id-3"}) }), store.ErrNotFound)
		h.is(h.s.Update(h.ctx, func(tx store.Tx) error { _, err := tx.RestoreGroup("b", "group-2", base); return err }), store.ErrNotFound)
		h.update(func(tx store.Tx) error {
			_, err := tx.DropGrants("b", math.MaxInt64)
			return errors.Join(err, tx.DeleteIntent("b", "intent"), tx.RemoveMembers("b", "group-1", []string{"id-1"}),
				tx.PurgeGroup("b", "group-2"), tx.EndRoleWork("b", "id-1", math.MaxInt64),
				tx.DelayRoleWork("b", "id-2", math.MaxInt64, base, "x"))
		})
		if diff := cmp.Diff(alone, h.snapshot("a")); diff != "" {
			h.Fatalf("(-before +after)\n%s", diff)
		}
	}},
}

// fill gives a tenant one of everything. The same n gives every tenant the same.
func (h *suite) fill(slug string, n int) {
	h.Helper()
	alive, dead := person(slug, 1), person(slug, 3)
	alive.UserName = "tenant-" + slug
	other := person(slug, 2)
	h.update(func(tx store.Tx) error {
		organizations := []int64{int64(100 * n), int64(100*n + 1)}
		t := tenant(slug, organizations...)
		t.BaseURL = "https://" + slug + ".example"
		return errors.Join(
			tx.PutTenant(t), tx.PutCredential(credential(slug, "credential-"+slug)),
			tx.InsertPerson(alive), tx.InsertPerson(other), tx.InsertPerson(dead),
			tx.AddAlias(slug, "alias", alive.ID), tx.DeletePerson(dead, base),
			tx.PutIntent(&store.Intent{Tenant: slug, Key: "intent", Payload: []byte("tenant-" + slug), CreatedAt: base}),
			tx.PutDirectory(slug, store.Directory{CompletedAt: base, People: n}),
			h.fillGroups(tx, slug),
			tx.AppendEvent(&store.Event{At: base, Tenant: slug, ResourceID: "id-1", RequestID: "r", Detail: "tenant-" + slug,
				Outcome: store.OutcomeFailed}))
	})
	_, err := h.s.EnqueueJob(h.ctx, store.Job{Tenant: slug, Kind: "kind", Key: "key", Args: []byte("tenant-" + slug)})
	h.must(err)
}

// change changes all that fill gave.
func (h *suite) change(slug string) {
	h.Helper()
	h.update(func(tx store.Tx) error {
		p, err := tx.Person(h.ctx, slug, "id-1")
		if err != nil {
			return err
		}
		p.UserName, p.FoldedUserName, p.ExternalID, p.AnyEmails = "changed", "changed", "changed", []string{"changed"}
		gone, err := tx.Person(h.ctx, slug, "id-2")
		if err != nil {
			return err
		}
		return errors.Join(tx.UpdatePerson(p), tx.DeletePerson(gone, base.Add(time.Hour)),
			tx.AddAlias(slug, "alias-2", p.ID), tx.DeleteIntent(slug, "intent"),
			tx.PutDirectory(slug, store.Directory{People: 77}), h.changeGroups(tx, slug),
			tx.AppendEvent(&store.Event{Tenant: slug, ResourceID: "id-1", RequestID: "r", Outcome: store.OutcomeFailed}))
	})
}

// snapshot is what every reader answers for a tenant, by the reader's name.
func (h *suite) snapshot(slug string) map[string]any {
	h.Helper()
	shot := make(map[string]any)
	keep := func(name string) func(v any, err error) {
		return func(v any, err error) {
			h.Helper()
			if errors.Is(err, store.ErrNotFound) {
				v, err = "not found", nil
			}
			if err != nil {
				h.Fatalf("%s: %v", name, err)
			}
			shot[name] = v
		}
	}
	r, ctx := store.Reader(h.s), h.ctx
	keep("Person")(as(r.Person(ctx, slug, "id-1")))
	keep("Person by alias")(as(r.Person(ctx, slug, "alias")))
	keep("Person of the other")(as(r.Person(ctx, slug, "alias-2")))
	keep("PersonByUserName")(as(r.PersonByUserName(ctx, slug, "pérson1")))
	keep("PersonByUserName changed")(as(r.PersonByUserName(ctx, slug, "changed")))
	keep("PersonByEmail")(as(r.PersonByEmail(ctx, slug, "p1@example.com")))
	keep("PersonsByAnyEmail")(as(r.PersonsByAnyEmail(ctx, slug, "p1@home.example")))
	keep("PersonsByExternalID")(as(r.PersonsByExternalID(ctx, slug, "Ext-1")))
	keep("PersonByUserID")(as(r.PersonByUserID(ctx, slug, 4001)))
	keep("PersonByInviteID")(as(r.PersonByInviteID(ctx, slug, "inv-1-a")))
	keep("Persons")(as(r.Persons(ctx, slug, store.Window{Limit: 100})))
	keep("Persons with offset")(as(r.Persons(ctx, slug, store.Window{Limit: 100, Offset: 1})))
	keep("CountPersons")(as(r.CountPersons(ctx, slug)))
	keep("Tombstone")(as(r.Tombstone(ctx, slug, "id-3")))
	keep("TombstonesByUpstream")(as(r.TombstonesByUpstream(ctx, slug, 4003, "inv-3-a")))
	keep("Intent")(as(r.Intent(ctx, slug, "intent")))
	keep("Intents")(as(r.Intents(ctx, slug, base.Add(time.Hour), 100)))
	keep("Tenant")(as(r.Tenant(ctx, slug)))
	keep("Credentials")(as(r.Credentials(ctx, slug)))
	keep("Directory")(as(r.Directory(ctx, slug)))
	keep("Jobs")(as(r.Jobs(ctx, slug, 100)))
	keep("Events")(as(r.Events(ctx, store.EventQuery{Tenant: slug})))
	keep("Events of a resource")(as(r.Events(ctx, store.EventQuery{Tenant: slug, ResourceID: "id-9"})))
	h.snapshotGroups(slug, keep)
	return shot
}

// fillGroups is fill for groups and what came with them.
func (h *suite) fillGroups(tx store.Tx, slug string) error {
	living, dead := group(slug, 1), group(slug, 2)
	living.DisplayName = "tenant-" + slug
	if err := errors.Join(tx.InsertGroup(living), tx.InsertGroup(dead)); err != nil {
		return err
	}
	ok, err := tx.TakeGuard(slug, "guard", []string{"id-1"}, base, base, 1)
	if !ok {
		return errors.Join(errStop, err)
	}
	return errors.Join(
		tx.AddMembers(slug, living.ID, []string{"id-1", "id-2"}), tx.DeleteGroup(dead, base),
		tx.PutRoleWork([]store.RoleWork{
			{Tenant: slug, GroupID: living.ID, PersonID: "id-1", Removal: true, RunAt: base, CreatedAt: base},
			{Tenant: slug, GroupID: dead.ID, PersonID: "id-2", RunAt: base, CreatedAt: base}}),
		tx.HoldGuard(slug, "guard", []string{"tenant-" + slug}, base), tx.OpenGuard(slug, "guard", base),
		tx.NoteFirst(slug, "first", base))
}

// changeGroups is change for what fillGroups gave.
func (h *suite) changeGroups(tx store.Tx, slug string) error {
	g, err := tx.Group(h.ctx, slug, "group-1")
	if err != nil {
		return err
	}
	g.DisplayName, g.FoldedName, g.ExternalID = "changed", "changed", "changed"
	err = errors.Join(tx.UpdateGroup(g), tx.InsertGroup(group(slug, 3)), tx.AddMembers(slug, "group-3", []string{"id-1"}),
		tx.RemoveMembers(slug, "group-1", []string{"id-1"}), tx.PurgeGroup(slug, "group-2"),
		tx.EndRoleWork(slug, "id-1", math.MaxInt64), tx.DelayRoleWork(slug, "id-2", math.MaxInt64, base.Add(time.Hour), "changed"),
		tx.HoldGuard(slug, "guard", []string{"changed"}, base.Add(time.Hour)), tx.OpenGuard(slug, "guard", base.Add(time.Hour)),
		tx.NoteFirst(slug, "second", base))
	_, terr := tx.TakeGuard(slug, "guard", []string{"changed-2"}, base, base, 100)
	_, derr := tx.DropGrants(slug, math.MaxInt64)
	return errors.Join(err, terr, derr)
}

// snapshotGroups is snapshot for what fillGroups gave.
func (h *suite) snapshotGroups(slug string, keep func(name string) func(v any, err error)) {
	h.Helper()
	r, ctx := store.Reader(h.s), h.ctx
	everybody := []string{"id-1", "id-2", "alias"}
	keep("PersonsByID")(as(r.PersonsByID(ctx, slug, everybody)))
	keep("CountActive")(as(r.CountActive(ctx, slug)))
	keep("Group")(as(r.Group(ctx, slug, "group-1")))
	keep("GroupByName")(as(r.GroupByName(ctx, slug, "gröup1")))
	keep("GroupByName changed")(as(r.GroupByName(ctx, slug, "changed")))
	keep("GroupsByExternalID")(as(r.GroupsByExternalID(ctx, slug, "Ext-1")))
	keep("Groups")(as(r.Groups(ctx, slug, store.Window{Limit: 100})))
	keep("Groups with offset")(as(r.Groups(ctx, slug, store.Window{Limit: 100, Offset: 1})))
	keep("CountGroups")(as(r.CountGroups(ctx, slug)))
	keep("GroupsMark")(as(r.GroupsMark(ctx, slug)))
	keep("DeletedGroup")(as(r.DeletedGroup(ctx, slug, "group-2")))
	keep("Members")(as(r.Members(ctx, slug, "group-1", "", 100)))
	keep("MembersAmong")(as(r.MembersAmong(ctx, slug, "group-1", everybody)))
	keep("GroupsOf")(as(r.GroupsOf(ctx, slug, everybody)))
	keep("RoleWork")(as(r.RoleWork(ctx, slug, store.RoleWorkQuery{})))
	keep("RoleWork of a group and a person")(as(r.RoleWork(ctx, slug, store.RoleWorkQuery{GroupID: "group-2", PersonIDs: everybody})))
	all, removals, err := r.CountRoleWork(ctx, slug)
	keep("CountRoleWork")([]int{all, removals}, err)
	keep("Guard")(as(r.Guard(ctx, slug, "guard", base)))
	keep("First")(as(r.First(ctx, slug, "first")))
	keep("First of the other")(as(r.First(ctx, slug, "second")))
}

// as forgets the type of an answer.
func as[T any](v T, err error) (any, error) { return v, err }
