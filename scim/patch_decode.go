package scim

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/sharearefund/scim-bridge/schemas"
	"github.com/sharearefund/scim-bridge/scim/filter"
)

// patchSchema is the URN of a PATCH body (RFC 7644 §3.5.2).
const patchSchema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// operation is one operation as it stands in the body.
type operation struct {
	op      string
	path    string
	hasPath bool
	value   []byte // nil when absent
}

// patchReader turns the operations of a body into steps.
type patchReader struct {
	b     *binding
	tol   Tolerances
	body  []byte
	patch *Patch
	index int
}

func (b *binding) decodePatch(body []byte, tol Tolerances) (*Patch, error) {
	if tol.Has(tolByteOrderMark) {
		body = bytes.TrimPrefix(body, byteOrderMark)
	}
	r := &patchReader{b: b, tol: tol, body: body, patch: &Patch{b: b, tol: tol}}
	if err := r.read(); err != nil {
		return nil, err
	}
	return r.patch, nil
}

func (r *patchReader) read() error {
	d := newDecoder(r.b, r.body, r.tol)
	defer d.release()
	if err := d.top(len(r.body)); err != nil {
		return err
	}
	if err := d.open(); err != nil {
		return err
	}
	var ops []operation
	operations, urns, n := false, false, 0
	for {
		name, ok, err := d.next(&n)
		if err != nil {
			return d.syntax(err)
		}
		if !ok {
			break
		}
		switch {
		case equalASCII(string(name), "Operations"):
			if operations {
				return BadRequest(TypeInvalidSyntax, "Operations: given twice, in different case; send it once")
			}
			operations = true
			ops, err = r.operations(d)
		case equalASCII(string(name), "schemas"):
			if urns {
				return BadRequest(TypeInvalidSyntax, "schemas: given twice, in different case; send it once")
			}
			urns, err = r.schemas(d)
		default:
			err = d.unknown(string(name))
		}
		if err != nil {
			return err
		}
	}
	if err := d.end(); err != nil {
		return err
	}
	switch {
	case !operations:
		return BadRequest(TypeInvalidSyntax, "Operations: missing; a PATCH body lists its operations there (RFC 7644 §3.5.2)")
	case len(ops) == 0 && !r.tol.Has(tolEmptyOperations):
		return BadRequest(TypeInvalidSyntax, "Operations: empty")
	case !urns && !r.tol.Has(tolSchemasAbsent):
		return BadRequest(TypeInvalidSyntax, "schemas: missing; a PATCH body lists %q there", patchSchema)
	}
	r.patch.Skipped = d.notes
	for i, op := range ops {
		r.index = i
		if err := r.operation(op); err != nil {
			return err
		}
	}
	return nil
}

// schemas checks the list of URNs; false when there is none.
func (r *patchReader) schemas(d *decoder) (bool, error) {
	if d.dec.PeekKind() == 'n' {
		return false, d.skip()
	}
	if k := d.dec.PeekKind(); k == 0 {
		return false, d.malformed()
	} else if k != '[' {
		return false, BadRequest(TypeInvalidValue, "schemas: must be an array of URNs, found %s", kindName(k))
	}
	if err := d.open(); err != nil {
		return false, err
	}
	found, n := false, 0
	for ; d.dec.PeekKind() == '"'; n++ {
		urn, err := d.text()
		if err != nil {
			return false, err
		}
		found = found || equalASCII(urn, patchSchema)
	}
	if d.dec.PeekKind() != ']' {
		if k := d.dec.PeekKind(); k != 0 {
			return false, BadRequest(TypeInvalidValue, "schemas: must be an array of URNs, found %s in it", kindName(k))
		}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return false, d.syntax(err)
	}
	if n > 0 && !found {
		return false, BadRequest(TypeInvalidValue, "schemas: lacks %q, the schema of a PATCH body", patchSchema)
	}
	return n > 0, nil
}

