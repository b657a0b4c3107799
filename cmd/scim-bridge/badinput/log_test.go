package badinput

import (
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// journal hears the bridge's log: the line of each request by its id, and
// whatever else was said.
type journal struct {
	mu    sync.Mutex
	lines map[string][]string
	other []string
	heard chan struct{}
}

func newJournal() *journal {
	return &journal{lines: map[string][]string{}, heard: make(chan struct{}, 1)}
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// Write takes one line: slog writes a record at once.
func (j *journal) Write(p []byte) (int, error) {
	var line struct {
		Msg string `json:"msg"`
		ID  string `json:"request_id"`
	}
	// A line that is no JSON ends among the others, where it fails the test.
	_ = json.Unmarshal(p, &line)
	j.mu.Lock()
	if line.Msg == "request" {
		j.lines[line.ID] = append(j.lines[line.ID], string(p))
	} else {
		j.other = append(j.other, string(p))
	}
	j.mu.Unlock()
	select {
	case j.heard <- struct{}{}:
	default:
	}
	return len(p), nil
}

// line waits for the line of a request, which is written after the answer.
func (j *journal) line(t testing.TB, id string) string {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		j.mu.Lock()
		lines := j.lines[id]
		j.mu.Unlock()
		if len(lines) > 0 {
			return lines[0]
		}
		select {
		case <-j.heard:
		case <-late:
			t.Fatalf("no log line for the request %q", id)
		}
	}
}

// count is how many lines a request has.
func (j *journal) count(id string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.lines[id])
}

// check fails for a request with more than one line, and for lines of requests
// that nobody made.
func (j *journal) check(t testing.TB, made map[string]bool) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, lines := range j.lines {
		if len(lines) != 1 || !made[id] {
			t.Errorf("%d log lines of one request: %s", len(lines), strings.Join(lines, ""))
		}
	}
}

// asides are the lines that belong to no request.
func (j *journal) asides() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.other...)
}
