package scim

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/schemas"
)

// kind is how a Go field holds an attribute's value, or one of its values
// when it is multi-valued.
type kind uint8

const (
	kindString  kind = iota // string or Secret
	kindBool                // *bool
	kindInt                 // *int64, in lists int64
	kindFloat               // *float64, in lists float64
	kindTime                // time.Time
	kindComplex             // struct or pointer to struct, in lists struct
)

// attribute is an attribute definition bound to a Go field. It is immutable
// once the binding is made.
type attribute struct {
	*schemas.Attribute
	// path is canonical: "name.givenName", "urn:…:User:manager.value".
	path   string
	parent *attribute // nil at the top level
	ext    *extension // nil in the core schema; set on sub-attributes too
	kind   kind
	typ    reflect.Type // of the field
	index  int          // field in the struct that contains it
	bit    uint64       // 1 << position among its siblings
	no     int          // position in binding.all
	key    string       // `"userName":`

	// For complex attributes.
	elem  reflect.Type // the struct
	subs  []*attribute
	names names
	// The sub-attributes of those names, or nil.
	value, label, primary, ref *attribute

	// members: the entries are of type Member, of which there may be many.
	members bool

	// What a value must satisfy beyond its type.
	max   int
	check func(string) error
	// sticky attributes are not cleared by null or remove: absent is not
	// false (RFC 7643 §2.5 leaves the default to the service provider).
	sticky bool
}

func (a *attribute) readOnly() bool { return a.Mutability == schemas.ReadOnly }
func (a *attribute) hidden() bool   { return a.Returned == schemas.Never }

// stored tells whether AppendFull writes a.
func (a *attribute) stored() bool {
	return !a.readOnly() && !a.hidden()
}

// names finds attributes without regard to ASCII case, and only that: U+017F
// is not an s (RFC 7643 §2.1 restricts names to ASCII).
type names struct{ exact, lower map[string]*attribute }

func (n *names) add(a *attribute) {
	if n.exact == nil {
		n.exact, n.lower = map[string]*attribute{}, map[string]*attribute{}
	}
	n.exact[a.Name] = a
	n.lower[strings.ToLower(a.Name)] = a
}

func (n *names) find(name []byte) *attribute {
	if a := n.exact[string(name)]; a != nil {
		return a
	}
	var buf [64]byte
	if len(name) > len(buf) {
		return nil
	}
	for i, c := range name {
		buf[i] = lowerASCII(c)
	}
	return n.lower[string(buf[:len(name)])]
}

func (n *names) findString(name string) *attribute {
	var buf [64]byte
	if len(name) > len(buf) {
		return nil
	}
	return n.find(buf[:copy(buf[:], name)])
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func equalASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lowerASCII(a[i]) != lowerASCII(b[i]) {
			return false
		}
	}
	return true
}

// extension is a schema extension bound to a Go type: a tagged pointer field
// of the resource, or a slot of its Extensions.
type extension struct {
	urn   string
	key   string
	field int // -1 when it lives in a slot
	slot  int
	typ   reflect.Type
	attrs []*attribute
	names names
}

// binding is a resource type bound to a Go type.
type binding struct {
	resourceType string
	urn          string
	typ          reflect.Type
	attrs        []*attribute // common, then core
	names        names
	exts         []*extension
	extensions   int // the field Extensions, -1 when there is none
	all          []*attribute
	schemas, id  *attribute
	meta         *attribute
}

func newBinding(typ reflect.Type, resourceType string, exts []Extension) (*binding, error) {
	set, err := schemas.Load()
	if err != nil {
		return nil, err
	}
	rt, ok := set.ResourceType(resourceType)
	if !ok {
		return nil, fmt.Errorf("scim: no resource type %q in package schemas", resourceType)
	}
	core, ok := set.Schema(rt.Schema)
	if !ok {
		return nil, fmt.Errorf("scim: no schema %q in package schemas", rt.Schema)
	}
	b := &binding{resourceType: rt.Name, urn: core.ID, typ: typ, extensions: -1}
	fields, err := b.fields(typ)
	if err != nil {
		return nil, err
	}
	if f, ok := typ.FieldByName("Extensions"); ok && f.Type == reflect.TypeFor[[]any]() {
		b.extensions = f.Index[0]
	}
	if b.attrs, err = b.bind(withCommon(core.Attributes), typ, fields, nil, nil, &b.names); err != nil {
		return nil, err
	}
	b.schemas, b.id, b.meta = b.names.findString("schemas"), b.names.findString("id"), b.names.findString("meta")
	if b.meta.typ != reflect.TypeFor[Meta]() {
		return nil, fmt.Errorf("scim: %s: the field tagged meta is a Meta, not %s", typ, b.meta.typ)
	}
	if err := b.bindExtensions(set, fields, exts); err != nil {
		return nil, err
	}
	for name := range fields {
		return nil, fmt.Errorf("scim: %s: field tagged %q has no attribute in %s", typ, name, core.ID)
	}
	return b, nil
}

