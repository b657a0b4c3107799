package scim

import "slices"

// members reads the members of a group: an array, or, in a PATCH, one member
// alone. There may be many more than of other values, so nothing is looked up
// by reflection, and their strings share the memory of one copy of the text.
// Whoever is named twice is one member.
func (d *decoder) members(a *attribute, one bool) ([]Member, error) {
	if d.dec.PeekKind() == '{' && one {
		m, err := d.member(a, string(d.src))
		return []Member{m}, err
	}
	if d.dec.PeekKind() != '[' {
		return nil, d.wrongType(a)
	}
	if err := d.open(); err != nil {
		return nil, err
	}
	defer func() { d.entry = -1 }()
	src := string(d.src)
	list, known := []Member{}, distinct{}
	for d.entry = 0; d.dec.PeekKind() != ']'; d.entry++ {
		if d.dec.PeekKind() != '{' {
			return nil, d.wrongType(a)
		}
		m, err := d.member(a, src)
		if err != nil {
			return nil, err
		}
		if known.add(list, m.Value) {
			list = append(list, m)
		}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, d.syntax(err)
	}
	return list, nil
}

// member reads one member. What the server knows better of it, $ref and
// display, is read past.
func (d *decoder) member(a *attribute, src string) (Member, error) {
	var m Member
	if err := d.open(); err != nil {
		return m, err
	}
	var seen uint64
	for n := 0; ; {
		name, ok, err := d.next(&n)
		if err != nil {
			return m, d.syntax(err)
		}
		if !ok {
			break
		}
		s := a.names.find(name)
		switch {
		case s == nil && d.entry > 0 && d.tol.Has(tolUnknownDropped):
			// Clients send the same of every member: of the first it is noted.
			err = d.skip()
		case s == nil:
			err = d.unknown(d.where(a) + "." + string(name))
		case seen&s.bit != 0:
			return m, d.twice(s)
		default:
			seen |= s.bit
			switch s {
			case a.value:
				m.Value, err = d.memberText(s, src)
			case a.label:
				m.Type, err = d.memberText(s, src)
			default:
				err = d.skip()
			}
		}
		if err != nil {
			return m, err
		}
	}
	if m.Value == "" && !d.lenient {
		return m, d.invalid(a.value, "missing or empty; a member is named by the id of a User")
	}
	return m, nil
}

// memberText reads a string of a member, or null as "".
func (d *decoder) memberText(a *attribute, src string) (string, error) {
	switch d.dec.PeekKind() {
	case 'n':
		return "", d.skip()
	case '"':
	default:
		return "", d.wrongType(a)
	}
	s, err := d.sharedText(src)
	if err != nil || s == "" || d.lenient {
		return s, err
	}
	if err := a.checkString(s); err != nil {
		return "", d.invalid(a, "%v", err)
	}
	return s, nil
}

// distinct tells values apart from those of a list. The zero value is ready.
type distinct struct{ seen map[string]bool }

// add reports whether value is none of list, whose every value was added.
func (k *distinct) add(list []Member, value string) bool {
	const few = 16
	if len(list) < few {
		return !slices.ContainsFunc(list, func(m Member) bool { return m.Value == value })
	}
	if k.seen == nil {
		k.seen = make(map[string]bool, 4*few)
		for _, m := range list {
			k.seen[m.Value] = true
		}
	}
	if k.seen[value] {
		return false
	}
	k.seen[value] = true
	return true
}
