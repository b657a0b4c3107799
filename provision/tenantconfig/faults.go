package tenantconfig

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a document.
type Fault struct {
	// Path leads to it: "upstream.base_url", "organizations[2]"; empty for
	// the document as a whole.
	Path string
	// Value is what stands there, as text; empty when nothing does or when
	// it must not be shown.
	Value string
	// Wrong says what is wrong with it.
	Wrong string
	// Remedy says what to do.
	Remedy string
}

// String reads "path: value: what is wrong; remedy". Whoever shows it knows
// the document's name, and puts it in front.
func (f Fault) String() string {
	var b strings.Builder
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	if f.Value != "" {
		fmt.Fprintf(&b, "%q: ", f.Value)
	}
	b.WriteString(f.Wrong)
	if f.Remedy != "" {
		b.WriteString("; " + f.Remedy)
	}
	return b.String()
}

// Faults is everything that is wrong with a document, in the order of its
// fields. It is the error of Parse.
type Faults []Fault

// Error has one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

// Closest is the one of have that is most like the word, or "" when none is
// like enough to have been meant.
func Closest(word string, have []string) string {
	best, bestDistance := "", max(2, len(word)/3)+1
	for _, h := range have {
		if d := distance(strings.ToLower(word), h); d < bestDistance {
			best, bestDistance = h, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
