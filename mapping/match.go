package mapping

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/sharearefund/scim-bridge/scim"
)

// MatchKind says how a Match compares.
type MatchKind string

const (
	// Exact compares the whole displayName, folded (scim.Fold).
	Exact MatchKind = "exact"
	// Glob compares the whole displayName, folded: "*" stands for any run of
	// characters, "?" for one.
	Glob MatchKind = "glob"
	// Regex matches the whole displayName as written against an RE2
	// expression.
	Regex MatchKind = "regex"
	// ExternalID compares the externalId byte for byte.
	ExternalID MatchKind = "external_id"
)

// Match picks groups by what a provisioning client calls them. It is
// immutable and safe for concurrent use; two of the same kind and text are
// equal, by Equal and by reflect.DeepEqual. The zero value picks nothing.
type Match struct {
	kind MatchKind
	text string
	// fold is the text to compare with, folded; for Exact and Glob.
	fold string
	// re prefers the longest match; for Regex.
	re *regexp.Regexp
}

// MatchExact picks the groups of the given displayName.
func MatchExact(name string) *Match {
	return &Match{kind: Exact, text: name, fold: scim.Fold(name)}
}

// MatchGlob picks the groups whose displayName has the form of the pattern.
// Neither "*" nor "?" can be escaped: MatchRegex is for names that have them.
func MatchGlob(pattern string) *Match {
	return &Match{kind: Glob, text: pattern, fold: scim.Fold(pattern)}
}

// MatchRegex picks the groups whose whole displayName matches the RE2
// expression, which needs no ^ and $ for that. The error is that of
// regexp.Compile.
func MatchRegex(expression string) (*Match, error) {
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	re.Longest()
	return &Match{kind: Regex, text: expression, re: re}, nil
}

// MatchExternalID picks the group of the given externalId.
func MatchExternalID(id string) *Match {
	return &Match{kind: ExternalID, text: id}
}

// Kind says how m compares.
func (m *Match) Kind() MatchKind { return m.kind }

// Text is what m was made of.
func (m *Match) Text() string { return m.text }

// String shows m to administrators: exact "Managers".
func (m *Match) String() string { return fmt.Sprintf("%s %q", m.kind, m.text) }

// Equal reports whether m and o are of the same kind and text. Two nil ones
// are equal.
func (m *Match) Equal(o *Match) bool {
	if m == nil || o == nil {
		return m == o
	}
	return m.kind == o.kind && m.text == o.text
}

// Matches reports whether m picks the group of the given displayName and
// externalId. An absent one is "", which nothing picks.
func (m *Match) Matches(displayName, externalID string) bool {
	switch m.kind {
	case ExternalID:
		return externalID != "" && externalID == m.text
	case Exact:
		return displayName != "" && scim.Fold(displayName) == m.fold
	case Glob:
		return displayName != "" && globMatches(m.fold, scim.Fold(displayName))
	case Regex:
		// Of the matches at the beginning the longest is found, which is the
		// whole name if any match is.
		found := m.re.FindStringIndex(displayName)
		return displayName != "" && found != nil && found[0] == 0 && found[1] == len(displayName)
	}
	return false
}

// globMatches takes time proportional to the product of the lengths at most:
// only the last "*" met is ever tried again, since an earlier one that took
// more would leave less to match.
func globMatches(pattern, name string) bool {
	star, again := -1, 0 // behind the last "*", and where name goes on after it
	p, n := 0, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, again = p, n
			continue
		}
		if p < len(pattern) {
			_, width := utf8.DecodeRuneInString(name[n:])
			if pattern[p] == '?' {
				p, n = p+1, n+width
				continue
			}
			if strings.HasPrefix(pattern[p:], name[n:n+width]) {
				p, n = p+width, n+width
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, width := utf8.DecodeRuneInString(name[again:])
		again += width
		p, n = star, again
	}
	return strings.Trim(pattern[p:], "*") == ""
}
