package server

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// maxCursor is more than the longest cursor that nextCursor was ever given.
const maxCursor = 8 << 10

// cursorKeySize is the length of Options.CursorKey.
const cursorKeySize = 32

// mark binds a cursor to the query that it was made for.
type mark [sha256.Size]byte

// sealing encrypts cursors: what a list is sorted by can be an address, and
// cursors stand in URLs, which end up in logs. Without a key it has one of its
// own.
func sealing(key []byte) (cipher.AEAD, error) {
	if key == nil {
		key = make([]byte, cursorKeySize)
		_, _ = rand.Read(key) // it never fails
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// place is what a cursor says. It needs no memory and never expires: it names
// the place behind a resource, whether that is still there or not.
type place struct {
	// Type is the index of the resource type in a query over several.
	Type int `json:"y,omitempty"`
	scim.Position
}

// markOf is a digest of what must stay the same from page to page (RFC 9865 §2);
// whether the query is sent in the address or in a body need not.
// The tenant is a part of it: nothing that one was told is of use to another.
func markOf(x *exchange) mark {
	q, h := &x.query, sha256.New()
	for _, s := range []string{x.caller.Tenant, strings.TrimSuffix(x.route(), "/.search"), q.filter.value, q.sortBy.value, q.sortOrder.value} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return mark(h.Sum(nil))
}

// appendCursor appends a cursor: only characters that mean themselves in a URL
// (RFC 3986 §2.3).
func (s *server) appendCursor(dst []byte, m mark, p place) []byte {
	text, _ := json.Marshal(p) // a struct of texts and numbers has no errors
	return base64.RawURLEncoding.AppendEncode(dst, s.cursors.Seal(nil, nil, text, m[:]))
}

// parseCursor reads a cursor; the empty one is the beginning.
func (s *server) parseCursor(text string, m mark) (place, error) {
	var p place
	if text == "" {
		return p, nil
	}
	refused := scim.BadRequest(scim.TypeInvalidCursor,
		"the cursor %q is not one that this query was given: send the nextCursor of the page before, with the same filter, sortBy and sortOrder, or an empty cursor to begin anew", clip(text))
	if len(text) > maxCursor {
		return p, refused
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < s.cursors.Overhead() {
		return p, refused
	}
	// Nobody else could seal it: what is in it is as it was written.
	if raw, err = s.cursors.Open(nil, nil, raw, m[:]); err != nil || json.Unmarshal(raw, &p) != nil {
		return place{}, refused
	}
	return p, nil
}

// pager writes the head of a ListResponse as its query asked for it.
type pager struct {
	s          *server
	startIndex int
	cursor     bool
	mark       mark
}

func (s *server) pagerOf(x *exchange, q scim.Query) pager {
	p := pager{s: s, startIndex: q.StartIndex, cursor: q.Cursor}
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
		dst = append(p.s.appendCursor(dst, p.mark, *next), '"')
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
