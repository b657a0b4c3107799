package scim

import (
	"reflect"
	"strconv"
	"strings"
)

// field reads the value of a into its field f, which is zero. null leaves it
// so (RFC 7643 §2.5).
func (d *decoder) field(a *attribute, f reflect.Value) error {
	if d.dec.PeekKind() == 'n' {
		return d.skip()
	}
	if a.MultiValued {
		return d.list(a, f)
	}
	return d.value(a, f)
}

// list reads a multi-valued attribute. An empty array is kept apart from an
// absent one: it is the client's wish to have none.
func (d *decoder) list(a *attribute, f reflect.Value) error {
	if a.members {
		list, err := d.members(a, false)
		f.Set(reflect.ValueOf(list))
		return err
	}
	switch d.dec.PeekKind() {
	case '[':
	case '{':
		if a.path == "emails" && d.tol.Has(tolOneLoginEmails) {
			d.note(a.path, "an object instead of an array", OneLoginEmailsObject)
			f.Grow(1)
			f.SetLen(1)
			return d.value(a, f.Index(0))
		}
		fallthrough
	default:
		return d.wrongType(a)
	}
	if err := d.open(); err != nil {
		return err
	}
	f.Set(reflect.MakeSlice(f.Type(), 0, 1))
	defer func() { d.entry = -1 }()
	n, primaries := 0, 0
	for d.entry = 0; d.dec.PeekKind() != ']'; d.entry++ {
		if n == maxEntries && !d.lenient {
			d.entry = -1
			return d.invalid(a, "more than %d entries", maxEntries)
		}
		f.Grow(1)
		f.SetLen(n + 1)
		e := f.Index(n)
		e.SetZero()
		if d.dec.PeekKind() == 'n' {
			return d.wrongType(a)
		}
		if err := d.value(a, e); err != nil {
			return err
		}
		if noValue(a, e) || hollow(a, e) {
			f.SetLen(n)
			continue
		}
		if isPrimary(a, e) {
			if primaries++; primaries > 1 && !d.lenient {
				d.entry = -1
				return d.invalid(a, "two entries are primary, at most one may be (RFC 7643 §2.4)")
			}
		}
		n++
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return d.syntax(err)
	}
	return nil
}

// hollow tells whether an entry of a has nothing but a label: a type or a
// primary without what they describe.
func hollow(a *attribute, e reflect.Value) bool {
	if a.kind != kindComplex {
		return false
	}
	for _, s := range a.subs {
		if s != a.label && s != a.primary && !unassigned(s, e.Field(s.index)) {
			return false
		}
	}
	return true
}

func isPrimary(a *attribute, e reflect.Value) bool {
	if a.primary == nil {
		return false
	}
	p := e.Field(a.primary.index)
	return !p.IsNil() && p.Elem().Bool()
}

// value reads one value of a into f, which is zero.
func (d *decoder) value(a *attribute, f reflect.Value) error {
	k := d.dec.PeekKind()
	if a.kind == kindComplex {
		return d.complexValue(a, f)
	}
	if k == '"' {
		s, err := d.text()
		if err != nil {
			return err
		}
		return d.fromString(a, s, f)
	}
	switch {
	case a.kind == kindBool && (k == 't' || k == 'f'):
		if _, err := d.dec.ReadToken(); err != nil {
			return d.syntax(err)
		}
		setBool(f, k == 't')
		return nil
	case (a.kind == kindInt || a.kind == kindFloat) && k == '0':
		raw, err := d.dec.ReadValue()
		if err != nil {
			return d.syntax(err)
		}
		return d.setNumber(a, string(raw), f)
	}
	return d.wrongType(a)
}

