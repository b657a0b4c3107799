package server

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

// memoryGroups is a GroupHandler that keeps clones of what it is given.
type memoryGroups struct {
	codec *scim.GroupCodec

	mu     sync.Mutex
	groups []*scim.Group
	next   int
	calls  []string
	// read counts the members that were yielded.
	read int
	// last are the arguments of the last call.
	last struct {
		caller  scim.Caller
		query   scim.Query
		pre     scim.Preconditions
		group   *scim.Group
		patch   *scim.GroupPatch
		members bool
	}
	// before runs at the start of every call, outside the lock.
	before func(ctx context.Context, op string) error
	// member runs before each member is yielded, outside the lock.
	member func(ctx context.Context, i int) error
}

func (m *memoryGroups) enter(ctx context.Context, op string, c scim.Caller) error {
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

func (m *memoryGroups) index(id string) (int, error) {
	i := slices.IndexFunc(m.groups, func(g *scim.Group) bool { return g.ID == id })
	if i < 0 {
		return 0, scim.NotFound("Group", id)
	}
	return i, nil
}

// put stores a clone under the next version.
func (m *memoryGroups) put(i int, g *scim.Group) *scim.Group {
	m.next++
	g = m.codec.Clone(g)
	g.Meta = scim.Meta{
		Created: time.Unix(1_700_000_000, 0).UTC(), LastModified: time.Unix(1_700_000_000+int64(m.next), 0).UTC(),
		Version: fmt.Sprintf(`W/"%d"`, m.next),
	}
	if i == len(m.groups) {
		m.groups = append(m.groups, nil)
	}
	m.groups[i] = g
	return g
}

// view shows a clone of g, and its members one after the other.
func (m *memoryGroups) view(ctx context.Context, g *scim.Group, members bool) *scim.GroupView {
	shown := *g
	shown.Members = nil
	v := &scim.GroupView{Group: shown}
	if members && len(g.Members) > 0 {
		v.Members = m.yield(ctx, slices.Clone(g.Members))
	}
	return v
}

func (m *memoryGroups) yield(ctx context.Context, list []scim.Member) iter.Seq2[scim.Member, error] {
	return func(yield func(scim.Member, error) bool) {
		for i, member := range list {
			m.mu.Lock()
			m.read++
			hook := m.member
			m.mu.Unlock()
			if hook != nil {
				if err := hook(ctx, i); err != nil {
					yield(scim.Member{}, err)
					return
				}
			}
			member.Type = "User"
			if !yield(member, nil) {
				return
			}
		}
	}
}

func (m *memoryGroups) CreateGroup(ctx context.Context, c scim.Caller, g *scim.Group, members bool) (*scim.GroupView, error) {
	if err := m.enter(ctx, "create", c); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last.group, m.last.members = g, members
	for _, other := range m.groups {
		if scim.Fold(other.DisplayName) == scim.Fold(g.DisplayName) {
			return nil, scim.Conflict("displayName %q is taken", g.DisplayName)
		}
	}
	g.ID = "group-" + strconv.Itoa(len(m.groups)+1)
	return m.view(ctx, m.put(len(m.groups), g), members), nil
}

func (m *memoryGroups) GetGroup(ctx context.Context, c scim.Caller, id string, members bool) (*scim.GroupView, error) {
	if err := m.enter(ctx, "get", c); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last.members = members
	i, err := m.index(id)
	if err != nil {
		return nil, err
	}
	return m.view(ctx, m.groups[i], members), nil
}

func (m *memoryGroups) ListGroups(ctx context.Context, c scim.Caller, q scim.Query) (*scim.Page[scim.GroupView], error) {
	if err := m.enter(ctx, "list", c); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last.query = q
	var hits []scim.Entry[*scim.Group]
	for i, g := range m.groups {
		if q.Filter == nil || m.codec.Match(q.Filter, g) {
			hits = append(hits, scim.Entry[*scim.Group]{Seq: int64(i + 1), Resource: g})
		}
	}
	page := &scim.Page[scim.GroupView]{Total: len(hits)}
	window, next := scim.Window(hits, q, func(g *scim.Group) scim.SortValue { return m.codec.SortValue(g, q.SortBy) })
	page.Next = next
	for _, e := range window {
		page.Resources = append(page.Resources, m.view(ctx, e.Resource, q.Projection.Shows("members")))
	}
	return page, nil
}

func (m *memoryGroups) change(ctx context.Context, op string, c scim.Caller, id string, pre scim.Preconditions, members bool, f func(next *scim.Group)) (*scim.GroupView, error) {
	if err := m.enter(ctx, op, c); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last.pre, m.last.members = pre, members
	i, err := m.index(id)
	if err != nil {
		return nil, err
	}
	if err := pre.Check(m.groups[i].Meta.Version); err != nil {
		return nil, err
	}
	next := m.codec.Clone(m.groups[i])
	f(next)
	return m.view(ctx, m.put(i, next), members), nil
}

func (m *memoryGroups) ReplaceGroup(ctx context.Context, c scim.Caller, id string, g *scim.Group, pre scim.Preconditions, members bool) (*scim.GroupView, error) {
	return m.change(ctx, "replace", c, id, pre, members, func(next *scim.Group) {
		m.last.group = g
		next.DisplayName, next.ExternalID = g.DisplayName, g.ExternalID
		if g.Members != nil {
			next.Members = g.Members
		}
	})
}

func (m *memoryGroups) PatchGroup(ctx context.Context, c scim.Caller, id string, p *scim.GroupPatch, pre scim.Preconditions, members bool) (*scim.GroupView, error) {
	return m.change(ctx, "patch", c, id, pre, members, func(next *scim.Group) {
		m.last.patch = p
		if p.DisplayName != nil {
			next.DisplayName = *p.DisplayName
		}
		for _, ch := range p.Members {
			for _, v := range ch.Values {
				next.Members = slices.DeleteFunc(next.Members, func(m scim.Member) bool { return m.Value == v })
				if ch.Op != scim.MemberRemove {
					next.Members = append(next.Members, scim.Member{Value: v})
				}
			}
		}
	})
}

func (m *memoryGroups) DeleteGroup(ctx context.Context, c scim.Caller, id string, pre scim.Preconditions) error {
	if err := m.enter(ctx, "delete", c); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.index(id)
	if err != nil {
		return err
	}
	if err := pre.Check(m.groups[i].Meta.Version); err != nil {
		return err
	}
	m.groups = slices.Delete(m.groups, i, i+1)
	return nil
}