func (r *patchReader) operations(d *decoder) ([]operation, error) {
	if k := d.dec.PeekKind(); k != '[' && k != 0 {
		return nil, BadRequest(TypeInvalidSyntax, "Operations: must be an array, found %s", kindName(k))
	}
	if err := d.open(); err != nil {
		return nil, err
	}
	var ops []operation
	for d.dec.PeekKind() != ']' {
		if len(ops) == maxOperations {
			return nil, &Error{Status: 413, Detail: fmt.Sprintf("Operations: more than %d; send them in several requests", maxOperations)}
		}
		if k := d.dec.PeekKind(); k != '{' && k != 0 {
			return nil, BadRequest(TypeInvalidSyntax, "Operations[%d]: must be an object, found %s", len(ops), kindName(k))
		}
		op, err := r.readOperation(d, len(ops))
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, d.syntax(err)
	}
	return ops, nil
}

func (r *patchReader) readOperation(d *decoder, index int) (operation, error) {
	var op operation
	if err := d.open(); err != nil {
		return op, err
	}
	var seen [3]bool
	once := func(i int, name string) error {
		if seen[i] {
			return BadRequest(TypeInvalidSyntax, "Operations[%d].%s: given twice, in different case; send it once", index, name)
		}
		seen[i] = true
		return nil
	}
	for n := 0; ; {
		name, ok, err := d.next(&n)
		if err != nil {
			return op, d.syntax(err)
		}
		if !ok {
			break
		}
		switch {
		case equalASCII(string(name), "op"):
			if err = once(0, "op"); err == nil {
				op.op, _, err = r.string(d, index, "op")
			}
		case equalASCII(string(name), "path"):
			if err = once(1, "path"); err == nil {
				op.path, op.hasPath, err = r.string(d, index, "path")
			}
		case equalASCII(string(name), "value"):
			if err = once(2, "value"); err == nil {
				var raw []byte
				raw, err = d.dec.ReadValue()
				// The decoder's own slice is only good until its next read.
				end := d.dec.InputOffset()
				op.value = r.body[end-int64(len(raw)) : end]
			}
		default:
			err = d.skip()
		}
		if err != nil {
			return op, d.syntax(err)
		}
	}
	if op.op == "" {
		return op, BadRequest(TypeInvalidSyntax, "Operations[%d].op: missing; it is add, replace or remove", index)
	}
	return op, nil
}

// string reads op or path; a null or empty one is as good as none.
func (r *patchReader) string(d *decoder, index int, name string) (string, bool, error) {
	switch k := d.dec.PeekKind(); k {
	case '"':
		s, err := d.text()
		return s, s != "", err
	case 'n':
		return "", false, d.skip()
	case 0:
		_, err := d.dec.ReadToken()
		return "", false, err
	default:
		return "", false, BadRequest(TypeInvalidSyntax, "Operations[%d].%s: must be a string, found %s", index, name, kindName(k))
	}
}

func (r *patchReader) parseOp(s string) (patchOp, error) {
	for op, name := range [...]string{opAdd: "add", opReplace: "replace", opRemove: "remove"} {
		if s == name || equalASCII(s, name) && r.tol.Has(tolOpAnyCase) {
			return patchOp(op), nil
		}
	}
	return 0, BadRequest(TypeInvalidSyntax, "Operations[%d].op: unknown operation %q (have add, replace, remove)", r.index, shorten(s))
}

// operation adds the steps of one operation.
func (r *patchReader) operation(in operation) error {
	op, err := r.parseOp(in.op)
	if err != nil {
		return err
	}
	if !in.hasPath {
		if op == opRemove {
			return BadRequest(TypeNoTarget, "Operations[%d].path: missing; a remove names what to remove (RFC 7644 §3.5.2.2)", r.index)
		}
		return r.object(op, in.value, &target{all: r.b.attrs, names: &r.b.names})
	}
	t, err := r.target(in.path)
	var unknown *unknownError
	if errors.As(err, &unknown) {
		if !r.tol.Has(tolUnknownSkipped) {
			return BadRequest(TypeInvalidPath, "Operations[%d].path: %v; remove its mapping in the identity provider", r.index, err)
		}
		return r.skip("path", in.path, in.value)
	}
	if err != nil {
		return err
	}
	if t.all != nil {
		if op == opRemove {
			return r.removeAll(t)
		}
		return r.object(op, in.value, t)
	}
	if t.top == r.b.schemas {
		// The server derives it; adding an extension's URN is implied by its
		// attributes.
		return r.note("path", in.path, "schemas are derived from the attributes: ignored", "")
	}
	if a := t.immovable(op); a != nil {
		return BadRequest(TypeMutability, "Operations[%d].path: %s is %s; remove its mapping in the identity provider", r.index, a.path, a.Mutability)
	}
	return r.step(op, t, in.value, false)
}

