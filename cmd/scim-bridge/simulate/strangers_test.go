package simulate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A report can be attached to a ticket: whatever a server says of people who
// were there before is not in it.
func TestStrangersStayOutOfTheReport(t *testing.T) {
	t.Parallel()
	const stranger = `{"id":"realname","userName":"realname","name":{"givenName":"Realname","familyName":"Realname"},"emails":[{"value":"x@real.example"}]}`
	list := func(resources string) string {
		return `{"schemas":["` + listURN + `"],"totalResults":1,"startIndex":1,"itemsPerPage":1,"Resources":` + resources + `}`
	}
	for name, body := range map[string]string{
		"a bare array":           `[` + stranger + `]`,
		"a bare text":            `"Realname, x@real.example"`,
		"broken JSON":            `{"Resources":[` + stranger,
		"something behind it":    stranger + ` x@real.example`,
		"HTML":                   `<p>Realname x@real.example</p>`,
		"text":                   `Realname x@real.example`,
		"a list":                 list(`[` + stranger + `]`),
		"a list of short ones":   list(`[{"userName":"realname"}]`),
		"a list of texts":        list(`["realname","x@real.example"]`),
		"a list that is a text":  list(`"Realname"`),
		"schemas that are names": `{"schemas":["realname"],"totalResults":0,"Resources":[]}`,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for _, client := range []string{"okta", "entra"} {
				t.Run(fmt.Sprintf("%s for %s of %s", name, method, client), func(t *testing.T) {
					t.Parallel()
					f := &fake{faults: faults{answer: func(r *http.Request) *http.Response {
						if r.Method != method {
							return nil
						}
						return canned(map[string]int{http.MethodGet: 200, http.MethodPost: 201}[method], http.Header{"Content-Type": {"application/scim+json"}}, body)
					}}}
					unnamed(t, run(t, options(f, client, "")))
				})
			}
		}
	}
}

// Nor are the addresses of others, where a refusal or a redirect has some.
func TestAddressesOfOthersAreMasked(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]*struct {
		status int
		header http.Header
		body   string
	}{
		"a detail":         {409, nil, `{"detail":"taken by <x+y@real.example>, mailto:x@real.example","scimType":"x@real.example","status":"409"}`},
		"a redirect":       {302, http.Header{"Location": {"https://sso.example.net/login?as=realname#realname"}}, ""},
		"a user in a URL":  {302, http.Header{"Location": {"https://realname:realname@sso.example.net/"}}, ""},
		"a type of itself": {200, http.Header{"Content-Type": {"x@real.example"}}, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{faults: faults{answer: func(*http.Request) *http.Response { return canned(answer.status, answer.header, answer.body) }}}
			r := run(t, options(f, "okta", ""))
			unnamed(t, r)
			if name == "a detail" && !strings.Contains(unwrapped(text(t, r)), "answered 409: taken by <[address]>, mailto:[address]") {
				t.Errorf("the detail is lost:\n%s", text(t, r))
			}
		})
	}
}

// The run's own names are what the report is about.
func TestMask(t *testing.T) {
	s := &simulation{Options: Options{Name: "t1", Domain: "Example.com"}}
	for in, want := range map[string]string{
		"simulate-t1-01@example.com is taken": "simulate-t1-01@example.com is taken",
		`is "SIMULATE-T1-01@EXAMPLE.COM"`:     `is "SIMULATE-T1-01@EXAMPLE.COM"`,
		"simulate-t2-01@example.com":          "[address]",
		"x@simulate-t1-01@example.com":        "[address]@example.com",
		"é.ü@münchen.example!":                "[address]!",
		"a @ b, @c":                           "a @ b, @c",
	} {
		if got := s.mask(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// unnamed looks for a stranger in both forms of a report.
func unnamed(t *testing.T, r *Report) {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{text(t, r), string(b)} {
		low := strings.ToLower(form)
		if i := max(strings.Index(low, "realname"), strings.Index(low, "real.example")); i >= 0 {
			t.Errorf("the report has a stranger: …%s…", form[max(i-200, 0):min(i+80, len(form))])
		}
	}
}

// Nor is a stranger's profile, where it comes for one of the run's people.
func TestAnotherProfileIsNotShown(t *testing.T) {
	s := &simulation{Options: Options{Name: "t1", Domain: "example.com"}}
	p := s.person(1)
	for _, tt := range []struct{ userName, want string }{
		{"realname", "userName is a text, sent was"},
		{"SIMULATE-t1-01@example.com", `name.givenName is "Realname", sent was`},
	} {
		user := map[string]any{"userName": tt.userName, "name": map[string]any{"givenName": "Realname", "familyName": p.Family}, "active": true, "emails": []any{"Realname"}}
		got := strings.Join(s.differences(user, p, true), "; ")
		if !strings.Contains(got, tt.want) || strings.Contains(got, "Realname") != s.ours(tt.userName) {
			t.Errorf("%s: %s", tt.userName, got)
		}
	}
}
