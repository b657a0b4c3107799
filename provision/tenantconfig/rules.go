package tenantconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/mapping/condition"
)

const (
	// maxRules bounds rules: every one is asked about every group.
	maxRules = 500
	// maxName bounds what groups, roles and the like are named by, in bytes.
	maxName = 1024
)

// Rule gives a role to people. At least one of Match and When is set; with
// both, both must be fulfilled. Its JSON is what the document has.
type Rule struct {
	// Match picks groups, whose members get the role; nil: everybody.
	Match *mapping.Match
	// When says which people get the role; nil: all.
	When *condition.Condition
	// Role is the name of the role, as upstream shows it.
	Role string
	// Organizations are where the role is given, and which a person joins for
	// it; empty: wherever the person is.
	Organizations []int64
}

// matchKinds are the keys of match, in the order in which a fault lists them.
var matchKinds = []mapping.MatchKind{mapping.Exact, mapping.Glob, mapping.Regex, mapping.ExternalID}

// newMatch judges the text before it is compiled. The fault has no path.
func newMatch(kind mapping.MatchKind, text string) (*mapping.Match, *Fault) {
	f := &Fault{Value: text}
	switch {
	case strings.TrimSpace(text) == "":
		f.Wrong, f.Remedy = "empty", "give the name, pattern or id of the groups, or leave match out"
		return nil, f
	case !isPlain(text):
		f.Wrong, f.Remedy = fmt.Sprintf("longer than %d bytes, or contains a control character", maxName), "write what the identity provider sends as the group's displayName or externalId"
		return nil, f
	}
	switch kind {
	case mapping.Exact:
		return mapping.MatchExact(text), nil
	case mapping.Glob:
		return mapping.MatchGlob(text), nil
	case mapping.ExternalID:
		return mapping.MatchExternalID(text), nil
	}
	if wrong, ok := errors.AsType[*condition.Error](condition.CheckPattern(text)); ok {
		f.Wrong, f.Remedy = wrong.Wrong, wrong.Remedy
		return nil, f
	}
	m, err := mapping.MatchRegex(text)
	if err != nil {
		f.Wrong, f.Remedy = err.Error(), "write an RE2 expression"
		return nil, f
	}
	return m, nil
}

// isPlain reports whether s is one line of text that JSON carries unchanged.
func isPlain(s string) bool {
	return len(s) <= maxName && strings.ToValidUTF8(s, "") == s && !strings.ContainsFunc(s, isControl)
}

func (r *reader) rules(into *[]Rule) value {
	return r.list(func(path string, n ast.Node) {
		var rule Rule
		r.object(map[string]value{
			"match":         r.match(&rule.Match),
			"when":          r.condition(&rule.When),
			"role":          r.text(&rule.Role),
			"organizations": r.someIntegers(&rule.Organizations),
		})(path, n)
		rule.Role = strings.TrimSpace(rule.Role)
		*into = append(*into, rule)
	})
}

// match reads a displayName, or a mapping of one of matchKinds to a text.
func (r *reader) match(into **mapping.Match) value {
	take := func(kind mapping.MatchKind) value {
		return func(path string, n ast.Node) {
			before := len(r.faults)
			var text string
			if r.text(&text)(path, n); len(r.faults) > before {
				return
			}
			m, f := newMatch(kind, text)
			if f != nil {
				f.Path = path
				r.faults = append(r.faults, *f)
				return
			}
			*into = m
		}
	}
	return func(path string, n ast.Node) {
		given, ok := pairs(n)
		if !ok {
			take(mapping.Exact)(path, n)
			return
		}
		fields := map[string]value{}
		for _, kind := range matchKinds {
			fields[string(kind)] = take(kind)
		}
		before := len(r.faults)
		r.mapping(path, n, fields)
		if len(r.faults) == before && (len(given) != 1 || *into == nil) {
			r.fault(path, "", "give exact, glob, regex or external_id; for other groups write another rule", "is not exactly one way to match")
		}
	}
}

func (r *reader) condition(into **condition.Condition) value {
	return func(path string, n ast.Node) {
		before := len(r.faults)
		var text string
		if r.text(&text)(path, n); len(r.faults) > before {
			return
		}
		c, err := condition.Compile(text)
		if wrong, ok := errors.AsType[*condition.Error](err); ok {
			r.fault(path, text, wrong.Remedy, "%s: %s", wrong.Place(), wrong.Wrong)
			return
		}
		*into = c
	}
}

