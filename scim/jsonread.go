package scim

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// decoder reads one JSON text strictly: no duplicate names, no invalid UTF-8,
// no half surrogate pairs, bounded depth and number of members.
type decoder struct {
	dec jsontext.Decoder
	buf bytes.Buffer
	// src is the text that is read.
	src []byte
	b   *binding
	tol Tolerances
	// depth is what surrounds the text.
	depth int
	// prefix begins error texts; entry is the index in the list that is being
	// read, or -1.
	prefix string
	entry  int
	// given holds the sub-attributes that the last complex value mentioned.
	given uint64
	// lenient is for what this package wrote itself.
	lenient bool
	notes   []Note
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// newDecoder reads text, which must not change until release.
func newDecoder(b *binding, text []byte, tol Tolerances) *decoder {
	d := decoders.Get().(*decoder)
	d.buf = *bytes.NewBuffer(text)
	d.dec.Reset(&d.buf)
	d.src, d.b, d.tol, d.entry = text, b, tol, -1
	return d
}

func (d *decoder) release() {
	d.buf = bytes.Buffer{}
	d.dec.Reset(&d.buf)
	d.src, d.b, d.prefix, d.notes = nil, nil, "", nil
	d.depth, d.given, d.lenient = 0, 0, false
	decoders.Put(d)
}

// note records what was left out, once the value was read past.
func (d *decoder) note(path, reason, tolerance string) {
	if !d.lenient {
		d.notes = append(d.notes, Note{Path: d.prefix + path, Reason: reason, Tolerance: tolerance})
	}
}

// syntax turns an error of jsontext into the client's. The error itself goes no
// further: it may quote the body, and a password may stand there.
func (d *decoder) syntax(err error) error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var se *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &se):
		return BadRequest(TypeInvalidSyntax, "%sthe body names %q twice in one object; send it once", d.prefix, se.JSONPointer.LastToken())
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return BadRequest(TypeInvalidSyntax, "%sthe body is not valid JSON: it ends too early", d.prefix)
	case errors.As(err, &se):
		return BadRequest(TypeInvalidSyntax, "%sthe body is not valid JSON: %s at byte %d", d.prefix, withoutQuotes(se.Err.Error()), se.ByteOffset)
	}
	return BadRequest(TypeInvalidSyntax, "%sthe body is not valid JSON", d.prefix)
}

// withoutQuotes leaves out what jsontext quotes of the body: "invalid escape
// sequence `…` in string".
func withoutQuotes(s string) string {
	from, to := strings.IndexByte(s, '`'), strings.LastIndexByte(s, '`')
	if from == to {
		return s
	}
	return s[:from] + strings.TrimPrefix(s[to+1:], " ")
}

// malformed is the error of a text in which no value comes next.
func (d *decoder) malformed() error {
	_, err := d.dec.ReadToken()
	return d.syntax(err)
}

// top checks that the text is an object.
func (d *decoder) top(size int) error {
	if size == 0 {
		return BadRequest(TypeInvalidSyntax, "the body is empty; it must be a JSON object")
	}
	switch k := d.dec.PeekKind(); k {
	case '{':
		return nil
	case 'n', 't', 'f', '"', '0', '[':
		return BadRequest(TypeInvalidSyntax, "the body must be a JSON object, found %s", kindName(k))
	}
	if _, err := d.dec.ReadToken(); err != nil && !errors.Is(err, io.EOF) {
		return d.syntax(err)
	}
	return BadRequest(TypeInvalidSyntax, "the body is empty; it must be a JSON object")
}

// end checks that nothing follows the object.
func (d *decoder) end() error {
	if _, err := d.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return BadRequest(TypeInvalidSyntax, "the body must hold one JSON object and nothing behind it")
	}
	return nil
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return "no value"
}

// open steps into the object or array that comes next.
func (d *decoder) open() error {
	if _, err := d.dec.ReadToken(); err != nil {
		return d.syntax(err)
	}
	return d.checkDepth()
}

func (d *decoder) checkDepth() error {
	if d.dec.StackDepth()+d.depth > maxDepth {
		return BadRequest(TypeInvalidSyntax, "%sthe body is nested more than %d deep", d.prefix, maxDepth)
	}
	return nil
}

// next reads the next member name of the object that was opened; false when
// the object has ended and was left. n counts the members. The name is valid
// until the next read.
func (d *decoder) next(n *int) ([]byte, bool, error) {
	if d.dec.PeekKind() == '}' {
		_, err := d.dec.ReadToken()
		return nil, false, err
	}
	raw, err := d.dec.ReadValue()
	if err != nil {
		return nil, false, d.syntax(err)
	}
	if *n++; *n > maxMembers {
		return nil, false, tooManyMembers(d.prefix)
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], true, nil
	}
	name, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return nil, false, d.syntax(err)
	}
	return name, true, nil
}

func tooManyMembers(prefix string) error {
	return BadRequest(TypeInvalidSyntax, "%sthe body has an object with more than %d members", prefix, maxMembers)
}

// text reads a string.
func (d *decoder) text() (string, error) {
	raw, err := d.dec.ReadValue()
	if err != nil {
		return "", d.syntax(err)
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	s, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return "", d.syntax(err)
	}
	return string(s), nil
}

// sharedText reads a string as text does, of all, a copy of d.src, whose memory
// it shares.
func (d *decoder) sharedText(all string) (string, error) {
	raw, err := d.dec.ReadValue()
	if err != nil {
		return "", d.syntax(err)
	}
	if end := int(d.dec.InputOffset()); bytes.IndexByte(raw, '\\') < 0 {
		return all[end-len(raw)+1 : end-1], nil
	}
	s, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return "", d.syntax(err)
	}
	return string(s), nil
}

// skip reads past one value within the same bounds as values that are used.
func (d *decoder) skip() error {
	start := d.dec.StackDepth()
	for {
		t, err := d.dec.ReadToken()
		if err != nil {
			return d.syntax(err)
		}
		if k := t.Kind(); k == '{' || k == '[' {
			if err := d.checkDepth(); err != nil {
				return err
			}
		}
		depth := d.dec.StackDepth()
		if depth <= start {
			return nil
		}
		if k, n := d.dec.StackIndex(depth); k == '{' && n > 2*maxMembers {
			return tooManyMembers(d.prefix)
		}
	}
}
