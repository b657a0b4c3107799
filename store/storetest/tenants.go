package storetest

import (
	"errors"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/store"
)

func tenant(slug string, organizations ...int64) *store.Tenant {
	return &store.Tenant{Slug: slug, Name: strings.ToUpper(slug), BaseURL: "https://up.example/api",
		Organizations: organizations, Spec: []byte(`{"a":1}`), Secrets: []byte{0, 1, 0xff},
		CreatedAt: base, UpdatedAt: base.Add(time.Hour)}
}

func credential(tenant, id string) *store.Credential {
	return &store.Credential{ID: id, Tenant: tenant, Name: "name of " + id, Kind: "bearer", Client: "auto", Evidence: "okta",
		Hash: []byte("hash of " + id), Hint: "sarb_" + id, CreatedAt: base, ExpiresAt: base.Add(time.Hour),
		RevokedAt: base.Add(2 * time.Hour), LastUsedAt: base.Add(3 * time.Hour)}
}

func (h *suite) putTenant(t *store.Tenant) error {
	return h.s.Update(h.ctx, func(tx store.Tx) error { return tx.PutTenant(t) })
}

func (h *suite) putCredential(c *store.Credential) error {
	return h.s.Update(h.ctx, func(tx store.Tx) error { return tx.PutCredential(c) })
}

// grows checks that the generation grew since it was last looked at.
func (h *suite) grows(last *int64) {
	h.Helper()
	n, err := h.s.Generation(h.ctx)
	h.must(err)
	if n <= *last {
		h.Fatalf("generation %d after %d", n, *last)
	}
	*last = n
}

