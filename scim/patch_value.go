package scim

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
)

// object adds a step for each member of a value without a path, or of the
// value of a whole schema.
func (r *patchReader) object(op patchOp, value []byte, t *target) error {
	if value == nil {
		return r.missing()
	}
	d := r.decoder(value)
	defer d.release()
	switch k := d.dec.PeekKind(); {
	case k == 'n' && t.extended != nil:
		return r.removeAll(t)
	case k != '{':
		return BadRequest(TypeInvalidValue, "%smust be an object of attributes where there is no path, found %s", d.prefix, kindName(k))
	}
	if err := d.open(); err != nil {
		return err
	}
	var seen uint64
	for n := 0; ; {
		name, ok, err := d.next(&n)
		if err != nil {
			return d.syntax(err)
		}
		if !ok {
			return nil
		}
		a := t.names.find(name)
		key := ""
		if a == nil {
			key = string(name)
		}
		// The value is read on its own: what it is depends on the key.
		raw, err := d.dec.ReadValue()
		if err != nil {
			return d.syntax(err)
		}
		end := d.dec.InputOffset()
		raw = value[end-int64(len(raw)) : end]
		if a == nil {
			err = r.key(op, key, raw, t)
		} else {
			if seen&a.bit != 0 {
				return d.twice(a)
			}
			seen |= a.bit
			err = r.member(op, &target{step: step{index: r.index, top: a, path: a.path}}, raw)
		}
		if err != nil {
			return err
		}
	}
}

// key adds the steps of a member whose name is not an attribute: an
// extension, or a path.
func (r *patchReader) key(op patchOp, key string, raw []byte, in *target) error {
	if x := r.b.extension(key); x != nil && in.extended == nil {
		return r.object(op, raw, &target{all: x.attrs, names: &x.names, extended: x})
	}
	path := key
	if in.extended != nil {
		path = in.extended.urn + ":" + key
	}
	t, err := r.target(path)
	var wrong *Error
	switch {
	case errors.As(err, &wrong):
		// A key that is no path is an attribute that we do not have.
		err = unknownf("unknown attribute %q: %s", shorten(key), wrong.Detail)
	case err == nil && (t.sub != nil || t.filter != nil) && !r.tol.Has(tolPathlessKeys):
		err = unknownf("unknown attribute %q; see /Schemas for those of a %s", shorten(key), r.b.resourceType)
	}
	var unknown *unknownError
	switch {
	case errors.As(err, &unknown) && r.tol.Has(tolUnknownSkipped):
		return r.skip("value", key, raw)
	case err != nil:
		return BadRequest(TypeInvalidPath, "Operations[%d].value: %v; remove its mapping in the identity provider", r.index, err)
	case t.all != nil:
		return r.object(op, raw, t)
	}
	return r.member(op, t, raw)
}

// member adds the step of one attribute in a value without a path, where
// read-only ones are passed over.
func (r *patchReader) member(op patchOp, t *target, raw []byte) error {
	if t.top == r.b.schemas {
		return nil
	}
	if a := t.immovable(op); a != nil {
		if !r.tol.Has(tolPathlessReadOnly) {
			return BadRequest(TypeMutability, "Operations[%d].value: %s is %s", r.index, a.path, a.Mutability)
		}
		return r.note("value", a.path, "read-only: ignored", PathlessReadOnlyIgnored)
	}
	return r.step(op, t, raw, true)
}

func (r *patchReader) missing() error {
	return BadRequest(TypeInvalidValue, "Operations[%d].value: missing; send null to clear an attribute", r.index)
}

// step reads the value for t and adds the step.
func (r *patchReader) step(op patchOp, t *target, raw []byte, pathless bool) error {
	s := t.step
	s.op = op
	if op == opRemove {
		return r.remove(s, raw)
	}
	if raw == nil {
		return r.missing()
	}
	d := r.decoder(raw)
	defer d.release()
	if err := d.patchValue(&s); err != nil {
		return err
	}
	r.patch.Skipped = append(r.patch.Skipped, d.notes...)
	if s.clears {
		switch {
		case s.top.sticky:
			return r.note("value", s.top.path, "null: unchanged", "")
		case s.top.Required && s.sub == nil && s.filter == nil:
			return d.invalid(s.top, "required and must not be empty")
		}
	}
	r.patch.steps = append(r.patch.steps, s)
	return nil
}

