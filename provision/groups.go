package provision

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

var _ scim.GroupHandler = (*Service)(nil)

// GetGroup answers from the store, which is the truth about groups.
func (s *Service) GetGroup(ctx context.Context, c scim.Caller, id string, members bool) (*scim.GroupView, error) {
	g, err := s.store.Group(ctx, c.Tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, scim.NotFound("Group", id)
	}
	if err != nil {
		return nil, refusal(err)
	}
	return s.groupView(ctx, g, members), nil
}

// groupTag is a group's weak entity tag: every change of the group or of its
// members is counted in its version.
func groupTag(g *store.Group) string { return `W/"g` + strconv.FormatInt(g.Version, 36) + `"` }

func (s *Service) groupView(ctx context.Context, g *store.Group, members bool) *scim.GroupView {
	v := &scim.GroupView{Group: *s.groupOf(g)}
	if members {
		v.Members = s.eachMember(ctx, g.Tenant, g.ID)
	}
	return v
}

func (s *Service) groupOf(g *store.Group) *scim.Group {
	return &scim.Group{
		ID: g.ID, DisplayName: g.DisplayName, ExternalID: g.ExternalID,
		Meta: scim.Meta{
			ResourceType: "Group", Created: g.CreatedAt, LastModified: g.ModifiedAt, Version: groupTag(g),
			Location: s.base() + "/Groups/" + g.ID,
		},
	}
}

// eachMember reads a group's members a chunk at a time.
func (s *Service) eachMember(ctx context.Context, tenant, group string) iter.Seq2[scim.Member, error] {
	return func(yield func(scim.Member, error) bool) {
		for m, err := range membersIn(ctx, s.store, tenant, group) {
			if !yield(memberOf(m), err) || err != nil {
				return
			}
		}
	}
}

func memberOf(m store.Member) scim.Member {
	return scim.Member{Value: m.PersonID, Type: "User", Display: m.UserName}
}

// ListGroups answers from the store: by index where the filter is made of
// comparisons with eq, else by a look at every group.
func (s *Service) ListGroups(ctx context.Context, c scim.Caller, q scim.Query) (*scim.Page[scim.GroupView], error) {
	page, err := s.listGroups(ctx, c, q)
	if err != nil {
		return nil, refusal(err)
	}
	return page, nil
}

func (s *Service) listGroups(ctx context.Context, c scim.Caller, q scim.Query) (*scim.Page[scim.GroupView], error) {
	if q.Filter == nil && q.SortBy == nil {
		total, err := s.store.CountGroups(ctx, c.Tenant)
		if err != nil {
			return nil, err
		}
		var rows []*store.Group
		var next *scim.Position
		if q.Count > 0 {
			if rows, err = s.store.Groups(ctx, c.Tenant, windowOf(q)); err != nil {
				return nil, err
			}
			rows, next = cutPage(rows, q, func(g *store.Group) int64 { return g.Seq })
		}
		return s.groupPage(ctx, rows, total, next, q), nil
	}
	found, err := s.findGroups(ctx, c, q)
	if err != nil {
		return nil, err
	}
	all := make([]scim.Entry[*store.Group], len(found))
	for i, g := range found {
		all[i] = scim.Entry[*store.Group]{Seq: g.Seq, Resource: g}
	}
	window, next := scim.Window(all, q, func(g *store.Group) scim.SortValue { return s.groupCodec.SortValue(s.groupOf(g), q.SortBy) })
	rows := make([]*store.Group, len(window))
	for i, e := range window {
		rows[i] = e.Resource
	}
	return s.groupPage(ctx, rows, len(found), next, q), nil
}

func (s *Service) groupPage(ctx context.Context, rows []*store.Group, total int, next *scim.Position, q scim.Query) *scim.Page[scim.GroupView] {
	page := &scim.Page[scim.GroupView]{Total: total, Next: next}
	members := q.Projection.Shows("members")
	for _, g := range rows {
		page.Resources = append(page.Resources, s.groupView(ctx, g, members))
	}
	return page
}

