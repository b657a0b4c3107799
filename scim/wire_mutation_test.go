package scim_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// wireFull tries every mutation: go test ./scim -run TestWireMutations -args -full.
var wireFull = flag.Bool("full", false, "try every mutation of the wire fixtures, not a sample")

// A sample takes wirePerRequest mutations of one request in wireEvery; with
// -short and the race detector, of one in wireSparse.
const (
	wirePerRequest = 6
	wireEvery      = 4
	wireSparse     = 90
)

// wireMutant is a request of a fixture in which one member of the body is
// deleted, null, or of another type.
type wireMutant struct {
	At   []any // where: names, and indexes as numbers
	Kind string
	Body string
}

func (m wireMutant) String() string {
	var b strings.Builder
	for _, x := range m.At {
		fmt.Fprintf(&b, "/%v", x)
	}
	return b.String() + " " + m.Kind
}

// wireMutants lists what a body can be mutated to; nil for one that is not a
// JSON object.
func wireMutants(body string) []wireMutant {
	root, err := decodeWireJSON([]byte(body))
	if _, ok := root.(map[string]any); err != nil || !ok {
		return nil
	}
	var list []wireMutant
	var walk func(v any, at []any)
	walk = func(v any, at []any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				here, old := append(slices.Clone(at), k), v[k]
				delete(v, k)
				list = append(list, wireMutant{here, "deleted", wireJSON(root)})
				v[k] = nil
				list = append(list, wireMutant{here, "null", wireJSON(root)})
				v[k] = "x"
				if _, ok := old.(string); ok {
					v[k] = 7
				}
				list = append(list, wireMutant{here, "of another type", wireJSON(root)})
				v[k] = old
				walk(old, here)
			}
		case []any:
			for i, e := range v {
				walk(e, append(slices.Clone(at), i))
			}
		}
	}
	walk(root, nil)
	return slices.DeleteFunc(list, func(m wireMutant) bool { return m.Body == wireJSON(root) })
}

// wireCase is a request of a fixture, with what is tried in its place.
type wireCase struct {
	Fixture      *wireFixture
	Name         string
	Step         int // of Fixture.Steps
	Client, Mode string
	Mutants      []wireMutant
}

// wireCases lists the requests that may change something, each body once: most
// fixtures begin with the same create.
func wireCases(all map[string]*wireFixture) []wireCase {
	var list []wireCase
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		for i, step := range f.Steps {
			if slices.ContainsFunc(step.Actions, func(a wireAction) bool { return a.Verb == "fault" }) {
				break // from here on upstream is what fails
			}
			if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, step.Request.Method) {
				continue
			}
			c := wireCase{Fixture: f, Name: fmt.Sprintf("%s/request %d", name, step.N), Step: i, Mutants: wireMutants(step.Request.Body)}
			n := wireHash(c.Name)
			c.Client, c.Mode = f.Clients[n%len(f.Clients)], f.Invites[n%len(f.Invites)]
			key := fmt.Sprint(step.Request.Method, step.Request.Target, step.Request.Body, f.Policy, f.Clients[0])
			if !seen[key] && len(c.Mutants) > 0 {
				list = append(list, c)
			}
			seen[key] = true
		}
	}
	return list
}

// wireHash is a number that a name always has, not below 0.
func wireHash(name string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return int(h.Sum32() >> 1)
}

// sample leaves out what this run has no time for.
func (c wireCase) sample() []wireMutant {
	if *wireFull {
		return c.Mutants
	}
	n, every := wireHash(c.Name), wireEvery
	if raced || testing.Short() {
		every = wireSparse
	}
	if n%every != 0 {
		return nil
	}
	var list []wireMutant
	for i := range min(wirePerRequest, len(c.Mutants)) {
		// Evenly over the body, from a place that depends on the name.
		list = append(list, c.Mutants[(n+i*len(c.Mutants)/wirePerRequest)%len(c.Mutants)])
	}
	return list
}

// TestWireMutations sends the changing requests of the fixtures with one
// member deleted, null, or of another type. Nothing is answered 5xx; a refusal
// changed nothing, here or upstream (I9); what the mutation does not concern
// is as after the request itself; and nobody loses access or a role who keeps
// it there (I17).
func TestWireMutations(t *testing.T) {
	var tried, accepted atomic.Int64
	t.Run("request", func(t *testing.T) {
		for _, c := range wireCases(loadWire(t)) {
			mutants := c.sample()
			if len(mutants) == 0 {
				continue
			}
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				want := c.play(t)
				before := want.state(t)
				ledger := len(want.Ledger())
				res, _ := want.send(t, c.Fixture.Steps[c.Step].Request)
				ref := wireReference{before: before, after: want.state(t), calls: want.calls(t, ledger), accepted: res.StatusCode < 300}
				var run *wireRun
				for _, m := range mutants {
					if run == nil {
						run = c.play(t)
					}
					tried.Add(1)
					if c.try(t, run, m, ref) {
						accepted.Add(1)
						run = nil // what follows meets the state before
					}
				}
			})
		}
	})
	t.Logf("%d mutations of wire fixtures tried, %d of them accepted", tried.Load(), accepted.Load())
	fmt.Printf("%d mutations of wire fixtures tried, %d of them accepted\n", tried.Load(), accepted.Load())
}

