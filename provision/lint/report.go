package lint

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/provision/credentials"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/store"
)

// Report is one finding as an administrator sees it: of one tenant, rule and
// kind of client.
type Report struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Why      string   `json:"why"`
	Remedy   string   `json:"remedy"`
	// Source is the documentation that it rests on; it may be empty.
	Source string `json:"source,omitempty"`
	// Client is the kind of the client whose traffic showed it, "" where none
	// did; Credentials are the ids of its credentials.
	Client      string   `json:"client,omitempty"`
	Credentials []string `json:"credentials,omitempty"`
	// Subjects counts what it is about, at least 1, and of the traffic of one
	// credential at most 100; Examples are some of them: ids and names of
	// attributes, rules and guards.
	Subjects int      `json:"subjects"`
	Examples []string `json:"examples,omitempty"`
	// Count is how often traffic showed it; 0 where nothing is counted.
	Count     int64     `json:"count,omitempty"`
	FirstSeen time.Time `json:"first_seen,omitzero"`
	LastSeen  time.Time `json:"last_seen,omitzero"`

	about about
}

// maxExamples is how many subjects a Report names.
const maxExamples = 5

// About says what the finding is about in a few words: "3 people, such as …".
// It is empty where the finding is about the traffic as a whole.
func (r *Report) About() string {
	if r.about == theTraffic {
		return ""
	}
	text := strings.Join(r.Examples, ", ")
	if n := r.Subjects - len(r.Examples); n > 0 && text != "" {
		text += fmt.Sprintf(" and %d more", n)
	}
	plural := map[about]string{aPerson: "people", aGroup: "groups", anObject: "people or groups"}[r.about]
	one := map[about]string{aPerson: "person", aGroup: "group", anObject: "person or group"}[r.about]
	switch {
	case r.about == aName:
		return text
	case text == "" && r.Subjects == 1:
		return "1 " + one
	case text == "":
		return fmt.Sprintf("%d %s", r.Subjects, plural)
	case r.Subjects == 1:
		return string(r.about) + " " + text
	}
	return fmt.Sprintf("%d %s: %s", r.Subjects, plural, text)
}

// Reports lists the findings of a tenant, the most urgent first. The error is
// store.ErrNotFound when there is no such tenant, or the store's.
func (l *Linter) Reports(ctx context.Context, tenant string) ([]Report, error) {
	t, err := l.store.Tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return l.reports(ctx, t, true)
}

// reports is Reports; deep says that everybody and every group may be looked at.
func (l *Linter) reports(ctx context.Context, t *store.Tenant, deep bool) ([]Report, error) {
	config, err := tenantconfig.FromStore(t, nil)
	if err != nil {
		return nil, err
	}
	creds, err := l.store.Credentials(ctx, t.Slug)
	if err != nil {
		return nil, err
	}
	kept, err := l.store.Findings(ctx, t.Slug)
	if err != nil {
		return nil, err
	}
	all := l.ofTraffic(kept, creds, config)
	stored, err := l.state(ctx, t, config, creds, deep)
	if err != nil {
		return nil, err
	}
	all = append(all, stored...)
	slices.SortStableFunc(all, func(a, b Report) int {
		return cmp.Or(cmp.Compare(a.Severity.rank(), b.Severity.rank()), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Client, b.Client))
	})
	return all, nil
}

// ofTraffic sums up what is kept of traffic, by rule and kind of client.
func (l *Linter) ofTraffic(kept []*store.Finding, creds []*store.Credential, config *tenantconfig.Config) []Report {
	type place struct {
		code   code
		client string
	}
	now := l.now()
	shown := map[place][]*store.Finding{}
	elsewhere := map[string]bool{} // subjects of other errors
	for _, f := range kept {
		c, ok := byCode[f.Code]
		if !ok {
			continue // of a newer or older version
		}
		r := &trafficRules[c]
		i := slices.IndexFunc(creds, func(c *store.Credential) bool { return c.ID == f.Credential })
		switch {
		case !f.LastSeen.After(f.SettledAt.Add(r.grace)), now.Sub(f.LastSeen) >= r.keep, f.Count < r.least,
			r.applies != nil && !r.applies(config),
			// What traffic looked like goes with its credential; a wrong person stays.
			(i < 0 || !live(creds[i], now)) && (r.about == theTraffic || r.about == aName):
			continue
		}
		client := ""
		if i >= 0 {
			client = clientOf(creds[i])
		}
		shown[place{c, client}] = append(shown[place{c, client}], f)
		if r.Severity == Error && c != refusedAgain && f.Subject != "" {
			elsewhere[f.Subject] = true
		}
	}
	var all []Report
	for p, findings := range shown {
		if p.code == refusedAgain {
			findings = slices.DeleteFunc(findings, func(f *store.Finding) bool { return elsewhere[f.Subject] })
		}
		if len(findings) > 0 {
			all = append(all, summed(&trafficRules[p.code], p.client, findings))
		}
	}
	return all
}

// summed is one Report of all findings of a rule and kind of client.
func summed(r *Rule, client string, findings []*store.Finding) Report {
	var subjects []string
	report := r.report(client, nil)
	for _, f := range findings {
		if !slices.Contains(report.Credentials, f.Credential) {
			report.Credentials = append(report.Credentials, f.Credential)
		}
		subjects = append(subjects, f.Subject)
		report.Count += f.Count
		if report.FirstSeen.IsZero() || f.FirstSeen.Before(report.FirstSeen) {
			report.FirstSeen = f.FirstSeen
		}
		if f.LastSeen.After(report.LastSeen) {
			report.LastSeen = f.LastSeen
		}
	}
	slices.Sort(report.Credentials)
	report.name(subjects)
	return report
}

// report is a Report about subjects, which are counted once each.
func (r *Rule) report(client string, subjects []string) Report {
	report := Report{
		Code: r.Code, Severity: r.Severity, Title: r.Title, Why: r.Why, Remedy: r.Remedy, Source: r.Source, Client: client,
		about: r.about,
	}
	if where, ok := r.Where[client]; ok {
		report.Remedy = where
	}
	report.name(subjects)
	return report
}

// name counts subjects and picks examples: those that mean something to people.
func (r *Report) name(subjects []string) {
	subjects = slices.Compact(slices.Sorted(slices.Values(subjects)))
	r.Subjects, r.Examples = max(1, len(subjects)), nil
	for _, s := range subjects {
		if s != "" && !strings.HasPrefix(s, pseudonym) && len(r.Examples) < maxExamples {
			r.Examples = append(r.Examples, s)
		}
	}
}

// live reports whether a credential can be used.
func live(c *store.Credential, now time.Time) bool {
	return c.RevokedAt.IsZero() && (c.ExpiresAt.IsZero() || c.ExpiresAt.After(now))
}

// clientOf is the kind of client that uses a credential, "" while it is not
// known.
func clientOf(c *store.Credential) string {
	if c.Client == credentials.Auto || c.Client == "" {
		return c.Evidence
	}
	return c.Client
}