// findGroups lists the groups that satisfy the query's filter, by Seq.
func (s *Service) findGroups(ctx context.Context, c scim.Caller, q scim.Query) ([]*store.Group, error) {
	if q.Filter != nil {
		if terms, ok := q.Filter.Equals(); ok && !slices.ContainsFunc(terms, ofMembersDetails) {
			rows, indexed, err := s.indexedGroups(ctx, c.Tenant, terms)
			if err != nil {
				return nil, err
			}
			if indexed {
				return s.satisfying(ctx, rows, terms, q.Filter)
			}
		}
	}
	var found []*store.Group
	for after := int64(0); ; {
		rows, err := s.store.Groups(ctx, c.Tenant, store.Window{After: after, Limit: chunk})
		if err != nil {
			return nil, err
		}
		for _, g := range rows {
			ok, err := s.satisfies(ctx, g, q.Filter)
			if err != nil {
				return nil, err
			}
			if ok {
				found = append(found, g)
			}
		}
		if len(rows) < chunk {
			return found, nil
		}
		after = rows[len(rows)-1].Seq
	}
}

// ofMembersDetails reports a term on a part of members that no index answers.
func ofMembersDetails(t scim.EqualTerm) bool {
	return strings.HasPrefix(t.Path, "members.") && t.Path != "members.value"
}

// satisfies judges one group by a filter that no index answers.
func (s *Service) satisfies(ctx context.Context, g *store.Group, f *scim.Filter) (bool, error) {
	if f == nil {
		return true, nil
	}
	r := s.groupOf(g)
	if f.Mentions("members") {
		for m, err := range s.eachMember(ctx, g.Tenant, g.ID) {
			if err != nil {
				return false, err
			}
			m.Ref = s.location(m.Value)
			r.Members = append(r.Members, m)
		}
	}
	return s.groupCodec.Match(f, r), nil
}

// indexedGroups finds what one of the terms allows, by the first that has an
// index; ok is false when none has.
func (s *Service) indexedGroups(ctx context.Context, tenant string, terms []scim.EqualTerm) (rows []*store.Group, ok bool, err error) {
	one := func(g *store.Group, err error) ([]*store.Group, bool, error) {
		if err != nil {
			return nil, true, ignoreNotFound(err)
		}
		return []*store.Group{g}, true, nil
	}
	for _, path := range []string{"id", "displayName", "externalId", "members.value"} {
		i := slices.IndexFunc(terms, func(t scim.EqualTerm) bool { return t.Path == path })
		if i < 0 {
			continue
		}
		switch value := terms[i].Value; path {
		case "id":
			return one(s.store.Group(ctx, tenant, value))
		case "displayName":
			return one(s.store.GroupByName(ctx, tenant, scim.Fold(value)))
		case "externalId":
			rows, err := s.store.GroupsByExternalID(ctx, tenant, value)
			return rows, true, err
		default:
			rows, err := s.groupsOfMember(ctx, tenant, value)
			return rows, true, err
		}
	}
	return nil, false, nil
}

func (s *Service) groupsOfMember(ctx context.Context, tenant, value string) ([]*store.Group, error) {
	p, err := s.store.Person(ctx, tenant, value)
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	of, err := s.store.GroupsOf(ctx, tenant, []string{p.ID})
	if err != nil {
		return nil, err
	}
	var rows []*store.Group
	for _, ref := range of[p.ID] {
		g, err := s.store.Group(ctx, tenant, ref.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, g)
	}
	return rows, nil
}

// satisfying keeps the groups of which all terms hold, without reading more of
// their members than the terms name.
func (s *Service) satisfying(ctx context.Context, rows []*store.Group, terms []scim.EqualTerm, f *scim.Filter) ([]*store.Group, error) {
	var found []*store.Group
	for _, g := range rows {
		r := s.groupOf(g)
		for _, t := range terms {
			if t.Path != "members.value" {
				continue
			}
			p, err := s.store.Person(ctx, g.Tenant, t.Value)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			in, err := s.store.MembersAmong(ctx, g.Tenant, g.ID, []string{p.ID})
			if err != nil {
				return nil, err
			}
			if in[p.ID] {
				r.Members = append(r.Members, scim.Member{Value: t.Value, Type: "User"})
			}
		}
		if s.groupCodec.Match(f, r) {
			found = append(found, g)
		}
	}
	return found, nil
}

// ruled is what rules know of a group.
func ruled(g *store.Group) mapping.Group {
	return mapping.Group{ID: g.ID, DisplayName: g.DisplayName, ExternalID: g.ExternalID}
}
