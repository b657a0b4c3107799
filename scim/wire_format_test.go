package scim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// wireFixture is one file of testdata/wire; its README.md defines the format.
type wireFixture struct {
	Text      string // what is shown, in the author's words
	Source    string // where the shape is documented
	Tolerance string // id in tolerances.txt; empty for a rule
	Rule      string // what the fixture pins when nothing is tolerated
	Without   *wireWithout
	Clients   []string          // kinds of credential to run with
	Invites   []string          // invite modes to run in
	Policy    map[string]string // lines of tenant.yaml, by key
	Steps     []wireStep
	Upstream  map[string][]string // calls expected upstream, by invite mode
}

// wireWithout is what a server without the tolerance would have done first.
type wireWithout struct {
	Step     int    // the request that goes wrong; 0: only the upstream calls differ
	Status   int    // its answer
	ScimType string // empty where the answer names none
	Result   string // the rest, in words
}

// wireStep is a request with its response, or what other actors do.
type wireStep struct {
	N        int
	Actions  []wireAction // nil for a request
	Request  wireRequest
	Response wireResponse
}

// wireAction is something that happens beside the provisioning client.
type wireAction struct{ Verb, Arg string }

type wireRequest struct {
	Method, Target string // Target is relative to the SCIM base
	Header         http.Header
	Body           string
}

type wireResponse struct {
	Status int
	Header [][2]string
	Body   any // decoded JSON with matchers; nil: the body is empty
}

var (
	wireClients = []string{"auto", "okta", "entra", "onelogin", "jumpcloud", "ping", "rfc"}
	wireModes   = []string{"immediate", "deferred"}
	wireActions = []string{"accept", "edit", "fault", "scan"}
)

var (
	reDirective = regexp.MustCompile(`^([a-z]+): +(.+)$`)
	reWithout   = regexp.MustCompile(`^response ([0-9]+) is ([0-9]{3})(?: ([a-zA-Z]+))??(?: with (.+))?$`)
	reSection   = regexp.MustCompile(`^(request|response|action) ([0-9]+)$`)
	reRequest   = regexp.MustCompile(`^([A-Z]+) (/\S*) HTTP/1\.1$`)
)

// parseWire reads a fixture. Whatever it does not understand is an error: a
// misspelt directive must not make a fixture prove less.
func parseWire(data []byte) (*wireFixture, error) {
	ar := txtar.Parse(data)
	f := &wireFixture{Policy: map[string]string{}, Upstream: map[string][]string{}}
	if err := f.parseComment(string(ar.Comment)); err != nil {
		return nil, err
	}
	pending := false // a request waits for its response
	for _, file := range ar.Files {
		body := strings.TrimSuffix(string(file.Data), "\n")
		if name, ok := strings.CutPrefix(file.Name, "upstream"); ok {
			if err := f.parseUpstream(strings.TrimSpace(name), body); err != nil {
				return nil, fmt.Errorf("%s: %w", file.Name, err)
			}
			continue
		}
		m := reSection.FindStringSubmatch(file.Name)
		if m == nil {
			return nil, fmt.Errorf("unknown section %q: have request N, response N, action N, upstream", file.Name)
		}
		if len(f.Upstream) > 0 {
			return nil, fmt.Errorf("section %q comes after upstream, which is the last", file.Name)
		}
		want := len(f.Steps) + 1
		if m[1] == "response" {
			want--
		}
		if n, _ := strconv.Atoi(m[2]); n != want {
			return nil, fmt.Errorf("section %q: its number must be %d", file.Name, want)
		}
		if (m[1] == "response") != pending {
			return nil, fmt.Errorf("section %q: every request is followed by its response", file.Name)
		}
		var err error
		switch m[1] {
		case "request":
			step := wireStep{N: want}
			step.Request, err = parseWireRequest(body)
			f.Steps, pending = append(f.Steps, step), true
		case "response":
			f.Steps[want-1].Response, err = parseWireResponse(body)
			pending = false
		case "action":
			step := wireStep{N: want}
			step.Actions, err = parseWireActions(body)
			f.Steps = append(f.Steps, step)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name, err)
		}
	}
	return f, f.complete(pending)
}

