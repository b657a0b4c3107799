package scim

import (
	"fmt"
	"reflect"
	"slices"
)

// Extension is a schema extension that a Codec carries in the Extensions
// field of its resource. New returns a pointer to a new struct whose fields
// are tagged with the attribute names of the schema URN (RFC 7643 §3.3), of
// the types string, *bool, *int64, *float64, time.Time, structs of such, and
// slices: []string, []int64, []float64 and of structs.
type Extension struct {
	URN string
	New func() any
}

// Note is something that a request carried and that was tolerated or left
// out, for the event log. Values are never part of it.
type Note struct {
	// Path is the attribute as the client named it, in a PATCH behind
	// "Operations[i].path: " or "Operations[i].value: ".
	Path string
	// Reason says what was done about it.
	Reason string
	// Tolerance is the id of the tolerance that allowed it, "" where the RFC
	// does.
	Tolerance string
}

// Change is one attribute that differs between two states of a resource.
type Change struct {
	// Path is canonical: "userName", "name.givenName", "emails" (a
	// multi-valued attribute changes as one), or
	// "urn:…:User:manager.value" in an extension.
	Path string
	Op   ChangeOp
}

// ChangeOp is what happened to an attribute.
type ChangeOp string

const (
	ChangeAdd     ChangeOp = "add"     // it was unassigned
	ChangeReplace ChangeOp = "replace" // its value changed
	ChangeRemove  ChangeOp = "remove"  // it is unassigned now
)

// Codec reads, changes and writes resources of one type. It is immutable and
// safe for concurrent use. Every error of its methods is a *Error, unless it
// says otherwise.
type Codec[T any] struct {
	b       *binding
	without Tolerances
	shown   []bool // by default
	stored  []bool
}

// NewUserCodec is a Codec for User with the enterprise extension and ext,
// which live in User.Extensions in their order here.
func NewUserCodec(ext ...Extension) (*Codec[User], error) { return NewCodec[User]("User", ext...) }

// NewCodec binds T to the resource type of package schemas and its extensions:
// every attribute of the schemas to a field of T, and every tagged field to an
// attribute. The error, which is not a *Error, names what does not fit.
func NewCodec[T any](resourceType string, ext ...Extension) (*Codec[T], error) {
	typ := reflect.TypeFor[T]()
	if typ.Kind() != reflect.Struct {
		return nil, fmt.Errorf("scim: a resource is a struct, not %s", typ)
	}
	b, err := newBinding(typ, resourceType, ext)
	if err != nil {
		return nil, err
	}
	return &Codec[T]{b: b, shown: b.byDefault(), stored: b.stored()}, nil
}

// Without is a copy of c that lacks the named tolerances, whatever the
// dialect: tests prove with it that each of them is needed. It panics on an
// id that does not exist.
func (c *Codec[T]) Without(ids ...string) *Codec[T] {
	t, err := ParseTolerances(ids...)
	if err != nil {
		panic("scim: " + err.Error())
	}
	n := *c
	n.without |= t
	return &n
}

func (c *Codec[T]) tolerances(d Dialect) Tolerances { return d.Tolerances() &^ c.without }

func (c *Codec[T]) root(v *T) reflect.Value { return reflect.ValueOf(v).Elem() }

// Decode reads the body of a POST or PUT, and checks it: the result satisfies
// the schemas and this package's limits. Read-only attributes are left unset;
// so is Schemas, which Append derives. An empty array that the client sent is
// a slice of length 0 and not nil: PUT clears by it what it would otherwise
// leave. The notes list what was dropped or tolerated.
func (c *Codec[T]) Decode(body []byte, d Dialect) (*T, []Note, error) {
	v := new(T)
	notes, err := c.b.decode(body, c.tolerances(d), c.root(v))
	if err != nil {
		return nil, nil, err
	}
	return v, notes, nil
}

// DecodePatch reads the body of a PATCH (RFC 7644 §3.5.2) and checks all that
// can be checked without the resource: syntax, paths, types, mutability.
func (c *Codec[T]) DecodePatch(body []byte, d Dialect) (*Patch, error) {
	return c.b.decodePatch(body, c.tolerances(d))
}

