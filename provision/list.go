package provision

import (
	"context"
	"errors"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// maxReadBack bounds the upstream reads of one look-up: more hits than this
// are shown as the directory has them.
const maxReadBack = 8

// chunk is how many rows are read at a time where all are looked at.
const chunk = 500

// ListUsers answers a look-up by a unique attribute with one upstream read,
// and everything else from the directory while that is fresh.
func (s *Service) ListUsers(ctx context.Context, c scim.Caller, q scim.Query) (*scim.Page[scim.User], error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Work)
	defer cancel()
	w, pol, err := s.enter(ctx, c.Tenant)
	if err != nil {
		return nil, entryRefusal(err)
	}
	if q.Filter != nil {
		if attr, value, _, ok := q.Filter.Equal(); ok {
			if find, indexed := s.lookup(attr); indexed {
				page, err := s.listFound(ctx, w, pol, q, attr, value, find)
				if err != nil {
					return nil, refusal(err)
				}
				return page, nil
			}
		}
	}
	page, err := s.listDirectory(ctx, w, pol, q)
	if err != nil {
		return nil, refusal(err)
	}
	return page, nil
}

// finder looks persons up by the value of an indexed attribute.
type finder func(ctx context.Context, tenant, value string) ([]*store.Person, error)

// lookup is the index of an attribute.
func (s *Service) lookup(attr string) (finder, bool) {
	one := func(find func(context.Context, string, string) (*store.Person, error), fold func(string) string) finder {
		return func(ctx context.Context, tenant, value string) ([]*store.Person, error) {
			p, err := find(ctx, tenant, fold(value))
			if errors.Is(err, store.ErrNotFound) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			return []*store.Person{p}, nil
		}
	}
	exact := func(v string) string { return v }
	switch attr {
	case "id":
		return one(s.store.Person, exact), true
	case "userName":
		return one(s.store.PersonByUserName, scim.Fold), true
	case "externalId":
		return s.store.PersonsByExternalID, true
	case "emails.value":
		return func(ctx context.Context, tenant, value string) ([]*store.Person, error) {
			return s.store.PersonsByAnyEmail(ctx, tenant, scim.Fold(value))
		}, true
	}
	return nil, false
}

// hintKinds are the cache's keys for indexed attributes.
var hintKinds = map[string]cache.Kind{
	"id": cache.KindID, "userName": cache.KindUserName, "externalId": cache.KindExternalID, "emails.value": cache.KindEmail,
}

func (s *Service) listFound(ctx context.Context, w *workspace, pol *mapping.Policy, q scim.Query, attr, value string, find finder) (*scim.Page[scim.User], error) {
	key := value
	if attr == "userName" || attr == "emails.value" {
		key = scim.Fold(value)
	}
	e := s.hint(ctx, w, cache.Key{Tenant: w.slug, Kind: hintKinds[attr], Value: key})
	rows, err := find(ctx, w.slug, value)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 && (attr == "userName" || attr == "emails.value") {
		if rows, err = s.findUpstream(ctx, w, value); err != nil {
			return nil, err
		}
	}
	var users []scim.Entry[*scim.User]
	for i, p := range rows {
		u, err := s.found(ctx, w, pol, p, e, i < maxReadBack)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		named := *u
		if attr == "id" {
			named.ID = value // an alias of the id finds the person as well
		}
		if s.codec.Match(q.Filter, &named) {
			users = append(users, scim.Entry[*scim.User]{Seq: p.Seq, Resource: u})
		}
	}
	return s.window(users, q), nil
}

func (s *Service) found(ctx context.Context, w *workspace, pol *mapping.Policy, p *store.Person, e *early, readBack bool) (*scim.User, error) {
	if readBack {
		return s.current(ctx, w, pol, p, e)
	}
	r, err := readRecord(p)
	if err != nil {
		return nil, err
	}
	if err := s.withGroups(ctx, r); err != nil {
		return nil, err
	}
	return s.view(pol, r, r.seen)
}

// findUpstream is for an address that the store does not know. While the
// directory is fresh nobody has it; else upstream is asked, and whoever it
// shows becomes an unmanaged person with a lasting id. Creating somebody after
// a miss is safe in any case: upstream arbitrates.
func (s *Service) findUpstream(ctx context.Context, w *workspace, value string) ([]*store.Person, error) {
	if scim.ValidEmail(value) != nil {
		return nil, nil
	}
	fresh, err := s.directoryFresh(ctx, w)
	if err != nil || fresh {
		return nil, err
	}
	a, err := w.client.FindUserByEmail(ctx, value)
	if upstream.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := s.meet(ctx, w, accountOf(a, w.organizations, nil, s.now()), s.now())
	if err != nil || r == nil {
		return nil, err
	}
	return []*store.Person{r.row}, nil
}

// directoryFresh reports whether the last complete scan is younger than two
// intervals.
func (s *Service) directoryFresh(ctx context.Context, w *workspace) (bool, error) {
	d, err := s.store.Directory(ctx, w.slug)
	if err != nil {
		return false, err
	}
	return s.fresh(d), nil
}

func (s *Service) fresh(d store.Directory) bool {
	return !d.CompletedAt.IsZero() && s.now().Sub(d.CompletedAt) < 2*s.opts.DirectoryInterval
}