// checkRules judges the rules and what else decides who gets which role.
func (r *reader) checkRules(c *Config) {
	if len(c.Rules) > maxRules {
		r.fault("rules", "", "join rules of the same role by a glob or regex", "%d rules, more than %d", len(c.Rules), maxRules)
	}
	for i, rule := range c.Rules {
		path := fmt.Sprintf("rules[%d]", i)
		if r.isFaulty(path) {
			continue // not even a mapping
		}
		if rule.Match == nil && rule.When == nil && !r.hasFault(path+".match") && !r.hasFault(path+".when") {
			r.fault(path, "", "give match, when or both; what everybody gets is default_role", "picks nobody in particular")
		}
		if rule.Role == "" && !r.hasFault(path+".role") {
			r.fault(path+".role", "", "name the upstream role that the rule gives, such as Manager", "missing")
		}
		r.checkName(path+".role", rule.Role)
		r.checkSubset(path+".organizations", rule.Organizations, c.Organizations)
	}
	mapped := slices.ContainsFunc(c.Rules, func(rule Rule) bool { return rule.Match != nil })
	if c.RequireGroup && !mapped && !r.hasFault("rules") {
		r.fault("require_group", "true", "give at least one rule a match, or leave require_group out", "nobody could get access: no rule matches a group")
	}
	c.Ceiling = strings.TrimSpace(c.Ceiling)
	r.checkName("ceiling", c.Ceiling)
	r.checkSubset("default_organizations", c.DefaultOrganizations, c.Organizations)
}

func (r *reader) checkName(path, name string) {
	if !isPlain(name) && !r.hasFault(path) {
		r.fault(path, name, "write the name as upstream shows it", "longer than %d bytes, or contains a control character", maxName)
	}
}

// checkSubset judges ids that must be among the tenant's organizations.
func (r *reader) checkSubset(path string, ids, have []int64) {
	known := make([]string, len(have))
	for i, id := range have {
		known[i] = strconv.FormatInt(id, 10)
	}
	for i, id := range ids {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case r.hasFault(at):
		case !slices.Contains(have, id):
			if !r.hasFault("organizations") && len(have) > 0 {
				r.fault(at, strconv.FormatInt(id, 10), "have "+strings.Join(known, ", "), "not among this tenant's organizations")
			}
		case slices.Index(ids, id) < i:
			r.fault(at, strconv.FormatInt(id, 10), "list each organization once", "repeated")
		}
	}
}

// storedRule is a Rule's JSON.
type storedRule struct {
	Match         map[mapping.MatchKind]string `json:"match,omitempty"`
	When          string                       `json:"when,omitempty"`
	Role          string                       `json:"role"`
	Organizations []int64                      `json:"organizations,omitempty"`
}

// MarshalJSON writes the rule as the document has it.
func (r Rule) MarshalJSON() ([]byte, error) {
	s := storedRule{Role: r.Role, Organizations: r.Organizations}
	if r.Match != nil {
		s.Match = map[mapping.MatchKind]string{r.Match.Kind(): r.Match.Text()}
	}
	if r.When != nil {
		s.When = r.When.String()
	}
	return json.Marshal(s)
}

// UnmarshalJSON reads and compiles what MarshalJSON wrote.
func (r *Rule) UnmarshalJSON(data []byte) error {
	var s storedRule
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	rule := Rule{Role: s.Role, Organizations: s.Organizations}
	for kind, text := range s.Match {
		if !slices.Contains(matchKinds, kind) || len(s.Match) > 1 {
			return fmt.Errorf("a rule of role %q has an unknown match %q", s.Role, kind)
		}
		m, f := newMatch(kind, text)
		if f != nil {
			f.Path = "match"
			return fmt.Errorf("a rule of role %q: %w", s.Role, f)
		}
		rule.Match = m
	}
	if s.When != "" {
		c, err := condition.Compile(s.When)
		if err != nil {
			return fmt.Errorf("a rule of role %q: when: %q: %w", s.Role, s.When, err)
		}
		rule.When = c
	}
	*r = rule
	return nil
}