// immovable is the attribute that forbids op on t, or nil.
func (t *target) immovable(op patchOp) *attribute {
	for _, a := range []*attribute{t.top, t.sub} {
		if a != nil && (a.readOnly() || a.Mutability == schemas.Immutable && op != opAdd) {
			return a
		}
	}
	return nil
}

func (r *patchReader) note(member, path, reason, tolerance string) error {
	r.patch.Skipped = append(r.patch.Skipped, Note{
		Path:   "Operations[" + strconv.Itoa(r.index) + "]." + member + ": " + shorten(path),
		Reason: reason, Tolerance: tolerance,
	})
	return nil
}

// skip leaves out an operation on an unknown attribute. Its value keeps to
// the same bounds as others.
func (r *patchReader) skip(member, path string, value []byte) error {
	if value != nil {
		d := r.decoder(value)
		defer d.release()
		if err := d.skip(); err != nil {
			return err
		}
	}
	return r.note(member, path, "unknown attribute: skipped", UnknownAttributeSkipped)
}

// decoder reads a value inside an operation: three levels down in the body.
func (r *patchReader) decoder(value []byte) *decoder {
	d := newDecoder(r.b, value, r.tol)
	d.prefix = "Operations[" + strconv.Itoa(r.index) + "].value: "
	d.depth = 3
	return d
}

// target reads a path. The error is an unknownError when it names what the
// resource type does not have.
func (r *patchReader) target(text string) (*target, error) {
	switch x := r.b.extension(text); {
	case x != nil:
		return &target{all: x.attrs, names: &x.names, extended: x}, nil
	case equalASCII(text, r.b.urn):
		return &target{all: r.b.attrs, names: &r.b.names}, nil
	}
	o := filter.Options{Unquoted: r.tol.Has(tolUnquotedFilter)}
	path, err := filter.ParsePath(text, o)
	if err != nil {
		return nil, BadRequest(TypeInvalidPath, "Operations[%d].%v", r.index, err)
	}
	t := &target{step: step{index: r.index, path: text}}
	if t.top, t.sub, err = r.b.resolve(path.AttributePath, r.tol); err != nil {
		return nil, err
	}
	if path.ValueExpression == nil {
		return t, nil
	}
	if !t.top.MultiValued || t.top.kind != kindComplex {
		return nil, BadRequest(TypeInvalidPath, "Operations[%d].path: %s is not a multi-valued complex attribute, so a value filter cannot apply to it", r.index, t.top.path)
	}
	if path.SubAttribute != nil {
		if t.sub, err = t.top.sub(*path.SubAttribute); err != nil {
			return nil, err
		}
	}
	in := resolver{b: r.b, tol: r.tol}
	if t.filter, err = in.entries(t.top, path.ValueExpression); err != nil {
		var unknown *unknownError
		if errors.As(err, &unknown) {
			return nil, err
		}
		return nil, BadRequest(TypeInvalidFilter, "Operations[%d].path: %v", r.index, err)
	}
	t.equal, _ = equalTerms(t.filter, []*node{})
	return t, nil
}

// removeAll removes the attributes of an extension that a client may write.
func (r *patchReader) removeAll(t *target) error {
	if t.extended == nil {
		return BadRequest(TypeMutability, "Operations[%d].path: the attributes of %s cannot be removed all at once", r.index, r.b.urn)
	}
	for _, a := range t.all {
		if !a.readOnly() && !a.sticky {
			r.patch.steps = append(r.patch.steps, step{op: opRemove, index: r.index, top: a, path: a.path})
		}
	}
	return nil
}

// newValue is a zero value that a step can hold.
func newValue(t reflect.Type) reflect.Value { return reflect.New(t).Elem() }
