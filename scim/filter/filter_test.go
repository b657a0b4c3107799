package filter

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ast "github.com/scim2/filter-parser/v2"
)

func attr(name string) ast.AttributePath { return ast.AttributePath{AttributeName: name} }

func cmpExpr(path ast.AttributePath, op ast.CompareOperator, v any) *ast.AttributeExpression {
	return &ast.AttributeExpression{AttributePath: path, Operator: op, CompareValue: v}
}

func and(l, r ast.Expression) ast.Expression {
	return &ast.LogicalExpression{Left: l, Right: r, Operator: ast.AND}
}

func or(l, r ast.Expression) ast.Expression {
	return &ast.LogicalExpression{Left: l, Right: r, Operator: ast.OR}
}

func TestParse(t *testing.T) {
	a, b, c := cmpExpr(attr("a"), ast.PR, nil), cmpExpr(attr("b"), ast.PR, nil), cmpExpr(attr("c"), ast.PR, nil)
	urn, sub := "urn:ietf:params:scim:schemas:core:2.0:User", "familyName"
	under, managed := "urn:acme_corp:2.0:User", "value"
	for _, tt := range []struct {
		name, in string
		want     ast.Expression
	}{
		{"one comparison", `userName eq "x"`, cmpExpr(attr("userName"), ast.EQ, "x")},
		{"operators in any case", `userName Eq "x"`, cmpExpr(attr("userName"), ast.EQ, "x")},
		{"presence", `title pr`, cmpExpr(attr("title"), ast.PR, nil)},
		{"a sub-attribute behind a URN with dots", urn + `:name.familyName co "O'Malley"`,
			cmpExpr(ast.AttributePath{URIPrefix: &urn, AttributeName: "name", SubAttribute: &sub}, ast.CO, "O'Malley")},
		{"a URN with _", under + `:boss.value eq "1"`,
			cmpExpr(ast.AttributePath{URIPrefix: &under, AttributeName: "boss", SubAttribute: &managed}, ast.EQ, "1")},
		{"and before or", `a pr or b pr and c pr`, or(a, and(b, c))},
		{"grouping to the left", `a pr and b pr and c pr`, and(and(a, b), c)},
		{"parentheses", `a pr and (b pr or c pr)`, and(a, or(b, c))},
		{"not", `not (a pr)`, &ast.NotExpression{Expression: a}},
		{"not without a space, any case", `NOT(a pr)`, &ast.NotExpression{Expression: a}},
		{"keywords in any case", `a pr AND b pr Or c pr`, or(and(a, b), c)},
		{"no space around parentheses", `(a pr)and(b pr)`, and(a, b)},
		{"runs of spaces", `  a   pr   and  ( b pr )  `, and(a, b)},
		{"a value path", `emails[a pr and b pr]`, &ast.ValuePath{AttributePath: attr("emails"), ValueFilter: and(a, b)}},
		{"anything inside brackets", `emails[not (a pr or b pr) and (c pr)]`,
			&ast.ValuePath{AttributePath: attr("emails"), ValueFilter: and(&ast.NotExpression{Expression: or(a, b)}, c)}},
		{"a sub-attribute behind brackets", `emails[type eq "work"].value eq "x"`,
			&ast.ValuePath{AttributePath: attr("emails"), ValueFilter: and(cmpExpr(attr("type"), ast.EQ, "work"), cmpExpr(attr("value"), ast.EQ, "x"))}},
		{"true", `active eq true`, cmpExpr(attr("active"), ast.EQ, true)},
		{"false in capitals", `active eq False`, cmpExpr(attr("active"), ast.EQ, false)},
		{"null", `title eq null`, cmpExpr(attr("title"), ast.EQ, nil)},
		{"an integer above 2^53", `n eq 9007199254740993`, cmpExpr(attr("n"), ast.EQ, json.Number("9007199254740993"))},
		{"a decimal", `n ge -0.5e+3`, cmpExpr(attr("n"), ast.GE, json.Number("-0.5e+3"))},
		{"escapes", `a eq "\"\\\/\b\f\n\r\t\u00e9\u00E9"`, cmpExpr(attr("a"), ast.EQ, "\"\\/\b\f\n\r\téé")},
		{"a surrogate pair", `a eq "\ud83d\ude00"`, cmpExpr(attr("a"), ast.EQ, "😀")},
		{"$ref", `manager.$ref pr`, cmpExpr(ast.AttributePath{AttributeName: "manager", SubAttribute: new("$ref")}, ast.PR, nil)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.in, Options{SubAttribute: true})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			again, err := Parse(String(got), Options{})
			if err != nil {
				t.Fatalf("printed as %q: %v", String(got), err)
			}
			if d := cmp.Diff(got, again); d != "" {
				t.Errorf("printed as %q and read differently:\n%s", String(got), d)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("(", 17) + "a pr" + strings.Repeat(")", 17)
	for _, tt := range []struct {
		name, in string
		pos      int
		want     string
	}{
		{"nothing", ``, 0, "expected an attribute, found the end"},
		{"no operator", `userName`, 8, "expected operator, found the end"},
		{"an unknown operator", `userName xx "y"`, 9, `expected operator, found "xx" (have eq, ne, co, sw, ew, gt, ge, lt, le, pr)`},
		{"no value", `userName eq`, 11, "expected a value"},
		{"no value after a space", `userName eq `, 12, "expected a value"},
		{"no attribute", `eq "x"`, 3, "expected operator"},
		{"an open quote", `userName eq "x`, 12, "not closed"},
		{"an open quote behind an escape", `userName eq "x\"`, 12, "not closed"},
		{"single quotes", `userName eq 'x'`, 12, "double quotes"},
		{"a word as a value", `externalId eq jyoung`, 14, `found "jyoung"`},
		{"no space before a value", `userName eq"x"`, 11, "expected a space after eq"},
		{"text behind a string", `a eq "x"and b pr`, 8, "expected a space after the string"},
		{"trailing text", `a pr b pr`, 5, "expected and, or, or the end"},
		{"an open parenthesis", `(a pr`, 5, `close the '(' at 0`},
		{"a closing parenthesis", `a pr)`, 4, "the end"},
		{"an open bracket", `emails[a pr`, 11, `close the '[' at 6`},
		{"mixed brackets", `emails[a pr)`, 11, `close the '[' at 6`},
		{"nested brackets", `emails[a[b pr]]`, 8, "inside a value filter"},
		{"brackets behind a sub-attribute", `a.b[c pr]`, 3, "stands behind the attribute"},
		{"empty brackets", `emails[]`, 7, "expected an attribute"},
		{"not without parentheses", `not a pr`, 4, "expected ( after not"},
		{"and without an operand", `a pr and`, 5, "expected and, or"},
		{"a name with a digit first", `1a pr`, 0, "expected an attribute"},
		{"a sub-sub-attribute", `a.b.c pr`, 2, "expected a sub-attribute"},
		{"a URN without an attribute", `urn:x: pr`, 6, "expected an attribute"},
		{"something:attribute", `foo:bar pr`, 0, "urn:…:attribute"},
		{"a raw control character", "a eq \"x\ny\"", 7, "control character"},
		{"half a surrogate pair", `a eq "\ud800"`, 6, "expected an escape"},
		{"two first halves", `a eq "\ud800\ud800"`, 6, "expected an escape"},
		{"an unknown escape", `a eq "\x"`, 6, "expected an escape"},
		{"invalid UTF-8", "a eq \"\xff\"", 5, "UTF-8"},
		{"a number with a leading zero", `n eq 01`, 5, "expected a value"},
		{"a sub-attribute behind brackets that is not asked for", `emails[type eq "work"].value eq "x"`, 22, "expected and, or, or the end"},
		{"17 parentheses", deep, 16, "nested more than 16"},
		{"65 comparisons", strings.Repeat("a pr and ", 64) + "a pr", 576, "more than 64"},
		{"4097 bytes", `a eq "` + strings.Repeat("x", MaxLength) + `"`, MaxLength, "at most 4096"},
		{"100,000 parentheses", strings.Repeat("(", 100_000), MaxLength, "at most 4096"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.in, Options{})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v, want *Error", err)
			}
			if e.Pos != tt.pos || !strings.Contains(e.Msg, tt.want) || e.Kind != "filter" {
				t.Errorf("got %v, want %q at %d", err, tt.want, tt.pos)
			}
		})
	}
}

