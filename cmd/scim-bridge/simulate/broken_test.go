package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// Every way of being wrong is found, by the step that is about it, with what
// came and why it matters.
func TestBrokenServers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		client, mode string
		faults       faults
		// finds must be among the failures, got in what the report quotes.
		finds []string
		got   string
	}{
		{"the filter is ignored", "okta", "", faults{ignoreFilter: true}, []string{"create: filter-miss", "find: filter-hit", "rename: renamed"}, "totalResults 6 and 6 resources"},
		{"an empty list is 404", "entra", "", faults{emptyIs404: true}, []string{"connection: list"}, "answered 404: nothing found"},
		{"an empty list is 404 for OneLogin", "onelogin", "", faults{emptyIs404: true}, []string{"connection: list"}, "answered 404: nothing found"},
		{"an empty list is null", "entra", "", faults{nullResources: true}, []string{"connection: list-shape"}, "Resources missing"},
		{"totalResults is a text", "okta", "", faults{numbersAsText: true}, []string{"connection: numbers"}, `totalResults "`},
		{"startIndex is left out", "okta", "", faults{noStart: true}, []string{"connection: numbers"}, "startIndex missing"},
		{"the order of pages changes", "okta", "", faults{unstable: true}, []string{"import: stable-order"}, "another order"},
		{"pages overlap", "okta", "", faults{repeats: true}, []string{"import: no-repeats"}, "has an id again"},
		{"pages overlap for Entra", "entra", "", faults{repeats: true}, []string{"import: no-repeats"}, "has an id again"},
		{"totalResults is the page's", "okta", "", faults{shortTotal: true}, []string{"import: total"}, "read by 100 there are 6 resources, read by 2 2"},
		{"userName is case-sensitive", "okta", "", faults{caseSensitive: true}, []string{"find: filter-case"}, "totalResults 0 and 0 resources"},
		{"a disabled user is hidden", "okta", "", faults{hideInactive: true}, []string{"disable: disabled-found", "restore: disabled-found"}, "answered 404"},
		{"a disabled user is hidden from the wizard", "okta", "wizard", faults{hideInactive: true}, []string{"disable: disabled-found"}, "answered 404"},
		{"who comes back has another id", "okta", "", faults{newIDWhenBack: true}, []string{"restore: restored"}, "by the filter: totalResults 1"},
		{"who comes back has another id for Entra", "entra", "", faults{newIDWhenBack: true}, []string{"restore: restored"}, "by the filter: totalResults 1"},
		{`"False" is true`, "entra", "", faults{textIsTrue: true}, []string{"disable: disabled"}, "active is true"},
		{`"false" is true`, "onelogin", "", faults{textIsTrue: true}, []string{"disable: disabled"}, "active is true"},
		{"active is answered as a text", "okta", "", faults{activeText: true}, []string{"create: as-sent", "disable: disabled"}, `active is "true"`},
		{"duplicates are made", "okta", "", faults{duplicates: true}, []string{"duplicate: duplicate", "duplicate: filter-hit"}, "totalResults 2 and 2 resources"},
		{"the password comes back", "okta", "", faults{returnPassword: true}, []string{"create: password"}, "a password"},
		{"the error's status is a number", "okta", "", faults{numericStatus: true}, []string{"credential: error", "duplicate: error", "unknown: error"}, "status 401"},
		{"the media type is application/json", "entra", "", faults{plainJSON: true}, []string{"connection: media-type"}, `Content-Type "application/json"`},
		{"there is no Location", "okta", "", faults{noLocation: true}, []string{"create: location"}, "no Location"},
		{"any token is let in", "okta", "", faults{anyToken: true}, []string{"credential: unauthorized"}, "answered 200"},
		{"all have one id", "okta", "", faults{sameID: true}, []string{"create: id"}, "another one of the run has already"},
		{"the create answers with somebody else", "okta", "", faults{otherUser: true}, []string{"create: as-sent"}, "another person"},
		{"a new name wipes the members", "okta", "", faults{renameWipes: true}, []string{"members: rename-keeps-members"}, "5 are missing"},
		{"a new name wipes the members for JumpCloud", "jumpcloud", "", faults{renameWipes: true}, []string{"members: rename-keeps-members"}, "5 are missing"},
		{"a removal with values wipes all", "entra", "", faults{removeWipes: true}, []string{"members: added-again", "members: removed-alone"}, "are missing"},
		{"a removal with values wipes all for JumpCloud", "jumpcloud", "", faults{removeWipes: true}, []string{"members: removed-alone"}, "are missing"},
		{"a member is added twice", "okta", "", faults{addTwice: true}, []string{"members: added-again", "parallel: parallel-members"}, "1 are there more than once"},
		{"changes at once get lost", "okta", "", faults{dropSome: true}, []string{"parallel: parallel-members"}, "are missing"},
		{"who is disabled loses the groups", "entra", "", faults{forgetMembers: true}, []string{"restore: membership-kept"}, "1 are missing"},
		{"excludedAttributes is ignored", "entra", "", faults{ignoreExcluded: true}, []string{"members: excluded-members"}, "members an array of 5"},
		{"the manager is answered as a text", "entra", "", faults{managerText: true}, []string{"attributes: manager"}, `manager "u-`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{faults: tt.faults}
			r := run(t, options(f, tt.client, tt.mode))
			got := failures(r)
			for _, want := range tt.finds {
				if !slices.Contains(got, want) {
					t.Errorf("%q is not among %q", want, got)
				}
			}
			if all := text(t, r); r.Verdict != Failed || !strings.Contains(unwrapped(all), tt.got) {
				t.Errorf("verdict %s; %q is not in\n%s", r.Verdict, tt.got, all)
			}
			for _, name := range f.names() {
				if !slices.ContainsFunc(r.Left, func(l Left) bool { return l.Name == name }) {
					t.Errorf("%s was left, and is not listed", name)
				}
			}
		})
	}
}

