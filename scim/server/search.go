package server

import (
	"context"
	"net/http"
	"slices"

	"github.com/sharearefund/scim-bridge/schemas"
	"github.com/sharearefund/scim-bridge/scim"
)

// searched is list for a query that is sent by POST (RFC 7644 §3.4.3).
func (s *server) searched(list prepareFunc) prepareFunc {
	return func(x *exchange) (workFunc, error) {
		if x.query.selects() {
			return nil, scim.BadRequest(scim.TypeInvalidValue, "the address of a search has parameters of a query: send them in the body")
		}
		body, err := s.readBody(x, s.MaxBody)
		if err != nil {
			return nil, err
		}
		r, err := scim.DecodeSearch(body)
		if err != nil {
			return nil, err
		}
		x.query.take(r)
		return list(x)
	}
}

// searchEndpoint is the search of the resource types whose query list is.
func (s *server) searchEndpoint(path string, list prepareFunc) *endpoint {
	return &endpoint{pattern: path + "/.search", reads: true, methods: map[string]prepareFunc{http.MethodPost: s.searched(list)}}
}

// searchable is a resource type in a query over several (RFC 7644 §3.4.2.1).
type searchable struct {
	codec queryCodec
	// find answers a query of this type.
	find func(ctx context.Context, c scim.Caller, q scim.Query) (*hits, error)
}

// hits are what a query found of one resource type.
type hits struct {
	total int
	list  []hit
	next  *scim.Position
}

// hit is one resource.
type hit struct {
	// value is what the query sorts by.
	value scim.SortValue
	write func(*bodyWriter) error
}

func (s *server) searchableUsers() searchable {
	find := func(ctx context.Context, c scim.Caller, q scim.Query) (*hits, error) {
		page, err := s.Users.ListUsers(ctx, c, q)
		if err == nil {
			err = s.checkUsers(page, q)
		}
		if err != nil {
			return nil, err
		}
		found := &hits{total: page.Total, next: page.Next}
		for _, text := range page.Rendered {
			found.list = append(found.list, hit{write: func(w *bodyWriter) error {
				w.buf = append(w.buf, text...)
				return w.next()
			}})
		}
		for _, u := range page.Resources {
			found.list = append(found.list, hitOf(s.UserCodec, u, q))
		}
		return found, nil
	}
	return searchable{codec: s.UserCodec, find: find}
}

func (s *server) searchableGroups() searchable {
	find := func(ctx context.Context, c scim.Caller, q scim.Query) (*hits, error) {
		page, err := s.Groups.ListGroups(ctx, c, q)
		if err == nil {
			err = s.checkGroups(page)
		}
		if err != nil {
			return nil, err
		}
		found := &hits{total: page.Total, next: page.Next}
		for _, v := range page.Resources {
			h := hitOf(s.GroupCodec.Codec, &v.Group, q)
			h.write = func(w *bodyWriter) error { return s.streamGroup(w, v, q.Projection) }
			found.list = append(found.list, h)
		}
		return found, nil
	}
	return searchable{codec: s.GroupCodec, find: find}
}

func (c *collection[T]) searchable() searchable {
	find := func(ctx context.Context, caller scim.Caller, q scim.Query) (*hits, error) {
		page, err := c.page(ctx, caller, q)
		if err != nil {
			return nil, err
		}
		found := &hits{total: page.Total, next: page.Next}
		for _, v := range page.Resources {
			found.list = append(found.list, hitOf(c.codec, v, q))
		}
		return found, nil
	}
	return searchable{codec: c.codec, find: find}
}

func hitOf[T any](c *scim.Codec[T], v *T, q scim.Query) hit {
	h := hit{write: func(w *bodyWriter) error {
		w.buf = c.Append(w.buf, v, q.Projection)
		return w.next()
	}}
	if q.SortBy != nil {
		h.value = c.SortValue(v, q.SortBy)
	}
	return h
}

// searchables are the resource types that a query of the root looks at, in the
// order in which it shows them.
func (s *server) searchables(set *schemas.Set) []searchable {
	list := []searchable{s.searchableUsers(), s.searchableGroups()}
	for _, r := range s.Resources {
		t, _ := set.ResourceType(r.resourceType)
		list = append(list, r.searchable(s, t))
	}
	return list
}

// across reads a query for one of several resource types: what the type lacks
// has no value in it.
type across struct {
	queryCodec
	// unknown names what the filter looks at and this type lacks; sorts: the type
	// has what the query sorts by.
	unknown []string
	sorts   bool
}

func (a *across) ParseFilter(filter string, d scim.Dialect) (*scim.Filter, error) {
	f, unknown, err := a.ParseFilterAcross(filter, d)
	a.unknown = unknown
	return f, err
}

func (a *across) ParseSort(sortBy string) (*scim.SortKey, error) {
	k, err := a.queryCodec.ParseSort(sortBy)
	a.sorts = err == nil
	return k, nil
}

// rootQuery is a query over several resource types, for each of them.
type rootQuery struct {
	types   []searchable
	queries []scim.Query
	// start, count, descending and sorted are those of the whole.
	start, count       int
	descending, sorted bool
	cursor             bool
	from               int
}