func TestLimitsAreReached(t *testing.T) {
	for _, in := range []string{
		strings.Repeat("(", 16) + "a pr" + strings.Repeat(")", 16),
		strings.Repeat("a pr or ", 63) + "a pr",
		`a eq "` + strings.Repeat("x", MaxLength-7) + `"`,
	} {
		if _, err := Parse(in, Options{}); err != nil {
			t.Errorf("%.40s…: %v", in, err)
		}
	}
}

func TestUnquoted(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want any
	}{
		{`externalId eq jyoung`, "jyoung"},
		{`externalId eq j@contoso.com`, "j@contoso.com"},
		{`externalId eq 0a21-f`, "0a21-f"},
		{`externalId eq 12`, json.Number("12")},
		{`active eq true`, true},
		{`(externalId eq jyoung)`, "jyoung"},
	} {
		got, err := Parse(tt.in, Options{Unquoted: true})
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if v := got.(*ast.AttributeExpression).CompareValue; v != tt.want {
			t.Errorf("%s: value %#v, want %#v", tt.in, v, tt.want)
		}
	}
	for _, in := range []string{`externalId eq 'x'`, `externalId eq x'`, `externalId eq a b`, "a eq x\x01", `a eq`} {
		if _, err := Parse(in, Options{Unquoted: true}); err == nil {
			t.Errorf("%q was read", in)
		}
	}
}