// bindExtensions binds the tagged extension fields in field order, then exts.
func (b *binding) bindExtensions(set *schemas.Set, fields map[string]reflect.StructField, exts []Extension) error {
	for i := range b.typ.NumField() {
		urn := b.typ.Field(i).Tag.Get("scim")
		f, ok := fields[urn]
		if !ok || !strings.HasPrefix(urn, "urn:") {
			continue
		}
		delete(fields, urn)
		if f.Type.Kind() != reflect.Pointer || f.Type.Elem().Kind() != reflect.Struct {
			return fmt.Errorf("scim: %s.%s: an extension is a pointer to a struct, not %s", b.typ, f.Name, f.Type)
		}
		if err := b.bindExtension(set, &extension{urn: urn, field: i, slot: -1, typ: f.Type.Elem()}); err != nil {
			return err
		}
	}
	for i, e := range exts {
		if b.extensions < 0 {
			return fmt.Errorf("scim: %s has no field Extensions []any for %s", b.typ, e.URN)
		}
		if e.New == nil {
			return fmt.Errorf("scim: extension %s has no New", e.URN)
		}
		typ := reflect.TypeOf(e.New())
		if typ == nil || typ.Kind() != reflect.Pointer || typ.Elem().Kind() != reflect.Struct {
			return fmt.Errorf("scim: extension %s: New returns a pointer to a struct, not %v", e.URN, typ)
		}
		if err := b.bindExtension(set, &extension{urn: e.URN, field: -1, slot: i, typ: typ.Elem()}); err != nil {
			return err
		}
	}
	return nil
}

func (b *binding) bindExtension(set *schemas.Set, x *extension) error {
	sc, ok := set.Schema(x.urn)
	if !ok {
		return fmt.Errorf("scim: no schema %q in package schemas", x.urn)
	}
	if b.extension(x.urn) != nil {
		return fmt.Errorf("scim: extension %s is given twice", x.urn)
	}
	x.urn, x.key = sc.ID, strconv.Quote(sc.ID)+":"
	fields, err := b.fields(x.typ)
	if err != nil {
		return err
	}
	if x.attrs, err = b.bind(sc.Attributes, x.typ, fields, nil, x, &x.names); err != nil {
		return err
	}
	for name := range fields {
		return fmt.Errorf("scim: %s: field tagged %q has no attribute in %s", x.typ, name, x.urn)
	}
	b.exts = append(b.exts, x)
	return nil
}

// extension finds an extension by URN, in any case.
func (b *binding) extension(urn string) *extension {
	for _, x := range b.exts {
		if equalASCII(x.urn, urn) {
			return x
		}
	}
	return nil
}

// fits tells whether what was resolved against b can be used on resources of
// o: both bind the same Go types.
func (b *binding) fits(o *binding) bool {
	if b == o {
		return true
	}
	return b.typ == o.typ && slices.EqualFunc(b.exts, o.exts, func(x, y *extension) bool {
		return x.typ == y.typ && x.urn == y.urn && x.field == y.field && x.slot == y.slot
	})
}

// fields maps the tags of a struct to its fields.
func (b *binding) fields(typ reflect.Type) (map[string]reflect.StructField, error) {
	fields := map[string]reflect.StructField{}
	for f := range typ.Fields() {
		tag, ok := f.Tag.Lookup("scim")
		if !ok {
			continue
		}
		if _, twice := fields[tag]; twice || !f.IsExported() {
			return nil, fmt.Errorf("scim: %s.%s: the tag %q is used twice or on an unexported field", typ, f.Name, tag)
		}
		fields[tag] = f
	}
	return fields, nil
}

