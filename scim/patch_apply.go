package scim

import "reflect"

// apply changes root, a clone that is thrown away on an error.
func (p *Patch) apply(root reflect.Value) error {
	for i := range p.steps {
		if err := p.applyStep(&p.steps[i], root); err != nil {
			return err
		}
	}
	p.b.dropEmpty(root)
	for _, a := range p.b.attrs {
		if a.Required && !a.readOnly() && unassigned(a, root.Field(a.index)) {
			return BadRequest(TypeInvalidValue, "%s: required and absent or empty", a.path)
		}
	}
	return nil
}

func (p *Patch) applyStep(s *step, root reflect.Value) error {
	c, ok := p.b.container(root, s.top.ext)
	if !ok {
		if s.op == opRemove {
			return p.nothingToRemove(s)
		}
		c = p.b.ensure(root, s.top.ext)
	}
	f := c.Field(s.top.index)
	switch {
	case !s.top.MultiValued:
		return p.applySingle(s, f)
	case s.sub == nil && s.filter == nil:
		return p.applyList(s, f)
	}
	return p.applyEntries(s, f)
}

func (p *Patch) nothingToRemove(s *step) error {
	if p.tol.Has(tolRemoveNoMatch) {
		return nil
	}
	return BadRequest(TypeNoTarget, "%sthere is no %s to remove", s.at(), s.path)
}

// set copies a value into the field of a.
func set(a *attribute, f, value reflect.Value) {
	f.Set(value)
	unshare(a, f)
}

func (p *Patch) applySingle(s *step, f reflect.Value) error {
	if s.op == opRemove {
		o, ok := object(f)
		switch {
		case s.sub == nil && !unassigned(s.top, f):
			f.SetZero()
		case s.sub != nil && ok && !unassigned(s.sub, o.Field(s.sub.index)):
			o.Field(s.sub.index).SetZero()
		default:
			return p.nothingToRemove(s)
		}
		return nil
	}
	switch {
	case s.sub != nil:
		merge(s.top, makeObject(f), s.sub.bit, func(*attribute) reflect.Value { return s.value })
	case s.clears:
		f.SetZero()
	case s.top.kind == kindComplex:
		from := makeObject(s.value)
		merge(s.top, makeObject(f), s.given[0], func(a *attribute) reflect.Value { return from.Field(a.index) })
	default:
		set(s.top, f, s.value)
	}
	return nil
}

// merge sets the given sub-attributes of o and leaves the others (RFC 7644
// §3.5.2.3), but for those that described what a reference pointed to before.
func merge(a *attribute, o reflect.Value, given uint64, value func(*attribute) reflect.Value) {
	if a.ref != nil && a.value != nil && given&a.value.bit != 0 && !equal(a.value, o.Field(a.value.index), value(a.value)) {
		for _, s := range a.subs {
			if s == a.ref || s.readOnly() {
				o.Field(s.index).SetZero()
			}
		}
	}
	for _, s := range a.subs {
		if given&s.bit != 0 {
			set(s, o.Field(s.index), value(s))
		}
	}
}

// applyList adds to, replaces or removes from a whole multi-valued attribute.
func (p *Patch) applyList(s *step, f reflect.Value) error {
	switch {
	case s.op == opRemove && !s.value.IsValid():
		if f.Len() == 0 {
			return p.nothingToRemove(s)
		}
		f.SetZero()
	case s.op == opRemove:
		return p.removeListed(s, f)
	case s.op == opReplace:
		set(s.top, f, s.value)
	default:
		return p.addList(s, f)
	}
	return nil
}

// removeListed removes the entries that the value lists.
func (p *Patch) removeListed(s *step, f reflect.Value) error {
	keep := 0
	for i := range f.Len() {
		listed := false
		for j := range s.value.Len() {
			if same(s.top, f.Index(i), s.value.Index(j)) {
				listed = true
				break
			}
		}
		if !listed {
			f.Index(keep).Set(f.Index(i))
			keep++
		}
	}
	if keep == f.Len() && s.value.Len() > 0 {
		return p.nothingToRemove(s)
	}
	f.SetLen(keep)
	return nil
}

// addList adds the entries that are not there yet (RFC 7644 §3.5.2.1), and
// completes those that are.
func (p *Patch) addList(s *step, f reflect.Value) error {
	primary := -1
	for j := range s.value.Len() {
		e := s.value.Index(j)
		at := -1
		for i := range f.Len() {
			if same(s.top, f.Index(i), e) {
				at = i
				break
			}
		}
		switch {
		case at < 0:
			at = f.Len()
			f.Set(reflect.Append(f, e))
			unshareValue(s.top, f.Index(at))
		case s.top.kind == kindComplex:
			merge(s.top, f.Index(at), s.given[j], func(a *attribute) reflect.Value { return e.Field(a.index) })
		}
		if isPrimary(s.top, e) {
			primary = at
		}
	}
	return p.settle(s, f, primary)
}

