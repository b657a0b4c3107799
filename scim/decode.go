package scim

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/schemas"
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// decode reads a resource into root, a zero T.
func (b *binding) decode(body []byte, tol Tolerances, root reflect.Value) ([]Note, error) {
	if tol.Has(tolByteOrderMark) {
		body = bytes.TrimPrefix(body, byteOrderMark)
	}
	d := newDecoder(b, body, tol)
	defer d.release()
	if err := d.resource(root, len(body)); err != nil {
		return nil, err
	}
	for _, a := range b.attrs {
		if a.Required && !a.readOnly() && unassigned(a, root.Field(a.index)) {
			return nil, BadRequest(TypeInvalidValue, "%s: required and absent or empty; map an attribute to it in the identity provider", a.path)
		}
	}
	return d.notes, nil
}

// load reads what appendStored wrote.
func (b *binding) load(stored []byte, root reflect.Value) error {
	d := newDecoder(b, stored, anyTolerances)
	defer d.release()
	d.lenient = true
	return d.resource(root, len(stored))
}

// coreListed says, beside the bits of the extensions, that "schemas" lists
// the core schema.
const coreListed = 1 << 63

func (d *decoder) resource(root reflect.Value, size int) error {
	if err := d.top(size); err != nil {
		return err
	}
	if err := d.open(); err != nil {
		return err
	}
	var g given
	if err := d.attributes(root, &g, false); err != nil {
		return err
	}
	if err := d.end(); err != nil {
		return err
	}
	if g.listed&coreListed == 0 && !d.tol.Has(tolSchemasAbsent) {
		return BadRequest(TypeInvalidSyntax, "schemas: missing; a %s lists %q there (RFC 7643 §3)", d.b.resourceType, d.b.urn)
	}
	if hidden := g.present &^ g.listed; hidden != 0 && !d.tol.Has(tolExtensionUnlisted) {
		return BadRequest(TypeInvalidValue, "schemas: an extension is in the body and not listed (RFC 7643 §3)")
	}
	d.b.dropEmpty(root)
	return nil
}

// given is what a body has named so far, as bits: attributes of the core schema,
// schemas in "schemas", extensions that are there.
type given struct {
	seen, listed, present uint64
	// qualified are the attributes of extensions that were named in full.
	qualified map[*attribute]bool
}

// attributes reads the members of the object that was opened: the resource, or,
// when core, an object under the URN of the core schema.
func (d *decoder) attributes(root reflect.Value, g *given, core bool) error {
	for n := 0; ; {
		name, ok, err := d.next(&n)
		if err != nil {
			return d.syntax(err)
		}
		if !ok {
			return nil
		}
		if a := d.b.names.find(name); a != nil {
			if g.seen&a.bit != 0 {
				return d.twice(a)
			}
			g.seen |= a.bit
			err = d.topAttribute(a, root, &g.listed)
		} else if i := d.extensionIndex(name); i >= 0 && !core {
			if g.present&(1<<i) != 0 {
				return BadRequest(TypeInvalidSyntax, "the body names %s twice; send it once", d.b.exts[i].urn)
			}
			g.present |= 1 << i
			err = d.extension(d.b.exts[i], root, g)
		} else {
			err = d.inFull(string(name), root, g, core)
		}
		if err != nil {
			return err
		}
	}
}

// inFull reads a member that is named with its schema (RFC 7644 §3.10): the core
// schema as a whole, or one attribute of a schema.
func (d *decoder) inFull(name string, root reflect.Value, g *given, core bool) error {
	if core || len(name) < 4 || !equalASCII(name[:4], "urn:") {
		return d.unknown(name)
	}
	if equalASCII(name, d.b.urn) && d.dec.PeekKind() == '{' {
		if err := d.open(); err != nil {
			return err
		}
		return d.attributes(root, g, true)
	}
	end := strings.LastIndexByte(name, ':')
	if equalASCII(name[:end], d.b.urn) {
		a := d.b.names.findString(name[end+1:])
		switch {
		case a == nil || a == d.b.schemas:
			return d.unknown(name)
		case g.seen&a.bit != 0:
			return d.twice(a)
		}
		g.seen |= a.bit
		return d.topAttribute(a, root, &g.listed)
	}
	i := d.extensionIndex([]byte(name[:end]))
	if i < 0 {
		return d.unknown(name)
	}
	x := d.b.exts[i]
	a := x.names.findString(name[end+1:])
	if a == nil {
		return d.unknown(name)
	}
	c := d.b.ensure(root, x)
	if g.qualified[a] || !unassigned(a, c.Field(a.index)) {
		return d.twice(a)
	}
	if g.qualified == nil {
		g.qualified = map[*attribute]bool{}
	}
	g.qualified[a] = true
	if a.readOnly() {
		return d.readOnly(a)
	}
	return d.field(a, c.Field(a.index))
}

// readOnly reads past an attribute that clients cannot change.
func (d *decoder) readOnly(a *attribute) error {
	if err := d.skip(); err != nil {
		return err
	}
	d.note(a.path, "read-only: ignored", "")
	return nil
}

func (d *decoder) topAttribute(a *attribute, root reflect.Value, listed *uint64) error {
	switch {
	case a == d.b.schemas:
		return d.schemas(listed)
	case a.readOnly():
		return d.readOnly(a)
	}
	return d.field(a, root.Field(a.index))
}

// twice: the same attribute in different case, since jsontext refuses the
// same name.
func (d *decoder) twice(a *attribute) error {
	return BadRequest(TypeInvalidSyntax, "%s%s: given twice in one object, in different case; send it once", d.prefix, d.where(a))
}

