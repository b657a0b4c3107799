package scim

import (
	"reflect"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sharearefund/scim-bridge/schemas"
)

// byDefault and stored tell by attribute number what an answer without
// projection shows, and what AppendFull writes.
func (b *binding) byDefault() []bool {
	shown := make([]bool, len(b.all))
	for _, a := range b.all {
		shown[a.no] = a.Returned == schemas.Default || a.Returned == schemas.Always
	}
	return shown
}

func (b *binding) stored() []bool {
	shown := make([]bool, len(b.all))
	for _, a := range b.all {
		shown[a.no] = a.stored()
	}
	return shown
}

// appendResource appends the attributes of root that are shown and assigned,
// meta last.
func (b *binding) appendResource(dst []byte, root reflect.Value, shown []bool) []byte {
	dst = append(dst, '{')
	if shown[b.schemas.no] {
		dst = b.appendSchemas(dst, root, shown)
	}
	for _, a := range b.attrs {
		if shown[a.no] && a != b.schemas && a != b.meta {
			dst = appendMember(dst, a, root.Field(a.index), shown)
		}
	}
	for _, x := range b.exts {
		c, ok := b.container(root, x)
		if !ok || !showsAny(x, c, shown) {
			continue
		}
		dst = appendKey(dst, x.key)
		dst = append(dst, '{')
		for _, a := range x.attrs {
			if shown[a.no] {
				dst = appendMember(dst, a, c.Field(a.index), shown)
			}
		}
		dst = append(dst, '}')
	}
	if shown[b.meta.no] {
		dst = appendMember(dst, b.meta, root.Field(b.meta.index), shown)
	}
	return append(dst, '}')
}

// appendSchemas lists the core schema and the extensions that are shown
// (RFC 7643 §3).
func (b *binding) appendSchemas(dst []byte, root reflect.Value, shown []bool) []byte {
	dst = append(dst, b.schemas.key...)
	dst = append(dst, '[')
	dst = appendString(dst, b.urn)
	for _, x := range b.exts {
		if c, ok := b.container(root, x); ok && showsAny(x, c, shown) {
			dst = append(dst, ',')
			dst = append(dst, x.key[:len(x.key)-1]...)
		}
	}
	return append(dst, ']')
}

func showsAny(x *extension, c reflect.Value, shown []bool) bool {
	for _, a := range x.attrs {
		if shown[a.no] && !unassigned(a, c.Field(a.index)) {
			return true
		}
	}
	return false
}

func appendKey(dst []byte, key string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(dst, key...)
}

// appendMember appends nothing when a is unassigned, or has no sub-attribute
// that is assigned and shown.
func appendMember(dst []byte, a *attribute, f reflect.Value, shown []bool) []byte {
	if !a.MultiValued {
		if noValue(a, f) {
			return dst
		}
		mark := len(dst)
		dst, ok := appendValue(appendKey(dst, a.key), a, f, shown)
		if !ok {
			return dst[:mark]
		}
		return dst
	}
	n := f.Len()
	if n == 0 {
		return dst
	}
	mark, any := len(dst), false
	dst = append(appendKey(dst, a.key), '[')
	for i := range n {
		before := len(dst)
		if any {
			dst = append(dst, ',')
		}
		next, ok := appendValue(dst, a, f.Index(i), shown)
		if !ok {
			dst = next[:before]
			continue
		}
		dst, any = next, true
	}
	if !any {
		return dst[:mark]
	}
	return append(dst, ']')
}

// appendValue appends one value; false when it would be an empty object.
func appendValue(dst []byte, a *attribute, f reflect.Value, shown []bool) ([]byte, bool) {
	switch a.kind {
	case kindString:
		return appendString(dst, f.String()), true
	case kindTime:
		dst = append(dst, '"')
		dst = timeOf(f).UTC().AppendFormat(dst, time.RFC3339Nano)
		return append(dst, '"'), true
	case kindComplex:
		o, ok := object(f)
		if !ok {
			return dst, false
		}
		start := len(dst)
		dst = append(dst, '{')
		for _, s := range a.subs {
			if shown[s.no] {
				dst = appendMember(dst, s, o.Field(s.index), shown)
			}
		}
		return append(dst, '}'), len(dst) > start+1
	}
	if f.Kind() == reflect.Pointer {
		f = f.Elem()
	}
	switch a.kind {
	case kindBool:
		dst = strconv.AppendBool(dst, f.Bool())
	case kindInt:
		dst = strconv.AppendInt(dst, f.Int(), 10)
	case kindFloat:
		dst = jsontext.AppendFloat(dst, f.Float(), 64)
	}
	return dst, true
}

func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			// Invalid UTF-8, the only error, is written as U+FFFD.
			dst, _ = jsontext.AppendQuote(dst, s)
			return dst
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
