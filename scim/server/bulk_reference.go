package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// referencePrefix begins what stands for the id of a resource that another
// operation creates (RFC 7644 §3.7.2): a string in data that is nothing else,
// or the last segment of a path.
const referencePrefix = "bulkId:"

// bulkReference is a reference in data: the JSON string data[start:end].
type bulkReference struct {
	bulkID     string
	start, end int
}

// jsonString is a string in a JSON object.
type jsonString struct {
	text string
	// start and end are where it stands, with its quotes.
	start, end int
	// name: it is the name of a member.
	name bool
	// within is the name of the member of the outermost object that it belongs
	// to.
	within string
}

// eachString visits the strings of a JSON text that was found to be valid.
func eachString(text []byte, visit func(jsonString)) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
	within := ""
	for {
		if d.PeekKind() != '"' {
			_, err := d.ReadToken()
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return fmt.Errorf("data that was read before: %w", err)
			}
			continue
		}
		raw, err := d.ReadValue()
		if err != nil {
			return fmt.Errorf("data that was read before: %w", err)
		}
		s := jsonString{end: int(d.InputOffset())}
		s.start = s.end - len(raw)
		if bytes.IndexByte(raw, '\\') < 0 {
			s.text = string(raw[1 : len(raw)-1])
		} else {
			unquoted, err := jsontext.AppendUnquote(nil, raw)
			if err != nil {
				return fmt.Errorf("data that was read before: %w", err)
			}
			s.text = string(unquoted)
		}
		kind, n := d.StackIndex(d.StackDepth())
		if s.name = kind == '{' && n%2 == 1; s.name && d.StackDepth() == 1 {
			within = s.text
		}
		s.within = within
		visit(s)
	}
}

// resolved is data with ids in place of its references.
func (o *bulkOperation) resolved(id func(bulkID string) string) []byte {
	if len(o.references) == 0 {
		return o.data
	}
	var out []byte
	from := 0
	for _, r := range o.references {
		out = append(out, o.data[from:r.start]...)
		// The grammar of ids needs no escapes.
		out = append(out, '"')
		out = append(out, id(r.bulkID)...)
		out = append(out, '"')
		from = r.end
	}
	return append(out, o.data[from:]...)
}