// unwrapped is a report in one line.
func unwrapped(report string) string { return strings.Join(strings.Fields(report), " ") }

// What is no SCIM at all is told from what is, whatever it is made of: the run
// ends, and says why.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	html := http.Header{"Content-Type": {"text/html"}}
	ok := http.Header{"Content-Type": {"application/scim+json"}}
	always := func(status int, header http.Header, body string) func(*http.Request) *http.Response {
		return func(*http.Request) *http.Response { return canned(status, header, body) }
	}
	for _, tt := range []struct {
		name   string
		answer func(*http.Request) *http.Response
		finds  string
		got    string
	}{
		{"an HTML page", always(200, html, "<html><body>Sign in</body></html>"), "connection: json", "a body that is HTML or XML"},
		{"an HTML error", always(502, html, "<h1>Bad Gateway</h1>"), "connection: no-server-error", "answered 502"},
		{"a refused token", always(401, nil, `{}`), "connection: list", "answered 401"},
		{"a refusal without a body", always(403, http.Header{}, ""), "connection: error", "answered 403 without a JSON body"},
		{"a redirect", always(302, http.Header{"Location": {"https://elsewhere.example.net/"}}, ""), "connection: no-redirect", "answered 302 to https://elsewhere.example.net/"},
		{"a body cut short", func(*http.Request) *http.Response {
			resp := canned(200, ok, "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"schemas":[`), iotest.ErrReader(io.ErrUnexpectedEOF)))
			return resp
		}, "connection: answered", "the body ended early: unexpected EOF"},
		{"half of a JSON text", always(200, ok, `{"totalResults":0,"Resources":[`), "connection: json", "a body that is JSON up to byte 31"},
		{"a body without an end", func(*http.Request) *http.Response {
			resp := canned(200, ok, "")
			resp.Body = io.NopCloser(endless{})
			return resp
		}, "connection: answered", "more than 8 MiB"},
		{"deep nesting", always(200, ok, strings.Repeat(`{"a":`, 200_000)), "connection: json", ""},
		{"a list of nulls", always(200, ok, `{"schemas":["`+listURN+`"],"totalResults":3,"startIndex":1,"itemsPerPage":3,"Resources":[null,7,{}]}`), "connection: list-shape", "an array"},
		{"a list that is an object", always(200, ok, `{"schemas":{},"totalResults":{},"Resources":{}}`), "connection: list-shape", "Resources an object"},
		{"absurd numbers", always(200, ok, `{"schemas":["`+listURN+`"],"totalResults":1e300,"startIndex":-1,"itemsPerPage":0.5,"Resources":[]}`), "connection: numbers", "totalResults 1e+300"},
		{"a null", always(200, ok, `null`), "connection: json", "a body that is null"},
		{"control characters", always(400, ok, `{"detail":"\u001b[2J\u202eevil\u0000","status":"400","schemas":[]}`), "connection: list", "answered 400: [2J�evil"},
		{"the token in the detail", always(400, ok, `{"detail":"bad `+goodToken+`"}`), "connection: list", "bad [token]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{faults: faults{answer: tt.answer}}
			r := run(t, options(f, "okta", ""))
			if got := failures(r); !slices.Contains(got, tt.finds) {
				t.Errorf("%q is not among %q", tt.finds, got)
			}
			all := text(t, r)
			if !strings.Contains(unwrapped(all), tt.got) {
				t.Errorf("%q is not in\n%s", tt.got, all)
			}
			if strings.ContainsAny(all, "\x1b\x00\u202e") || strings.Contains(all, goodToken) {
				t.Errorf("the report has what it must not have:\n%q", all)
			}
			if len(f.seen) > 40 {
				t.Errorf("%d requests went to a server that is none", len(f.seen))
			}
		})
	}
}

// endless is a body that never ends.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return copy(b, bytes.Repeat([]byte("["), len(b))), nil }

