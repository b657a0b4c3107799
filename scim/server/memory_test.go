package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

// memory is a UserHandler that keeps clones of what it is given.
type memory struct {
	codec *scim.Codec[scim.User]

	mu    sync.Mutex
	users []*scim.User
	next  int
	made  int // users that were ever created
	calls []string
	// last are the arguments of the last call.
	last struct {
		caller scim.Caller
		query  scim.Query
		pre    scim.Preconditions
		user   *scim.User
		patch  *scim.Patch
	}
	// before runs at the start of every call, outside the lock.
	before func(ctx context.Context, op string) error
}

func (m *memory) enter(ctx context.Context, op string, c scim.Caller) error {
	m.mu.Lock()
	m.calls = append(m.calls, op)
	m.last.caller = c
	before := m.before
	m.mu.Unlock()
	if before != nil {
		return before(ctx, op)
	}
	return nil
}

func (m *memory) callCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.calls)
}

func (m *memory) index(id string) (int, error) {
	i := slices.IndexFunc(m.users, func(u *scim.User) bool { return u.ID == id })
	if i < 0 {
		return 0, scim.NotFound("User", id)
	}
	return i, nil
}

// put stores a clone under the next version and returns another one.
func (m *memory) put(i int, u *scim.User) *scim.User {
	m.next++
	u = m.codec.Clone(u)
	if u.Active == nil {
		u.Active = new(bool)
		*u.Active = true
	}
	u.Meta = scim.Meta{
		Created: time.Unix(1_700_000_000, 0).UTC(), LastModified: time.Unix(1_700_000_000+int64(m.next), 0).UTC(),
		Version: fmt.Sprintf(`W/"%d"`, m.next), Location: "http://handler.invalid/" + u.ID,
	}
	if i == len(m.users) {
		m.users = append(m.users, nil)
	}
	m.users[i] = u
	return m.codec.Clone(u)
}

func (m *memory) CreateUser(ctx context.Context, c scim.Caller, u *scim.User) (*scim.User, error) {
	if err := m.enter(ctx, "create", c); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last.user = u
	for _, other := range m.users {
		if scim.Fold(other.UserName) == scim.Fold(u.UserName) {
			return nil, scim.Conflict("userName %q is taken", u.UserName)
		}
	}
	m.made++
	u.ID = "user-" + strconv.Itoa(m.made)
	return m.put(len(m.users), u), nil
}

func (m *memory) GetUser(ctx context.Context, c scim.Caller, id string) (*scim.User, error) {
	if err := m.enter(ctx, "get", c); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.index(id)
	if err != nil {
		return nil, err
	}
	return m.codec.Clone(m.users[i]), nil
}

func (m *memory) ListUsers(ctx context.Context, c scim.Caller, q scim.Query) (*scim.Page[scim.User], error) {
	if err := m.enter(ctx, "list", c); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last.query = q
	var hits []scim.Entry[*scim.User]
	for _, u := range m.users {
		seq, err := strconv.ParseInt(strings.TrimPrefix(u.ID, "user-"), 10, 64)
		if err != nil {
			return nil, err
		}
		if q.Filter == nil || m.codec.Match(q.Filter, u) {
			hits = append(hits, scim.Entry[*scim.User]{Seq: seq, Resource: u})
		}
	}
	page := &scim.Page[scim.User]{Total: len(hits)}
	window, next := scim.Window(hits, q, func(u *scim.User) scim.SortValue { return m.codec.SortValue(u, q.SortBy) })
	page.Next = next
	for _, e := range window {
		page.Resources = append(page.Resources, m.codec.Clone(e.Resource))
	}
	return page, nil
}

func (m *memory) ReplaceUser(ctx context.Context, c scim.Caller, id string, u *scim.User, pre scim.Preconditions) (*scim.User, error) {
	return m.change(ctx, "replace", c, id, pre, func(cur *scim.User) (*scim.User, error) {
		m.last.user = m.codec.Clone(u)
		u.ID = cur.ID
		u.Active = cmp.Or(u.Active, cur.Active)
		return u, nil
	})
}

func (m *memory) PatchUser(ctx context.Context, c scim.Caller, id string, p *scim.Patch, pre scim.Preconditions) (*scim.User, error) {
	return m.change(ctx, "patch", c, id, pre, func(cur *scim.User) (*scim.User, error) {
		m.last.patch = p
		next, _, err := m.codec.Apply(p, cur)
		return next, err
	})
}

func (m *memory) change(ctx context.Context, op string, c scim.Caller, id string, pre scim.Preconditions, f func(*scim.User) (*scim.User, error)) (*scim.User, error) {
	if err := m.enter(ctx, op, c); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last.pre = pre
	i, err := m.index(id)
	if err != nil {
		return nil, err
	}
	if err := pre.Check(m.users[i].Meta.Version); err != nil {
		return nil, err
	}
	next, err := f(m.users[i])
	if err != nil {
		return nil, err
	}
	return m.put(i, next), nil
}

func (m *memory) DeleteUser(ctx context.Context, c scim.Caller, id string, pre scim.Preconditions) error {
	if err := m.enter(ctx, "delete", c); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.index(id)
	if err != nil {
		return err
	}
	if err := pre.Check(m.users[i].Meta.Version); err != nil {
		return err
	}
	m.users = slices.Delete(m.users, i, i+1)
	return nil
}