var tenantCases = []testCase{
	{"is stored, replaced and listed", func(h *suite) {
		var generation int64
		h.grows(&generation)
		b, a := tenant("b", 7, 3, 5), tenant("a")
		h.must(h.putTenant(b))
		h.grows(&generation)
		h.must(h.putTenant(a))
		if a.Version != 1 {
			h.Fatalf("version %d", a.Version)
		}
		equal(h, b)(h.s.Tenant(h.ctx, "b"))
		b.Name, b.Organizations, b.Secrets = "other", []int64{5, 9}, nil
		h.must(h.putTenant(b))
		if b.Version != 2 {
			h.Fatalf("version %d", b.Version)
		}
		h.grows(&generation)
		equal(h, []*store.Tenant{a, b})(h.s.Tenants(h.ctx))
		notFound[store.Tenant](h)(h.s.Tenant(h.ctx, "c"))
		notFound[store.Tenant](h)(h.s.Tenant(h.ctx, "\x00"))
	}},
	{"refuses a stale tenant and a taken slug", func(h *suite) {
		t := tenant("a")
		h.must(h.putTenant(t))
		h.conflict(h.putTenant(tenant("a")), store.ConflictError{Field: "slug", Value: "a", Owner: "a"})
		stale := *t
		h.must(h.putTenant(t))
		h.is(h.putTenant(&stale), store.ErrStale)
		missing := tenant("b")
		missing.Version = 1
		h.is(h.putTenant(missing), store.ErrStale)
	}},
	{"gives an organization to one tenant of an upstream, I5", func(h *suite) {
		a := tenant("a", 1, 2)
		h.must(h.putTenant(a))
		b := tenant("b", 3, 2)
		want := store.ConflictError{Field: "organization", Value: "2", Owner: "a"}
		for _, url := range []string{a.BaseURL, a.BaseURL + "/", "HTTPS://UP.example:443/api"} {
			b.BaseURL = url
			h.conflict(h.putTenant(b), want)
		}
		notFound[store.Tenant](h)(h.s.Tenant(h.ctx, "b"))
		b.BaseURL = "https://other.example/api"
		h.must(h.putTenant(b))
		a.Organizations = []int64{1}
		h.must(h.putTenant(a))
		b.BaseURL = a.BaseURL
		h.must(h.putTenant(b))
		equal(h, b)(h.s.Tenant(h.ctx, "b"))
	}},
	{"gives an organization to one of a crowd", func(h *suite) {
		errs := together(16, func(i int) error { return h.putTenant(tenant(string(rune('a'+i)), 1)) })
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if c, ok := errors.AsType[*store.ConflictError](err); !ok || c.Field != "organization" {
				h.Fatal(err)
			}
		}
		if won != 1 {
			h.Fatalf("%d tenants have the organization", won)
		}
	}},
	{"goes with all but its events", func(h *suite) {
		h.is(h.s.Update(h.ctx, func(tx store.Tx) error { return tx.DeleteTenant("a") }), store.ErrNotFound)
		h.fill("a", 1)
		h.fill("b", 2)
		before := h.snapshot("b")
		var generation int64
		h.grows(&generation)
		h.update(func(tx store.Tx) error { return tx.DeleteTenant("a") })
		h.grows(&generation)
		if diff := cmp.Diff(before, h.snapshot("b")); diff != "" {
			h.Fatalf("the other tenant changed (-before +after)\n%s", diff)
		}
		empty := h.snapshot("never")
		after := h.snapshot("a")
		if _, kept := after["Events"].([]*store.Event); !kept || len(after["Events"].([]*store.Event)) == 0 {
			h.Fatalf("the events are gone")
		}
		delete(after, "Events")
		delete(empty, "Events")
		if diff := cmp.Diff(empty, after); diff != "" {
			h.Fatalf("something is left (-nothing +left)\n%s", diff)
		}
		h.fill("a", 1)
		equal(h, 2)(h.s.CountPersons(h.ctx, "a"))
	}},
	{"has credentials", func(h *suite) {
		var generation int64
		h.grows(&generation)
		c, d := credential("a", "c1"), credential("a", "c2")
		h.must(h.putCredential(c))
		h.grows(&generation)
		h.must(h.putCredential(d))
		h.must(h.putCredential(credential("b", "c3")))
		equal(h, c)(h.s.CredentialByHash(h.ctx, c.Hash))
		equal(h, []*store.Credential{c, d})(h.s.Credentials(h.ctx, "a"))
		notFound[store.Credential](h)(h.s.CredentialByHash(h.ctx, []byte("no")))
		notFound[store.Credential](h)(h.s.CredentialByHash(h.ctx, nil))
		c.Name, c.RevokedAt, c.Hash = "renamed", time.Time{}, []byte("another")
		h.must(h.putCredential(c))
		equal(h, c)(h.s.CredentialByHash(h.ctx, c.Hash))
	}},
	{"refuses a taken hash and a credential that moves", func(h *suite) {
		h.must(h.putCredential(credential("a", "c1")))
		same := credential("b", "c2")
		same.Hash = credential("a", "c1").Hash
		h.update(func(tx store.Tx) error {
			h.conflict(tx.PutCredential(same), store.ConflictError{Field: "hash", Value: same.Hint, Owner: "a"})
			return tx.AppendEvent(&store.Event{Tenant: "b", Outcome: store.OutcomeFailed})
		})
		h.conflict(h.putCredential(credential("b", "c1")), store.ConflictError{Field: "id", Value: "c1", Owner: "a"})
		equal(h, credential("a", "c1"))(h.s.CredentialByHash(h.ctx, same.Hash))
	}},
	{"notes the use of a credential", func(h *suite) {
		c := credential("a", "c1")
		h.must(h.putCredential(c))
		later := base.Add(9 * time.Hour)
		h.must(h.s.TouchCredential(h.ctx, "c1", later, ""))
		h.must(h.s.TouchCredential(h.ctx, "c1", base, "entra"))
		c.LastUsedAt, c.Evidence = later, "entra"
		equal(h, c)(h.s.CredentialByHash(h.ctx, c.Hash))
		h.is(h.s.TouchCredential(h.ctx, "c9", later, ""), store.ErrNotFound)
	}},
}
