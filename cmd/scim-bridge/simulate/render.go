package simulate

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// reportWidth is how many columns a line of a written report may have.
const reportWidth = 96

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	p := &page{w: w}
	mode := ""
	if r.Mode != "" {
		mode = ", " + r.Mode
	}
	p.line("scim-bridge simulate %s%s: %s", r.Client, mode, r.BaseURL)
	if r.Version != "" {
		p.line("by scim-bridge %s", r.Version)
	}
	p.line("run %s, %s, %s people, %s; %s in %s", r.Name, r.Started.UTC().Format("2006-01-02 15:04:05Z"),
		fmt.Sprint(r.Users), plural(r.Groups, "group", "groups"), plural(r.Requests, "request", "requests"), seconds(r.Millis))
	p.line("")
	for i := range r.Steps {
		// A reason that several steps in a row were skipped for is said once.
		same := i > 0 && r.Steps[i].Verdict == Skipped && r.Steps[i-1].Verdict == Skipped && r.Steps[i].Reason == r.Steps[i-1].Reason
		p.step(&r.Steps[i], !same)
	}
	if r.Waits != nil {
		p.line("")
		p.wrapped("", fmt.Sprintf("Asked to come later %s: the real client would have waited %s, here it was %s (%s).",
			plural(r.Waits.Times, "time", "times"), seconds(r.Waits.Real), seconds(r.Waits.Played), r.Waits.Source))
	}
	if len(r.Left) > 0 {
		p.line("")
		p.line("Still at the server:")
		for _, l := range r.Left {
			id := ""
			if l.ID != "" {
				id = fmt.Sprintf(" (id %q)", l.ID)
			}
			p.wrapped("  ", fmt.Sprintf("%s %s%s: %s", l.Type, l.Name, id, l.Reason))
		}
	}
	p.line("")
	p.line("%s", r.Summary())
	return p.err
}

// Summary is the report in a sentence.
func (r *Report) Summary() string {
	failed, short, checks, met, steps := 0, 0, 0, 0, 0
	for _, st := range r.Steps {
		if st.Verdict == Failed {
			failed++
		}
		if st.Verdict == Interrupted {
			short++
		}
		if st.Verdict != Skipped {
			steps++
		}
		for _, c := range st.Checks {
			checks++
			if c.Verdict == OK {
				met++
			}
		}
	}
	text := fmt.Sprintf("%s: %d of %d expectations met in %s", r.Verdict, met, checks, plural(steps, "step", "steps"))
	if failed > 0 {
		text += fmt.Sprintf(", %d of them failed", failed)
	}
	if short > 0 {
		text += fmt.Sprintf(", %d of them not played to the end", short)
	}
	if r.Interrupted {
		text += "; the run was interrupted"
	}
	return text
}

// page writes lines and remembers the first error.
type page struct {
	w   io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
}

// wrapped writes a text in lines that begin with indent, the further ones with
// two spaces more.
func (p *page) wrapped(indent, text string) {
	for i, words := 0, strings.Fields(text); len(words) > 0; i++ {
		line := indent
		if i > 0 {
			line += "  "
		}
		line += words[0]
		words = words[1:]
		for len(words) > 0 && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(words[0]) <= reportWidth {
			line += " " + words[0]
			words = words[1:]
		}
		p.line("%s", line)
	}
}

func (p *page) step(st *Step, reason bool) {
	cost := ""
	if st.Count > 0 {
		cost = fmt.Sprintf("%s, %s", plural(st.Count, "request", "requests"), seconds(st.Millis))
	}
	p.line("%-11s %-12s  %-50s  %s", st.Verdict, st.Name, st.Title, cost)
	if st.Reason != "" && reason {
		p.wrapped("            ", st.Reason)
	}
	for _, c := range st.Checks {
		if c.Verdict != Failed {
			continue
		}
		often := ""
		if c.Times > 1 {
			often = fmt.Sprintf(" (not so %d of %d times)", c.Failures, c.Times)
		}
		p.wrapped("            ", "✗ "+c.What+often)
		for _, l := range []struct{ name, text string }{
			{"request", c.Request}, {"sent", c.Sent}, {"came", c.Got}, {"matters", c.Why}, {"source", c.Source},
		} {
			if l.text != "" {
				p.wrapped("              ", fmt.Sprintf("%-8s %s", l.name+":", l.text))
			}
		}
	}
}

// seconds is a time in milliseconds for people.
func seconds(millis int64) string {
	d := time.Duration(millis) * time.Millisecond
	if d >= time.Second {
		d = d.Round(100 * time.Millisecond)
	}
	return d.String()
}
