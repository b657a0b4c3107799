package scim

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold maps strings that are the same without regard to case to one string.
// It is the only caseless rule: user names, e-mail addresses, filters on
// attributes that are not caseExact, and sorting follow it.
//
// The text is brought to NFC and every character to one of those that Unicode
// simple case folding makes equal: the Kelvin sign is k, ſ is s, but ß is not
// ss, İ and ı are not i, and letters of different scripts never meet. What
// follows the last @ is taken for a domain, where only A to Z are folded:
// domains are ASCII, and what is not must not pass for it.
//
// Folding twice changes nothing.
func Fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return foldUnicode(s)
		}
	}
	return strings.ToLower(s)
}

func foldUnicode(s string) string {
	local, domain := s, ""
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		local, domain = s[:at], s[at:]
	}
	// Folding can bring letters together that compose, which then fold in
	// turn; each round shortens the text or ends the loop.
	for {
		next := strings.Map(foldRune, norm.NFC.String(local))
		if next == local {
			break
		}
		local = next
	}
	if domain == "" {
		return local
	}
	return local + strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, domain)
}

// foldRune picks the smallest letter among the characters that fold together,
// in lower case when it is ASCII. Combining marks (U+0345 folds with iota)
// are passed over: they would join the letter before them.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	best := r
	letter := unicode.IsLetter(r)
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		if is := unicode.IsLetter(o); is && !letter || is == letter && o < best {
			best, letter = o, is
		}
	}
	if 'A' <= best && best <= 'Z' {
		best += 'a' - 'A'
	}
	return best
}

// foldsTo reports whether Fold(s) == folded, without allocating when s is
// ASCII.
func foldsTo(s, folded string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return foldUnicode(s) == folded
		}
	}
	if len(s) != len(folded) {
		return false
	}
	for i := range len(s) {
		if lowerASCII(s[i]) != folded[i] {
			return false
		}
	}
	return true
}
