package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Report is what a run found.
type Report struct {
	// Status is the worst level found, OK when there is no finding.
	Status Level `json:"status"`
	// Counts has every level.
	Counts   map[Level]int `json:"counts"`
	Findings []Finding     `json:"findings"`
}

// NewReport orders the findings: those of the deployment, then those of each
// tenant by slug, each in the order of Names.
func NewReport(all []Finding) Report {
	r := Report{Status: OK, Counts: map[Level]int{OK: 0, Notice: 0, Warning: 0, Error: 0}, Findings: slices.Clone(all)}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	names := Names()
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		if a.Tenant != b.Tenant {
			return strings.Compare(a.Tenant, b.Tenant)
		}
		return slices.Index(names, a.Check) - slices.Index(names, b.Check)
	})
	for _, f := range r.Findings {
		r.Counts[f.Level]++
		if f.Level.rank() > r.Status.rank() {
			r.Status = f.Level
		}
	}
	return r
}

// Quiet leaves out what is well and what is only a notice. Status and Counts
// stay.
func (r Report) Quiet() Report {
	r.Findings = slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Level.rank() < Warning.rank() })
	return r
}

// WriteJSON writes the report as one indented JSON object.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes the report for people: a line for each finding, with what it
// is about unless the line before says so, and the remedy below it. plain makes text from outside harmless to a terminal.
func (r Report) WriteText(w io.Writer, plain func(string) string) error {
	var b strings.Builder
	tenant, check, subject := "", "", ""
	for _, f := range r.Findings {
		if f.Tenant != tenant {
			fmt.Fprintf(&b, "\ntenant %s\n", plain(f.Tenant))
			tenant, check = f.Tenant, ""
		}
		name := f.Check
		if name == check {
			name = ""
		} else {
			subject = ""
		}
		text := f.Detail
		if f.Subject != "" && f.Subject != subject {
			text = f.Subject + ": " + f.Detail
		}
		check, subject = f.Check, f.Subject
		fmt.Fprintf(&b, "%-14s %-8s %s\n", name, f.Level, plain(text))
		if f.Remedy != "" {
			fmt.Fprintf(&b, "%-14s %-8s → %s\n", "", "", plain(f.Remedy))
		}
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	b.WriteString(r.summary() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Report) summary() string {
	var parts []string
	for _, l := range []Level{Error, Warning, Notice, OK} {
		name := string(l)
		if n := r.Counts[l]; n > 0 {
			if n > 1 && l != OK {
				name += "s"
			}
			parts = append(parts, fmt.Sprintf("%d %s", n, name))
		}
	}
	if len(parts) == 0 {
		return "nothing was looked at"
	}
	return strings.Join(parts, ", ")
}