// same tells whether the entry e of a value is the entry have of the
// resource: by its value, and its type where e has one. Entries without a
// value are the same when have holds all that e does.
func same(a *attribute, have, e reflect.Value) bool {
	if a.kind != kindComplex {
		return equalValue(a, have, e)
	}
	if a.value != nil && !unassigned(a.value, e.Field(a.value.index)) {
		return agrees(a.value, have, e) && (a.label == nil || unassigned(a.label, e.Field(a.label.index)) || agrees(a.label, have, e))
	}
	for _, s := range a.subs {
		if s != a.primary && !unassigned(s, e.Field(s.index)) && !agrees(s, have, e) {
			return false
		}
	}
	return true
}

// agrees compares a sub-attribute of two entries, by Fold where case does not
// matter.
func agrees(s *attribute, x, y reflect.Value) bool {
	fx, fy := x.Field(s.index), y.Field(s.index)
	if s.kind == kindString && !s.MultiValued && !s.CaseExact {
		return fx.String() == fy.String() || Fold(fx.String()) == Fold(fy.String())
	}
	return equal(s, fx, fy)
}

// applyEntries changes the entries that a filter selects, or all of them
// where the path names a sub-attribute without a filter.
func (p *Patch) applyEntries(s *step, f reflect.Value) error {
	matched, keep, primary := 0, 0, -1
	for i := range f.Len() {
		e := f.Index(i)
		drop := false
		if s.filter == nil || p.b.match(s.filter, e) {
			matched++
			drop = s.change(e)
			if s.setsPrimary() && !drop && isPrimary(s.top, e) {
				if primary >= 0 {
					return BadRequest(TypeInvalidValue, "%sit would make two entries of %s primary, at most one may be (RFC 7643 §2.4)", s.at(), s.top.path)
				}
				primary = keep
			}
		}
		if !drop {
			f.Index(keep).Set(e)
			keep++
		}
	}
	f.SetLen(keep)
	if matched > 0 {
		return p.settle(s, f, primary)
	}
	return p.unmatched(s, f)
}

// change applies s to an entry that it selects; true when nothing is left of
// the entry.
func (s *step) change(e reflect.Value) (drop bool) {
	switch {
	case s.sub == nil && (s.op == opRemove || s.clears):
		return true
	case s.sub != nil && s.op == opRemove:
		e.Field(s.sub.index).SetZero()
	case s.sub != nil:
		set(s.sub, e.Field(s.sub.index), s.value)
	case s.op == opReplace:
		// The whole entry is replaced (RFC 7644 §3.5.2.3), but stays one that
		// the filter selects.
		e.Set(s.value)
		unshareValue(s.top, e)
		fill(e, s.equal)
	default:
		merge(s.top, e, s.given[0], func(a *attribute) reflect.Value { return s.value.Field(a.index) })
	}
	return hollow(s.top, e)
}

func (s *step) setsPrimary() bool {
	switch {
	case s.top.primary == nil || s.op == opRemove || s.clears:
		return false
	case s.sub != nil:
		return s.sub == s.top.primary
	}
	return isPrimary(s.top, s.value)
}

// unmatched creates the entry that the filter describes, where that is
// tolerated.
func (p *Patch) unmatched(s *step, f reflect.Value) error {
	creates := s.op == opAdd && p.tol.Has(tolAddCreates) || s.op == opReplace && p.tol.Has(tolReplaceCreates)
	terms := s.equal
	switch {
	case s.op == opRemove:
		return p.nothingToRemove(s)
	case !creates:
		return BadRequest(TypeNoTarget, "%sno entry of %s matches %s", s.at(), s.top.path, s.path)
	case s.clears:
		return nil
	case s.filter != nil && terms == nil:
		return BadRequest(TypeNoTarget, "%sno entry of %s matches %s, and a filter of other comparisons than eq joined by and does not say what to create", s.at(), s.top.path, s.path)
	}
	e := newValue(s.top.typ.Elem())
	fill(e, terms)
	if s.sub != nil {
		set(s.sub, e.Field(s.sub.index), s.value)
	} else {
		merge(s.top, e, s.given[0], func(a *attribute) reflect.Value { return s.value.Field(a.index) })
	}
	if hollow(s.top, e) {
		return nil
	}
	f.Set(reflect.Append(f, e))
	primary := -1
	if isPrimary(s.top, e) {
		primary = f.Len() - 1
	}
	return p.settle(s, f, primary)
}

// settle makes primary, when it is not -1, the only primary entry (RFC 7644
// §3.5.2), and checks the number of entries.
func (p *Patch) settle(s *step, f reflect.Value, primary int) error {
	if f.Len() > maxEntries {
		return BadRequest(TypeInvalidValue, "%s%s would have more than %d entries", s.at(), s.top.path, maxEntries)
	}
	if primary < 0 {
		return nil
	}
	for i := range f.Len() {
		if e := f.Index(i); i != primary && isPrimary(s.top, e) {
			setBool(e.Field(s.top.primary.index), false)
		}
	}
	return nil
}
