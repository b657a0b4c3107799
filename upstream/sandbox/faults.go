package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

// Rule makes matching calls go wrong; see the package comment for the order of what it can do. Zero fields do nothing.
type Rule struct {
	Operation  string `json:"operation"`   // the name of an operation, or "*" for any
	Credential string `json:"credential"`  // "": any; a person's is user:ID
	After      int    `json:"after"`       // matching calls to let pass first
	Times      int    `json:"times"`       // how often it fires; 0: until replaced
	Status     int    `json:"status"`      // answer so instead of carrying the call out
	RetryAfter string `json:"retry_after"` // with Status: the header, as it stands
	DelayMS    int    `json:"delay_ms"`    // wait
	Hang       bool   `json:"hang"`        // hold the call until the client leaves or the sandbox closes, then drop it
	Cut        string `json:"cut"`         // drop the connection "before" the effect or "after" it, without an answer
	Body       string `json:"body"`        // answer an "html" page, a "truncated" or "garbage" body, or an "empty" one
	StaleMS    int    `json:"stale_ms"`    // reads answer as of so long ago, ten minutes at most
	Swap       bool   `json:"swap"`        // get_user, find_user_by_email and get_invite answer another visible record
	KillPID    int    `json:"kill_pid"`    // kill -9 that process, then drop the connection; needs Options.Control
	Gate       string `json:"gate"`        // wait until that gate is opened
	When       string `json:"when"`        // delay, hang, gate and kill "before" or "after" the effect; "": before, a kill after
}

// RuleStatus is a rule and what became of it.
type RuleStatus struct {
	Rule
	Seen  int `json:"seen"`  // matching calls
	Fired int `json:"fired"` // how many of them it changed
}

// Gate is a named hold of the rules.
type Gate struct {
	Name    string `json:"name"`
	Open    bool   `json:"open"`
	Waiting int    `json:"waiting"`
}

// faults are the rules of a sandbox and the gates that they name.
type faults struct {
	closed <-chan struct{}

	mu      sync.Mutex
	rules   []*RuleStatus
	gates   map[string]*gate
	changed chan struct{} // closed and replaced when a gate's waiters change
}

type gate struct {
	open    chan struct{}
	waiting int
}

func newFaults(closed <-chan struct{}) *faults {
	return &faults{closed: closed, gates: map[string]*gate{}, changed: make(chan struct{})}
}

// SetFaults replaces all rules, or refuses them all. Calls that wait at a gate of the former rules go on.
func (s *Sandbox) SetFaults(rules []Rule) error {
	var all []error
	for i, r := range rules {
		if err := s.checkRule(r); err != nil {
			all = append(all, fmt.Errorf("rules[%d].%w", i, err))
		}
	}
	if len(all) > 0 {
		return errors.Join(all...)
	}
	return s.faults.replace(rules)
}

func (s *Sandbox) checkRule(r Rule) error {
	known := r.Operation == "*" || slices.ContainsFunc(s.routes, func(op *operation) bool { return op.name == r.Operation })
	switch {
	case !known:
		return fmt.Errorf("operation: unknown operation %q: use an operationId of openapi.yaml, or *", r.Operation)
	case r.After < 0 || r.Times < 0 || r.DelayMS < 0 || r.StaleMS < 0:
		return errors.New("after, times, delay_ms, stale_ms: must not be negative")
	case r.Status != 0 && (r.Status < 300 || r.Status > 599):
		return fmt.Errorf("status: %d is not from 300 to 599", r.Status)
	case r.RetryAfter != "" && r.Status == 0:
		return errors.New("retry_after: needs a status")
	case !slices.Contains([]string{"", "before", "after"}, r.Cut):
		return fmt.Errorf("cut: unknown value %q: use before or after", r.Cut)
	case !slices.Contains([]string{"", "before", "after"}, r.When):
		return fmt.Errorf("when: unknown value %q: use before or after", r.When)
	case !slices.Contains([]string{"", "html", "truncated", "garbage", "empty"}, r.Body):
		return fmt.Errorf("body: unknown value %q: use html, truncated, garbage or empty", r.Body)
	case r.millis(r.StaleMS) > pastWindow:
		return fmt.Errorf("stale_ms: %d is above the %d that are remembered", r.StaleMS, pastWindow.Milliseconds())
	case r.KillPID != 0 && !s.opts.Control:
		return errors.New("kill_pid: needs the side door: start the sandbox with --control")
	case r.KillPID < 0 || r.KillPID == 1:
		return fmt.Errorf("kill_pid: refusing to kill process %d", r.KillPID)
	}
	return nil
}

// Faults returns the rules in order.
func (s *Sandbox) Faults() []RuleStatus {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	out := []RuleStatus{}
	for _, r := range s.faults.rules {
		out = append(out, *r)
	}
	return out
}

