package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// table prints aligned columns.
type table struct{ w *tabwriter.Writer }

func (c *cli) table(header ...string) *table {
	t := &table{tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)}
	t.row(header...)
	return t
}

// row adds a line. What comes from outside is printed so that it cannot move
// the cursor or break the columns.
func (t *table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = plain(cell)
	}
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

func (t *table) flush() error { return t.w.Flush() }

// plain escapes control characters, separators and bidirectional overrides.
func plain(s string) string {
	unsafe := func(c rune) bool {
		return c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' || c >= '\u202a' && c <= '\u202e' || c >= '\u2066' && c <= '\u2069'
	}
	if !strings.ContainsFunc(s, unsafe) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if unsafe(c) {
			fmt.Fprintf(&b, "\\u%04x", c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// stamp is a time as tables show it, "-" when there was none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// printJSON prints v on one line.
func (c *cli) printJSON(v any) error { return json.NewEncoder(c.stdout).Encode(v) }

// printIndented prints v for people who read JSON.
func (c *cli) printIndented(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
