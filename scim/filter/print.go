package filter

import (
	"encoding/json"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	ast "github.com/scim2/filter-parser/v2"
)

// String prints a tree of Parse so that Parse reads the same tree again. The
// text may be a few bytes longer than what was parsed.
func String(e ast.Expression) string { return string(appendExpression(nil, e)) }

// PathString prints a path of ParsePath so that ParsePath reads it again.
func PathString(p ast.Path) string {
	dst := appendPath(nil, p.AttributePath)
	if p.ValueExpression != nil {
		dst = append(dst, '[')
		dst = appendExpression(dst, p.ValueExpression)
		dst = append(dst, ']')
	}
	if p.SubAttribute != nil {
		dst = append(dst, '.')
		dst = append(dst, *p.SubAttribute...)
	}
	return string(dst)
}

func appendExpression(dst []byte, e ast.Expression) []byte {
	switch e := e.(type) {
	case *ast.LogicalExpression:
		left, right := parenthesized(e)
		dst = appendOperand(dst, e.Left, left)
		dst = append(dst, ' ')
		dst = append(dst, e.Operator...)
		dst = append(dst, ' ')
		dst = appendOperand(dst, e.Right, right)
	case *ast.NotExpression:
		dst = append(dst, "not "...)
		dst = appendOperand(dst, e.Expression, true)
	case *ast.ValuePath:
		dst = appendPath(dst, e.AttributePath)
		dst = append(dst, '[')
		dst = appendExpression(dst, e.ValueFilter)
		dst = append(dst, ']')
	case *ast.AttributeExpression:
		dst = appendPath(dst, e.AttributePath)
		dst = append(dst, ' ')
		dst = append(dst, e.Operator...)
		if e.Operator != ast.PR {
			dst = append(dst, ' ')
			dst = appendValue(dst, e.CompareValue)
		}
	}
	return dst
}

// parenthesized tells which operands of e stand in parentheses: or below and,
// and on the right the same operator, since both group to the left.
func parenthesized(e *ast.LogicalExpression) (left, right bool) {
	left = e.Operator == ast.AND && isLogical(e.Left, ast.OR)
	right = e.Operator == ast.AND && isLogical(e.Right, ast.OR) || isLogical(e.Right, e.Operator)
	return left, right
}

// depth is how deep parentheses and brackets nest in String(e).
func depth(e ast.Expression) int {
	switch e := e.(type) {
	case *ast.LogicalExpression:
		l, r := depth(e.Left), depth(e.Right)
		left, right := parenthesized(e)
		if left {
			l++
		}
		if right {
			r++
		}
		return max(l, r)
	case *ast.NotExpression:
		return depth(e.Expression) + 1
	case *ast.ValuePath:
		return depth(e.ValueFilter) + 1
	}
	return 0
}

func isLogical(e ast.Expression, op ast.LogicalOperator) bool {
	l, ok := e.(*ast.LogicalExpression)
	return ok && l.Operator == op
}

func appendOperand(dst []byte, e ast.Expression, parentheses bool) []byte {
	if !parentheses {
		return appendExpression(dst, e)
	}
	dst = append(dst, '(')
	dst = appendExpression(dst, e)
	return append(dst, ')')
}

func appendPath(dst []byte, p ast.AttributePath) []byte {
	if p.URIPrefix != nil {
		dst = append(dst, *p.URIPrefix...)
		dst = append(dst, ':')
	}
	dst = append(dst, p.AttributeName...)
	if p.SubAttribute != nil {
		dst = append(dst, '.')
		dst = append(dst, *p.SubAttribute...)
	}
	return dst
}

func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case json.Number:
		return append(dst, v...)
	case string:
		// Only invalid UTF-8 is an error, and Parse yields none; what a
		// caller made is printed with U+FFFD.
		dst, _ = jsontext.AppendQuote(dst, v)
	}
	return dst
}
