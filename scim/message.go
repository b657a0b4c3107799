package scim

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// ReadMessage reads the body of a request that is no resource, such as a
// SearchRequest (RFC 7644 §3.4.3) or a BulkRequest (§3.7): strictly as JSON, one
// object, within the bounds of resources. It returns the JSON texts of the
// members with these names, which are found in any case, and share the body's
// memory; what is absent or null is not in the map, and other members are
// passed over. schemas may be missing; when it is there, it has to name urn.
func ReadMessage(body []byte, urn string, names ...string) (map[string]jsontext.Value, error) {
	body = bytes.TrimPrefix(body, byteOrderMark)
	d := newDecoder(nil, body, anyTolerances)
	defer d.release()
	if err := d.top(len(body)); err != nil {
		return nil, err
	}
	found, err := d.fields(append([]string{"schemas"}, names...))
	if err != nil {
		return nil, err
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	if urns, ok := found["schemas"]; ok {
		if err := namesSchema(urns, urn); err != nil {
			return nil, err
		}
		delete(found, "schemas")
	}
	return found, nil
}

// ReadMembers is ReadMessage for an object inside a message, whose text
// ReadMessage returned. where begins the error texts: "Operations[3].".
func ReadMembers(text jsontext.Value, where string, names ...string) (map[string]jsontext.Value, error) {
	d := newDecoder(nil, text, anyTolerances)
	defer d.release()
	d.prefix = where
	if k := d.dec.PeekKind(); k != '{' {
		return nil, BadRequest(TypeInvalidSyntax, "%s: must be an object, found %s", strings.TrimSuffix(where, "."), kindName(k))
	}
	return d.fields(names)
}

// fields reads the object that comes next.
func (d *decoder) fields(names []string) (map[string]jsontext.Value, error) {
	if err := d.open(); err != nil {
		return nil, err
	}
	found, given := map[string]jsontext.Value{}, make([]bool, len(names))
	for n := 0; ; {
		name, ok, err := d.next(&n)
		if err != nil {
			return nil, d.syntax(err)
		}
		if !ok {
			return found, nil
		}
		i := slices.IndexFunc(names, func(s string) bool { return equalASCII(string(name), s) })
		switch {
		case i < 0:
			err = d.skip()
		case given[i]:
			err = BadRequest(TypeInvalidSyntax, "%s%s: given twice, in different case; send it once", d.prefix, names[i])
		default:
			given[i] = true
			var text jsontext.Value
			text, err = d.raw()
			if err == nil && text.Kind() != 'n' {
				found[names[i]] = text
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

// raw reads past one value as skip does, and returns its text.
func (d *decoder) raw() (jsontext.Value, error) {
	if d.dec.PeekKind() == 0 {
		return nil, d.malformed()
	}
	start := d.dec.InputOffset()
	if err := d.skip(); err != nil {
		return nil, err
	}
	return jsontext.Value(bytes.TrimLeft(d.src[start:d.dec.InputOffset()], ": \t\r\n,")), nil
}

// namesSchema reports a list of schemas that lacks urn.
func namesSchema(list jsontext.Value, urn string) error {
	urns, err := ReadStrings(list, "schemas")
	if err != nil {
		return err
	}
	if len(urns) > 0 && !slices.ContainsFunc(urns, func(s string) bool { return equalASCII(s, urn) }) {
		return BadRequest(TypeInvalidValue, "schemas: lacks %q, the schema of this request", urn)
	}
	return nil
}

// ReadString reads a string of a message; what names it in error texts.
func ReadString(text jsontext.Value, what string) (string, error) {
	if k := text.Kind(); k != '"' {
		return "", BadRequest(TypeInvalidSyntax, "%s: must be a string, found %s", what, kindName(k))
	}
	s, err := jsontext.AppendUnquote(nil, text)
	if err != nil {
		return "", BadRequest(TypeInvalidSyntax, "%s: is not a valid JSON string", what)
	}
	return string(s), nil
}

// ReadStrings reads an array of strings of a message.
func ReadStrings(text jsontext.Value, what string) ([]string, error) {
	elements, err := ReadArray(text, what)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(elements))
	for i, e := range elements {
		if list[i], err = ReadString(e, fmt.Sprintf("%s[%d]", what, i)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// ReadArray returns the texts of an array's elements, which share its memory.
func ReadArray(text jsontext.Value, what string) ([]jsontext.Value, error) {
	if k := text.Kind(); k != '[' {
		return nil, BadRequest(TypeInvalidSyntax, "%s: must be an array, found %s", what, kindName(k))
	}
	d := newDecoder(nil, text, anyTolerances)
	defer d.release()
	d.prefix = what + ": "
	if err := d.open(); err != nil {
		return nil, err
	}
	var list []jsontext.Value
	for d.dec.PeekKind() != ']' {
		e, err := d.raw()
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}
