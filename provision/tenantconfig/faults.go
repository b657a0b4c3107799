package tenantconfig

import (
	"fmt"
	"strings"

	"github.com/sharearefund/scim-bridge/mapping/condition/spelling"
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
func Closest(word string, have []string) string { return spelling.Closest(word, have) }
