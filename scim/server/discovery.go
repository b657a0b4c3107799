package server

import (
	"context"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"

	"github.com/sharearefund/scim-bridge/schemas"
	"github.com/sharearefund/scim-bridge/scim"
)

// discovery answers the endpoints of RFC 7644 §4 from bytes that are made
// once. Only the ServiceProviderConfig depends on the tenant.
type discovery struct {
	s *server
	// providers is the ServiceProviderConfig of a tenant whose clients cannot
	// change passwords, and of one whose can.
	providers  [2]answer
	types      answer
	schemas    answer
	typeByID   map[string]answer
	schemaByID map[string]answer
}

func newDiscovery(s *server, set *schemas.Set, served []*schemas.ResourceType) (*discovery, error) {
	d := &discovery{s: s, typeByID: map[string]answer{}, schemaByID: map[string]answer{}}
	for i := range d.providers {
		config, err := set.ServiceProviderConfig(schemas.Capabilities{
			MaxPayloadSize: s.MaxBody, ChangePassword: i == 1, DefaultPageSize: s.DefaultCount, MaxPageSize: s.MaxResults,
		})
		if err != nil {
			return nil, err
		}
		d.providers[i] = s.published(config)
	}
	var types, defs [][]byte
	for _, t := range served {
		a := s.published(t.JSON)
		types = append(types, a.body)
		d.typeByID[strings.ToLower(t.ID)] = a
	}
	for _, sc := range set.SchemasOf(served) {
		a := s.published(sc.JSON)
		defs = append(defs, a.body)
		d.schemaByID[strings.ToLower(sc.ID)] = a
	}
	// The list has the schemas of resources; those of what describes them are
	// found by their URN.
	for _, def := range set.Discovery() {
		d.schemaByID[strings.ToLower(def.ID)] = s.published(def.JSON)
	}
	d.types, d.schemas = wholeList(types), wholeList(defs)
	return d, nil
}

// published is a resource of discovery with its address and its version, which
// is a hash of what it says.
func (s *server) published(resource []byte) answer {
	h := fnv.New64a()
	h.Write(resource)
	h.Write([]byte(s.base))
	version := `W/"` + strconv.FormatUint(h.Sum64(), 36) + `"`
	return answer{status: http.StatusOK, etag: version, body: schemas.Published(resource, s.base, version)}
}

// wholeList is a ListResponse of everything there is.
func wholeList(resources [][]byte) answer {
	b := appendListHead(nil, len(resources), 1, len(resources))
	for i, r := range resources {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r...)
	}
	return answer{status: http.StatusOK, body: append(b, `]}`...)}
}

func (d *discovery) config(x *exchange) (workFunc, error) {
	if d.s.ChangesPassword == nil {
		return fixed(x, d.providers[0])
	}
	if _, err := fixed(x, answer{}); err != nil {
		return nil, err
	}
	known, err := entityTags(x.r.Header, "If-None-Match")
	if err != nil {
		return nil, err
	}
	caller := x.caller
	return func(ctx context.Context) (answer, error) {
		can, err := d.s.ChangesPassword(ctx, caller)
		switch {
		case err != nil:
			return answer{}, err
		case can:
			return unlessKnown(d.providers[1], known), nil
		}
		return unlessKnown(d.providers[0], known), nil
	}, nil
}

func (d *discovery) listTypes(x *exchange) (workFunc, error)   { return fixed(x, d.types) }
func (d *discovery) listSchemas(x *exchange) (workFunc, error) { return fixed(x, d.schemas) }

func (d *discovery) getType(x *exchange) (workFunc, error) {
	a, ok := d.typeByID[strings.ToLower(x.id)]
	if !ok {
		return nil, scim.NotFound("ResourceType", x.id)
	}
	return fixed(x, a)
}

func (d *discovery) getSchema(x *exchange) (workFunc, error) {
	a, ok := d.schemaByID[strings.ToLower(x.id)]
	if !ok {
		return nil, scim.NotFound("Schema", x.id)
	}
	return fixed(x, a)
}

// fixed refuses a filter, as RFC 7644 §4 asks, and ignores the other
// parameters. It is conditional by If-None-Match (§3.14).
func fixed(x *exchange, a answer) (workFunc, error) {
	if x.query.filter.given {
		return nil, scim.Forbidden("%s cannot be filtered: leave the parameter filter out", x.route())
	}
	known, err := entityTags(x.r.Header, "If-None-Match")
	if err != nil {
		return nil, err
	}
	return func(context.Context) (answer, error) { return unlessKnown(a, known), nil }, nil
}

// unlessKnown is a, or 304 when the client has that version.
func unlessKnown(a answer, known []string) answer {
	if a.etag != "" && len(known) > 0 && (scim.Preconditions{IfNoneMatch: known}).Check(a.etag) != nil {
		return answer{status: http.StatusNotModified, etag: a.etag}
	}
	return a
}