// complete reports what a fixture lacks.
func (f *wireFixture) complete(pending bool) error {
	var errs []error
	if pending {
		errs = append(errs, errors.New("the last request has no response"))
	}
	if f.Text == "" {
		errs = append(errs, errors.New("the comment says nothing about the fixture"))
	}
	if f.Source == "" {
		errs = append(errs, errors.New("no source: directive"))
	}
	if (f.Tolerance == "") == (f.Rule == "") {
		errs = append(errs, errors.New("exactly one of tolerance: and rule: is needed"))
	}
	if (f.Tolerance == "") != (f.Without == nil) {
		errs = append(errs, errors.New("without: goes with tolerance:"))
	}
	if f.Without != nil && f.Without.Step > len(f.Steps) {
		errs = append(errs, fmt.Errorf("without: there is no response %d", f.Without.Step))
	}
	errs = append(errs, f.names())
	for _, mode := range f.Invites {
		if _, ok := f.Upstream[mode]; !ok {
			errs = append(errs, fmt.Errorf("no upstream section for %s invites: write (none) when nothing arrives", mode))
		}
	}
	for mode := range f.Upstream {
		if !slices.Contains(f.Invites, mode) {
			errs = append(errs, fmt.Errorf("upstream %s is never run", mode))
		}
	}
	return errors.Join(errs...)
}

// names reports values that are used before a response captures them, and
// matchers that do not exist.
func (f *wireFixture) names() error {
	var errs []error
	bound := map[string]bool{"base": true}
	use := func(n int, text string) {
		for _, m := range reVar.FindAllStringSubmatch(text, -1) {
			if !bound[m[1]] && !strings.HasPrefix(m[1], "repeat ") {
				errs = append(errs, fmt.Errorf("step %d: {{%s}} is not captured before", n, m[1]))
			}
		}
	}
	for _, step := range f.Steps {
		for _, a := range step.Actions {
			use(step.N, a.Arg)
		}
		use(step.N, step.Request.Target+step.Request.Body)
		for _, values := range step.Request.Header {
			use(step.N, strings.Join(values, " "))
		}
		expected := wireStringsIn(step.Response.Body, false)
		for _, h := range step.Response.Header {
			expected = append(expected, wireStringsIn(h[1], false)...)
		}
		for _, s := range expected { // captures come before what names them
			if parts := reMatcher.FindStringSubmatch(s.text); parts != nil && parts[2] == "" && !s.inSet {
				bound[parts[1]] = true
			}
		}
		for _, s := range expected {
			use(step.N, s.text)
			if !strings.HasPrefix(s.text, "<<") {
				continue
			}
			parts := reMatcher.FindStringSubmatch(s.text)
			switch {
			case parts == nil, parts[2] != "" && (parts[1] != "location" || !bound[parts[2]]):
				errs = append(errs, fmt.Errorf("response %d: unknown matcher %s", step.N, s.text))
			case s.inSet && parts[2] == "" && wireMatchers[parts[1]] == nil && parts[1] != "absent" && !bound[parts[1]]:
				errs = append(errs, fmt.Errorf("response %d: a set does not capture %s", step.N, s.text))
			}
		}
	}
	return errors.Join(errs...)
}

// wireString is a string of an expected response.
type wireString struct {
	text  string
	inSet bool // in an array without an order, where nothing is captured
}

func wireStringsIn(v any, inSet bool) (list []wireString) {
	switch v := v.(type) {
	case string:
		list = append(list, wireString{v, inSet})
	case map[string]any:
		for _, e := range v {
			list = append(list, wireStringsIn(e, inSet)...)
		}
	case []any:
		if isWireSet(v) {
			v, inSet = v[1:], true
		}
		for _, e := range v {
			list = append(list, wireStringsIn(e, inSet)...)
		}
	}
	return list
}

func (f *wireFixture) parseComment(comment string) error {
	var text []string
	seen := map[string]bool{}
	for line := range strings.Lines(comment) {
		line = strings.TrimSpace(line)
		m := reDirective.FindStringSubmatch(line)
		if m == nil {
			if line != "" {
				text = append(text, line)
			}
			continue
		}
		key, val := m[1], m[2]
		if seen[key] && key != "policy" {
			return fmt.Errorf("directive %s: given twice", key)
		}
		seen[key] = true
		if err := f.directive(key, val); err != nil {
			return fmt.Errorf("directive %s: %w", key, err)
		}
	}
	f.Text = strings.Join(text, "\n")
	if f.Clients == nil {
		f.Clients = []string{"auto"}
	}
	if f.Invites == nil {
		f.Invites = wireModes
	}
	return nil
}

