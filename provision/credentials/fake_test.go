package credentials

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

var errDown = errors.New("the database is down")

// fakeStore is the part of a store that credentials need, with a switch to
// take it away. Methods that are not here are nil and panic.
type fakeStore struct {
	store.Store

	mu         sync.Mutex
	tenants    map[string]bool
	rows       map[string]store.Credential
	events     []store.Event
	generation int64
	down       bool
	// calls counts by method; hook runs before a look-up answers.
	calls map[string]int
	hook  func()
}

func newFake(tenants ...string) *fakeStore {
	f := &fakeStore{tenants: map[string]bool{}, rows: map[string]store.Credential{}, calls: map[string]int{}}
	for _, t := range tenants {
		f.tenants[t] = true
	}
	return f
}

func (f *fakeStore) begin(method string) error {
	f.calls[method]++
	if f.down {
		return errDown
	}
	return nil
}

func (f *fakeStore) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *fakeStore) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

func (f *fakeStore) Update(_ context.Context, fn func(store.Tx) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("Update"); err != nil {
		return err
	}
	return fn(fakeTx{nil, f})
}

func (f *fakeStore) Generation(context.Context) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.generation, f.begin("Generation")
}

func (f *fakeStore) CredentialByHash(_ context.Context, hash []byte) (*store.Credential, error) {
	f.mu.Lock()
	err := f.begin("CredentialByHash")
	var found *store.Credential
	for _, c := range f.rows {
		if string(c.Hash) == string(hash) {
			found = &c
		}
	}
	hook := f.hook
	f.hook = nil
	f.mu.Unlock()
	if hook != nil {
		hook()
	}
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, store.ErrNotFound
	}
	return found, nil
}

func (f *fakeStore) Credentials(_ context.Context, tenant string) ([]*store.Credential, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.credentials(tenant), f.begin("Credentials")
}

func (f *fakeStore) credentials(tenant string) []*store.Credential {
	var out []*store.Credential
	for _, c := range f.rows {
		if c.Tenant == tenant {
			out = append(out, &c)
		}
	}
	return out
}

func (f *fakeStore) TouchCredential(_ context.Context, id string, used time.Time, evidence string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("TouchCredential"); err != nil {
		return err
	}
	c, ok := f.rows[id]
	if !ok {
		return store.ErrNotFound
	}
	c.LastUsedAt = used
	if evidence != "" {
		c.Evidence = evidence
	}
	f.rows[id] = c
	return nil
}

type fakeTx struct {
	store.Tx
	f *fakeStore
}

func (t fakeTx) Tenant(_ context.Context, slug string) (*store.Tenant, error) {
	if !t.f.tenants[slug] {
		return nil, store.ErrNotFound
	}
	return &store.Tenant{Slug: slug}, nil
}

func (t fakeTx) Credentials(_ context.Context, tenant string) ([]*store.Credential, error) {
	return t.f.credentials(tenant), nil
}

func (t fakeTx) PutCredential(c *store.Credential) error {
	for _, other := range t.f.rows {
		if other.ID != c.ID && string(other.Hash) == string(c.Hash) {
			return &store.ConflictError{Field: "hash", Value: c.Hint, Owner: other.Tenant}
		}
	}
	t.f.rows[c.ID] = *c
	t.f.generation++
	return nil
}

func (t fakeTx) AppendEvent(e *store.Event) error {
	t.f.events = append(t.f.events, *e)
	return nil
}
