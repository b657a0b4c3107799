package play

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// printer writes the play in lines of at most width columns. It remembers the
// first error of its writer and then writes nothing more.
type printer struct {
	out   io.Writer
	width int
	// roles are the names of upstream's roles. One that is not there is shown
	// by its id.
	roles map[int64]string
	err   error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

// scene begins a part of the play.
func (p *printer) scene(format string, args ...any) {
	p.line("\n%s", clip("== "+fmt.Sprintf(format, args...), p.width))
}

// The columns of an exchange: method, what was asked, status and time.
const (
	methodColumns = 7
	answerColumns = 13
)

// exchange prints a request with its answer, and on lines of their own the
// body that was sent, if that is asked for, and what a refusal says.
func (p *printer) exchange(r idp.Request, got reply, body bool) {
	shown := r.Shown
	if shown == "" {
		shown = r.Path
	}
	for _, wait := range got.waits {
		p.line("   %-*s%s", methodColumns, r.Method, clip(fmt.Sprintf("the bridge asks to wait %s", wait), p.width-3-methodColumns))
	}
	room := p.width - 3 - methodColumns - answerColumns
	p.line("   %-*s%s%5d %7s", methodColumns, r.Method, pad(clip(shown, room), room), got.status, milliseconds(got.took))
	if body && r.Body != nil && r.Method != http.MethodPut {
		p.detail("", compact(r.Body))
	}
	if got.status >= 400 {
		p.detail("", detail(got))
	}
}

// detail prints text below an exchange, on as many lines as it takes.
func (p *printer) detail(mark, text string) {
	indent := strings.Repeat(" ", 3+methodColumns)
	if mark != "" {
		text, mark = mark+" "+text, "  "
	}
	for i, line := range wrap(text, p.width-len(indent)-len(mark)) {
		if i > 0 {
			line = mark + line
		}
		p.line("%s%s", indent, line)
	}
}

// note prints text below a table.
func (p *printer) note(text string) {
	for _, line := range wrap(text, p.width-3) {
		p.line("   %s", line)
	}
}

// effects prints what arrived upstream.
func (p *printer) effects(all []effect) {
	if len(all) == 0 {
		p.detail("→", "nothing changed upstream")
	}
	for _, e := range merge(all) {
		p.detail("→", fmt.Sprintf("%s %s: %s", e.Operation, e.Email, strings.Join(e.changes(p.role), ", ")))
	}
}

func (p *printer) role(id int64) string {
	if name, ok := p.roles[id]; ok {
		return name
	}
	return fmt.Sprintf("role %d", id)
}

// calls prints how often each operation that changes something was called.
func (p *printer) calls(before, after map[string]int) {
	var parts []string
	for _, op := range slices.Sorted(maps.Keys(after)) {
		if n := after[op] - before[op]; n > 0 && (op == "invite_users" || op == "create_user" || op == "set_role") {
			parts = append(parts, fmt.Sprintf("%s × %d", op, n))
		}
	}
	if len(parts) > 0 {
		p.detail("=", "calls: "+strings.Join(parts, ", "))
	}
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%d ms", max(1, d.Round(time.Millisecond).Milliseconds()))
}

// compact is a body without what is the same in every request, and without
// the password: JSON like the body, or the list of operations alone. A body
// that is no JSON object is shown as it is.
func compact(body []byte) string {
	var kept []string
	var only []byte // the value of the only member that is kept, if it is Operations
	d := jsontext.NewDecoder(bytes.NewReader(body))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return string(body)
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return string(body)
		}
		key := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return string(body)
		}
		if key == "schemas" || key == "password" {
			continue
		}
		quoted, err := jsontext.AppendQuote(nil, key)
		if err != nil {
			return string(body)
		}
		kept = append(kept, string(quoted)+":"+string(value))
		if only = nil; key == "Operations" && len(kept) == 1 {
			only = bytes.Clone(value)
		}
	}
	if only != nil {
		return string(only)
	}
	return "{" + strings.Join(kept, ",") + "}"
}

// wrap cuts a text into lines of at most width characters, after a space or a
// comma where there is one.
func wrap(s string, width int) []string {
	var lines []string
	left := []rune(s)
	for len(left) > width {
		cut := width
		for i := width; i > 1; i-- {
			if c := left[i-1]; c == ' ' || c == ',' {
				cut = i
				break
			}
		}
		lines = append(lines, strings.TrimRight(string(left[:cut]), " "))
		left = left[cut:]
	}
	return append(lines, string(left))
}

// clip shortens s to at most n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(n-1, 0)]) + "…"
}

// pad fills s up to n characters.
func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s)))
}