func TestParsePath(t *testing.T) {
	ent := "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	bare := "urn:ietf:params:scim:schemas:extension:enterprise:2.0"
	work := cmpExpr(attr("type"), ast.EQ, "work")
	for _, tt := range []struct {
		name, in string
		want     ast.Path
	}{
		{"an attribute", `members`, ast.Path{AttributePath: attr("members")}},
		{"a sub-attribute", `name.familyName`, ast.Path{AttributePath: ast.AttributePath{AttributeName: "name", SubAttribute: new("familyName")}}},
		{"a URN", ent + ":manager.value", ast.Path{AttributePath: ast.AttributePath{URIPrefix: &ent, AttributeName: "manager", SubAttribute: new("value")}}},
		{"a URN alone is cut at its last colon", ent, ast.Path{AttributePath: ast.AttributePath{URIPrefix: &bare, AttributeName: "User"}}},
		{"a value path", `members[value eq "1"]`, ast.Path{AttributePath: attr("members"), ValueExpression: cmpExpr(attr("value"), ast.EQ, "1")}},
		{"a value path with a sub-attribute", `emails[type eq "work"].value`, ast.Path{AttributePath: attr("emails"), ValueExpression: work, SubAttribute: new("value")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePath(tt.in, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if s := PathString(got); s != tt.in {
				t.Errorf("printed as %q", s)
			}
		})
	}
	for _, tt := range []struct{ in, want string }{
		{``, "path: at 0: expected an attribute, found the end"},
		{`emails[type eq`, "path: at 14: expected a value"},
		{`emails[type eq "work"`, "path: at 21: "},
		{`emails[type eq "work"].`, "path: at 23: expected a sub-attribute"},
		{`emails[type eq "work"].value.x`, "path: at 28: expected the end"},
		{`a b`, "path: at 2: expected the end"},
		{`a.`, "path: at 2: expected a sub-attribute"},
		{`emails[type eq "w"].value eq "x"`, "path: at 26: expected the end"},
		{strings.Repeat("a", 10_000), "path: at 4096: "},
	} {
		if _, err := ParsePath(tt.in, Options{}); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%.40q: error %v, want %q", tt.in, err, tt.want)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bb := range []struct{ name, in string }{
		{"userName", `userName eq "barbara.jensen@example.com"`},
		{"work e-mail", `emails[type eq "work"].value eq "barbara.jensen@example.com"`},
		{"two terms", `id eq "2819c223-7f76-453a-919d-413861904646" and manager eq "26118915-6090-4610-87e4-49d8ca9f808d"`},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(bb.in, Options{SubAttribute: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestParseAllocations(t *testing.T) {
	n := testing.AllocsPerRun(100, func() {
		if _, err := Parse(`userName eq "barbara.jensen@example.com"`, Options{}); err != nil {
			t.Fatal(err)
		}
	})
	if n > 5 {
		t.Errorf("%v allocations for the commonest filter, at most 5 are budgeted", n)
	}
}