func (f *wireFixture) directive(key, val string) (err error) {
	switch key {
	case "source":
		f.Source = val
	case "tolerance":
		f.Tolerance = val
	case "rule":
		f.Rule = val
	case "client":
		f.Clients, err = wireList(val, wireClients)
	case "invites":
		if val != "both" {
			f.Invites, err = wireList(val, wireModes)
		}
	case "policy":
		k, v, ok := strings.Cut(val, "=")
		if !ok {
			return fmt.Errorf("%q is not key=value", val)
		}
		if _, given := f.Policy[k]; given {
			return fmt.Errorf("%s: given twice", k)
		}
		f.Policy[k] = v
	case "without":
		f.Without, err = parseWithout(val)
	default:
		err = fmt.Errorf("unknown: have source, tolerance, rule, client, invites, policy, without")
	}
	return err
}

func wireList(val string, known []string) ([]string, error) {
	var list []string
	for s := range strings.SplitSeq(val, ",") {
		s = strings.TrimSpace(s)
		if !slices.Contains(known, s) {
			return nil, fmt.Errorf("%q is not one of %s", s, strings.Join(known, ", "))
		}
		list = append(list, s)
	}
	return list, nil
}

func parseWithout(val string) (*wireWithout, error) {
	if result, ok := strings.CutPrefix(val, "upstream "); ok {
		return &wireWithout{Result: result}, nil
	}
	m := reWithout.FindStringSubmatch(val)
	if m == nil {
		return nil, fmt.Errorf(`%q is neither "response N is STATUS [scimType] [with …]" nor "upstream …"`, val)
	}
	step, _ := strconv.Atoi(m[1])
	status, _ := strconv.Atoi(m[2])
	return &wireWithout{Step: step, Status: status, ScimType: m[3], Result: m[4]}, nil
}

func (f *wireFixture) parseUpstream(mode, body string) error {
	lines := []string{}
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return errors.New("empty: write (none) when nothing arrives")
	}
	if lines[0] == "(none)" {
		if len(lines) > 1 {
			return errors.New("(none) stands alone")
		}
		lines = lines[:0]
	}
	modes := f.Invites
	if mode != "" {
		if !slices.Contains(wireModes, mode) {
			return fmt.Errorf("mode %q is not one of %s", mode, strings.Join(wireModes, ", "))
		}
		modes = []string{mode}
	}
	for _, m := range modes {
		if _, ok := f.Upstream[m]; ok {
			return fmt.Errorf("given twice for %s invites", m)
		}
		f.Upstream[m] = lines
	}
	return nil
}

func parseWireRequest(text string) (wireRequest, error) {
	head, body, _ := strings.Cut(text, "\n\n")
	line, headers, _ := strings.Cut(head, "\n")
	m := reRequest.FindStringSubmatch(line)
	if m == nil {
		return wireRequest{}, fmt.Errorf("%q is not a request line: METHOD /target HTTP/1.1", line)
	}
	r := wireRequest{Method: m[1], Target: m[2], Header: http.Header{}, Body: body}
	list, err := parseWireHeaders(headers)
	for _, h := range list {
		r.Header.Add(h[0], h[1])
	}
	return r, err
}

func parseWireResponse(text string) (wireResponse, error) {
	head, body, _ := strings.Cut(text, "\n\n")
	line, headers, _ := strings.Cut(head, "\n")
	status, err := strconv.Atoi(line)
	if err != nil || status < 200 || status > 599 {
		return wireResponse{}, fmt.Errorf("%q is not a status", line)
	}
	r := wireResponse{Status: status}
	if r.Header, err = parseWireHeaders(headers); err != nil {
		return r, err
	}
	if strings.TrimSpace(body) == "" {
		if status != http.StatusNoContent && status != http.StatusNotModified {
			return r, fmt.Errorf("a %d has a body: say what it is", status)
		}
		return r, nil
	}
	r.Body, err = decodeWireJSON([]byte(body))
	return r, err
}

func parseWireHeaders(text string) ([][2]string, error) {
	var list [][2]string
	for line := range strings.Lines(text) {
		name, val, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if !ok {
			return nil, fmt.Errorf("%q is not a header", line)
		}
		list = append(list, [2]string{name, strings.TrimSpace(val)})
	}
	return list, nil
}

func parseWireActions(text string) ([]wireAction, error) {
	var list []wireAction
	for line := range strings.Lines(text) {
		verb, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !slices.Contains(wireActions, verb) || (arg == "") != (verb == "scan") {
			return nil, fmt.Errorf("%q is not an action: have %s, each but scan with an argument", line, strings.Join(wireActions, ", "))
		}
		if verb != "accept" && verb != "scan" && !json.Valid([]byte(arg)) {
			return nil, fmt.Errorf("%s: %q is not JSON", verb, arg)
		}
		list = append(list, wireAction{verb, arg})
	}
	if list == nil {
		return nil, errors.New("empty action")
	}
	return list, nil
}

