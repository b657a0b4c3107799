package scim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const wireMore = "..."

var (
	reMatcher = regexp.MustCompile(`^<<([a-z][a-z0-9]*)(?: ([a-z][a-z0-9]*))?>>$`)
	reETag    = regexp.MustCompile(`^(W/)?"[^"]*"$`)
	reInteger = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	reVar     = regexp.MustCompile(`\{\{([^{}]*)\}\}`)
)

// wireVars are the values captured in the course of a fixture.
type wireVars struct {
	Base  string // the SCIM base, as resources show it in meta.location
	Bound map[string]string
}

func newWireVars(base string) *wireVars {
	return &wireVars{Base: base, Bound: map[string]string{"base": base}}
}

// Expand replaces {{name}} by what was captured under that name and
// {{repeat S N}} by N copies of S.
func (v *wireVars) Expand(s string) (string, error) {
	var err error
	out := reVar.ReplaceAllStringFunc(s, func(m string) string {
		name := m[2 : len(m)-2]
		if f := strings.Fields(name); len(f) == 3 && f[0] == "repeat" {
			n, convErr := strconv.Atoi(f[2])
			if convErr != nil {
				err = convErr
			}
			return strings.Repeat(f[1], n)
		}
		val, ok := v.Bound[name]
		if !ok {
			err = fmt.Errorf("{{%s}} was never captured", name)
		}
		return val
	})
	return out, err
}

// bind captures every name that want mentions for the first time.
func (v *wireVars) bind(want, got any) {
	switch want := want.(type) {
	case string:
		m := reMatcher.FindStringSubmatch(want)
		if m == nil || m[2] != "" || wireMatchers[m[1]] != nil || m[1] == "absent" {
			return
		}
		if s, ok := got.(string); ok && s != "" && v.Bound[m[1]] == "" {
			v.Bound[m[1]] = s
		}
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			for k, w := range want {
				v.bind(w, got[k])
			}
		}
	case []any:
		if got, ok := got.([]any); ok && !isWireSet(want) {
			for i := range min(len(want), len(got)) {
				v.bind(want[i], got[i])
			}
		}
	}
}

// isWireSet tells whether the elements that follow are expected in any order.
func isWireSet(want []any) bool { return len(want) > 0 && want[0] == any("<<set>>") }

// wireMatchers judge a value by its kind; got is never nil.
var wireMatchers = map[string]func(got any) bool{
	"any": func(any) bool { return true },
	"time": func(got any) bool {
		s, ok := got.(string)
		_, err := time.Parse(time.RFC3339, s)
		return ok && err == nil
	},
	"etag":    func(got any) bool { s, ok := got.(string); return ok && reETag.MatchString(s) },
	"integer": func(got any) bool { n, ok := got.(json.Number); return ok && reInteger.MatchString(n.String()) },
}

// match returns how got differs from want, a line each; path names the place.
func (v *wireVars) match(path string, want, got any) []string {
	switch want := want.(type) {
	case string:
		if m := reMatcher.FindStringSubmatch(want); m != nil {
			return v.matchNamed(path, want, m[1], m[2], got)
		}
		return v.matchText(path, want, got)
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			return v.matchObject(path, want, got)
		}
	case []any:
		if got, ok := got.([]any); ok {
			if isWireSet(want) {
				return v.matchSet(path, want[1:], got)
			}
			return v.matchArray(path, want, got)
		}
	}
	if !cmp.Equal(want, got) {
		return []string{fmt.Sprintf("%s: got %s, want %s", path, wireJSON(got), wireJSON(want))}
	}
	return nil
}

// matchText compares with a string in which {{name}} stands for what was
// captured.
func (v *wireVars) matchText(path, want string, got any) []string {
	text, err := v.Expand(want)
	switch {
	case err != nil:
		return []string{fmt.Sprintf("%s: %v", path, err)}
	case got != any(text):
		return []string{fmt.Sprintf("%s: got %s, want %s", path, wireJSON(got), wireJSON(text))}
	}
	return nil
}

func (v *wireVars) matchNamed(path, want, name, arg string, got any) []string {
	ok := got != nil
	switch f := wireMatchers[name]; {
	case name == "location":
		ok = v.Bound[arg] != "" && got == any(v.Base+"/Users/"+v.Bound[arg])
	case f != nil:
		ok = ok && f(got)
	default:
		ok = v.Bound[name] != "" && got == any(v.Bound[name])
		want += " = " + strconv.Quote(v.Bound[name])
	}
	if !ok {
		return []string{fmt.Sprintf("%s: got %s, want %s", path, wireJSON(got), want)}
	}
	return nil
}