// unknown reads past an attribute that the schema does not have.
func (d *decoder) unknown(name string) error {
	if !d.tol.Has(tolUnknownDropped) {
		return BadRequest(TypeInvalidSyntax, "%sunknown attribute %q; remove its mapping in the identity provider", d.prefix, shorten(name))
	}
	if err := d.skip(); err != nil {
		return err
	}
	d.note(shorten(name), "unknown attribute: dropped", UnknownAttributeDropped)
	return nil
}

// shorten bounds what the client's names cost in notes and error texts.
func shorten(s string) string {
	const most = 128
	if len(s) <= most {
		return s
	}
	return string([]rune(s[:most])) + "…"
}

func (d *decoder) extensionIndex(name []byte) int {
	if len(name) < 4 || lowerASCII(name[0]) != 'u' || lowerASCII(name[1]) != 'r' {
		return -1
	}
	urn := d.modern(string(name))
	for i, x := range d.b.exts {
		if equalASCII(x.urn, urn) {
			return i
		}
	}
	return -1
}

// modern maps the URNs of SCIM 1.1 where they are tolerated.
func (d *decoder) modern(urn string) string {
	if d.tol.Has(tolOneLoginSchemas) {
		var lower [64]byte
		if len(urn) <= len(lower) {
			for i := range len(urn) {
				lower[i] = lowerASCII(urn[i])
			}
			if m, ok := schemas1[string(lower[:len(urn)])]; ok {
				return m
			}
		}
	}
	return urn
}

// schemas reads the attribute of that name: it must list the core schema, or
// nothing.
func (d *decoder) schemas(listed *uint64) error {
	switch k := d.dec.PeekKind(); k {
	case 'n':
		return d.skip()
	case 0:
		return d.malformed()
	case '[':
	default:
		return BadRequest(TypeInvalidValue, "schemas: must be an array of URNs, found %s", kindName(k))
	}
	if err := d.open(); err != nil {
		return err
	}
	core, n := false, 0
	for ; d.dec.PeekKind() != ']'; n++ {
		if k := d.dec.PeekKind(); k != '"' {
			if k == 0 {
				return d.malformed()
			}
			return BadRequest(TypeInvalidValue, "schemas: must be an array of URNs, found %s in it", kindName(k))
		}
		urn, err := d.text()
		if err != nil {
			return err
		}
		urn = d.modern(urn)
		switch i := d.extensionIndex([]byte(urn)); {
		case equalASCII(urn, d.b.urn):
			core = true
			*listed |= coreListed
		case i >= 0:
			*listed |= 1 << i
		case !d.tol.Has(tolForeignSchemas):
			return BadRequest(TypeInvalidValue, "schemas: unknown schema %q", shorten(urn))
		default:
			d.note("schemas", "unknown schema "+strconv.Quote(shorten(urn))+": ignored", ForeignSchemas)
		}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return d.syntax(err)
	}
	if !core && n > 0 {
		return BadRequest(TypeInvalidValue, "schemas: lacks %q, the schema of a %s", d.b.urn, d.b.resourceType)
	}
	return nil
}

func (d *decoder) extension(x *extension, root reflect.Value, g *given) error {
	switch k := d.dec.PeekKind(); k {
	case 'n':
		return d.skip()
	case 0:
		return d.malformed()
	case '{':
	default:
		return BadRequest(TypeInvalidValue, "%s: must be an object, found %s", x.urn, kindName(k))
	}
	if err := d.open(); err != nil {
		return err
	}
	c := d.b.ensure(root, x)
	var seen uint64
	for n := 0; ; {
		name, ok, err := d.next(&n)
		if err != nil {
			return d.syntax(err)
		}
		if !ok {
			return nil
		}
		a := x.names.find(name)
		switch {
		case a == nil:
			err = d.unknown(x.urn + ":" + string(name))
		case seen&a.bit != 0 || g.qualified[a]:
			return d.twice(a)
		case a.readOnly():
			err = d.readOnly(a)
		default:
			seen |= a.bit
			err = d.field(a, c.Field(a.index))
		}
		if err != nil {
			return err
		}
	}
}

// setTime stores a dateTime (RFC 7643 §2.3.5).
func (d *decoder) setTime(a *attribute, s string, f reflect.Value) error {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return d.invalid(a, "must be a date and time such as 2026-01-05T09:00:00Z, found %q", shorten(s))
	}
	*f.Addr().Interface().(*time.Time) = t.UTC()
	return nil
}

// where names an attribute with its place in a list.
func (d *decoder) where(a *attribute) string {
	if d.entry < 0 {
		return a.path
	}
	if a.parent != nil {
		return a.parent.path + "[" + strconv.Itoa(d.entry) + "]." + a.Name
	}
	return a.path + "[" + strconv.Itoa(d.entry) + "]"
}

func (d *decoder) invalid(a *attribute, format string, args ...any) error {
	e := BadRequest(TypeInvalidValue, format, args...)
	e.Detail = d.prefix + d.where(a) + ": " + e.Detail
	return e
}

// wrongType says what a must be, and what kind of value came instead; never
// the value, which may be a secret in the wrong place.
func (d *decoder) wrongType(a *attribute) error {
	k := d.dec.PeekKind()
	if k == 0 {
		return d.malformed()
	}
	want := "a string"
	switch a.Type {
	case schemas.Boolean:
		want = "true or false"
	case schemas.Integer:
		want = "an integer"
	case schemas.Decimal:
		want = "a number"
	case schemas.Complex:
		want = "an object"
	}
	if a.MultiValued && d.entry < 0 {
		want = "an array"
	}
	return d.invalid(a, "must be %s, found %s", want, kindName(k))
}