// bind binds every attribute of defs to its field and takes the field out of
// fields.
func (b *binding) bind(defs []*schemas.Attribute, typ reflect.Type, fields map[string]reflect.StructField, parent *attribute, ext *extension, n *names) ([]*attribute, error) {
	if len(defs) > 64 {
		return nil, fmt.Errorf("scim: %s: %d attributes in one object, at most 64 are supported", typ, len(defs))
	}
	var attrs []*attribute
	for i, def := range defs {
		f, ok := fields[def.Name]
		if !ok {
			return nil, fmt.Errorf("scim: %s has no field tagged %q", typ, def.Name)
		}
		delete(fields, def.Name)
		a := &attribute{
			Attribute: def, path: def.Name, parent: parent, ext: ext,
			typ: f.Type, index: f.Index[0], bit: 1 << i, no: len(b.all), key: strconv.Quote(def.Name) + ":",
		}
		switch {
		case parent != nil:
			a.path = parent.path + "." + def.Name
		case ext != nil:
			a.path = ext.urn + ":" + def.Name
		}
		b.all = append(b.all, a)
		if err := b.bindType(a, f.Type); err != nil {
			return nil, fmt.Errorf("scim: %s.%s: %w", typ, f.Name, err)
		}
		a.limit(b.resourceType)
		n.add(a)
		attrs = append(attrs, a)
	}
	return attrs, nil
}

// bindType checks that the field's type can hold the attribute's values.
func (b *binding) bindType(a *attribute, typ reflect.Type) error {
	elem := typ
	if a.MultiValued {
		if typ.Kind() != reflect.Slice {
			return fmt.Errorf("%s is multi-valued and needs a slice, not %s", a.path, typ)
		}
		elem = typ.Elem()
	}
	var want []reflect.Type
	switch a.Type {
	case schemas.String, schemas.Reference, schemas.Binary:
		a.kind, want = kindString, []reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[Secret]()}
	case schemas.Boolean:
		a.kind, want = kindBool, []reflect.Type{reflect.TypeFor[*bool]()}
	case schemas.Integer:
		a.kind, want = kindInt, []reflect.Type{reflect.TypeFor[*int64]()}
		if a.MultiValued {
			want[0] = want[0].Elem()
		}
	case schemas.Decimal:
		a.kind, want = kindFloat, []reflect.Type{reflect.TypeFor[*float64]()}
		if a.MultiValued {
			want[0] = want[0].Elem()
		}
	case schemas.DateTime:
		a.kind, want = kindTime, []reflect.Type{reflect.TypeFor[time.Time]()}
	case schemas.Complex:
		return b.bindComplex(a, elem)
	}
	if slices.Contains(want, elem) {
		return nil
	}
	return fmt.Errorf("%s is %s and needs %v, not %s", a.path, a.Type, want, elem)
}

func (b *binding) bindComplex(a *attribute, elem reflect.Type) error {
	a.kind = kindComplex
	if elem.Kind() == reflect.Pointer && !a.MultiValued {
		elem = elem.Elem()
	}
	if elem.Kind() != reflect.Struct {
		return fmt.Errorf("%s is complex and needs a struct, not %s", a.path, elem)
	}
	a.elem = elem
	fields, err := b.fields(elem)
	if err != nil {
		return err
	}
	if a.subs, err = b.bind(a.Sub, elem, fields, a, a.ext, &a.names); err != nil {
		return err
	}
	// One Go type may serve attributes with fewer sub-attributes, but those
	// that no attribute has would be lost without a word.
	for name := range fields {
		return fmt.Errorf("field tagged %q has no sub-attribute in %s", name, a.path)
	}
	a.value, a.label = a.names.findString("value"), a.names.findString("type")
	a.primary, a.ref = a.names.findString("primary"), a.names.findString("$ref")
	a.members = a.MultiValued && elem == reflect.TypeFor[Member]() && a.value != nil && a.label != nil
	return nil
}

// withCommon puts the attributes that every resource has (RFC 7643 §3.1)
// before those of a schema that does not define them itself.
func withCommon(core []*schemas.Attribute) []*schemas.Attribute {
	str := func(name string) *schemas.Attribute {
		return &schemas.Attribute{Name: name, Type: schemas.String, CaseExact: true, Mutability: schemas.ReadOnly, Returned: schemas.Default, Uniqueness: "none"}
	}
	urns, id, externalID := str("schemas"), str("id"), str("externalId")
	urns.MultiValued, urns.Returned = true, schemas.Always
	id.Returned, id.Uniqueness = schemas.Always, "server"
	externalID.Mutability = schemas.ReadWrite
	created, modified, location := str("created"), str("lastModified"), str("location")
	created.Type, modified.Type, location.Type = schemas.DateTime, schemas.DateTime, schemas.Reference
	meta := str("meta")
	meta.Type, meta.Sub = schemas.Complex, []*schemas.Attribute{str("resourceType"), created, modified, location, str("version")}

	out := []*schemas.Attribute{urns, id}
	own := false
	for _, a := range core {
		own = own || a.Name == externalID.Name
	}
	if !own {
		out = append(out, externalID)
	}
	return append(append(out, core...), meta)
}