func (f *faults) replace(rules []Rule) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.gates {
		g.release()
	}
	f.rules, f.gates = nil, map[string]*gate{}
	for _, r := range rules {
		f.rules = append(f.rules, &RuleStatus{Rule: r})
		if r.Gate != "" && f.gates[r.Gate] == nil {
			f.gates[r.Gate] = &gate{open: make(chan struct{})}
		}
	}
	f.notify()
	return nil
}

// fire counts the call and returns the rule that is due for it, or nil.
func (f *faults) fire(operation, credential string) *firing {
	f.mu.Lock()
	defer f.mu.Unlock()
	var due *firing
	for _, r := range f.rules {
		if r.Operation != "*" && r.Operation != operation || r.Credential != "" && r.Credential != credential {
			continue
		}
		r.Seen++
		if due == nil && r.Seen > r.After && (r.Times == 0 || r.Fired < r.Times) {
			r.Fired++
			due = &firing{Rule: r.Rule, faults: f, gate: f.gates[r.Gate]}
		}
	}
	return due
}

// firing is a rule at work on a call; nil is no rule.
type firing struct {
	Rule
	faults *faults
	gate   *gate
}

func (Rule) millis(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func (f *firing) refuses() bool { return f != nil && f.Status != 0 }

func (f *firing) swaps() bool { return f != nil && f.Swap }

func (f *firing) stale() time.Duration {
	if f == nil {
		return 0
	}
	return f.millis(f.StaleMS)
}

// before does what comes before the effect; false: drop the connection.
func (f *firing) before(ctx context.Context) bool {
	if f == nil {
		return true
	}
	if cmp.Or(f.When, "before") == "before" && !f.hold(ctx) {
		return false
	}
	if f.KillPID != 0 && f.When == "before" {
		f.kill()
		return false
	}
	return f.Cut != "before"
}

// after does what comes between the effect and the answer; false: drop the connection.
func (f *firing) after(ctx context.Context) bool {
	if f == nil {
		return true
	}
	if f.KillPID != 0 {
		f.kill()
		return false
	}
	if f.When == "after" && !f.hold(ctx) {
		return false
	}
	return f.Cut != "after"
}

// hold waits as the rule says; false: the client left, or the sandbox closed.
func (f *firing) hold(ctx context.Context) bool {
	if !sleep(ctx, f.faults.closed, f.millis(f.DelayMS)) || !f.faults.wait(ctx, f.gate) {
		return false
	}
	if f.Hang {
		select {
		case <-ctx.Done():
		case <-f.faults.closed:
		}
		return false
	}
	return true
}

// kill ends the process. One that is gone already is as good as killed.
func (f *firing) kill() {
	if p, err := os.FindProcess(f.KillPID); err == nil {
		_ = p.Kill()
	}
}

var statusCodes = map[int]string{
	http.StatusBadRequest: "invalid_request", http.StatusUnauthorized: "unauthorized", http.StatusForbidden: "forbidden",
	http.StatusNotFound: "not_found", http.StatusConflict: "state_conflict", http.StatusUnprocessableEntity: "invalid_field",
	http.StatusTooManyRequests: "rate_limited", http.StatusInternalServerError: "internal_error",
}

// refuse answers with the rule's status.
func (f *firing) refuse(w http.ResponseWriter) {
	code := cmp.Or(statusCodes[f.Status], "unavailable")
	status, header, body := encode(answer{}, &apiError{status: f.Status, Code: code, Message: "the sandbox was told to fail"})
	if f.RetryAfter != "" {
		header.Set("Retry-After", f.RetryAfter)
	}
	f.write(w, status, header, body)
}

const htmlPage = "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>The proxy could not reach the service</h1></body></html>\n"

// write sends the answer, or what the rule makes of it.
func (f *firing) write(w http.ResponseWriter, status int, header http.Header, body []byte) {
	if f != nil && f.Body != "" {
		if status == http.StatusNoContent {
			status = http.StatusOK // an answer without content cannot be spoiled
		}
		switch f.Body {
		case "html":
			header.Set("Content-Type", "text/html; charset=utf-8")
			body = []byte(htmlPage)
		case "truncated":
			body = slices.Clone(body[:len(body)/2])
		case "garbage":
			body = []byte("\x00\xff\x1b{]\"\\u12\xc3\x28,,")
		case "empty":
			body = nil
		}
	}
	send(w, status, header, body)
}

func (s *Sandbox) sleep(ctx context.Context, d time.Duration) bool { return sleep(ctx, s.closed, d) }

// sleep waits; false: the client left, or the sandbox closed.
func sleep(ctx context.Context, closed <-chan struct{}, d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-closed:
	}
	return false
}