func (s *Service) listDirectory(ctx context.Context, w *workspace, pol *mapping.Policy, q scim.Query) (*scim.Page[scim.User], error) {
	fresh, err := s.directoryFresh(ctx, w)
	if err != nil {
		return nil, err
	}
	if !fresh {
		s.nudge()
		return nil, scim.Unavailable(retrySoon, "the directory of this tenant is being read from Share A Refund: send the request again in a moment")
	}
	if q.Filter != nil || q.SortBy != nil {
		return s.listMatching(ctx, w, pol, q)
	}
	total, err := s.store.CountPersons(ctx, w.slug)
	if err != nil {
		return nil, err
	}
	page := &scim.Page[scim.User]{Total: total}
	if q.Count == 0 {
		return page, nil
	}
	if q.Projection.Default() {
		page.Rendered, page.Next, err = s.renderPage(ctx, w, pol, q)
		return page, err
	}
	rows, err := s.store.Persons(ctx, w.slug, windowOf(q))
	if err != nil {
		return nil, err
	}
	rows, page.Next = cutPage(rows, q, func(p *store.Person) int64 { return p.Seq })
	page.Resources, err = s.directoryViews(ctx, w, pol, rows)
	return page, err
}

// windowOf is the page of an unfiltered query in the store's own order, and one
// more where that tells whether another page follows.
func windowOf(q scim.Query) store.Window {
	if q.Cursor {
		return store.Window{After: q.After.Seq, Limit: q.Count + 1}
	}
	return store.Window{Offset: q.StartIndex - 1, Limit: q.Count}
}

// cutPage takes the additional row of windowOf away.
func cutPage[T any](rows []T, q scim.Query, seq func(T) int64) ([]T, *scim.Position) {
	if !q.Cursor || len(rows) <= q.Count {
		return rows, nil
	}
	rows = rows[:q.Count]
	return rows, &scim.Position{Seq: seq(rows[q.Count-1])}
}

// renderPage renders the window, and reads only when somebody in it, or a
// group, changed since it was last rendered.
func (s *Service) renderPage(ctx context.Context, w *workspace, pol *mapping.Policy, q scim.Query) ([][]byte, *scim.Position, error) {
	mark, err := s.store.GroupsMark(ctx, w.slug)
	if err != nil {
		return nil, nil, err
	}
	as := renderedAs{pol, mark}
	revisions, err := s.store.Revisions(ctx, w.slug, windowOf(q))
	if err != nil {
		return nil, nil, err
	}
	revisions, next := cutPage(revisions, q, func(r store.Revision) int64 { return r.Seq })
	page := make([][]byte, len(revisions))
	for i, r := range revisions {
		if page[i] = s.rendered.get(renderedKey{w.slug, r.Seq}, r.Revision, as); page[i] == nil {
			return s.renderAnew(ctx, w, as, q)
		}
	}
	return page, next, nil
}

// renderAnew renders a page. What depends on groups was read after their mark:
// it is never older than what it is kept as.
func (s *Service) renderAnew(ctx context.Context, w *workspace, as renderedAs, q scim.Query) ([][]byte, *scim.Position, error) {
	rows, err := s.store.Persons(ctx, w.slug, windowOf(q))
	if err != nil {
		return nil, nil, err
	}
	rows, next := cutPage(rows, q, func(p *store.Person) int64 { return p.Seq })
	users, err := s.directoryViews(ctx, w, as.policy, rows)
	if err != nil {
		return nil, nil, err
	}
	page := make([][]byte, len(rows))
	for i, p := range rows {
		page[i] = s.codec.Append(nil, users[i], scim.Projection{})
		s.rendered.put(renderedKey{w.slug, p.Seq}, p.Revision, as, page[i])
	}
	return page, next, nil
}

// directoryViews are people as the directory has them.
func (s *Service) directoryViews(ctx context.Context, w *workspace, pol *mapping.Policy, rows []*store.Person) ([]*scim.User, error) {
	all, err := s.records(ctx, w.slug, rows)
	if err != nil {
		return nil, err
	}
	users := make([]*scim.User, len(all))
	for i, r := range all {
		if users[i], err = s.view(pol, r, r.seen); err != nil {
			return nil, err
		}
	}
	return users, nil
}

// listMatching looks at everybody, a chunk at a time.
func (s *Service) listMatching(ctx context.Context, w *workspace, pol *mapping.Policy, q scim.Query) (*scim.Page[scim.User], error) {
	page := &scim.Page[scim.User]{}
	var all []scim.Entry[*scim.User]
	var last int64
	for after := int64(0); ; {
		rows, err := s.store.Persons(ctx, w.slug, store.Window{After: after, Limit: chunk})
		if err != nil {
			return nil, err
		}
		users, err := s.directoryViews(ctx, w, pol, rows)
		if err != nil {
			return nil, err
		}
		for i, u := range users {
			if q.Filter != nil && !s.codec.Match(q.Filter, u) {
				continue
			}
			page.Total++
			seq := rows[i].Seq
			switch {
			case q.SortBy != nil:
				all = append(all, scim.Entry[*scim.User]{Seq: seq, Resource: u})
			case q.Cursor && !q.Follows(seq, scim.SortValue{}), page.Total < q.StartIndex:
			case len(page.Resources) < q.Count:
				page.Resources, last = append(page.Resources, u), seq
			case q.Cursor && q.Count > 0:
				page.Next = &scim.Position{Seq: last}
			}
		}
		if len(rows) < chunk {
			break
		}
		after = rows[len(rows)-1].Seq
	}
	if q.SortBy != nil {
		return s.window(all, q), nil
	}
	return page, nil
}

// window sorts what was found and cuts the page out of it.
func (s *Service) window(users []scim.Entry[*scim.User], q scim.Query) *scim.Page[scim.User] {
	window, next := scim.Window(users, q, func(u *scim.User) scim.SortValue { return s.codec.SortValue(u, q.SortBy) })
	page := &scim.Page[scim.User]{Total: len(users), Next: next}
	for _, e := range window {
		page.Resources = append(page.Resources, e.Resource)
	}
	return page
}