func (v *wireVars) matchObject(path string, want, got map[string]any) (diffs []string) {
	for _, k := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[k]
		switch {
		case k == wireMore:
		case want[k] == any("<<absent>>"):
			if ok {
				diffs = append(diffs, fmt.Sprintf("%s.%s: got %s, want it absent", path, k, wireJSON(g)))
			}
		case !ok:
			diffs = append(diffs, fmt.Sprintf("%s.%s: missing, want %s", path, k, wireJSON(want[k])))
		default:
			diffs = append(diffs, v.match(path+"."+k, want[k], g)...)
		}
	}
	if _, open := want[wireMore]; open {
		return diffs
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[k]; !ok {
			diffs = append(diffs, fmt.Sprintf("%s.%s: got %s, want no such member", path, k, wireJSON(got[k])))
		}
	}
	return diffs
}

func (v *wireVars) matchArray(path string, want, got []any) (diffs []string) {
	n := len(want)
	open := n > 0 && want[n-1] == any(wireMore)
	if open {
		n--
	}
	if len(got) < n || len(got) > n && !open {
		return []string{fmt.Sprintf("%s: got %d elements %s, want %d", path, len(got), wireJSON(got), n)}
	}
	for i := range n {
		diffs = append(diffs, v.match(fmt.Sprintf("%s[%d]", path, i), want[i], got[i])...)
	}
	return diffs
}

// matchSet compares arrays without regard to order: every element is to match
// one that is expected, and the first of those that it matches is taken.
func (v *wireVars) matchSet(path string, want, got []any) (diffs []string) {
	left := slices.Clone(want)
	for i, g := range got {
		at := slices.IndexFunc(left, func(w any) bool { return len(v.match(path, w, g)) == 0 })
		if at < 0 {
			diffs = append(diffs, fmt.Sprintf("%s[%d]: got %s, which is not expected", path, i, wireJSON(g)))
			continue
		}
		left = slices.Delete(left, at, at+1)
	}
	for _, w := range left {
		diffs = append(diffs, fmt.Sprintf("%s: missing, want %s", path, wireJSON(w)))
	}
	return diffs
}

func wireJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// matchResponse compares a whole response, and checks what every response
// owes its client without the fixture saying so.
func (v *wireVars) matchResponse(want wireResponse, res *http.Response, data []byte) []string {
	diffs := []string{}
	if res.StatusCode != want.Status {
		diffs = append(diffs, fmt.Sprintf("status: got %d, want %d", res.StatusCode, want.Status))
	}
	var got any
	if len(data) > 0 {
		var err error
		if got, err = decodeWireJSON(data); err != nil {
			return append(diffs, fmt.Sprintf("body: %v", err))
		}
	}
	for _, h := range want.Header {
		v.bind(h[1], res.Header.Get(h[0]))
	}
	v.bind(want.Body, got)
	for _, h := range want.Header {
		diffs = append(diffs, v.matchHeader(h[0], h[1], res.Header)...)
	}
	diffs = append(diffs, wireDuties(res, got)...)
	return append(diffs, v.match("body", want.Body, got)...)
}

func (v *wireVars) matchHeader(name, want string, h http.Header) []string {
	values := h.Values(name)
	switch {
	case want == "<<absent>>" && len(values) == 0, want == "*" && len(values) > 0:
		return nil
	case len(values) != 1:
		return []string{fmt.Sprintf("header %s: got %q, want %s", name, values, want)}
	case want == "<<integer>>":
		if reInteger.MatchString(values[0]) {
			return nil
		}
	case len(v.match(name, want, any(values[0]))) == 0:
		return nil
	}
	return []string{fmt.Sprintf("header %s: got %q, want %s", name, values[0], want)}
}

const wireErrorSchema = "urn:ietf:params:scim:api:messages:2.0:Error"

