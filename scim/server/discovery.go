package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/sharearefund/scim-bridge/schemas"
	"github.com/sharearefund/scim-bridge/scim"
)

// discovery answers the endpoints of RFC 7644 §4 from bytes that are made
// once. They are the same for every tenant.
type discovery struct {
	provider   answer
	types      answer
	schemas    answer
	typeByID   map[string]answer
	schemaByID map[string]answer
}

func newDiscovery(base string, set *schemas.Set, served []*schemas.ResourceType) *discovery {
	d := &discovery{
		provider:   answer{status: http.StatusOK, body: set.ServiceProviderConfig(base)},
		typeByID:   map[string]answer{},
		schemaByID: map[string]answer{},
	}
	var types, defs [][]byte
	for _, t := range served {
		b := schemas.WithLocation(t.JSON, base)
		types = append(types, b)
		d.typeByID[strings.ToLower(t.ID)] = answer{status: http.StatusOK, body: b}
	}
	for _, sc := range set.SchemasOf(served) {
		b := schemas.WithLocation(sc.JSON, base)
		defs = append(defs, b)
		d.schemaByID[strings.ToLower(sc.ID)] = answer{status: http.StatusOK, body: b}
	}
	d.types, d.schemas = wholeList(types), wholeList(defs)
	return d
}

// wholeList is a ListResponse of everything there is.
func wholeList(resources [][]byte) answer {
	n := strconv.Itoa(len(resources))
	b := []byte(`{"schemas":["` + listSchema + `"],"totalResults":` + n + `,"startIndex":1,"itemsPerPage":` + n + `,"Resources":[`)
	for i, r := range resources {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r...)
	}
	return answer{status: http.StatusOK, body: append(b, `]}`...)}
}

func (d *discovery) config(x *exchange) (workFunc, error)      { return fixed(x, d.provider) }
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
// parameters.
func fixed(x *exchange, a answer) (workFunc, error) {
	if x.query.filter.given {
		return nil, scim.Forbidden("%s cannot be filtered: leave the parameter filter out", x.route())
	}
	return func(context.Context) (answer, error) { return a, nil }, nil
}

// announcedMaxResults is what the ServiceProviderConfig promises.
func announcedMaxResults(set *schemas.Set) (int, error) {
	var c struct {
		Filter struct {
			MaxResults int `json:"maxResults"`
		} `json:"filter"`
	}
	if err := json.Unmarshal(set.ServiceProviderConfig(""), &c); err != nil {
		return 0, fmt.Errorf("ServiceProviderConfig: %w", err)
	}
	if c.Filter.MaxResults <= 0 {
		return 0, fmt.Errorf("ServiceProviderConfig: filter.maxResults is %d", c.Filter.MaxResults)
	}
	return c.Filter.MaxResults, nil
}
