package condition

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"

	"github.com/sharearefund/scim-bridge/mapping/condition/spelling"
)

// functions are those of the language that conditions have.
var functions = []string{"all", "any", "count", "filter", "len", "lower", "none", "trim", "upper"}

// operators are those of the language that conditions have.
var operators = []string{
	"==", "!=", "<", "<=", ">", ">=", "and", "&&", "or", "||", "not", "!", "in", "contains", "startsWith", "endsWith", "matches",
}

// maxProgram bounds a condition's patterns by the instructions that they
// compile to, which repetitions such as {1000} multiply.
const maxProgram = 1000

// CheckPattern reports why an RE2 expression cannot be used; nil: it can, and
// matching it takes bounded time for each character of the text. The error is
// a *Error.
func CheckPattern(expression string) error {
	if _, e := patternSize(expression); e != nil {
		return e
	}
	return nil
}

// patternSize is how many instructions the pattern compiles to.
func patternSize(expression string) (int, *Error) {
	e := &Error{Line: 1, Column: 1}
	if !utf8.ValidString(expression) || len(expression) > maxText {
		e.Wrong, e.Remedy = fmt.Sprintf("not a pattern of at most %d bytes", maxText), "write a shorter one"
		return 0, e
	}
	tree, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		e.Wrong = strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		e.Remedy = "write an RE2 expression, which has no lookaround and no backreferences"
		return 0, e
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil || len(program.Inst) > maxProgram {
		e.Wrong, e.Remedy = "too large a pattern", "make its repetitions smaller, or use * and +"
		return 0, e
	}
	return len(program.Inst), nil
}

// checker allows those forms of the language that are evaluated in linear
// time, and no others.
type checker struct {
	text  string
	names uses
	// inside is whether the node is applied to each entry of a list.
	inside bool
	// seen are the nodes so far. The parser uses one twice for a < b < c:
	// nested, that would double the work at every level.
	seen map[ast.Node]bool
	// program is how many instructions the patterns so far compile to.
	program int
}

// check gives the names that a condition uses.
func check(text string) (uses, error) {
	e := &Error{Line: 1, Column: 1, Remedy: `write it like department == "Finance"`}
	switch {
	case strings.TrimSpace(text) == "":
		e.Wrong = "empty"
		return nil, e
	case len(text) > maxText:
		e.Wrong = fmt.Sprintf("%d bytes long, more than %d", len(text), maxText)
		e.Remedy = "shorten it, or write several rules"
		return nil, e
	case !utf8.ValidString(text):
		e.Wrong = "not UTF-8"
		return nil, e
	}
	config := conf.CreateNew()
	config.MaxNodes, config.DisableIfOperator = maxNodes, true
	tree, err := parser.ParseWithConfig(text, config)
	if err != nil {
		return nil, unreadable(err)
	}
	k := checker{text: text, names: uses{}, seen: map[ast.Node]bool{}}
	if e := k.node(tree.Node); e != nil {
		return nil, e
	}
	return k.names, nil
}

func (k *checker) fail(n ast.Node, remedy, wrong string, args ...any) *Error {
	return at(k.text, n, remedy, wrong, args...)
}

func (k *checker) nodes(nodes ...ast.Node) *Error {
	for _, n := range nodes {
		if e := k.node(n); e != nil {
			return e
		}
	}
	return nil
}

func (k *checker) node(n ast.Node) *Error {
	if k.seen[n] {
		return k.fail(n, "write a < b and b < c", "comparisons cannot be chained")
	}
	k.seen[n] = true
	switch n := n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.BoolNode:
		return nil
	case *ast.IdentifierNode:
		return k.name(n)
	case *ast.PointerNode:
		if n.Name != "" {
			return k.fail(n, `write # for the entry`, "#%s is not known", n.Name)
		}
		return nil
	case *ast.UnaryNode:
		if !slices.Contains(operators, n.Operator) {
			return k.noOperator(n, n.Operator)
		}
		return k.node(n.Node)
	case *ast.BinaryNode:
		return k.binary(n)
	case *ast.ArrayNode:
		return k.array(n)
	case *ast.BuiltinNode:
		return k.call(n)
	case *ast.PredicateNode:
		return k.predicate(n)
	case *ast.CallNode:
		return k.unknownFunction(n)
	case *ast.MemberNode:
		return k.member(n)
	case *ast.NilNode:
		return k.fail(n, `compare with "": an absent attribute is an empty text`, "there is no nil here")
	case *ast.FloatNode:
		return k.fail(n, "attributes are texts; write it in quotes", "not a whole number")
	}
	return k.fail(n, `write comparisons joined by and, or, not`, "conditions do not have this form")
}