// Apply applies p to cur and returns the new state and what changed, in
// schema order. cur and p are never changed, and the result shares no memory
// with them. On an error nothing was applied.
func (c *Codec[T]) Apply(p *Patch, cur *T) (next *T, changes []Change, err error) {
	if !p.b.fits(c.b) {
		return nil, nil, &Error{Status: 500, Err: fmt.Errorf("scim: a PATCH of %s is applied to %s, or to other extensions of it", p.b.typ, c.b.typ)}
	}
	n := c.b.clone(c.root(cur))
	if err := p.apply(n.Elem()); err != nil {
		return nil, nil, err
	}
	next = n.Interface().(*T)
	return next, c.Diff(cur, next), nil
}

// Diff lists what differs from a to b, in schema order: attributes that a
// client may write. Single complex attributes differ by sub-attribute.
func (c *Codec[T]) Diff(a, b *T) []Change { return c.b.diff(c.root(a), c.root(b)) }

// Clone is a deep copy.
func (c *Codec[T]) Clone(v *T) *T { return c.b.clone(c.root(v)).Interface().(*T) }

// Identify returns the id of v, and its meta, which is a part of v.
func (c *Codec[T]) Identify(v *T) (id string, meta *Meta) {
	root := c.root(v)
	return root.Field(c.b.id.index).String(), root.Field(c.b.meta.index).Addr().Interface().(*Meta)
}

// ParseFilter reads a filter and resolves it against the schemas. Errors are
// 400 invalidFilter.
func (c *Codec[T]) ParseFilter(s string, d Dialect) (*Filter, error) {
	return c.b.parseFilter(s, c.tolerances(d))
}

// ParseFilterAcross is ParseFilter for a query over several resource types: an
// attribute that this one lacks has no value (RFC 7644 §3.4.2.1). unknown names
// those, as the client wrote them.
func (c *Codec[T]) ParseFilterAcross(s string, d Dialect) (f *Filter, unknown []string, err error) {
	return c.b.parseFilterAcross(s, c.tolerances(d))
}

// Match reports whether v satisfies f (RFC 7644 §3.4.2.2). A multi-valued
// attribute satisfies a comparison when one of its values does; an unassigned
// attribute satisfies ne and eq null alone.
func (c *Codec[T]) Match(f *Filter, v *T) bool { return f.b.match(f.root, c.root(v)) }

// ParseSort resolves a sortBy. An attribute that does not exist, or that
// cannot be sorted by, is 400 invalidValue.
func (c *Codec[T]) ParseSort(s string) (*SortKey, error) { return c.b.parseSort(s) }

// SortValue is the value of v that k compares. Of a multi-valued attribute the
// primary entry counts, or else the first; strings are folded unless the
// attribute is caseExact.
func (c *Codec[T]) SortValue(v *T, k *SortKey) SortValue { return k.value(c.root(v)) }

// ParseProjection reads the attributes and excludedAttributes parameters,
// each a comma-separated list, "" when absent (RFC 7644 §3.9). Names that the
// resource type does not have are ignored.
func (c *Codec[T]) ParseProjection(attributes, excluded string) (Projection, error) {
	return c.b.parseProjection(attributes, excluded)
}

// Append appends v as JSON, as an answer shows it under p: always schemas and
// id, never a password, a null, an empty array or an empty object. schemas
// lists the core schema and the extensions that are shown. v.Schemas is not
// looked at.
func (c *Codec[T]) Append(dst []byte, v *T, p Projection) []byte {
	shown := c.shown
	if p.shown != nil {
		shown = p.shown
	}
	return c.b.appendResource(dst, c.root(v), shown)
}

// AppendFull appends v as JSON for storing: every attribute that a client may
// write, exactly as v holds it, but no password; nothing read-only, so no id,
// meta or groups. Load reads it back to an equal value, in which an empty
// slice is nil.
func (c *Codec[T]) AppendFull(dst []byte, v *T) []byte {
	return c.b.appendResource(dst, c.root(v), c.stored)
}

// Load reads back what AppendFull wrote. It is lenient: attributes that the
// schemas no longer have are passed over and limits are not checked, so that
// what was stored once stays readable.
func (c *Codec[T]) Load(stored []byte) (*T, error) {
	v := new(T)
	if err := c.b.load(slices.Clip(stored), c.root(v)); err != nil {
		return nil, err
	}
	return v, nil
}