// fromString stores a value that came as a JSON string.
func (d *decoder) fromString(a *attribute, s string, f reflect.Value) error {
	if s == "" && a.kind != kindBool {
		if !d.tol.Has(tolEmptyStringClears) {
			return d.invalid(a, "must not be empty; send null to clear it")
		}
		return nil
	}
	switch a.kind {
	case kindString:
		if !d.lenient {
			if err := a.checkString(s); err != nil {
				return d.invalid(a, "%v", err)
			}
		}
		f.SetString(s)
		return nil
	case kindTime:
		return d.setTime(a, s, f)
	case kindBool:
		if b, ok := stringBool(s); ok && d.tol.Has(tolStringBooleans) {
			setBool(f, b)
			return nil
		}
		if a.Name == "primary" && a.parent != nil && d.tol.Has(tolJunkPrimary) {
			d.note(d.where(a), "not a boolean: dropped", JunkPrimaryDropped)
			return nil
		}
		return d.invalid(a, "must be true or false, found %q", shorten(s))
	case kindInt:
		if d.tol.Has(tolOneLoginIntegers) && strings.Trim(s, "0123456789") == "" {
			return d.setNumber(a, s, f)
		}
	}
	return d.invalid(a, "must be a number, found a string")
}

func stringBool(s string) (value, ok bool) {
	switch {
	case equalASCII(s, "true"):
		return true, true
	case equalASCII(s, "false"):
		return false, true
	}
	return false, false
}

func setBool(f reflect.Value, b bool) { *f.Addr().Interface().(**bool) = &b }

func (d *decoder) setNumber(a *attribute, raw string, f reflect.Value) error {
	if a.kind == kindFloat {
		x, err := strconv.ParseFloat(raw, 64)
		if err != nil {
			return d.invalid(a, "the number %s is out of range", shorten(raw))
		}
		makeObject(f).SetFloat(x)
		return nil
	}
	x, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		return d.invalid(a, "must be an integer of 64 bits, found %s", shorten(raw))
	}
	makeObject(f).SetInt(x)
	return nil
}

// complexValue reads one value of a complex attribute, and sets d.given.
func (d *decoder) complexValue(a *attribute, f reflect.Value) error {
	switch d.dec.PeekKind() {
	case '{':
		return d.object(a, makeObject(f))
	case '"':
		if a.MultiValued {
			break
		}
		s, err := d.text()
		if err != nil {
			return err
		}
		d.given = ^uint64(0)
		switch {
		case s == "" && d.tol.Has(tolEmptyStringClears):
			return nil
		case isManager(a) && d.tol.Has(tolManagerString):
			return d.fromString(a.value, s, makeObject(f).Field(a.value.index))
		}
		return d.invalid(a, "must be an object, found a string")
	case '[':
		if isManager(a) && d.tol.Has(tolManagerArray) {
			return d.oneInArray(a, f)
		}
	}
	return d.wrongType(a)
}

// isManager tells whether a is the single reference that clients shorten to a
// string (RFC 7643 §4.3).
func isManager(a *attribute) bool {
	return a.Name == "manager" && a.value != nil && a.ref != nil && !a.MultiValued
}

// oneInArray reads [{…}] as {…}, and [] as nothing.
func (d *decoder) oneInArray(a *attribute, f reflect.Value) error {
	if err := d.open(); err != nil {
		return err
	}
	d.given = ^uint64(0)
	if d.dec.PeekKind() != ']' {
		if k := d.dec.PeekKind(); k != '{' && k != '"' {
			return d.wrongType(a)
		}
		if err := d.complexValue(a, f); err != nil {
			return err
		}
		if d.dec.PeekKind() != ']' {
			return d.invalid(a, "must be one object, found an array of several")
		}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return d.syntax(err)
	}
	return nil
}

func (d *decoder) object(a *attribute, o reflect.Value) error {
	if err := d.open(); err != nil {
		return err
	}
	var seen, given uint64
	for n := 0; ; {
		name, ok, err := d.next(&n)
		if err != nil {
			return d.syntax(err)
		}
		if !ok {
			break
		}
		s := a.names.find(name)
		if s == nil && isManager(a) && d.tol.Has(tolOneLoginManager) && strings.EqualFold(string(name), "managerId") {
			s = a.value
		}
		switch {
		case s == nil:
			err = d.unknown(d.where(a) + "." + string(name))
		case seen&s.bit != 0:
			return d.twice(s)
		case s.readOnly() && !d.lenient:
			seen |= s.bit
			err = d.skip()
		default:
			seen |= s.bit
			given |= s.bit
			err = d.field(s, o.Field(s.index))
		}
		if err != nil {
			return err
		}
	}
	d.given = given
	if a.MultiValued && a.value != nil {
		d.unpackRole(a, o)
	}
	return nil
}
