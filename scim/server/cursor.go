package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"

	"github.com/sharearefund/scim-bridge/scim"
)

// maxCursor is more than the longest cursor that nextCursor was ever given.
const maxCursor = 8 << 10

// mark binds a cursor to the query that it was made for.
type mark [8]byte

// place is what a cursor says. It needs no memory and never expires: it names
// the place behind a resource, whether that is still there or not.
type place struct {
	// Type is the index of the resource type in a query over several.
	Type int `json:"y,omitempty"`
	scim.Position
}

// markOf is a digest of what must stay the same from page to page (RFC 9865 §2).
// The tenant is a part of it: nothing that one was told is of use to another.
func markOf(x *exchange) mark {
	q, h := &x.query, sha256.New()
	for _, s := range []string{x.caller.Tenant, x.route(), q.filter.value, q.sortBy.value, q.sortOrder.value} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return mark(h.Sum(nil))
}

// appendCursor appends a cursor: only characters that mean themselves in a URL
// (RFC 3986 §2.3).
func appendCursor(dst []byte, m mark, p place) []byte {
	text, _ := json.Marshal(p) // a struct of texts and numbers has no errors
	return base64.RawURLEncoding.AppendEncode(dst, append(m[:], text...))
}

// parseCursor reads a cursor; the empty one is the beginning.
func parseCursor(s string, m mark) (place, error) {
	var p place
	if s == "" {
		return p, nil
	}
	refused := scim.BadRequest(scim.TypeInvalidCursor,
		"the cursor %q is not one that this query was given: send the nextCursor of the page before, with the same filter, sortBy and sortOrder, or an empty cursor to begin anew", clip(s))
	if len(s) > maxCursor {
		return p, refused
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) < len(m) || !bytes.Equal(raw[:len(m)], m[:]) {
		return p, refused
	}
	d := json.NewDecoder(bytes.NewReader(raw[len(m):]))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || p.Seq < 0 || p.Type < 0 {
		return place{}, refused
	}
	if _, err := d.Token(); err != io.EOF {
		return place{}, refused
	}
	return p, nil
}

// pager writes the head of a ListResponse as its query asked for it.
type pager struct {
	startIndex int
	cursor     bool
	mark       mark
}

func pagerOf(x *exchange, q scim.Query) pager {
	p := pager{startIndex: q.StartIndex, cursor: q.Cursor}
	if p.cursor {
		p.mark = markOf(x)
	}
	return p
}

// appendHead begins a ListResponse (RFC 7644 §3.4.2, RFC 9865 §2), up to its
// first resource. next is nil on the last page.
func (p pager) appendHead(dst []byte, total, items int, next *place) []byte {
	if !p.cursor {
		return appendListHead(dst, total, p.startIndex, items)
	}
	dst = appendTotal(dst, total)
	if next != nil {
		dst = append(dst, `,"nextCursor":"`...)
		dst = append(appendCursor(dst, p.mark, *next), '"')
	}
	return appendItems(dst, items)
}

// following is a position as a place in a list of one resource type.
func following(p *scim.Position) *place {
	if p == nil {
		return nil
	}
	return &place{Position: *p}
}
