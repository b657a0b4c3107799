package scim

import (
	"reflect"
	"time"
)

// container is the struct that holds the top-level attributes of x, or of
// the core schema when x is nil; false when the extension is absent.
func (b *binding) container(root reflect.Value, x *extension) (reflect.Value, bool) {
	var p reflect.Value
	switch {
	case x == nil:
		return root, true
	case x.field >= 0:
		p = root.Field(x.field)
	default:
		slots := root.Field(b.extensions)
		if x.slot >= slots.Len() {
			return p, false
		}
		p = slots.Index(x.slot).Elem()
		if !p.IsValid() || p.Kind() != reflect.Pointer || p.Type().Elem() != x.typ {
			return p, false
		}
	}
	if p.IsNil() {
		return p, false
	}
	return p.Elem(), true
}

// ensure is container, made when absent.
func (b *binding) ensure(root reflect.Value, x *extension) reflect.Value {
	if c, ok := b.container(root, x); ok {
		return c
	}
	p := reflect.New(x.typ)
	b.setExtension(root, x, p)
	return p.Elem()
}

// setExtension puts a pointer to the extension's struct in its place.
func (b *binding) setExtension(root reflect.Value, x *extension, p reflect.Value) {
	if x.field >= 0 {
		root.Field(x.field).Set(p)
		return
	}
	slots := root.Field(b.extensions).Addr().Interface().(*[]any)
	for len(*slots) <= x.slot {
		*slots = append(*slots, nil)
	}
	(*slots)[x.slot] = p.Interface()
}

// dropEmpty makes an extension in which nothing is set absent, and does the
// same with a single complex attribute held by pointer.
func (b *binding) dropEmpty(root reflect.Value) {
	for _, x := range b.exts {
		c, ok := b.container(root, x)
		if !ok {
			continue
		}
		dropEmptyComplex(c, x.attrs)
		if c.IsZero() {
			if x.field >= 0 {
				root.Field(x.field).SetZero()
			} else {
				root.Field(b.extensions).Index(x.slot).SetZero()
			}
		}
	}
	dropEmptyComplex(root, b.attrs)
	if b.extensions < 0 {
		return
	}
	slots := root.Field(b.extensions).Addr().Interface().(*[]any)
	for n := len(*slots); n > 0 && (*slots)[n-1] == nil; n-- {
		*slots = (*slots)[:n-1]
	}
	if len(*slots) == 0 {
		*slots = nil
	}
}

func dropEmptyComplex(c reflect.Value, attrs []*attribute) {
	for _, a := range attrs {
		if a.kind != kindComplex || a.MultiValued {
			continue
		}
		if f := c.Field(a.index); f.Kind() == reflect.Pointer && !f.IsNil() && unassigned(a, f) {
			f.SetZero()
		}
	}
}

// object is the struct of a single complex attribute; false when absent.
func object(f reflect.Value) (reflect.Value, bool) {
	if f.Kind() != reflect.Pointer {
		return f, true
	}
	if f.IsNil() {
		return f, false
	}
	return f.Elem(), true
}

// makeObject is object, made when absent.
func makeObject(f reflect.Value) reflect.Value {
	if f.Kind() == reflect.Pointer {
		if f.IsNil() {
			f.Set(reflect.New(f.Type().Elem()))
		}
		return f.Elem()
	}
	return f
}

// unassigned tells whether the field of a holds no value (RFC 7643 §2.5).
func unassigned(a *attribute, f reflect.Value) bool {
	if a.MultiValued {
		return f.Len() == 0
	}
	return noValue(a, f)
}

// noValue is unassigned for one value of a.
func noValue(a *attribute, f reflect.Value) bool {
	switch a.kind {
	case kindString:
		return f.Len() == 0
	case kindComplex:
		o, ok := object(f)
		return !ok || emptyObject(a, o)
	case kindTime:
		return timeOf(f).IsZero()
	default:
		return f.Kind() == reflect.Pointer && f.IsNil()
	}
}

func emptyObject(a *attribute, o reflect.Value) bool {
	for _, s := range a.subs {
		if !unassigned(s, o.Field(s.index)) {
			return false
		}
	}
	return true
}

// timeOf reads a time without copying it through an interface when the field
// is addressable.
func timeOf(f reflect.Value) time.Time {
	if f.CanAddr() {
		return *f.Addr().Interface().(*time.Time)
	}
	return f.Interface().(time.Time)
}

// equal compares two fields of a. Unassigned is equal however it is held.
func equal(a *attribute, x, y reflect.Value) bool {
	if !a.MultiValued {
		return equalValue(a, x, y)
	}
	if x.Len() != y.Len() {
		return false
	}
	for i := range x.Len() {
		if !equalValue(a, x.Index(i), y.Index(i)) {
			return false
		}
	}
	return true
}

func equalValue(a *attribute, x, y reflect.Value) bool {
	switch a.kind {
	case kindString:
		return x.String() == y.String()
	case kindTime:
		return timeOf(x).Equal(timeOf(y))
	case kindComplex:
		ox, okx := object(x)
		oy, oky := object(y)
		switch {
		case !okx:
			return !oky || emptyObject(a, oy)
		case !oky:
			return emptyObject(a, ox)
		}
		for _, s := range a.subs {
			if !equal(s, ox.Field(s.index), oy.Field(s.index)) {
				return false
			}
		}
		return true
	}
	if x.Kind() == reflect.Pointer {
		if x.IsNil() || y.IsNil() {
			return x.IsNil() && y.IsNil()
		}
		x, y = x.Elem(), y.Elem()
	}
	return x.Equal(y)
}

// unshare replaces what the field of a shares with the value it was copied
// from by copies.
func unshare(a *attribute, f reflect.Value) {
	if !a.MultiValued {
		unshareValue(a, f)
		return
	}
	if f.IsNil() {
		return
	}
	s := reflect.MakeSlice(f.Type(), f.Len(), f.Len())
	reflect.Copy(s, f)
	if a.kind == kindComplex {
		for i := range s.Len() {
			unshareValue(a, s.Index(i))
		}
	}
	f.Set(s)
}

func unshareValue(a *attribute, f reflect.Value) {
	if f.Kind() == reflect.Pointer {
		if f.IsNil() {
			return
		}
		p := reflect.New(f.Type().Elem())
		p.Elem().Set(f.Elem())
		f.Set(p)
		f = p.Elem()
	}
	if a.kind == kindComplex {
		for _, s := range a.subs {
			unshare(s, f.Field(s.index))
		}
	}
}

// clone copies the struct at src, a *T, deeply.
func (b *binding) clone(src reflect.Value) reflect.Value {
	p := reflect.New(b.typ)
	root := p.Elem()
	root.Set(src)
	if b.extensions >= 0 {
		f := root.Field(b.extensions)
		if !f.IsNil() {
			s := reflect.MakeSlice(f.Type(), f.Len(), f.Len())
			reflect.Copy(s, f)
			f.Set(s)
		}
	}
	for _, a := range b.attrs {
		unshare(a, root.Field(a.index))
	}
	for _, x := range b.exts {
		c, ok := b.container(root, x)
		if !ok {
			continue
		}
		n := reflect.New(x.typ)
		n.Elem().Set(c)
		for _, a := range x.attrs {
			unshare(a, n.Elem().Field(a.index))
		}
		b.setExtension(root, x, n)
	}
	return p
}