// wireDuties lists what res owes to any client and does not give.
func wireDuties(res *http.Response, body any) (diffs []string) {
	owe := func(ok bool, format string, args ...any) {
		if !ok {
			diffs = append(diffs, fmt.Sprintf(format, args...))
		}
	}
	obj, _ := body.(map[string]any)
	if body != nil {
		ct, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
		owe(err == nil && ct == "application/scim+json", "Content-Type: got %q, want application/scim+json (RFC 7644 §3.1)", res.Header.Get("Content-Type"))
	}
	meta, _ := obj["meta"].(map[string]any)
	if etag := res.Header.Get("ETag"); etag != "" && meta != nil {
		owe(meta["version"] == any(etag), "ETag: got %s, meta.version is %s (RFC 7644 §3.14)", etag, wireJSON(meta["version"]))
	}
	switch res.StatusCode {
	case http.StatusCreated:
		loc := res.Header.Get("Location")
		owe(loc != "" && meta["location"] == any(loc), "Location: got %q, meta.location is %s (RFC 7644 §3.3)", loc, wireJSON(meta["location"]))
	case http.StatusNoContent, http.StatusNotModified:
		owe(body == nil, "body: a %d has none", res.StatusCode)
	case http.StatusUnauthorized:
		owe(res.Header.Get("WWW-Authenticate") != "", "WWW-Authenticate: missing (RFC 9110 §15.5.2)")
	case http.StatusMethodNotAllowed:
		owe(res.Header.Get("Allow") != "", "Allow: missing (RFC 9110 §15.5.6)")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		after := res.Header.Get("Retry-After")
		owe(reInteger.MatchString(after) && after != "0", "Retry-After: got %q, want whole seconds (Okta understands nothing else)", after)
	}
	if res.StatusCode >= 400 {
		detail, _ := obj["detail"].(string)
		owe(cmp.Equal(obj["schemas"], any([]any{wireErrorSchema})), "error schemas: got %s (RFC 7644 §3.12)", wireJSON(obj["schemas"]))
		owe(obj["status"] == any(strconv.Itoa(res.StatusCode)), "error status: got %s, want the string %q", wireJSON(obj["status"]), strconv.Itoa(res.StatusCode))
		owe(detail != "", "error detail: empty")
	}
	return append(diffs, wireForbidden("body", body)...)
}

// wireForbidden finds what no response shows: null, and a password.
func wireForbidden(path string, v any) (diffs []string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			switch {
			case strings.EqualFold(k, "password"):
				diffs = append(diffs, fmt.Sprintf("%s.%s: a password is never returned (RFC 7643 §4.1.1)", path, k))
			case v[k] == nil:
				diffs = append(diffs, fmt.Sprintf("%s.%s: null is left out (RFC 7643 §2.5)", path, k))
			default:
				diffs = append(diffs, wireForbidden(path+"."+k, v[k])...)
			}
		}
	case []any:
		for i, e := range v {
			diffs = append(diffs, wireForbidden(fmt.Sprintf("%s[%d]", path, i), e)...)
		}
	}
	return diffs
}

func TestWireMatch(t *testing.T) {
	const base = "https://bridge.example/scim/v2"
	for _, tt := range []struct{ name, want, got, wantDiff string }{
		{"equal", `{"a": [1, {"b": true}]}`, `{"a": [1, {"b": true}]}`, ""},
		{"another value", `{"a": 1}`, `{"a": 2}`, "body.a: got 2, want 1"},
		{"a number as string", `{"a": 1}`, `{"a": "1"}`, `body.a: got "1", want 1`},
		{"a missing member", `{"a": 1}`, `{}`, "body.a: missing, want 1"},
		{"a surplus member", `{}`, `{"a": 1}`, "body.a: got 1, want no such member"},
		{"an open object", `{"a": 1, "...": "..."}`, `{"a": 1, "b": 2}`, ""},
		{"an absent member", `{"a": "<<absent>>", "...": "..."}`, `{"b": 2}`, ""},
		{"a member that should be absent", `{"a": "<<absent>>", "...": "..."}`, `{"a": 2}`, "want it absent"},
		{"array order", `["a", "b"]`, `["b", "a"]`, `body[0]: got "b", want "a"`},
		{"array length", `["a"]`, `["a", "b"]`, "got 2 elements"},
		{"an open array", `["a", "..."]`, `["a", "b"]`, ""},
		{"an open array that lacks an element", `["a", "b", "..."]`, `["a"]`, "got 1 elements"},
		{"any", `{"a": "<<any>>"}`, `{"a": {"b": 1}}`, ""},
		{"any but null", `{"a": "<<any>>"}`, `{"a": null}`, "want <<any>>"},
		{"a time", `"<<time>>"`, `"2026-01-05T09:00:00Z"`, ""},
		{"not a time", `"<<time>>"`, `"yesterday"`, "want <<time>>"},
		{"an etag", `"<<etag>>"`, `"W/\"1\""`, ""},
		{"not an etag", `"<<etag>>"`, `"1"`, "want <<etag>>"},
		{"an integer", `"<<integer>>"`, `7`, ""},
		{"not an integer", `"<<integer>>"`, `7.5`, "want <<integer>>"},
		{"a capture and its location", `{"id": "<<id1>>", "l": "<<location id1>>"}`, `{"l": "` + base + `/Users/7", "id": "7"}`, ""},
		{"another location", `{"id": "<<id1>>", "l": "<<location id1>>"}`, `{"l": "http://evil/Users/7", "id": "7"}`, "want <<location id1>>"},
		{"a captured value in a text", `{"id": "<<g1>>", "l": "{{base}}/Groups/{{g1}}"}`, `{"id": "7", "l": "` + base + `/Groups/7"}`, ""},
		{"another text", `{"id": "<<g1>>", "l": "{{base}}/Groups/{{g1}}"}`, `{"id": "7", "l": "` + base + `/Users/7"}`, "body.l: got"},
		{"a text with a value that is missing", `"{{base}}/Groups/{{g1}}"`, `"7"`, "{{g1}} was never captured"},
		{"a set", `["<<set>>", {"a": 1}, {"a": 2, "...": "..."}]`, `[{"a": 2, "b": 3}, {"a": 1}]`, ""},
		{"an empty set", `["<<set>>"]`, `[]`, ""},
		{"a set that lacks an element", `["<<set>>", "a", "b"]`, `["b"]`, `body: missing, want "a"`},
		{"a set with a surplus element", `["<<set>>", "a", "b"]`, `["b", "c", "a"]`, `body[1]: got "c", which is not expected`},
		{"a set with an element twice", `["<<set>>", "a", "b"]`, `["b", "b"]`, `body[1]: got "b", which is not expected`},
		{"a capture used twice", `["<<id1>>", "<<id1>>"]`, `["7", "7"]`, ""},
		{"a capture that changed", `["<<id1>>", "<<id1>>"]`, `["7", "8"]`, `body[1]: got "8"`},
	} {
		t.Run("it judges "+tt.name, func(t *testing.T) {
			want, err := decodeWireJSON([]byte(tt.want))
			if err != nil {
				t.Fatal(err)
			}
			got, err := decodeWireJSON([]byte(tt.got))
			if err != nil {
				t.Fatal(err)
			}
			v := newWireVars(base)
			v.bind(want, got)
			diff := strings.Join(v.match("body", want, got), "\n")
			if (diff == "") != (tt.wantDiff == "") || !strings.Contains(diff, tt.wantDiff) {
				t.Errorf("differences %q, want %q", diff, tt.wantDiff)
			}
		})
	}
}

