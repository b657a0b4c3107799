package condition

import (
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"github.com/sharearefund/scim-bridge/mapping/condition/spelling"
)

// Error is what is wrong with a condition.
type Error struct {
	// Line and Column say where, in characters, both from 1.
	Line, Column int
	// Wrong says what is wrong there.
	Wrong string
	// Remedy says what to do.
	Remedy string
}

// Error reads "column 5: what is wrong; remedy".
func (e *Error) Error() string { return e.Place() + ": " + e.Wrong + "; " + e.Remedy }

// Place is "column 5", with the line when it is not the first.
func (e *Error) Place() string {
	if e.Line > 1 {
		return fmt.Sprintf("line %d, column %d", e.Line, e.Column)
	}
	return fmt.Sprintf("column %d", e.Column)
}

// at is an error at a node of the text.
func at(text string, n ast.Node, remedy, wrong string, args ...any) *Error {
	e := &Error{Line: 1, Column: 1, Wrong: fmt.Sprintf(wrong, args...), Remedy: remedy}
	left := n.Location().From
	for _, r := range text {
		if left--; left < 0 {
			break
		}
		if e.Column++; r == '\n' {
			e.Line, e.Column = e.Line+1, 1
		}
	}
	return e
}

// unknownName says what may have been meant by a name.
func unknownName(name string) (remedy string) {
	if c := spelling.Closest(name, names); c != "" {
		return fmt.Sprintf("did you mean %q?", c)
	}
	return fmt.Sprintf("a text stands in quotes, %q; the names are %s", name, strings.Join(names, ", "))
}

// hints are remedies for what people write by habit, by how the parser words
// it.
var hints = []struct{ message, wrong, remedy string }{
	{`unexpected token EOF`, "it ends too early", `complete it; in a YAML file put the whole in quotes, since " #" begins a comment there`},
	{`unexpected token Operator("=")`, "= is not an operator", "compare by =="},
	{`unexpected token Identifier("eq")`, "eq is not an operator", "compare by =="},
	{`unexpected token Identifier("ne")`, "ne is not an operator", "compare by !="},
	{`unexpected token Identifier("co")`, "co is not an operator", "write contains"},
	{`unexpected token Identifier("sw")`, "sw is not an operator", "write startsWith"},
	{`unexpected token Identifier("ew")`, "ew is not an operator", "write endsWith"},
	{`unexpected token Identifier("pr")`, "pr is not an operator", `compare with "": title != ""`},
	{
		"maximum allowed nodes", fmt.Sprintf("more than %d names, values and operators", maxNodes),
		`write a comparison with many values as department in ["Finance", "Legal"], or several rules`,
	},
}

// unreadable is the parser's error.
func unreadable(err error) *Error {
	e := &Error{Line: 1, Column: 1, Wrong: err.Error(), Remedy: `write it like department == "Finance" and "manager" in roles`}
	if f, ok := errors.AsType[*file.Error](err); ok {
		e.Line, e.Column, e.Wrong = max(1, f.Line), f.Column+1, f.Message
	}
	for _, h := range hints {
		if strings.Contains(e.Wrong, h.message) {
			e.Wrong, e.Remedy = h.wrong, h.remedy
			break
		}
	}
	return e
}

// mistyped is the type checker's error.
func mistyped(err error) *Error {
	e := unreadable(err)
	e.Remedy = `compare a text with a text in quotes, a list by in, any(…) or len(…)`
	if _, ok := errors.AsType[*file.Error](err); !ok {
		e.Wrong = "the whole is neither true nor false"
		e.Remedy = `compare it with something, such as department == "Finance"`
	}
	return e
}