// wireRun is a stack in the middle of a fixture.
type wireRun struct {
	wireStack
	vars *wireVars
}

// play starts a stack and plays what comes before the request.
func (c wireCase) play(t *testing.T) *wireRun {
	t.Helper()
	s := newWireStack(t, wireConfig{Client: c.Client, Invites: c.Mode, Policy: c.Fixture.Policy})
	r := &wireRun{s, newWireVars(s.BaseURL())}
	for _, step := range c.Fixture.Steps[:c.Step] {
		if step.Actions != nil {
			if err := playActions(s, r.vars, step.Actions); err != nil {
				t.Fatal(err)
			}
			continue
		}
		out, err := playRequest(s, r.vars, step)
		if err != nil || len(out.Diffs) > 0 {
			t.Fatalf("request %d, before the mutated one: %v\n%s", step.N, err, out)
		}
	}
	// Lists show what others did upstream once it was seen.
	for _, id := range r.state(t).users() {
		r.send(t, wireRequest{Method: http.MethodGet, Target: "/Users/" + id})
	}
	return r
}

// send sends a request and checks what every answer owes its client.
func (r *wireRun) send(t *testing.T, req wireRequest) (status wireStatus, body any) {
	t.Helper()
	res, data, err := sendWire(r, r.vars, req)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 0 {
		if body, err = decodeWireJSON(data); err != nil {
			t.Errorf("%v in %s", err, data)
		}
	}
	if diffs := wireDuties(res, body); len(diffs) > 0 {
		t.Errorf("%s\n%s\nfor %s", strings.Join(diffs, "\n"), data, req.Body)
	}
	return wireStatus{res.StatusCode, string(data)}, body
}

// wireStatus is an answer in short.
type wireStatus struct {
	StatusCode int
	Text       string
}

// try sends a mutant and judges what came of it. It reports whether the
// request was accepted.
func (c wireCase) try(t *testing.T, run *wireRun, m wireMutant, ref wireReference) bool {
	t.Helper()
	step := c.Fixture.Steps[c.Step]
	req := step.Request
	req.Body = m.Body
	before, ledger := run.state(t), len(run.Ledger())
	res, _ := run.send(t, req)
	after, calls := run.state(t), run.calls(t, ledger)
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s: %s\nsent     %s\nanswered %d %s", m, fmt.Sprintf(format, args...), m.Body, res.StatusCode, res.Text)
	}
	if res.StatusCode >= 500 && res.StatusCode != step.Response.Status {
		fail("a failure")
	}
	if res.StatusCode >= 400 {
		if len(calls) > 0 {
			fail("a refusal with effects upstream: %q", calls)
		}
		if before.raw != after.raw {
			fail("a refusal changed something\nbefore   %s\nafter    %s", before.raw, after.raw)
		}
		return false
	}
	if strings.HasPrefix(req.Target, "/Bulk") {
		for _, s := range ref.judgeBulk(m.Body, res.Text, calls, c.Fixture.Policy) {
			fail("%s", s)
		}
	} else if ref.accepted {
		for _, s := range ref.judge(wireConcern(req, step.Request.Body, m), m, req.Method, after, calls, c.Fixture.Policy) {
			fail("%s", s)
		}
	}
	return true
}

func TestWireMutants(t *testing.T) {
	got := map[string]string{}
	for _, m := range wireMutants(`{"b": [{"c": "{{id1}}"}], "a": true}`) {
		got[m.String()] = m.Body
	}
	for at, want := range map[string]string{
		"/a deleted": `{"b":[{"c":"{{id1}}"}]}`, "/a null": `{"a":null,"b":[{"c":"{{id1}}"}]}`, "/a of another type": `{"a":"x","b":[{"c":"{{id1}}"}]}`,
		"/b/0/c deleted": `{"a":true,"b":[{}]}`, "/b/0/c of another type": `{"a":true,"b":[{"c":7}]}`, "/b of another type": `{"a":true,"b":"x"}`,
	} {
		if got[at] != want {
			t.Errorf("%s is %s, want %s", at, got[at], want)
		}
	}
	if len(got) != 9 || wireMutants(`[]`) != nil || wireMutants(`{`) != nil || !json.Valid([]byte(got["/b null"])) {
		t.Errorf("mutants %v", got)
	}
}
