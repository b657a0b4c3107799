package mapping

import (
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func mustRegex(t *testing.T, expression string) *Match {
	t.Helper()
	m, err := MatchRegex(expression)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		match    *Match
		name, id string
		want     bool
		shownAs  string
		because  string
	}{
		{MatchExact("Managers"), "managers", "", true, `exact "Managers"`, "case does not count"},
		{MatchExact("Managers"), "Managers EU", "", false, `exact "Managers"`, "the whole name counts"},
		{MatchExact("Fo\u0308rderer"), "F\u00d6RDERER", "", true, "exact \"Fo\u0308rderer\"", "forms of a letter are one"},
		{MatchExact("Managers"), "", "Managers", false, `exact "Managers"`, "the id is no name"},
		{MatchExact("a*"), "ab", "", false, `exact "a*"`, "exact has no wildcards"},
		{MatchGlob("SAR *"), "sar Managers", "", true, `glob "SAR *"`, "case does not count"},
		{MatchGlob("SAR *"), "SAR ", "", true, `glob "SAR *"`, "a run may be empty"},
		{MatchGlob("SAR *"), "XSAR Managers", "", false, `glob "SAR *"`, "the beginning counts"},
		{MatchGlob("*-admins"), "eu-admins-old", "", false, `glob "*-admins"`, "the end counts"},
		{MatchGlob("*-admins"), "x-admins-admins", "", true, `glob "*-admins"`, "the run may hold what follows"},
		{MatchGlob("a*b*c"), "a-b-x-b-c", "", true, `glob "a*b*c"`, "several runs"},
		{MatchGlob("a*b*c"), "a-c-b", "", false, `glob "a*b*c"`, "their order counts"},
		{MatchGlob("EU?"), "eu\u00e9", "", true, `glob "EU?"`, "? is a character, not a byte"},
		{MatchGlob("EU?"), "EU", "", false, `glob "EU?"`, "? is not nothing"},
		{MatchGlob("[a]"), "a", "", false, `glob "[a]"`, "there are no classes"},
		{MatchGlob("*"), "", "x", false, `glob "*"`, "an absent name is none"},
		{MatchGlob("***?"), "x", "", true, `glob "***?"`, "runs of runs"},
		{mustRegex(t, "SAR|Share"), "SAR", "", true, `regex "SAR|Share"`, "one of two"},
		{mustRegex(t, "SAR|Share"), "SAR x", "", false, `regex "SAR|Share"`, "both branches are anchored"},
		{mustRegex(t, "SAR|Share"), "sar", "", false, `regex "SAR|Share"`, "case counts"},
		{mustRegex(t, "(?i)sar.*"), "SAR x", "", true, `regex "(?i)sar.*"`, "a flag lasts"},
		{mustRegex(t, "a|ab"), "ab", "", true, `regex "a|ab"`, "the longer branch counts too"},
		{mustRegex(t, "a*?"), "aa", "", true, `regex "a*?"`, "a lazy repetition may be long"},
		{mustRegex(t, "^b$"), "ab", "", false, `regex "^b$"`, "anchors change nothing"},
		{mustRegex(t, `\Qa.`), "a.", "", true, `regex "\\Qa."`, "quoting to the end is allowed"},
		{mustRegex(t, ".*"), "", "x", false, `regex ".*"`, "an absent name is none"},
		{mustRegex(t, "a"), "a\n", "", false, `regex "a"`, "a line end is a character"},
		{MatchExternalID("0a-B"), "", "0a-B", true, `external_id "0a-B"`, "the id"},
		{MatchExternalID("0a-B"), "0a-B", "0A-b", false, `external_id "0a-B"`, "case counts"},
		{MatchExternalID(""), "x", "", false, `external_id ""`, "an absent id is none"},
		{&Match{}, "x", "x", false, ` ""`, "the zero value"},
	}
	for _, tt := range tests {
		t.Run(tt.match.String()+" "+tt.because, func(t *testing.T) {
			t.Parallel()
			if got := tt.match.Matches(tt.name, tt.id); got != tt.want {
				t.Errorf("Matches(%q, %q) = %v, want %v: %s", tt.name, tt.id, got, tt.want, tt.because)
			}
			if d := cmp.Diff(tt.shownAs, tt.match.String()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestMatchRegexFaults(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"(", "a)|(b", "(?=x)", `a{1001}`} {
		if m, err := MatchRegex(expression); err == nil {
			t.Errorf("MatchRegex(%q) = %v, want an error", expression, m)
		}
	}
}

func TestMatchEqual(t *testing.T) {
	t.Parallel()
	tests := []struct {
		a, b *Match
		want bool
	}{
		{MatchExact("a"), MatchExact("a"), true},
		{MatchExact("a"), MatchGlob("a"), false},
		{MatchExact("a"), MatchExact("A"), false},
		{mustRegex(t, "a+(b|c)"), mustRegex(t, "a+(b|c)"), true},
		{mustRegex(t, "a"), mustRegex(t, "b"), false},
		{MatchExternalID("a"), nil, false},
		{nil, nil, true},
	}
	for _, tt := range tests {
		if got := cmp.Equal(tt.a, tt.b); got != tt.want {
			t.Errorf("cmp.Equal(%v, %v) = %v", tt.a, tt.b, got)
		}
		if got := reflect.DeepEqual(tt.a, tt.b); got != tt.want {
			t.Errorf("reflect.DeepEqual(%v, %v) = %v", tt.a, tt.b, got)
		}
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("*?\u00e9", "\u00e9x\u00e9")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 8 || len(name) > 8 || !utf8.ValidString(pattern) || !utf8.ValidString(name) {
			return
		}
		if got, want := globMatches(pattern, name), globModel([]rune(pattern), []rune(name)); got != want {
			t.Errorf("globMatches(%q, %q) = %v, want %v", pattern, name, got, want)
		}
	})
}

// globModel is what a glob means, tried out.
func globModel(pattern, name []rune) bool {
	switch {
	case len(pattern) == 0:
		return len(name) == 0
	case pattern[0] == '*':
		return globModel(pattern[1:], name) || len(name) > 0 && globModel(pattern, name[1:])
	}
	return len(name) > 0 && (pattern[0] == '?' || pattern[0] == name[0]) && globModel(pattern[1:], name[1:])
}
