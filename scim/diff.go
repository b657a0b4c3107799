package scim

import "reflect"

func (b *binding) diff(x, y reflect.Value) []Change {
	changes := diffAttributes(nil, b.attrs, x, y)
	for _, e := range b.exts {
		cx, okx := b.container(x, e)
		cy, oky := b.container(y, e)
		switch {
		case !okx && !oky:
			continue
		case !okx:
			cx = reflect.Zero(e.typ)
		case !oky:
			cy = reflect.Zero(e.typ)
		}
		changes = diffAttributes(changes, e.attrs, cx, cy)
	}
	return changes
}

func diffAttributes(changes []Change, attrs []*attribute, x, y reflect.Value) []Change {
	for _, a := range attrs {
		fx, fy := x.Field(a.index), y.Field(a.index)
		if a.readOnly() || equal(a, fx, fy) {
			continue
		}
		if a.kind == kindComplex && !a.MultiValued {
			changes = diffAttributes(changes, a.subs, orZero(a, fx), orZero(a, fy))
			continue
		}
		op := ChangeReplace
		switch {
		case unassigned(a, fx):
			op = ChangeAdd
		case unassigned(a, fy):
			op = ChangeRemove
		}
		changes = append(changes, Change{Path: a.path, Op: op})
	}
	return changes
}

func orZero(a *attribute, f reflect.Value) reflect.Value {
	if o, ok := object(f); ok {
		return o
	}
	return reflect.Zero(a.elem)
}