// decodeWireJSON decodes one JSON value; numbers stay json.Number. Unlike
// encoding/json it refuses a repeated member: a client would see either.
func decodeWireJSON(data []byte) (any, error) {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	v, err := decodeWireValue(d)
	if err != nil {
		return nil, fmt.Errorf("JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("JSON: something follows the value")
	}
	return v, nil
}

func decodeWireValue(d *json.Decoder) (any, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('{'):
		obj := map[string]any{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name := key.(string) // the decoder allows nothing else here
			if _, ok := obj[name]; ok {
				return nil, fmt.Errorf("member %q is repeated", name)
			}
			if obj[name], err = decodeWireValue(d); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return obj, err
	case json.Delim('['):
		arr := []any{}
		for d.More() {
			v, err := decodeWireValue(d)
			if err != nil {
				return nil, err
			}
			arr = append(arr, v)
		}
		_, err = d.Token()
		return arr, err
	}
	return tok, nil
}

const wireSample = `Okta switches a person off.
source: Okta: somewhere
client: okta, auto
tolerance: string-booleans
without: response 3 is 400 invalidValue
policy: reset_password=true
-- request 1 --
POST /Users HTTP/1.1
User-Agent: Okta SCIM Client 1.0.0

{"userName": "jamie@example.com"}
-- response 1 --
201
Location: <<location id1>>

{"id": "<<id1>>", "...": "..."}
-- action 2 --
accept jamie@example.com
scan
-- request 3 --
DELETE /Users/{{id1}} HTTP/1.1
-- response 3 --
204
-- upstream immediate --
invite_users jamie@example.com [113 114] role=5
-- upstream deferred --
(none)
`

func TestWireFormat(t *testing.T) {
	t.Run("it reads every part of a fixture", func(t *testing.T) {
		got, err := parseWire([]byte(wireSample))
		if err != nil {
			t.Fatal(err)
		}
		want := &wireFixture{
			Text: "Okta switches a person off.", Source: "Okta: somewhere", Tolerance: "string-booleans",
			Without: &wireWithout{Step: 3, Status: 400, ScimType: "invalidValue"},
			Clients: []string{"okta", "auto"}, Invites: wireModes, Policy: map[string]string{"reset_password": "true"},
			Steps: []wireStep{
				{N: 1,
					Request: wireRequest{Method: "POST", Target: "/Users", Body: `{"userName": "jamie@example.com"}`,
						Header: http.Header{"User-Agent": {"Okta SCIM Client 1.0.0"}}},
					Response: wireResponse{Status: 201, Header: [][2]string{{"Location", "<<location id1>>"}},
						Body: map[string]any{"id": "<<id1>>", "...": "..."}}},
				{N: 2, Actions: []wireAction{{"accept", "jamie@example.com"}, {"scan", ""}}},
				{N: 3, Request: wireRequest{Method: "DELETE", Target: "/Users/{{id1}}", Header: http.Header{}},
					Response: wireResponse{Status: 204}},
			},
			Upstream: map[string][]string{
				"immediate": {"invite_users jamie@example.com [113 114] role=5"},
				"deferred":  {},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("fixture (-want +got):\n%s", diff)
		}
	})

	for _, tt := range []struct{ name, old, new, wantErr string }{
		{"an unknown directive", "policy: r", "polizy: r", "directive polizy: unknown"},
		{"an unknown client", "client: okta", "client: octa", `"octa" is not one of`},
		{"a repeated directive", "client: okta, auto", "client: okta\nclient: auto", "given twice"},
		{"a repeated policy", "policy: ", "policy: reset_password=false\npolicy: ", "reset_password: given twice"},
		{"a policy without a value", "reset_password=true", "reset_password", "is not key=value"},
		{"an unknown section", "-- action 2 --", "-- akt 2 --", `unknown section "akt 2"`},
		{"a number out of order", "-- action 2 --", "-- action 3 --", "its number must be 2"},
		{"a response without request", "-- request 3 --\nDELETE /Users/{{id1}} HTTP/1.1\n", "", `"response 3": its number must be 2`},
		{"a request without response", "-- response 3 --\n204\n", "", "no response"},
		{"a bad request line", "DELETE /Users/{{id1}} HTTP/1.1", "DELETE Users", "is not a request line"},
		{"a missing body", "{\"id\": \"<<id1>>\", \"...\": \"...\"}\n", "", "a 201 has a body"},
		{"a body that is not JSON", `"...": "..."}`, `"...": "..."`, "JSON:"},
		{"a repeated member", `"...": "..."}`, `"id": "x"}`, `member "id" is repeated`},
		{"an unknown action", "accept jamie", "akzept jamie", "is not an action"},
		{"an action that lacks its argument", "accept jamie@example.com", "accept", "is not an action"},
		{"an argument that says nothing", "scan\n", "scan acme\n", "is not an action"},
		{"a response with a value that was never captured", `"...": "..."}`, `"location": "{{base}}/Users/{{id2}}"}`, "{{id2}} is not captured before"},
		{"a capture in a set", `"id": "<<id1>>"`, `"members": ["<<set>>", {"value": "<<id3>>"}], "id": "<<id1>>"`, "a set does not capture <<id3>>"},
		{"no source", "source: Okta: somewhere\n", "", "no source"},
		{"a tolerance and a rule", "tolerance: ", "rule: RFC 7644\ntolerance: ", "exactly one of"},
		{"a tolerance without its proof", "without: response 3 is 400 invalidValue\n", "", "without: goes with tolerance"},
		{"a proof of nothing", "without: response 3", "without: response 4", "there is no response 4"},
		{"a vague proof", "is 400 invalidValue", "fails", "is neither"},
		{"a mode without expectation", "-- upstream deferred --\n(none)\n", "", "no upstream section for deferred"},
		{"a value that was never captured", "DELETE /Users/{{id1}}", "DELETE /Users/{{id2}}", "{{id2}} is not captured before"},
		{"a location of nobody", "<<location id1>>", "<<location id2>>", "unknown matcher <<location id2>>"},
		{"a matcher that does not exist", "<<location id1>>", "<<ID 1>>", "unknown matcher <<ID 1>>"},
		{"an empty upstream section", "(none)", "", "write (none)"},
		{"a mode that never runs", "client: okta, auto", "invites: immediate", "upstream deferred is never run"},
	} {
		t.Run("it refuses "+tt.name, func(t *testing.T) {
			in := strings.Replace(wireSample, tt.old, tt.new, 1)
			if in == wireSample {
				t.Fatalf("%q does not occur in the sample", tt.old)
			}
			if _, err := parseWire([]byte(in)); err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error %v, want one with %q", err, tt.wantErr)
			}
		})
	}
}

// wireTolerance is a line of tolerances.txt.
type wireTolerance struct {
	Where  []string // dialects; empty: everywhere, or a rule
	Rule   bool     // the code keeps it, and no switch of the engine does
	Source string
}

// parseTolerances reads tolerances.txt: id, where, source, separated by " | ".
func parseTolerances(text string) (map[string]wireTolerance, error) {
	list := map[string]wireTolerance{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		part := strings.Split(line, " | ")
		if len(part) != 3 {
			return nil, fmt.Errorf("%q is not id | where | source", line)
		}
		id, tol := strings.TrimSpace(part[0]), wireTolerance{Source: strings.TrimSpace(part[2])}
		if _, ok := list[id]; ok {
			return nil, fmt.Errorf("%s is listed twice", id)
		}
		switch where := strings.TrimSpace(part[1]); where {
		case "everywhere":
		case "rule":
			tol.Rule = true
		default:
			var err error
			if tol.Where, err = wireList(where, wireClients[1:]); err != nil {
				return nil, fmt.Errorf("%s: %w", id, err)
			}
		}
		list[id] = tol
	}
	return list, nil
}

func TestWireTolerances(t *testing.T) {
	got, err := parseTolerances("# comment\n\na-b | everywhere | x | y\n")
	if err == nil {
		t.Errorf("four parts gave %v, want an error", got)
	}
	got, err = parseTolerances("# comment\na-b | everywhere | x\nc | okta, entra | y\nd | rule | z\n")
	want := map[string]wireTolerance{"a-b": {Source: "x"}, "c": {Where: []string{"okta", "entra"}, Source: "y"}, "d": {Rule: true, Source: "z"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, tolerances (-want +got):\n%s", err, diff)
	}
	for _, in := range []string{"a | octa | x", "a | okta | x\na | okta | x"} {
		if _, err := parseTolerances(in); err == nil {
			t.Errorf("%q was accepted (%v)", in, slices.Collect(maps.Keys(got)))
		}
	}
}
