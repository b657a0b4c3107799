// Package condition decides whether a SCIM user is one that an administrator
// described:
//
//	department == "Finance" and not ("Contractor" in roles)
//
// The names are those of SCIM (Names has them all). Texts are compared case
// by case, as written; lower(department) == "finance" does not mind it.
// Operators are == != < <= > >= and or not in contains startsWith endsWith
// matches; functions are lower, upper, trim and len, and over lists any, all,
// none, count and filter with "#" for the entry: any(emails, # endsWith
// "@example.com"). The pattern of matches is an RE2 expression in quotes and
// finds a part of the text; ^ and $ anchor it.
package condition

import (
	"fmt"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/sharearefund/scim-bridge/scim"
)

const (
	// maxText bounds a condition in bytes.
	maxText = 1024
	// maxNodes bounds its operators, names and values.
	maxNodes = 128
	// maxMemory bounds what an evaluation may set aside, in list entries and
	// bytes as the evaluator counts them.
	maxMemory = 1 << 17
	// maxUser bounds what an evaluation reads of a user, in bytes.
	maxUser = 64 << 10
)

// Condition is a compiled expression over a user. It is immutable and safe
// for concurrent use; compare two by Equal.
type Condition struct {
	text    string
	uses    uses
	program *vm.Program
}

// Compile reads an expression. The error is a *Error. What compiles takes
// time and memory linear in the user's size to evaluate.
func Compile(text string) (c *Condition, err error) {
	defer func() {
		// A parser that is given outside input must not take the server down.
		if r := recover(); r != nil {
			c, err = nil, &Error{Line: 1, Column: 1, Wrong: fmt.Sprintf("cannot be read: %v", r), Remedy: "write it in another way"}
		}
	}()
	used, err := check(text)
	if err != nil {
		return nil, err
	}
	options := []expr.Option{expr.Env(environment{}), expr.AsBool(), expr.WarnOnAny(), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins()}
	for _, name := range functions {
		options = append(options, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(text, options...)
	if err != nil {
		return nil, mistyped(err)
	}
	return &Condition{text: text, uses: used, program: program}, nil
}

// Holds reports whether u is as the condition says. With an error, which is
// for reporting, it does not hold. What u lacks is "", an empty list or false;
// only an absent active is true, as everywhere. u is read, never changed.
func (c *Condition) Holds(u *scim.User) (bool, error) {
	env := environmentOf(u, c.uses)
	if n := env.size(); n > maxUser {
		return false, fmt.Errorf("condition %q: the user has %d bytes of attributes to look at, more than %d", c.text, n, maxUser)
	}
	machine := vm.VM{MemoryBudget: maxMemory}
	out, err := machine.Run(c.program, env)
	if err != nil {
		return false, fmt.Errorf("condition %q: %w", c.text, err)
	}
	holds, ok := out.(bool)
	if !ok {
		return false, fmt.Errorf("condition %q gave a %T, not true or false", c.text, out)
	}
	return holds, nil
}

// String is the expression as it was written.
func (c *Condition) String() string { return c.text }

// Equal reports whether c and o are the same expression. Two nil ones are
// equal.
func (c *Condition) Equal(o *Condition) bool {
	if c == nil || o == nil {
		return c == o
	}
	return c.text == o.text
}
