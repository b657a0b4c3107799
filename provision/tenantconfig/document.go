package tenantconfig

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxDocument bounds a document in bytes; real ones have a few hundred.
const maxDocument = 1 << 20

// reader walks a document's syntax tree and collects what is wrong with it.
// Walking the tree rather than decoding into a struct gives every fault its
// path, and all of them at once.
type reader struct {
	faults Faults
	// meant are the paths that misspelt keys probably mean.
	meant map[string]bool
}

func (r *reader) fault(path, value, remedy, wrong string, args ...any) {
	r.faults = append(r.faults, Fault{Path: path, Value: value, Wrong: fmt.Sprintf(wrong, args...), Remedy: remedy})
}

// value takes the node at a path over.
type value func(path string, n ast.Node)

// read parses data and gives its single document, a mapping, to fields.
func (r *reader) read(data []byte, fields map[string]value) {
	if len(data) > maxDocument {
		r.fault("", "", "give one tenant per file", "longer than %d bytes", maxDocument)
		return
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		r.fault("", "", "correct the YAML syntax there", "%s", strings.TrimSpace(yaml.FormatError(err, false, false)))
		return
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		r.fault("", "", "see `scim-bridge help tenant apply` for an example", "empty document")
	case 1:
		r.mapping("", bodies[0], fields)
	default:
		r.fault("", "", "give one tenant per file", "%d documents in one file", len(bodies))
	}
}

// mapping gives each value of a mapping to its field.
func (r *reader) mapping(path string, n ast.Node, fields map[string]value) {
	pairs, ok := pairs(n)
	if !ok {
		r.fault(path, "", "write it as key: value lines", "is %s, not a mapping", kindOf(n))
		return
	}
	for _, pair := range pairs {
		key := pair.Key.String()
		if s, ok := pair.Key.(*ast.StringNode); ok {
			key = s.Value
		}
		at := join(path, key)
		field, known := fields[key]
		if !known {
			r.unknownKey(at, key, fields)
			continue
		}
		if pair.Value == nil || pair.Value.Type() == ast.NullType {
			continue // the same as leaving it out
		}
		field(at, pair.Value)
	}
}

func (r *reader) unknownKey(at, key string, fields map[string]value) {
	have := slices.Sorted(maps.Keys(fields))
	for _, base := range []string{"client_secret", "api_key"} {
		if _, ok := fields[base+"_env"]; ok && key == base {
			r.fault(at, "", fmt.Sprintf("name an environment variable by %s_env or a file by %s_file", base, base), "secrets are not written into this file")
			return
		}
	}
	remedy := "have " + strings.Join(have, ", ")
	if c := Closest(key, have); c != "" {
		remedy = fmt.Sprintf("did you mean %q?", c)
		r.meant[strings.TrimSuffix(at, key)+c] = true
	}
	r.fault(at, "", remedy, "unknown key")
}

// text reads a string. A number is taken as it is written, so that names made
// of digits need no quotes.
func (r *reader) text(into *string) value {
	return func(path string, n ast.Node) {
		switch n := n.(type) {
		case *ast.StringNode:
			*into = n.Value
		case *ast.LiteralNode:
			*into = n.Value.Value
		case *ast.IntegerNode, *ast.FloatNode:
			*into = n.GetToken().Value
		default:
			r.fault(path, shown(n), "write a text, in quotes if need be", "is %s, not a text", kindOf(n))
		}
	}
}

func (r *reader) boolean(into *bool) value {
	return func(path string, n ast.Node) {
		b, ok := n.(*ast.BoolNode)
		if !ok {
			r.fault(path, shown(n), "write true or false, without quotes", "is %s, not true or false", kindOf(n))
			return
		}
		*into = b.Value
	}
}

func (r *reader) integer(into *int64) value {
	return func(path string, n ast.Node) {
		if i, ok := n.(*ast.IntegerNode); ok {
			switch v := i.Value.(type) {
			case int64:
				*into = v
				return
			case uint64:
				if v <= 1<<63-1 {
					*into = int64(v)
					return
				}
			}
		}
		r.fault(path, shown(n), "write a whole number, without quotes", "is not a whole number that fits")
	}
}

func (r *reader) number(into *float64) value {
	return func(path string, n ast.Node) {
		switch n.(type) {
		case *ast.IntegerNode, *ast.FloatNode:
			v, err := strconv.ParseFloat(strings.ReplaceAll(n.GetToken().Value, "_", ""), 64)
			if err == nil {
				*into = v
				return
			}
		}
		r.fault(path, shown(n), "write a number such as 20 or 0.5", "is not a number")
	}
}

// list gives each element to element.
func (r *reader) list(element value) value {
	return func(path string, n ast.Node) {
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			r.fault(path, shown(n), "write it as [a, b] or as lines that begin with -", "is %s, not a list", kindOf(n))
			return
		}
		for i, v := range seq.Values {
			element(fmt.Sprintf("%s[%d]", path, i), v)
		}
	}
}

// texts reads a list of strings.
func (r *reader) texts(into *[]string) value {
	return r.list(func(path string, n ast.Node) {
		var s string
		r.text(&s)(path, n)
		*into = append(*into, s)
	})
}

// integers reads a list of whole numbers.
func (r *reader) integers(into *[]int64) value {
	return r.list(func(path string, n ast.Node) {
		var i int64
		r.integer(&i)(path, n)
		*into = append(*into, i)
	})
}

// someIntegers reads a list of whole numbers that has an entry: an empty one
// would mean the same as none at all, which nobody expects of it.
func (r *reader) someIntegers(into *[]int64) value {
	read := r.integers(into)
	return func(path string, n ast.Node) {
		if seq, ok := n.(*ast.SequenceNode); ok && len(seq.Values) == 0 {
			r.fault(path, "", "list some of organizations, or leave it out", "is empty")
			return
		}
		read(path, n)
	}
}

// table reads a mapping whose keys are free.
func (r *reader) table(into *map[string]string) value {
	return func(path string, n ast.Node) {
		fields := map[string]value{}
		out := map[string]string{}
		ps, _ := pairs(n)
		for _, pair := range ps {
			if key, ok := pair.Key.(*ast.StringNode); ok {
				fields[key.Value] = func(at string, n ast.Node) {
					var s string
					r.text(&s)(at, n)
					out[key.Value] = s
				}
			}
		}
		r.mapping(path, n, fields)
		*into = out
	}
}

// object reads a mapping with fields of its own.
func (r *reader) object(fields map[string]value) value {
	return func(path string, n ast.Node) { r.mapping(path, n, fields) }
}

// pairs gives a mapping's lines; a mapping of one line is a node of its own.
func pairs(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// kindOf names what a node is, in the words of a fault.
func kindOf(n ast.Node) string {
	switch n.Type() {
	case ast.StringType, ast.LiteralType:
		return "a text"
	case ast.IntegerType, ast.FloatType, ast.InfinityType, ast.NanType:
		return "a number"
	case ast.BoolType:
		return "true or false"
	case ast.NullType:
		return "empty"
	case ast.SequenceType:
		return "a list"
	case ast.MappingType, ast.MappingValueType:
		return "a mapping"
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType, ast.TagType:
		return "a YAML anchor, alias or tag"
	}
	return "something else"
}

// shown is a scalar as the document writes it, "" for anything else.
func shown(n ast.Node) string {
	switch n.Type() {
	case ast.AnchorType, ast.AliasType, ast.TagType, ast.MergeKeyType:
		return ""
	}
	if _, ok := n.(ast.ScalarNode); ok && n.GetToken() != nil {
		return n.GetToken().Value
	}
	return ""
}
