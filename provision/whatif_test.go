package provision_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// whatIf asks what a document with the given lines would change, one line for
// each change.
func whatIf(t *testing.T, s *bridgetest.Stack, slug string, lines ...string) (provision.WhatIfReport, []string, error) {
	t.Helper()
	c, err := tenantconfig.Parse([]byte(bridgetest.Tenant(slug, s.UpstreamURL, lines...)), func(string) (string, bool) { return slug + "-secret", true }, nil)
	if err != nil {
		t.Fatal(err)
	}
	state := func(w provision.WhatIfState) string {
		if !w.Access {
			return "none (" + w.Because + ")"
		}
		return w.Role + " (" + w.Because + ")"
	}
	changes := []string{}
	report, err := s.Bridge.Service.WhatIf(t.Context(), c, func(w provision.WhatIfChange) error {
		if w.Problem != "" {
			changes = append(changes, w.UserName+": "+w.Problem)
		} else {
			changes = append(changes, fmt.Sprintf("%s %d: %s → %s", w.UserName, w.OrganizationID, state(w.From), state(w.To)))
		}
		return nil
	})
	return report, changes, err
}

func TestWhatIf(t *testing.T) {
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := bridgetest.Start(t, bridgetest.Config{Sandbox: sandbox.Options{Invites: mode}, Tenant: ruled})
			ids := map[string]string{}
			for _, name := range []string{"admin", "manager", "retail", "nobody"} {
				ids[name] = person(s, name+"@example.com")
				if name != "nobody" { // who has not accepted
					accept(t, s, name+"@example.com")
				}
			}
			s.Must(201, "POST", "/Users", bridgetest.User("finance@example.com", `"title":"Controller"`))
			off := s.Must(201, "POST", "/Users", inactiveUser("off@example.com")).ID()
			s.Must(201, "POST", "/Groups", group("Administrators", ids["admin"], off))
			s.Must(201, "POST", "/Groups", group("Managers", ids["manager"]))
			s.Must(201, "POST", "/Groups", group("Retail", ids["retail"]))
			before := len(operations(s))

			for _, tt := range []struct {
				name  string
				lines []string
				want  []string
				// counts are people, changing, raised, lowered, admitted, shut out.
				counts string
			}{
				{name: "the same document changes nobody", lines: ruled, want: []string{}, counts: "6 0 0 0 0 0"},
				{
					name: "a rule is taken away, one is changed and one is new",
					lines: []string{`rules:
  - {match: {glob: "admin*"}, role: Manager}
  - {match: Retail, role: Manager, organizations: [114]}
  - {when: 'title == "Controller"', role: Analyst, organizations: [113]}`},
					want: []string{
						`admin@example.com 113: Administrator (rules[0]: group "Administrators") → Manager (rules[0]: group "Administrators")`,
						`admin@example.com 114: Administrator (rules[0]: group "Administrators") → Manager (rules[0]: group "Administrators")`,
						`manager@example.com 113: Manager (rules[1]: group "Managers") → Viewer (default role)`,
						`manager@example.com 114: Manager (rules[1]: group "Managers") → Viewer (default role)`,
						`retail@example.com 114: Analyst (rules[2]: group "Retail") → Manager (rules[1]: group "Retail")`,
						`finance@example.com 113: Viewer (default role) → Analyst (rules[2]: title == "Controller")`,
					},
					counts: "6 4 2 2 0 0",
				},
				{
					name:  "access only through groups",
					lines: append([]string{"require_group: true"}, ruled...),
					want: []string{
						"retail@example.com 113: Viewer (default role) → none (in no group that gives access)",
						"nobody@example.com 113: Viewer (default role) → none (in no group that gives access)",
						"nobody@example.com 114: Viewer (default role) → none (in no group that gives access)",
						"finance@example.com 113: Viewer (default role) → none (in no group that gives access)",
						"finance@example.com 114: Viewer (default role) → none (in no group that gives access)",
					},
					counts: "6 3 0 0 0 3",
				},
				{name: "no rules leave roles to upstream", want: []string{}, counts: "6 0 0 0 0 0"},
			} {
				report, got, err := whatIf(t, s, "acme", tt.lines...)
				if err != nil {
					t.Errorf("%s: %v", tt.name, err)
					continue
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s: the changes (-want +got):\n%s", tt.name, diff)
				}
				equal(t, tt.name+": counts", fmt.Sprint(report.People, report.Changing, report.Raised, report.Lowered, report.Admitted, report.ShutOut), tt.counts)
			}
			equal(t, "effects upstream", len(operations(s)), before)
		})
	}
}

func TestWhatIfSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{})
	_, _, err := whatIf(t, s, "acme", `rules: [{match: Managers, role: Manger}]`, `ceiling: Boss`)
	if err == nil || !strings.Contains(err.Error(), `rules[0].role: unknown role "Manger"`) || !strings.Contains(err.Error(), "(have Owner, Administrator, Manager, Analyst, Viewer)") ||
		!strings.Contains(err.Error(), `ceiling: unknown role "Boss"`) {
		t.Errorf("unknown roles: %v", err)
	}
	report, _, err := whatIf(t, s, "acme", `rules: [{match: Owners, role: Owner}, {when: 'title == "CEO"', role: Owner}]`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"rules[0].role: Owner (weight 100) is above the ceiling Administrator (weight 80): nobody can be put into the groups that it matches; raise ceiling if that role is meant, or name a lower one",
		"rules[1].role: Owner (weight 100) is above the ceiling Administrator (weight 80): people get Administrator instead; raise ceiling if that role is meant, or name a lower one",
	}
	if diff := cmp.Diff(want, report.Warnings); diff != "" {
		t.Errorf("the warnings (-want +got):\n%s", diff)
	}
	report, _, err = whatIf(t, s, "globex")
	if err != nil || !report.New || report.People != 0 {
		t.Errorf("a new tenant: %+v, %v", report, err)
	}
}

// What it said would change is what changes when the document is applied.
func TestWhatIfComesTrue(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Immediate, ruled...)
	ids := map[string]string{}
	for _, name := range []string{"ana", "ben"} {
		ids[name] = person(s, name+"@example.com")
		accept(t, s, name+"@example.com")
	}
	s.Must(201, "POST", "/Groups", group("Managers", ids["ana"]))
	c.advance(2 * time.Minute)
	next := []string{`rules: [{match: Managers, role: Analyst}, {when: 'userName startsWith "ben"', role: Administrator}]`}
	_, changes, err := whatIf(t, s, "acme", next...)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "changes", len(changes), 4)
	s.Apply(bridgetest.Tenant("acme", s.UpstreamURL, next...))
	if _, err := s.Store.EnqueueJob(t.Context(), store.Job{Tenant: "acme", Kind: "roles.recompute"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "roles", func() string { return held(s, "ana@example.com") + ", " + held(s, "ben@example.com") }, "113:4 114:4, 113:2 114:2")
	_, changes, err = whatIf(t, s, "acme", next...)
	if err != nil || len(changes) > 0 {
		t.Errorf("afterwards: %v, %v", changes, err)
	}
}
