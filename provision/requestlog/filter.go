package requestlog

import (
	"encoding/json"
	"strings"

	ast "github.com/scim2/filter-parser/v2"

	"github.com/sharearefund/scim-bridge/scim/filter"
)

// unreadable stands for a filter that cannot be shown without its values.
const unreadable = "(unreadable)"

// masker replaces the values of one tenant.
type masker struct {
	pseudonyms *Pseudonyms
	tenant     string
}

func (m masker) of(value string) string { return m.pseudonyms.Of(m.tenant, value) }

// filter shows a filter with pseudonyms for its values, as in
// userName eq p-7f3k…, and lists those that it compares by eq.
func (m masker) filter(text string) (shown string, names []string) {
	if strings.TrimSpace(text) == "" {
		return "", nil
	}
	// What any client writes is to be shown.
	e, err := filter.Parse(text, filter.Options{Unquoted: true, SubAttribute: true})
	if err != nil {
		return unreadable, nil
	}
	m.expression(e, &names)
	return filter.String(e), names
}

// expression replaces what is not of the protocol's words in a tree.
func (m masker) expression(e ast.Expression, names *[]string) {
	switch e := e.(type) {
	case *ast.LogicalExpression:
		m.expression(e.Left, names)
		m.expression(e.Right, names)
	case *ast.NotExpression:
		m.expression(e.Expression, names)
	case *ast.ValuePath:
		m.attribute(&e.AttributePath)
		m.expression(e.ValueFilter, names)
	case *ast.AttributeExpression:
		m.attribute(&e.AttributePath)
		var value string
		switch v := e.CompareValue.(type) {
		case string:
			value = v
		case json.Number:
			value = v.String()
		default:
			return // true, false, null
		}
		shown := m.of(value)
		switch {
		case value == "":
			return
		case strings.EqualFold(e.AttributePath.AttributeName, "type") && known(value):
			shown = value // of the entries of an attribute: work, home
		case e.Operator == ast.EQ:
			*names = append(*names, shown)
		}
		e.CompareValue = json.Number(shown) // which is printed without quotes
	}
}

// attribute hides a name that no schema has: it may be a value in the wrong
// place.
func (m masker) attribute(p *ast.AttributePath) {
	if p.URIPrefix != nil && !known(*p.URIPrefix) {
		p.URIPrefix = new(m.of(*p.URIPrefix))
	}
	if !known(p.AttributeName) {
		p.AttributeName = m.of(p.AttributeName)
	}
	if p.SubAttribute != nil && !known(*p.SubAttribute) {
		p.SubAttribute = new(m.of(*p.SubAttribute))
	}
}
