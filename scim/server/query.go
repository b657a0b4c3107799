package server

import (
	"math"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sharearefund/scim-bridge/scim"
)

// query holds the parameters of RFC 7644 §3.4.2, decoded, and what the query
// string shows besides. Other parameters are ignored.
type query struct {
	filter     param
	sortBy     param
	sortOrder  param
	startIndex param
	count      param
	attributes param
	excluded   param
	cursor     param

	// entra: the flag that Entra's administrators append to the base URL.
	entra bool
	// token: an access token stands in the query string (RFC 6750 §2.3).
	token bool
}

// param is a parameter that may be absent.
type param struct {
	value string
	given bool
}

// parseQuery reads a query string. Names are matched in any case: a "Filter"
// that was ignored would answer a look-up with everybody. A semicolon is a
// character like any other. On an error the query is incomplete, except for
// entra and token.
func parseQuery(raw string) (query, error) {
	var q query
	var fault error
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		key, value, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(key)
		if err != nil {
			fault = or(fault, malformedQuery(pair))
			continue
		}
		switch {
		case strings.EqualFold(key, entraFlag):
			q.entra = true
			continue
		case strings.EqualFold(key, "access_token"):
			q.token = true
			continue
		}
		p := q.param(key)
		if p == nil {
			continue
		}
		value, err = url.QueryUnescape(value)
		switch {
		case err != nil || !utf8.ValidString(value):
			fault = or(fault, malformedQuery(key))
		case p.given && (p == &q.attributes || p == &q.excluded):
			p.value += "," + value
		case p.given:
			fault = or(fault, scim.BadRequest(typeOf(p, &q), "the query parameter %s is given more than once", strings.ToLower(key)))
		default:
			*p = param{value: value, given: true}
		}
	}
	return q, fault
}

func (q *query) param(key string) *param {
	switch strings.ToLower(key) {
	case "filter":
		return &q.filter
	case "sortby":
		return &q.sortBy
	case "sortorder":
		return &q.sortOrder
	case "startindex":
		return &q.startIndex
	case "count":
		return &q.count
	case "attributes":
		return &q.attributes
	case "excludedattributes":
		return &q.excluded
	case "cursor":
		return &q.cursor
	}
	return nil
}

// selects reports whether a parameter of a list is given.
func (q *query) selects() bool {
	for _, p := range []param{q.filter, q.sortBy, q.sortOrder, q.startIndex, q.count, q.attributes, q.excluded, q.cursor} {
		if p.given {
			return true
		}
	}
	return false
}

// take sets the parameters of a list to those of a search.
func (q *query) take(r *scim.SearchRequest) {
	for to, from := range map[*param]*string{
		&q.filter: r.Filter, &q.sortBy: r.SortBy, &q.sortOrder: r.SortOrder, &q.startIndex: r.StartIndex, &q.count: r.Count,
		&q.attributes: r.Attributes, &q.excluded: r.ExcludedAttributes, &q.cursor: r.Cursor,
	} {
		if from != nil {
			*to = param{value: *from, given: true}
		}
	}
}

func typeOf(p *param, q *query) string {
	if p == &q.filter {
		return scim.TypeInvalidFilter
	}
	return scim.TypeInvalidValue
}

func malformedQuery(what string) error {
	return scim.BadRequest(scim.TypeInvalidValue, "the query string is malformed at %q: percent-encode parameters as UTF-8", clip(what))
}

// or is the first error that is not nil.
func or(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// clip shortens a value for an error text.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// queryCodec is what it takes of a codec to read a query.
type queryCodec interface {
	ParseFilter(filter string, d scim.Dialect) (*scim.Filter, error)
	ParseFilterAcross(filter string, d scim.Dialect) (f *scim.Filter, unknown []string, err error)
	ParseSort(sortBy string) (*scim.SortKey, error)
	ParseProjection(attributes, excluded string) (scim.Projection, error)
}

// projection reads the parameters of RFC 7644 §3.9.
func projection(c queryCodec, q *query) (scim.Projection, error) {
	if q.attributes.value != "" && q.excluded.value != "" {
		return scim.Projection{}, scim.BadRequest(scim.TypeInvalidValue, "attributes and excludedAttributes exclude each other: send one of them")
	}
	return c.ParseProjection(q.attributes.value, q.excluded.value)
}

// list reads the parameters of a list request (RFC 7644 §3.4.2).
func (s *server) list(x *exchange, c queryCodec) (scim.Query, error) {
	var out scim.Query
	var err error
	q := &x.query
	if out.Projection, err = projection(c, q); err != nil {
		return out, err
	}
	if q.filter.given {
		if strings.TrimSpace(q.filter.value) == "" {
			return out, scim.BadRequest(scim.TypeInvalidFilter, "the filter is empty: leave the parameter out to list everything")
		}
		if out.Filter, err = c.ParseFilter(q.filter.value, x.caller.Dialect); err != nil {
			return out, err
		}
	}
	if q.sortBy.value != "" {
		// Sorting is optional (RFC 7644 §3.4.2.3): what cannot be sorted by
		// leaves the order as it is.
		if out.SortBy, err = c.ParseSort(q.sortBy.value); err != nil {
			out.SortBy = nil
			x.notes = append(x.notes, scim.Note{Path: "sortBy", Reason: "cannot be sorted by: ignored"})
		}
	}
	switch order := q.sortOrder.value; {
	case order == "", strings.EqualFold(order, "ascending"):
	case strings.EqualFold(order, "descending"):
		out.Descending = out.SortBy != nil
	default:
		return out, scim.BadRequest(scim.TypeInvalidValue, "sortOrder is %q: want ascending or descending", clip(order))
	}
	if err := s.page(x, &out); err != nil {
		return out, err
	}
	return out, nil
}

// page reads where a page begins and how much it holds: by index (RFC 7644
// §3.4.2.4), or by cursor (RFC 9865) when one is given, be it empty.
func (s *server) page(x *exchange, out *scim.Query) (err error) {
	q := &x.query
	if out.StartIndex, err = integer("startIndex", q.startIndex.value, 1); err != nil {
		return err
	}
	if out.Count, err = integer("count", q.count.value, s.DefaultCount); err != nil {
		return err
	}
	out.StartIndex = max(out.StartIndex, 1)
	out.Count = min(max(out.Count, 0), s.MaxResults)
	if !q.cursor.given {
		return nil
	}
	if q.startIndex.given {
		return scim.BadRequest(scim.TypeInvalidValue, "startIndex and cursor exclude each other: send one of them")
	}
	p, err := s.parseCursor(q.cursor.value, markOf(x))
	out.Cursor, out.After, x.fromType = true, p.Position, p.Type
	return err
}

// integer reads a decimal integer of any length; what does not fit is
// replaced by the nearest that does, within 32 bits so that sums cannot
// overflow.
func integer(name, value string, absent int) (int, error) {
	if value == "" {
		return absent, nil
	}
	digits := strings.TrimPrefix(value, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, scim.BadRequest(scim.TypeInvalidValue, "%s is %q: want an integer", name, clip(value))
	}
	// Out of range is the only error left, and n the nearest end then.
	n, _ := strconv.ParseInt(value, 10, 64)
	return int(min(max(n, math.MinInt32), math.MaxInt32)), nil
}
