package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readFile reports whether there is anything to go on with.
func (l *load) readFile(path string) bool {
	if path == "" {
		l.dir, _ = os.Getwd() // without it relative paths stay as they are
		return true
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	l.dir = filepath.Dir(abs)
	data, err := os.ReadFile(path)
	if err != nil {
		l.complain("settings file", "", "", &complaint{"cannot be read: " + reason(err), "name a file that the bridge may read"})
		return false
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		l.complain(place(err), "", "", &complaint{"is not YAML: " + syntax(err), "mend that line"})
		return false
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case body != nil:
			l.complain("settings file", "", "", &complaint{"holds more than one YAML document", "keep one and remove ---"})
		default:
			body = doc.Body
		}
	}
	if body != nil {
		l.readSection("", body)
	}
	return true
}

// reason leaves out the path, which is shown beside it.
func reason(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func syntax(err error) string {
	var s *yaml.SyntaxError
	if errors.As(err, &s) {
		return s.Message
	}
	return err.Error()
}

// place is where a syntax error is; whoever shows it names the file.
func place(err error) string {
	var s *yaml.SyntaxError
	if errors.As(err, &s) && s.Token != nil && s.Token.Position != nil {
		return fmt.Sprintf("line %d", s.Token.Position.Line)
	}
	return "settings file"
}

// readSection takes the keys of a mapping over. An empty section is as good as
// none, so that all its keys may be commented out.
func (l *load) readSection(section string, n ast.Node) {
	name := section
	if name == "" {
		name = "settings"
	}
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.MappingNode:
		for _, kv := range n.Values {
			l.readEntry(section, kv)
		}
	default:
		l.complain(name, "", "", &complaint{"is not a mapping", "write keys and values under it, each as \"key: value\""})
	}
}

func (l *load) readEntry(section string, kv *ast.MappingValueNode) {
	key, ok := plainText(kv.Key)
	if !ok || kv.Key.IsMergeKey() {
		l.complain(join(section, strings.TrimSpace(kv.Key.String())), "", "", &complaint{"is not a plain key", "write it out: anchors, tags and << are not read"})
		return
	}
	path := join(section, key)
	if f := findField(path); f != nil {
		l.readValue(f, kv.Value)
		return
	}
	if isSection(path) {
		l.readSection(path, kv.Value)
		return
	}
	l.complain(path, "", "", unknownKey(section, key))
}

func (l *load) readValue(f *field, n ast.Node) {
	if _, null := n.(*ast.NullNode); null {
		l.complain(f.path, "", "", &complaint{"has no value", "give it one or remove the line"})
		return
	}
	if !f.list {
		text, ok := plainText(n)
		switch {
		case !ok:
			l.complain(f.path, "", "", &complaint{"is not a single value", "write one value on the same line"})
		case text == "":
			l.complain(f.path, "", "", &complaint{"is empty", "give it a value or remove the line"})
		default:
			l.values[f.path] = value{text: text}
		}
		return
	}
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		l.complain(f.path, "", "", &complaint{"is not a list", "write it as [first, second]"})
		return
	}
	v := value{list: make([]string, 0, len(seq.Values))}
	for i, item := range seq.Values {
		text, ok := plainText(item)
		if !ok || text == "" {
			l.complain(fmt.Sprintf("%s[%d]", f.path, i), "", "", &complaint{"is not a single value", "write one value"})
			continue
		}
		v.list = append(v.list, text)
	}
	l.values[f.path] = v
}

// plainText returns a scalar as it was written: whether 1e3 is a number is for
// the key to say, not for YAML.
func plainText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimRight(n.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}