// searchRoot is a query over all resource types (RFC 7644 §3.4.2.1).
func (s *server) searchRoot(types []searchable) prepareFunc {
	return func(x *exchange) (workFunc, error) {
		r, err := s.rootQuery(x, types)
		if err != nil {
			return nil, err
		}
		caller, head := x.caller, s.pagerOf(x, r.queries[0])
		return func(ctx context.Context) (answer, error) {
			found, next, err := r.find(ctx, caller)
			if err != nil {
				return answer{}, err
			}
			return answer{status: http.StatusOK, stream: func(w *bodyWriter) error {
				w.buf = head.appendHead(w.buf, found.total, len(found.list), next)
				for i, h := range found.list {
					if i > 0 {
						w.buf = append(w.buf, ',')
					}
					if err := h.write(w); err != nil {
						return err
					}
				}
				w.buf = append(w.buf, `]}`...)
				return nil
			}}, nil
		}, nil
	}
}

func (s *server) rootQuery(x *exchange, types []searchable) (*rootQuery, error) {
	r := &rootQuery{types: types, queries: make([]scim.Query, len(types))}
	var unknown []string // to every type
	for i, t := range types {
		a := &across{queryCodec: t.codec}
		q, err := s.list(x, a)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			unknown = a.unknown
		}
		unknown = slices.DeleteFunc(unknown, func(name string) bool { return !slices.Contains(a.unknown, name) })
		r.queries[i], r.sorted = q, r.sorted || a.sorts
		r.descending = r.descending || q.Descending
	}
	q := r.queries[0]
	r.start, r.count, r.cursor, r.from = q.StartIndex, q.Count, q.Cursor, x.fromType
	switch {
	case len(unknown) > 0:
		return nil, scim.BadRequest(scim.TypeInvalidFilter, "filter: no resource type has the attribute %q; see /Schemas", clip(unknown[0]))
	case r.cursor && r.sorted:
		return nil, scim.BadRequest(scim.TypeInvalidValue, "a query over several resource types is not sorted from page to page by cursor: page by startIndex, leave sortBy out, or ask for one resource type")
	case r.from >= len(types):
		return nil, scim.BadRequest(scim.TypeInvalidCursor, "the cursor is not one that this query was given: send an empty cursor to begin anew")
	case x.query.sortBy.value != "" && !r.sorted:
		x.notes = append(x.notes, scim.Note{Path: "sortBy", Reason: "cannot be sorted by: ignored"})
	}
	return r, nil
}

func (r *rootQuery) find(ctx context.Context, c scim.Caller) (*hits, *place, error) {
	if r.sorted {
		found, err := r.merged(ctx, c)
		return found, nil, err
	}
	return r.chained(ctx, c)
}

// merged sorts what all types have together: the page is among the first of
// each. A type that lacks what is sorted by is only counted at first, so that a
// page behind the end costs nothing.
func (r *rootQuery) merged(ctx context.Context, c scim.Caller) (*hits, error) {
	all, found := &hits{}, make([]*hits, len(r.types))
	for i, t := range r.types {
		q := r.queries[i]
		q.StartIndex = 1
		switch {
		case q.SortBy == nil:
			q.Count = 0
		case q.Count > 0:
			q.Count = r.start - 1 + r.count
		}
		var err error
		if found[i], err = t.find(ctx, c, q); err != nil {
			return nil, err
		}
		all.total += found[i].total
	}
	if r.count == 0 || r.start > all.total {
		return all, nil
	}
	for i, t := range r.types {
		q := r.queries[i]
		if q.SortBy == nil {
			q.StartIndex, q.Count = 1, min(r.start-1+r.count, found[i].total)
			var err error
			if found[i], err = t.find(ctx, c, q); err != nil {
				return nil, err
			}
		}
		all.list = append(all.list, found[i].list...)
	}
	slices.SortStableFunc(all.list, func(a, b hit) int {
		if r.descending {
			a, b = b, a
		}
		return scim.CompareSortValues(a.value, b.value)
	})
	from := min(r.start-1, len(all.list))
	all.list = all.list[from:min(from+r.count, len(all.list))]
	return all, nil
}

// chained lists one type behind the other. next is where the following page
// begins, for a query by cursor.
func (r *rootQuery) chained(ctx context.Context, c scim.Caller) (all *hits, next *place, err error) {
	all = &hits{}
	for i, t := range r.types {
		q := r.queries[i]
		q.Count = r.count - len(all.list)
		switch {
		case !r.cursor:
			q.StartIndex = max(1, r.start-all.total)
		case i < r.from || next != nil || q.Count == 0:
			q.Cursor, q.Count = false, 0
		case i > r.from:
			q.After = scim.Position{}
		}
		found, err := t.find(ctx, c, q)
		if err != nil {
			return nil, nil, err
		}
		all.total += found.total
		all.list = append(all.list, found.list...)
		switch {
		case found.next != nil:
			next = &place{Type: i, Position: *found.next}
		case r.cursor && r.count > 0 && next == nil && i > r.from && len(found.list) == 0 && found.total > 0:
			next = &place{Type: i} // the page was full before
		}
	}
	return all, next, nil
}
