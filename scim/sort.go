package scim

import (
	"reflect"
	"strings"

	"github.com/sharearefund/scim-bridge/scim/filter"
)

// SortKey is a sortBy that was resolved against a resource type (RFC 7644
// §3.4.2.3). It is immutable.
type SortKey struct {
	b         *binding
	top, leaf *attribute
}

// sortedText is how many bytes of a text decide about the order: a cursor has to
// hold them.
const sortedText = 512

// value is what k compares of a resource.
func (k *SortKey) value(root reflect.Value) SortValue {
	f, ok := k.field(root)
	if !ok {
		return SortValue{}
	}
	v := SortValue{Set: true}
	switch k.leaf.kind {
	case kindString:
		if v.Text = f.String(); !k.leaf.CaseExact {
			v.Text = Fold(v.Text)
		}
		if len(v.Text) > sortedText {
			v.Text = strings.ToValidUTF8(v.Text[:sortedText], "")
		}
		return v
	case kindTime:
		v.Int = timeOf(f).UnixNano()
		return v
	}
	f = reflect.Indirect(f)
	switch k.leaf.kind {
	case kindBool:
		v.Int = int64(present(f.Bool()))
	case kindInt:
		v.Int = f.Int()
	default:
		v.Number = f.Float()
	}
	return v
}

func present(b bool) int {
	if b {
		return 1
	}
	return 0
}

// field is the value of root that counts, false when there is none.
func (k *SortKey) field(root reflect.Value) (reflect.Value, bool) {
	c, ok := k.b.container(root, k.top.ext)
	if !ok {
		return c, false
	}
	f := c.Field(k.top.index)
	if k.top.MultiValued {
		if f.Len() == 0 {
			return f, false
		}
		first := f.Index(0)
		for i := range f.Len() {
			if isPrimary(k.top, f.Index(i)) {
				first = f.Index(i)
				break
			}
		}
		f = first
	}
	if k.leaf != k.top {
		o, ok := object(f)
		if !ok {
			return f, false
		}
		f = o.Field(k.leaf.index)
	}
	return f, !noValue(k.leaf, f)
}

// parseSort resolves a sortBy. A complex attribute is sorted by its value.
func (b *binding) parseSort(s string) (*SortKey, error) {
	path, err := filter.ParsePath(s, filter.Options{})
	if err != nil {
		return nil, BadRequest(TypeInvalidValue, "sortBy: %v", err)
	}
	if path.ValueExpression != nil {
		return nil, BadRequest(TypeInvalidValue, "sortBy: %q has a value filter; name the attribute alone", shorten(s))
	}
	top, sub, err := b.resolve(path.AttributePath, 0)
	if err != nil {
		return nil, BadRequest(TypeInvalidValue, "sortBy: %v", err)
	}
	k := &SortKey{b: b, top: top, leaf: top}
	switch {
	case sub != nil:
		k.leaf = sub
	case top.kind == kindComplex && top.value == nil:
		return nil, BadRequest(TypeInvalidValue, "sortBy: %s has no value of its own; name one of its sub-attributes", top.path)
	case top.kind == kindComplex:
		k.leaf = top.value
	}
	if top.hidden() || top == b.schemas {
		return nil, BadRequest(TypeInvalidValue, "sortBy: resources cannot be sorted by %s", top.path)
	}
	return k, nil
}
