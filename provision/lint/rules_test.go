package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

func TestRules(t *testing.T) {
	page, err := os.ReadFile("../../docs/linter.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range Rules() {
		if seen[r.Code] || !regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`).MatchString(r.Code) {
			t.Errorf("code %q is taken or malformed", r.Code)
		}
		seen[r.Code] = true
		if r.Severity != Error && r.Severity != Warning && r.Severity != Notice || r.Title == "" || r.Why == "" || r.Remedy == "" {
			t.Errorf("%s is not complete: %+v", r.Code, r)
		}
		for client, where := range r.Where {
			if _, err := scim.ParseDialect(client); err != nil || where == "" {
				t.Errorf("%s: where to click in %q: %q, %v", r.Code, client, where, err)
			}
		}
		if want := "| `" + r.Code + "` | " + string(r.Severity) + " | "; !strings.Contains(string(page), want) {
			t.Errorf("docs/linter.md has no row that begins with %q", want)
		}
	}
	for _, code := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (?:error|warning|notice)").FindAllStringSubmatch(string(page), -1) {
		if !seen[code[1]] {
			t.Errorf("docs/linter.md has a row of %s, which does not exist", code[1])
		}
	}
	for c, r := range trafficRules {
		if r.keep == 0 || r.keep > month {
			t.Errorf("%s (%d) is kept for %s", r.Code, c, r.keep)
		}
	}
}

// TestWireShapes looks at the users of the wire fixtures.
func TestWireShapes(t *testing.T) {
	for name, want := range map[string]mask{
		"okta/04_create":                     0,
		"okta/10_deactivate_put":             0,
		"entra/02_create":                    maskOf(externalID), // mailNickname, the default
		"entra/67_single_app_role":           0,
		"onelogin/03_emails_without_primary": maskOf(emailType),
		"jumpcloud/01_test_connection":       0,
		"ping/01_put_only":                   0,
	} {
		client, _, _ := strings.Cut(name, "/")
		d, err := scim.ParseDialect(client)
		if err != nil {
			t.Fatal(err)
		}
		codec, err := mapping.NewUserCodec()
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join("../../scim/testdata/wire", name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		users := 0
		for _, m := range regexp.MustCompile(`(?s)\n(?:POST|PUT) /Users\S* HTTP/1.1\n.*?\n\n(.*?)\n-- `).FindAllStringSubmatch(string(text), -1) {
			body := regexp.MustCompile(`\{\{\w+\}\}`).ReplaceAllString(m[1], "x")
			u, _, err := codec.Decode([]byte(body), d)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			users++
			if got := shapeOf(d, u).wrong; got != want {
				t.Errorf("%s: %b, want %b\n%s", name, got, want, body)
			}
		}
		if users == 0 {
			t.Errorf("%s has no user", name)
		}
	}
}