func (k *checker) name(n *ast.IdentifierNode) *Error {
	switch {
	case !slices.Contains(names, n.Value):
		return k.fail(n, unknownName(n.Value), "unknown name %q", n.Value)
	case k.inside:
		return k.fail(n, "compare the entry # with a text in quotes", "%s cannot stand inside any, all, none, count or filter", n.Value)
	}
	k.names[n.Value] = true
	return nil
}

func (k *checker) noOperator(n ast.Node, operator string) *Error {
	return k.fail(n, "have "+strings.Join(operators, " "), "conditions do not have the operator %s", operator)
}

func (k *checker) binary(n *ast.BinaryNode) *Error {
	switch n.Operator {
	case "matches":
		if e := k.pattern(n.Right); e != nil {
			return e
		}
		return k.node(n.Left)
	case "in":
		if !isList(n.Right) {
			return k.fail(n.Right, `write ["Finance", "Legal"] or the name of a list; a part of a text is found by contains`, "what stands behind in is not a list")
		}
	default:
		if !slices.Contains(operators, n.Operator) {
			return k.noOperator(n, n.Operator)
		}
	}
	return k.nodes(n.Left, n.Right)
}

func (k *checker) pattern(n ast.Node) *Error {
	text, ok := n.(*ast.StringNode)
	if !ok {
		return k.fail(n, `write the pattern in quotes: matches "^Fin"`, "the pattern of matches is not a text in quotes")
	}
	size, e := patternSize(text.Value)
	if e != nil {
		return k.fail(n, e.Remedy, "%s", e.Wrong)
	}
	if k.program += size; k.program > maxProgram {
		return k.fail(n, "make their repetitions smaller, or write several rules", "too large patterns together")
	}
	return nil
}

func isList(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ArrayNode:
		return true
	case *ast.IdentifierNode:
		return lists[n.Value] || !slices.Contains(names, n.Value)
	case *ast.BuiltinNode:
		return n.Name == "filter"
	}
	return false
}

// array lets texts alone be listed: an entry of another type would never be
// equal to an attribute.
func (k *checker) array(n *ast.ArrayNode) *Error {
	for _, entry := range n.Nodes {
		if _, ok := entry.(*ast.StringNode); !ok {
			return k.fail(entry, `write ["Finance", "Legal"]`, "an entry of the list is not a text in quotes")
		}
	}
	return nil
}

func (k *checker) call(n *ast.BuiltinNode) *Error {
	if !slices.Contains(functions, n.Name) {
		return k.noFunction(n, n.Name)
	}
	return k.nodes(n.Arguments...)
}

func (k *checker) unknownFunction(n *ast.CallNode) *Error {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return k.fail(n, "have "+strings.Join(functions, ", "), "attributes have no functions of their own")
	}
	return k.noFunction(n, callee.Value)
}

func (k *checker) noFunction(n ast.Node, name string) *Error {
	remedy := "have " + strings.Join(functions, ", ")
	if c := spelling.Closest(name, functions); c != "" {
		remedy = fmt.Sprintf("did you mean %q?", c)
	}
	return k.fail(n, remedy, "unknown function %q", name)
}

// predicate lets a list be gone through once: with another list or a long
// text inside, the time would be the product of their lengths.
func (k *checker) predicate(n *ast.PredicateNode) *Error {
	if k.inside {
		return k.fail(n, "join two of them by and or or", "any, all, none, count and filter cannot stand inside each other")
	}
	k.inside = true
	e := k.node(n.Node)
	k.inside = false
	return e
}

// member says how to write what the path of a SCIM attribute was meant for.
func (k *checker) member(n *ast.MemberNode) *Error {
	if property, ok := n.Property.(*ast.StringNode); ok {
		if slices.Contains(names, property.Value) {
			return k.fail(n, "write "+property.Value+" alone", "attributes have no parts here")
		}
	}
	return k.fail(n, `the entries of a list are texts: email == "…", any(roles, # == "…"); the names are `+strings.Join(names, ", "), "attributes have no parts here")
}
