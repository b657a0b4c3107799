package simulate

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"sound", func(*Options) {}, ""},
		{"no client", func(o *Options) { o.Client = "" }, `unknown client ""`},
		{"another client's mode", func(o *Options) { o.Mode = idp.Flag }, `no mode "flag"`},
		{"no URL", func(o *Options) { o.BaseURL = "" }, "url:"},
		{"no host", func(o *Options) { o.BaseURL = "https:///scim" }, "url:"},
		{"another scheme", func(o *Options) { o.BaseURL = "file:///etc/passwd" }, "url:"},
		{"a password", func(o *Options) { o.BaseURL = "https://a:secret@h/scim" }, "leave that out"},
		{"a query", func(o *Options) { o.BaseURL = "https://h/scim?x=1" }, "leave out what begins with ?"},
		{"a fragment", func(o *Options) { o.BaseURL = "https://h/scim#x" }, "leave out what begins with #"},
		{"no token", func(o *Options) { o.Token = "" }, "token: none is given"},
		{"a token of two lines", func(o *Options) { o.Token = "a\nb" }, "token: it has spaces, line breaks"},
		{"too few people", func(o *Options) { o.Users = 2 }, "users: 2 is out of range: use 3 to 1000"},
		{"too many groups", func(o *Options) { o.Groups = 101 }, "groups: 101"},
		{"less than nothing at once", func(o *Options) { o.Parallel = -1 }, "parallel: -1"},
		{"no domain", func(o *Options) { o.Domain = "a b" }, `domain: "a b"`},
		{"a name that is none", func(o *Options) { o.Name = "A b" }, "name:"},
		{"a wait below 0", func(o *Options) { o.MaxWait = -1 }, "must not be negative"},
	} {
		o := options(&fake{}, "okta", "")
		tt.change(&o)
		err := o.Check()
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if r, err := Run(t.Context(), o); tt.want != "" && (err == nil || r != nil) {
			t.Errorf("%s: it ran", tt.name)
		}
	}
	o := Options{Client: idp.Entra, BaseURL: "https://h/scim/v2/?aadOptscim062020", Token: "t"}
	if err := o.complete(); err != nil || o.Mode != idp.Flag || o.BaseURL != "https://h/scim/v2" || o.Users != 10 || o.Groups != 2 || o.Parallel != 50 {
		t.Errorf("%v %+v", err, o)
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]bool{
		"http://127.0.0.1:8080/scim": true, "http://[::1]/": true, "http://localhost:1/x": true,
		"https://localhost.example.com/": false, "https://10.0.0.1/": false, "https://127.0.0.1.example.com/": false, "://": false,
	} {
		if Loopback(base) != want {
			t.Errorf("%s: %t", base, !want)
		}
	}
}

// Progress only grows, and ends at its total.
func TestProgress(t *testing.T) {
	t.Parallel()
	for _, c := range everyClient() {
		o := options(&fake{}, c[0], c[1])
		var all []Progress
		o.Progress = func(p Progress) { all = append(all, p) }
		run(t, o)
		last := all[len(all)-1]
		if !slices.IsSortedFunc(all, func(a, b Progress) int { return a.Done - b.Done }) || last.Done != last.Total {
			t.Errorf("%s: %+v", c, all)
		}
	}
}

// A report says what it is and keeps the token and the password to itself.
func TestReport(t *testing.T) {
	t.Parallel()
	f := &fake{faults: faults{noLocation: true}}
	r := run(t, options(f, "okta", ""))
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"format":1`, `"client":"okta"`, `"mode":"catalogue"`, `"verdict":"failed"`, `"name":"location"`, `"source":"RFC 7644 §3.3"`, `"userName\":\"simulate-t1-`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in\n%s", want, b)
		}
	}
	for _, secret := range []string{goodToken, "password\\\"", "1mz"} {
		if strings.Contains(string(b), secret) {
			t.Errorf("%s is in the report", secret)
		}
	}
	for line := range strings.Lines(text(t, r)) {
		if len([]rune(line)) > reportWidth+1 && !strings.Contains(line, `"`) {
			t.Errorf("a line has %d columns: %s", len([]rune(line)), line)
		}
	}
}

// Whatever a server answers, the run ends without a panic, and soon.
func TestAnyAnswer(t *testing.T) {
	t.Parallel()
	names := rapid.SampledFrom([]string{"schemas", "id", "Resources", "totalResults", "startIndex", "itemsPerPage", "userName", "displayName", "active", "members", "value", "detail", "status", "meta", "name", "emails", enterpriseURN, "manager"})
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(everyClient()).Draw(t, "client")
		var answers []string
		for range rapid.IntRange(1, 6).Draw(t, "answers") {
			b, err := json.Marshal(drawValue(t, names, 0))
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, string(b))
		}
		statuses := rapid.SliceOfN(rapid.SampledFrom([]int{100, 200, 200, 200, 201, 201, 204, 301, 400, 401, 404, 409, 429, 500, 503, 999}), 1, 6).Draw(t, "statuses")
		f := &fake{}
		sound := rapid.IntRange(0, 100).Draw(t, "sound")
		var count atomic.Int32
		f.answer = func(*http.Request) *http.Response {
			n := int(count.Add(1))
			if n < sound || n%3 == 0 {
				return nil
			}
			return canned(statuses[n%len(statuses)], nil, answers[n%len(answers)])
		}
		o := options(f, c[0], c[1])
		o.Users, o.Parallel = 3, 1
		r, err := Run(t.Context(), o)
		if err != nil || r.Verdict == "" || len(f.seen) > 5000 {
			t.Fatalf("%v after %d requests", err, len(f.seen))
		}
	})
}

// drawValue draws a JSON value that has something of SCIM.
func drawValue(t *rapid.T, names *rapid.Generator[string], depth int) any {
	kinds := []string{"null", "text", "number", "bool", "id"}
	if depth < 4 {
		kinds = append(kinds, "object", "object", "array")
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "text":
		return rapid.StringN(0, 12, 40).Draw(t, "text")
	case "number":
		return rapid.Float64Range(-5, 300).Draw(t, "number")
	case "bool":
		return rapid.Bool().Draw(t, "bool")
	case "id":
		return rapid.SampledFrom([]string{listURN, "simulate-t1-01@example.com", "simulate-t1-group-01", "u-1", "g-4", ".."}).Draw(t, "id")
	case "object":
		object := map[string]any{}
		for range rapid.IntRange(0, 6).Draw(t, "members") {
			object[names.Draw(t, "name")] = drawValue(t, names, depth+1)
		}
		return object
	case "array":
		var all []any
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			all = append(all, drawValue(t, names, depth+1))
		}
		return all
	}
	return nil
}
