// Package storetest is the suite that every store.Store passes.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sharearefund/scim-bridge/store"
)

// Opts describe the store under test.
type Opts struct {
	// New opens an empty store. The suite closes it.
	New func(t *testing.T) store.Store
	// FastForward makes d pass for the clock that judges the leases, jobs
	// and replicas of a store that New returned.
	FastForward func(t *testing.T, s store.Store, d time.Duration)
	// Backup says that Backup writes a copy, which Reopen opens; otherwise
	// it must return an error.
	Backup bool
	// Reopen opens the copy at path.
	Reopen func(t *testing.T, path string) store.Store
}

// Run runs the suite.
func Run(t *testing.T, o Opts) {
	if o.New == nil || o.FastForward == nil || o.Backup != (o.Reopen != nil) {
		t.Fatal("storetest: New and FastForward are needed, and Reopen with Backup")
	}
	for _, topic := range []struct {
		name  string
		cases []testCase
	}{
		{"persons", personCases}, {"person conflicts", conflictCases}, {"lists", listCases},
		{"updates", updateCases}, {"leases", leaseCases}, {"jobs", jobCases},
		{"tenants", tenantCases}, {"events", eventCases}, {"counters", counterCases},
		{"groups", groupCases}, {"members", memberCases}, {"role work", roleWorkCases}, {"guards", guardCases},
		{"findings", findingCases}, {"requests", requestCases}, {"isolation", isolationCases},
	} {
		t.Run(topic.name, func(t *testing.T) {
			for _, c := range topic.cases {
				t.Run(c.name, func(t *testing.T) {
					s := o.New(t)
					t.Cleanup(func() {
						if err := s.Close(); err != nil {
							t.Errorf("Close: %v", err)
						}
					})
					c.run(&suite{T: t, Opts: o, ctx: t.Context(), s: s})
				})
			}
		})
	}
}

// A testCase is one promise; its name finishes "it …".
type testCase struct {
	name string
	run  func(h *suite)
}

// suite is what a case works with.
type suite struct {
	*testing.T
	Opts
	ctx context.Context
	s   store.Store
}

// update runs fn, which must succeed.
func (h *suite) update(fn func(tx store.Tx) error) {
	h.Helper()
	if err := h.s.Update(h.ctx, fn); err != nil {
		h.Fatalf("Update: %v", err)
	}
}

// insert stores persons.
func (h *suite) insert(persons ...*store.Person) {
	h.Helper()
	h.update(func(tx store.Tx) error {
		for _, p := range persons {
			if err := tx.InsertPerson(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// pass makes time pass.
func (h *suite) pass(d time.Duration) {
	h.Helper()
	h.FastForward(h.T, h.s, d)
}

func (h *suite) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *suite) is(err, want error) {
	h.Helper()
	if !errors.Is(err, want) {
		h.Fatalf("error is %v, want %v", err, want)
	}
}

// equal compares what a method returned; err must be nil.
func equal[T any](h *suite, want T) func(got T, err error) {
	return func(got T, err error) {
		h.Helper()
		if err != nil {
			h.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Person{}, "Revision")); diff != "" {
			h.Fatalf("(-want +got)\n%s", diff)
		}
	}
}

// notFound checks a method's answer for a row that is not there.
func notFound[T any](h *suite) func(got *T, err error) {
	return func(got *T, err error) {
		h.Helper()
		if !errors.Is(err, store.ErrNotFound) || got != nil {
			h.Fatalf("got %+v and %v, want nil and store.ErrNotFound", got, err)
		}
	}
}

// conflict checks a *store.ConflictError.
func (h *suite) conflict(err error, want store.ConflictError) {
	h.Helper()
	got, ok := errors.AsType[*store.ConflictError](err)
	if !ok {
		h.Fatalf("error is %v, want a *store.ConflictError", err)
	}
	if *got != want {
		h.Fatalf("conflict is %+v, want %+v", *got, want)
	}
}

// together runs n functions at once and returns their errors.
func together(n int, fn func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = fn(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

// base is the time of the suite's rows.
var base = time.Date(2025, 3, 1, 12, 0, 0, 123456000, time.UTC)

// person is a person with every field set, different for each n.
func person(tenant string, n int) *store.Person {
	address := fmt.Sprintf("p%d@example.com", n)
	return &store.Person{
		Tenant: tenant, ID: fmt.Sprintf("id-%d", n), UserID: int64(4000 + n),
		InviteIDs: []string{fmt.Sprintf("inv-%d-a", n), fmt.Sprintf("inv-%d-b", n)},
		UserName:  fmt.Sprintf("Pérson%d", n), FoldedUserName: fmt.Sprintf("pérson%d", n),
		Email: "P" + address[1:], FoldedEmail: address,
		AnyEmails: []string{address, fmt.Sprintf("p%d@home.example", n)}, ExternalID: fmt.Sprintf("Ext-%d", n),
		Managed: true, Created: true, Listed: true, Active: true,
		Desired: []byte(`{"a":1}`), LastWritten: []byte(`{"b":2}`), LastSeen: []byte(`{"c":3}`),
		LastWrittenAt: base.Add(time.Duration(n) * time.Second), LastSeenAt: base.Add(time.Duration(n) * time.Minute),
		CreatedAt: base, ModifiedAt: base.Add(time.Hour),
	}
}

// copyOf is a person that shares nothing with p.
func copyOf(p *store.Person) *store.Person {
	c := *p
	c.InviteIDs = append([]string(nil), p.InviteIDs...)
	c.AnyEmails = append([]string(nil), p.AnyEmails...)
	c.Desired = append([]byte(nil), p.Desired...)
	c.LastWritten = append([]byte(nil), p.LastWritten...)
	c.LastSeen = append([]byte(nil), p.LastSeen...)
	return &c
}

// ids are the SCIM ids of persons.
func ids(persons []*store.Person) []string {
	list := []string{}
	for _, p := range persons {
		list = append(list, p.ID)
	}
	return list
}