// A server that does not answer costs the time limit once.
func TestASilentServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{faults: faults{answer: func(*http.Request) *http.Response { return &http.Response{} }}}
		r := run(t, options(f, "okta", ""))
		if got := failures(r); !slices.Contains(got, "connection: answered") || len(f.seen) != 1 {
			t.Errorf("%q after %d requests", got, len(f.seen))
		}
		if all := text(t, r); !strings.Contains(all, "no whole answer within 1m0s") || !strings.Contains(unwrapped(all), "Okta: after 60 seconds a request is given up") {
			t.Error(all)
		}
	})
}

// The run writes to nobody whom it did not create, whatever the server says.
func TestStrangersAreLeftAlone(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]faults{
		"sound": {}, "the filter is ignored": {ignoreFilter: true}, "another person": {otherUser: true}, "one id": {sameID: true},
		"duplicates": {duplicates: true}, "other ids": {newIDWhenBack: true},
	} {
		for _, c := range everyClient() {
			f := &fake{faults: given}
			f.users = append(f.users, &resource{"ceo", map[string]any{"userName": "ceo@example.com", "active": true}})
			f.groups = append(f.groups, &resource{"board", map[string]any{"displayName": "Board"}})
			before := [2]map[string]any{maps.Clone(f.users[0].object), maps.Clone(f.groups[0].object)}
			o := options(f, c[0], c[1])
			o.Users, o.Parallel = 3, 4
			r := run(t, o)
			for _, request := range f.seen {
				method, path, _ := strings.Cut(request, " ")
				if method != http.MethodGet && (strings.HasSuffix(path, "/ceo") || strings.HasSuffix(path, "/board")) {
					t.Errorf("%s, %s: %s", name, c, request)
				}
			}
			if d := cmp.Diff(before, [2]map[string]any{f.users[0].object, f.groups[0].object}); d != "" {
				t.Errorf("%s, %s: %s", name, c, d)
			}
			if b, err := json.Marshal(r); err != nil || bytes.Contains(b, []byte("ceo@")) {
				t.Errorf("%s, %s: a stranger is in the report, %v", name, c, err)
			}
		}
	}
}

// What is created is removed however the run ends, and what cannot be is listed.
func TestCleanUp(t *testing.T) {
	t.Parallel()
	t.Run("a run that is interrupted", func(t *testing.T) {
		for at := 1; at < 140; at += 7 { // a run of three people takes about as many requests
			ctx, cancel := context.WithCancel(t.Context())
			var n atomic.Int32
			f := &fake{}
			f.answer = func(*http.Request) *http.Response {
				if int(n.Add(1)) == at {
					cancel()
				}
				return nil
			}
			o := options(f, "okta", "")
			o.Users, o.Parallel = 3, 5
			r, err := Run(ctx, o)
			if left := f.names(); len(left) > 0 {
				t.Fatalf("interrupted at request %d: %v was left", at, left)
			}
			if interrupted := err != nil; interrupted != errors.Is(err, context.Canceled) || r.Interrupted != interrupted {
				t.Fatalf("interrupted at request %d: %v, %+v", at, err, r.Interrupted)
			}
			cancel()
		}
	})
	t.Run("a server that deletes nobody", func(t *testing.T) {
		for _, c := range everyClient() {
			f := &fake{faults: faults{noDelete: true}}
			o := options(f, c[0], c[1])
			r := run(t, o)
			people := 0
			for _, l := range r.Left {
				if l.Type == "User" {
					people++
				}
				if want := "DELETE answered 405"; !strings.Contains(l.Reason, want) || l.Type == "User" && !strings.Contains(l.Reason, "disabled instead") {
					t.Errorf("%s: %+v", c, l)
				}
			}
			if people < o.Users || slices.ContainsFunc(f.users, func(u *resource) bool { return u.object["active"] != false }) {
				t.Errorf("%s: %d of %d are listed, or somebody is active", c, people, len(f.users))
			}
		}
	})
	t.Run("creates whose answers are lost", func(t *testing.T) {
		f := &fake{}
		o := options(f, "okta", "")
		o.HTTP = &http.Client{Transport: &losing{f}}
		r := run(t, o)
		if !slices.Contains(failures(r), "create: answered") || len(f.names()) > 0 || len(r.Left) > 0 {
			t.Errorf("%v; left %v, listed %v", failures(r), f.names(), r.Left)
		}
	})
	t.Run("what is to be kept", func(t *testing.T) {
		f := &fake{}
		o := options(f, "okta", "")
		o.Keep = true
		r := run(t, o)
		if len(f.users) != o.Users || len(r.Left) != o.Users+o.Groups-1 { // one group was deleted in the play
			t.Errorf("%d people, listed %v", len(f.users), r.Left)
		}
	})
}

// losing is a fake whose answers to creates get lost on the way.
type losing struct{ *fake }

func (l *losing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.fake.RoundTrip(r)
	if err == nil && r.Method == http.MethodPost {
		return nil, io.ErrUnexpectedEOF
	}
	return resp, err
}
