package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// barWidth is the length of a progress bar in columns.
const barWidth = 30

// progress shows on standard error how far long work is: as a bar that moves on
// a terminal, else as a line for every tenth of it.
type progress struct {
	w     io.Writer
	what  string
	moves bool
	// shown is what was printed last, step how far it was.
	shown string
	step  int
}

func (c *cli) progress(what string) *progress {
	return &progress{w: c.stderr, what: what, moves: c.terminal(c.stderr), step: -1}
}

// terminal reports whether what is written to w is seen at once by somebody.
func (c *cli) terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	if term, _ := c.env("TERM"); term == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// show says that so much is done; total 0 is not known.
func (p *progress) show(done, total int) {
	if p.moves {
		if text := p.bar(done, total); text != p.shown {
			fmt.Fprint(p.w, "\r\x1b[K", text)
			p.shown = text
		}
		return
	}
	step := done / 1000
	if total > 0 {
		step = done * 10 / total
	}
	if text := p.text(done, total); step != p.step && text != p.shown {
		fmt.Fprintln(p.w, text)
		p.step, p.shown = step, text
	}
}

// end takes the bar away.
func (p *progress) end() {
	if p.moves && p.shown != "" {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func (p *progress) text(done, total int) string {
	if total > 0 {
		return fmt.Sprintf("%s: %d of %d", p.what, done, total)
	}
	return fmt.Sprintf("%s: %d", p.what, done)
}

func (p *progress) bar(done, total int) string {
	if total == 0 {
		return p.text(done, total)
	}
	full := min(barWidth, done*barWidth/total)
	return fmt.Sprintf("%s  [%s%s] %3d %%  %d of %d", p.what, strings.Repeat("#", full), strings.Repeat("-", barWidth-full), min(100, done*100/total), done, total)
}
