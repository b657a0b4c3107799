package scim

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestFold(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		same       bool
	}{
		{"ASCII case", "JYoung@Contoso.COM", "jyoung@contoso.com", true},
		{"the Kelvin sign", "\u212aim", "kim", true},
		{"a long s", "\u017fam", "Sam", true},
		{"sharp s and ss", "stra\u00dfe", "strasse", false},
		{"sharp s, capital", "STRA\u1e9eE", "stra\u00dfe", true},
		{"dotted I", "\u0130", "i", false},
		{"dotless i", "\u0131", "I", false},
		{"Cyrillic a", "\u0430dmin@x.com", "admin@x.com", false},
		{"full width", "\uff41", "a", false},
		{"full width case", "\uff21", "\uff41", true},
		{"NFC and NFD", "Ame\u0301lie", "am\u00c9lie", true},
		{"the Angstrom sign", "\u212b", "\u00e5", true},
		{"Greek sigmas", "\u03c3\u03a3\u03c2", "\u03c2\u03c3\u03a3", true},
		{"iota and the mark below", "\u1fb3", "\u03b1\u0345", true},
		{"long s with an accent", "\u017f\u0301", "\u015a", true},
		{"a domain is ASCII", "a@\u212a.com", "a@k.com", false},
		{"a domain is not composed", "a@e\u0301.com", "a@\u00e9.com", false},
		{"the local part is not the domain", "\u212a@K.com", "k@k.com", true},
		{"spaces stay", "a ", "a", false},
		{"empty", "", "", true},
	} {
		if got := Fold(tt.a) == Fold(tt.b); got != tt.same {
			t.Errorf("%s: %q and %q fold to %q and %q", tt.name, tt.a, tt.b, Fold(tt.a), Fold(tt.b))
		}
		if got := foldsTo(tt.a, Fold(tt.b)); got != tt.same {
			t.Errorf("%s: foldsTo disagrees with Fold", tt.name)
		}
	}
	if got := Fold("ABC@XYZ"); got != "abc@xyz" {
		t.Errorf("ASCII folds to lower case, got %q", got)
	}
}

func TestFoldProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Marks and letters that compose and fold, beside anything.
		s := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("aAkKsS\u017f\u212a\u0301\u0307\u0345\u0130\u0131i\u03b9\u1fbe\u03b1\u1fb3\u0308\u00df\u1e9e@.")))).Draw(t, "s")
		folded := Fold(s)
		if again := Fold(folded); again != folded {
			t.Fatalf("%+q folds to %+q and that to %+q", s, folded, again)
		}
		local := s
		if at := strings.LastIndexByte(s, '@'); at >= 0 {
			local = s[:at]
		}
		if a, b := Fold(norm.NFD.String(local)+"@x"), Fold(norm.NFC.String(local)+"@x"); a != b {
			t.Fatalf("%+q decomposed folds to %+q, composed to %+q", local, a, b)
		}
		if !foldsTo(s, folded) {
			t.Fatalf("foldsTo(%+q, %+q) is false", s, folded)
		}
	})
}

func TestValidEmail(t *testing.T) {
	long := strings.Repeat("x", 63)
	for _, s := range []string{
		"a@b.cc", "joy.young+tag@contoso.onmicrosoft.com", "o'brien@x.ie", "jos\u00e9@example.com", "a_b-c%d@sub.example.co", "x@xn--bcher-kva.example",
		long + "@" + long + "." + long + "." + strings.Repeat("y", 62), "0a21f0f2@1.2.example",
	} {
		if err := ValidEmail(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, tt := range []struct{ in, want string }{
		{"", "no @"}, {"a", "no @"}, {"a@b", "not a full domain"}, {"a@@b", "more than one @"}, {"a@b@c.de", "more than one @"}, {`"a b"@c.de`, "cannot stand before"},
		{"a@[127.0.0.1]", "cannot stand in a domain"}, {strings.Repeat("x", 300) + "@b.cc", "at most 254"}, {strings.Repeat("x", 65) + "@b.cc", "1 to 64"},
		{"a@b.c\r\nBcc: x@y", "U+000D"}, {"@b.cc", "1 to 64"}, {"a@", "is not a domain"}, {"a@b..cc", "is not a domain"}, {"a@.b.cc", "is not a domain"}, {"a@b.cc.", "is not a domain"},
		{"a@-b.cc", "is not a domain"}, {"a@b\u00fccher.example", "xn--"}, {".a@b.cc", "misplaced dot"}, {"a.@b.cc", "misplaced dot"}, {"a..b@c.de", "misplaced dot"},
		{"a b@c.de", "cannot stand before"}, {"a\u200b@c.de", "U+200B"}, {"a\u202e@c.de", "U+202E"}, {"a@c.de ", "cannot stand in a domain"}, {"<a@c.de>", "cannot stand"},
		{"a@" + strings.Repeat("x", 64) + ".de", "is not a domain"}, {"a\x00@c.de", "U+0000"},
	} {
		if err := ValidEmail(tt.in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want %q", tt.in, err, tt.want)
		}
	}
}
