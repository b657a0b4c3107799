package filter

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	ast "github.com/scim2/filter-parser/v2"
	"pgregory.net/rapid"
)

// genFilter makes filters that filter-parser reads rightly: no escapes, at
// most two terms and no parentheses in brackets, no underscore in a URN.
func genFilter(t *rapid.T, depth int) string {
	leaf := func(label string) string {
		name := rapid.SampledFrom([]string{
			"userName", "name.familyName", "active", "urn:ietf:params:scim:schemas:core:2.0:User:title",
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value", "x-y", "a_b",
		}).Draw(t, label+" attribute")
		if rapid.Bool().Draw(t, label+" present") {
			return name + " pr"
		}
		op := rapid.SampledFrom([]string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"}).Draw(t, label+" operator")
		value := rapid.SampledFrom([]string{`"x"`, `""`, `"a b(c)[d]"`, `"é"`, "true", "false", "null", "42", "-7", "1.5"}).Draw(t, label+" value")
		return name + " " + op + " " + value
	}
	switch n := rapid.IntRange(0, 5).Draw(t, "shape"); {
	case depth == 0 || n == 0:
		return leaf("leaf")
	case n == 1:
		return "not (" + genFilter(t, depth-1) + ")"
	case n == 2:
		return "(" + genFilter(t, depth-1) + ")"
	case n == 3:
		return "emails[type eq \"work\" and value pr]"
	case n == 4:
		return genFilter(t, depth-1) + " and " + genFilter(t, depth-1)
	default:
		return genFilter(t, depth-1) + " or " + genFilter(t, depth-1)
	}
}

func TestAgreesWithFilterParser(t *testing.T) { rapid.Check(t, agreesWithFilterParser) }

// FuzzAgreesWithFilterParser is the same, steered by coverage.
func FuzzAgreesWithFilterParser(f *testing.F) {
	for seed := range uint64(8) { // rapid draws from the bytes, and needs enough of them
		random := rand.New(rand.NewPCG(seed, 0))
		draws := make([]byte, 2<<10)
		for i := range draws {
			draws[i] = byte(random.Uint32())
		}
		f.Add(draws)
	}
	f.Fuzz(rapid.MakeFuzz(agreesWithFilterParser))
}

func agreesWithFilterParser(t *rapid.T) {
	in := genFilter(t, 4)
	want, err := ast.ParseFilterNumber([]byte(in))
	if err != nil {
		t.Skipf("the library refuses %q: %v", in, err)
	}
	got, err := Parse(in, Options{})
	if err != nil {
		t.Fatalf("%q: %v", in, err)
	}
	if d := cmp.Diff(normalize(want), normalize(got)); d != "" {
		t.Fatalf("%q (-library +ours):\n%s", in, d)
	}
	again, err := Parse(String(got), Options{})
	if err != nil || !cmp.Equal(got, again) {
		t.Fatalf("%q printed as %q: %v", in, String(got), err)
	}
}

// normalize makes the library's number types one.
func normalize(e ast.Expression) ast.Expression {
	switch e := e.(type) {
	case *ast.LogicalExpression:
		return &ast.LogicalExpression{Left: normalize(e.Left), Right: normalize(e.Right), Operator: e.Operator}
	case *ast.NotExpression:
		return &ast.NotExpression{Expression: normalize(e.Expression)}
	case *ast.ValuePath:
		return &ast.ValuePath{AttributePath: e.AttributePath, ValueFilter: normalize(e.ValueFilter)}
	case *ast.AttributeExpression:
		c := *e
		switch v := c.CompareValue.(type) {
		case int, int64, float64:
			c.CompareValue = json.Number(fmt.Sprint(v))
		}
		return &c
	}
	return e
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		`userName eq "x"`, `emails[type eq "work"].value eq "x"`, `not (a pr or b.c co "\u00e9")`, `a eq 1e5 and b le null`,
		`urn:ietf:params:scim:schemas:core:2.0:User:name.familyName sw "J"`, `((((a pr))))`, `emails[a pr or b pr].c ew "x" or d pr`,
		`externalId eq jyoung`, `a eq "\ud83d\ude00"`, `a eq "`, `a[`, `not(`, `roles[primary eq "True"].value eq "Admin"`,
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, unquoted bool) {
		e, err := Parse(s, Options{Unquoted: unquoted, SubAttribute: true})
		if err != nil {
			if pe, ok := err.(*Error); !ok || pe.Pos < 0 || pe.Pos > len(s) {
				t.Fatalf("%q: error %#v", s, err)
			}
			return
		}
		printed := String(e)
		if len(printed) > MaxLength {
			return
		}
		again, err := Parse(printed, Options{})
		if err != nil {
			t.Fatalf("%q printed as %q: %v", s, printed, err)
		}
		if d := cmp.Diff(e, again); d != "" {
			t.Fatalf("%q printed as %q and read differently:\n%s", s, printed, d)
		}
		if p := String(again); p != printed {
			t.Fatalf("%q printed as %q, then as %q", s, printed, p)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{
		`members`, `name.familyName`, `emails[type eq "work"].value`, `members[value eq "1"]`, `roles[primary eq "True"].value`,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager`, `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`,
		`emails[type eq`, `a.b.c`, `$ref`, `x[not (a pr)]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s, Options{})
		if err != nil {
			if pe, ok := err.(*Error); !ok || pe.Pos < 0 || pe.Pos > len(s) {
				t.Fatalf("%q: error %#v", s, err)
			}
			return
		}
		printed := PathString(p)
		if len(printed) > MaxLength {
			return
		}
		again, err := ParsePath(printed, Options{})
		if err != nil {
			t.Fatalf("%q printed as %q: %v", s, printed, err)
		}
		if d := cmp.Diff(p, again); d != "" {
			t.Fatalf("%q printed as %q and read differently:\n%s", s, printed, d)
		}
	})
}