func TestWireDuties(t *testing.T) {
	ct := http.Header{"Content-Type": {"application/scim+json; charset=utf-8"}}
	with := func(kv ...string) http.Header {
		h := ct.Clone()
		for i := 0; i < len(kv); i += 2 {
			h.Set(kv[i], kv[i+1])
		}
		return h
	}
	const scimError = `{"schemas": ["` + wireErrorSchema + `"], "status": "%d", "detail": "why"}`
	for _, tt := range []struct {
		name, wantDiff string
		status         int
		header         http.Header
		body           string
	}{
		{"a plain answer", "", 200, ct, `{"a": 1}`},
		{"another content type", "Content-Type: got", 200, http.Header{"Content-Type": {"application/json"}}, `{}`},
		{"a created resource", "", 201, with("Location", "u"), `{"meta": {"location": "u"}}`},
		{"a created resource without Location", "Location: got", 201, ct, `{"meta": {"location": "u"}}`},
		{"an ETag that is not the version", "ETag: got", 200, with("ETag", `W/"1"`), `{"meta": {"version": "W/\"2\""}}`},
		{"a 204 with a body", "a 204 has none", 204, ct, `{}`},
		{"an error", "", 404, ct, fmt.Sprintf(scimError, 404)},
		{"an error with a number as status", "error status", 404, ct, strings.ReplaceAll(fmt.Sprintf(scimError, 404), `"404"`, `404`)},
		{"an error of another shape", "error schemas", 404, ct, `{"error": "no"}`},
		{"a 401 without challenge", "WWW-Authenticate", 401, ct, fmt.Sprintf(scimError, 401)},
		{"a 405 without Allow", "Allow: missing", 405, ct, fmt.Sprintf(scimError, 405)},
		{"a 429 with a date", "Retry-After", 429, with("Retry-After", "Fri, 02 Jan 2026 10:00:00 GMT"), fmt.Sprintf(scimError, 429)},
		{"a null", "body.a: null", 200, ct, `{"a": null}`},
		{"a password", "body.R[0].PassWord", 200, ct, `{"R": [{"PassWord": "x"}]}`},
	} {
		t.Run("it judges "+tt.name, func(t *testing.T) {
			body, err := decodeWireJSON([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			diff := strings.Join(wireDuties(&http.Response{StatusCode: tt.status, Header: tt.header}, body), "\n")
			if (diff == "") != (tt.wantDiff == "") || !strings.Contains(diff, tt.wantDiff) {
				t.Errorf("differences %q, want %q", diff, tt.wantDiff)
			}
		})
	}
}

func TestWireExpand(t *testing.T) {
	v := newWireVars("https://bridge.example/scim/v2")
	v.Bound["id1"] = "7"
	got, err := v.Expand(`{{base}}/Users/{{id1}}?x={{repeat ab 3}}`)
	if want := "https://bridge.example/scim/v2/Users/7?x=ababab"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := v.Expand("{{id2}}"); err == nil {
		t.Error("an unknown name was expanded")
	}
}
