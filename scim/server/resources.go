package server

import (
	"context"
	"errors"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"

	"github.com/sharearefund/scim-bridge/schemas"
	"github.com/sharearefund/scim-bridge/scim"
)

// Resource is a read-only resource type, for Options.Resources.
type Resource struct {
	resourceType string
	// endpoints is nil when the codec or the reader is missing.
	endpoints  func(*server, *schemas.ResourceType) []*endpoint
	searchable func(*server, *schemas.ResourceType) searchable
}

// ReadOnly serves the resources of reader at the endpoint that package schemas
// gives the resource type: GET with a query, the same by POST to /.search, and
// GET by id. meta is the
// server's to set, where version is a hash of what is shown. codec must be one
// of the same resource type.
func ReadOnly[T any](resourceType string, codec *scim.Codec[T], reader scim.ResourceReader[T]) Resource {
	r := Resource{resourceType: resourceType}
	if codec == nil || reader == nil {
		return r
	}
	of := func(s *server, t *schemas.ResourceType) *collection[T] {
		return &collection[T]{s: s, t: t, codec: codec, reader: reader}
	}
	r.searchable = func(s *server, t *schemas.ResourceType) searchable { return of(s, t).searchable() }
	r.endpoints = func(s *server, t *schemas.ResourceType) []*endpoint {
		c, path := of(s, t), basePath+t.Endpoint
		return []*endpoint{
			s.searchEndpoint(path, c.list),
			{pattern: path, methods: map[string]prepareFunc{http.MethodGet: c.list}},
			{pattern: path + "/{id}", resource: t.Name, methods: map[string]prepareFunc{http.MethodGet: c.get}},
		}
	}
	return r
}

// ownTypes have options of their own.
var ownTypes = []string{"User", "Group"}

// checkResources requires Options.Resources to be types that can be served,
// each once.
func checkResources(rs []Resource, set *schemas.Set, require func(ok bool, format string, args ...any)) {
	taken := slices.Clone(ownTypes)
	for i, r := range rs {
		t, ok := set.ResourceType(r.resourceType)
		if !ok || !slices.Contains(set.ServedTypes(), t) {
			require(false, "Resources[%d]: there is no resource type %q to serve", i, r.resourceType)
			continue
		}
		require(!slices.Contains(taken, t.Name), "Resources[%d]: %s is served already", i, t.Name)
		require(r.endpoints != nil, "Resources[%d]: %s has no codec or no reader", i, t.Name)
		taken = append(taken, t.Name)
	}
}

// servedTypes lists the resource types that have endpoints.
func (s *server) servedTypes(set *schemas.Set) []*schemas.ResourceType {
	return slices.DeleteFunc(set.ServedTypes(), func(t *schemas.ResourceType) bool {
		return !slices.Contains(ownTypes, t.Name) && !slices.ContainsFunc(s.Resources, func(r Resource) bool {
			other, ok := set.ResourceType(r.resourceType)
			return ok && other == t
		})
	})
}

// collection serves resources that are few enough to read all of them.
type collection[T any] struct {
	s      *server
	t      *schemas.ResourceType
	codec  *scim.Codec[T]
	reader scim.ResourceReader[T]
}

// all reads the resources and completes copies of them.
func (c *collection[T]) all(ctx context.Context, caller scim.Caller) ([]*T, error) {
	list, err := c.reader.All(ctx, caller)
	if err != nil {
		return nil, err
	}
	out := make([]*T, 0, len(list))
	for _, v := range list {
		if v == nil {
			return nil, errors.New("the reader returned no " + c.t.Name)
		}
		v = c.codec.Clone(v)
		h := fnv.New64a()
		h.Write(c.codec.Append(nil, v, scim.Projection{}))
		id, meta := c.codec.Identify(v)
		if err := c.s.locate(c.t.Name, c.t.Endpoint, id, meta); err != nil {
			return nil, err
		}
		meta.Version = `W/"` + strconv.FormatUint(h.Sum64(), 36) + `"`
		out = append(out, v)
	}
	return out, nil
}

// get is GET by id (RFC 7644 §3.4.1), conditional by If-None-Match (§3.14).
func (c *collection[T]) get(x *exchange) (workFunc, error) {
	proj, err := projection(c.codec, &x.query)
	if err != nil {
		return nil, err
	}
	known, err := entityTags(x.r.Header, "If-None-Match")
	if err != nil {
		return nil, err
	}
	caller, id := x.caller, x.id
	return func(ctx context.Context) (answer, error) {
		list, err := c.all(ctx, caller)
		if err != nil {
			return answer{}, err
		}
		for _, v := range list {
			own, meta := c.codec.Identify(v)
			if own != id {
				continue
			}
			if len(known) > 0 && (scim.Preconditions{IfNoneMatch: known}).Check(meta.Version) != nil {
				return answer{status: http.StatusNotModified, etag: meta.Version}, nil
			}
			b := c.s.buffers.get()
			*b = c.codec.Append(*b, v, proj)
			return answer{status: http.StatusOK, etag: meta.Version, body: *b, pooled: b}, nil
		}
		return answer{}, scim.NotFound(c.t.Name, id)
	}, nil
}

// list is GET with a query (RFC 7644 §3.4.2).
func (c *collection[T]) list(x *exchange) (workFunc, error) {
	q, err := c.s.list(x, c.codec)
	if err != nil {
		return nil, err
	}
	caller, head := x.caller, c.s.pagerOf(x, q)
	return func(ctx context.Context) (answer, error) {
		page, err := c.page(ctx, caller, q)
		if err != nil {
			return answer{}, err
		}
		b := c.s.buffers.get()
		out := head.appendHead(*b, page.Total, len(page.Resources), following(page.Next))
		for i, v := range page.Resources {
			if i > 0 {
				out = append(out, ',')
			}
			out = c.codec.Append(out, v, q.Projection)
		}
		*b = append(out, `]}`...)
		return answer{status: http.StatusOK, body: *b, pooled: b}, nil
	}, nil
}

// page is what a query finds. The reader's order is the resources' own.
func (c *collection[T]) page(ctx context.Context, caller scim.Caller, q scim.Query) (*scim.Page[T], error) {
	list, err := c.all(ctx, caller)
	if err != nil {
		return nil, err
	}
	var found []scim.Entry[*T]
	for i, v := range list {
		if q.Filter == nil || c.codec.Match(q.Filter, v) {
			found = append(found, scim.Entry[*T]{Seq: int64(i + 1), Resource: v})
		}
	}
	window, next := scim.Window(found, q, func(v *T) scim.SortValue { return c.codec.SortValue(v, q.SortBy) })
	page := &scim.Page[T]{Total: len(found), Next: next}
	for _, e := range window {
		page.Resources = append(page.Resources, e.Resource)
	}
	return page, nil
}