// remove adds the step of a remove. A value lists the entries to remove from
// a multi-valued attribute; elsewhere it says nothing and is passed over.
func (r *patchReader) remove(s step, raw []byte) error {
	switch {
	case s.top.sticky:
		return r.note("path", s.path, "cannot be unassigned: unchanged", "")
	case s.top.Required && s.sub == nil && s.filter == nil:
		return BadRequest(TypeMutability, "Operations[%d].path: %s is required and cannot be removed", r.index, s.top.path)
	}
	if raw != nil {
		d := r.decoder(raw)
		defer d.release()
		whole := s.top.MultiValued && s.sub == nil && s.filter == nil
		switch {
		case d.dec.PeekKind() != 'n' && !whole && !r.tol.Has(tolRemoveValue):
			return BadRequest(TypeInvalidValue, "%sa remove has no value", d.prefix)
		case d.dec.PeekKind() == 'n' || !whole:
			if err := d.skip(); err != nil {
				return err
			}
		case !r.tol.Has(tolRemoveValueList):
			return BadRequest(TypeInvalidValue, "%sa remove has no value; select entries by a filter in the path", d.prefix)
		default:
			if err := d.patchValue(&s); err != nil {
				return err
			}
		}
	}
	r.patch.steps = append(r.patch.steps, s)
	return nil
}

// patchValue reads the value of s in the shape that its target has.
func (d *decoder) patchValue(s *step) error {
	switch {
	case s.sub != nil:
		return d.singleValue(s, s.sub)
	case s.filter != nil:
		return d.entryValue(s)
	case s.top.MultiValued:
		return d.listValue(s)
	}
	return d.singleValue(s, s.top)
}

func (d *decoder) singleValue(s *step, a *attribute) error {
	s.value = newValue(a.typ)
	k := d.dec.PeekKind()
	if err := d.field(a, s.value); err != nil {
		return err
	}
	s.given = []uint64{d.given}
	// An object clears what it names; {} names nothing.
	s.clears = k != '{' && unassigned(a, s.value)
	return nil
}

// entryValue reads the value of entries that a filter selects: an object, or
// an array of one.
func (d *decoder) entryValue(s *step) error {
	s.value = newValue(s.top.typ.Elem())
	inArray := false
	switch d.dec.PeekKind() {
	case 'n':
		s.clears = true
		return d.skip()
	case '[':
		inArray = true
		if err := d.open(); err != nil {
			return err
		}
	}
	if d.dec.PeekKind() != '{' {
		return d.invalid(s.top, "must be an object where the path selects whole entries, found %s", kindName(d.dec.PeekKind()))
	}
	if err := d.value(s.top, s.value); err != nil {
		return err
	}
	if inArray && d.dec.PeekKind() != ']' {
		return d.invalid(s.top, "must be one object where the path selects entries, found an array of several")
	}
	s.given = []uint64{d.given}
	return nil
}

// listValue reads the values of a whole multi-valued attribute: an array, or
// one value alone.
func (d *decoder) listValue(s *step) error {
	a := s.top
	s.value = newValue(a.typ)
	if d.dec.PeekKind() == 'n' {
		s.clears = true
		return d.skip()
	}
	if a.members {
		list, err := d.members(a, true)
		s.value.Set(reflect.ValueOf(list))
		s.given = slices.Repeat([]uint64{a.value.bit | a.label.bit}, len(list))
		s.clears = len(list) == 0
		return err
	}
	one := d.dec.PeekKind() != '['
	if !one {
		if err := d.open(); err != nil {
			return err
		}
	}
	s.value.Set(reflect.MakeSlice(a.typ, 0, 1))
	primaries := 0
	for n := 0; one && n == 0 || !one && d.dec.PeekKind() != ']'; n++ {
		if n == maxEntries {
			d.entry = -1
			return d.invalid(a, "more than %d entries", maxEntries)
		}
		if !one {
			d.entry = n
		}
		if d.dec.PeekKind() == 'n' {
			return d.wrongType(a)
		}
		e := newValue(a.typ.Elem())
		d.given = 0
		if err := d.value(a, e); err != nil {
			return err
		}
		if noValue(a, e) || hollow(a, e) {
			continue
		}
		if isPrimary(a, e) {
			primaries++
		}
		s.value.Set(reflect.Append(s.value, e))
		s.given = append(s.given, d.given)
	}
	d.entry = -1
	if primaries > 1 {
		return d.invalid(a, "two entries are primary, at most one may be (RFC 7643 §2.4)")
	}
	s.clears = s.value.Len() == 0
	return nil
}

// at names the operation of s in error texts.
func (s *step) at() string { return "Operations[" + strconv.Itoa(s.index) + "].path: " }
