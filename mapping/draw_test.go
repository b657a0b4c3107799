package mapping_test

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

var ours = []int64{113, 114, 115}

const (
	foreign = 200
	// unlisted is a role that upstream does not list.
	unlisted = 99
)

var groupNames = []string{"A", "B", "C"}

// weight of a role; one that is not listed outweighs all, and 0 is none.
func weight(id int64) int {
	if id == 0 {
		return 0
	}
	for _, r := range listed {
		if r.ID == id {
			return r.Weight
		}
	}
	return 1000
}

// some draws a subset, in order.
func some[T any](t *rapid.T, of []T, label string) []T {
	var in []T
	for _, x := range of {
		if rapid.Bool().Draw(t, fmt.Sprint(label, " ", x)) {
			in = append(in, x)
		}
	}
	return in
}

func drawPolicy(t *rapid.T) *mapping.Policy {
	p := &mapping.Policy{
		Organizations: ours, Roles: listed, DefaultRole: rapid.SampledFrom(listed).Draw(t, "default role"),
		SendMail: rapid.Bool().Draw(t, "send mail"), CreateAccounts: rapid.Bool().Draw(t, "create accounts"),
		IdentityProviderID:   rapid.SampledFrom([]int64{0, 2}).Draw(t, "identity provider"),
		DefaultOrganizations: some(t, ours, "default organization"),
	}
	if rapid.Bool().Draw(t, "governs") {
		drawRules(t, p)
	}
	return p
}

// drawRules draws what decides about roles and, unless it is drawn already,
// the default role.
func drawRules(t *rapid.T, p *mapping.Policy) {
	p.Rules, p.RequireGroup = nil, false
	for range rapid.IntRange(0, 4).Draw(t, "rules") {
		p.Rules = append(p.Rules, drawRule(t))
	}
	p.RolesAttribute = rapid.Bool().Draw(t, "roles attribute") || len(p.Rules) == 0
	p.Ceiling = rapid.SampledFrom([]mapping.Role{{}, owner, admin, manager, analyst}).Draw(t, "ceiling")
	if slices.ContainsFunc(p.Rules, func(r mapping.Rule) bool { return r.Match != nil }) {
		p.RequireGroup = rapid.Bool().Draw(t, "require group")
	}
}

func drawRule(t *rapid.T) mapping.Rule {
	r := mapping.Rule{Role: rapid.SampledFrom(listed).Draw(t, "role"), Organizations: some(t, ours, "rule's organization")}
	looksAt := rapid.SampledFrom([]string{"group", "group", "title", "both"}).Draw(t, "looks at")
	if looksAt != "title" {
		r.Match = mapping.MatchExact(rapid.SampledFrom(groupNames).Draw(t, "group"))
	}
	if looksAt != "group" {
		r.When = titled(rapid.SampledFrom([]string{"Buyer", "Seller"}).Draw(t, "title"))
	}
	return r
}

func drawGroups(t *rapid.T) []mapping.Group { return groupsNamed(some(t, groupNames, "in group")) }

func drawUser(t *rapid.T) *scim.User {
	u := &scim.User{
		UserName: rapid.SampledFrom([]string{"jay@example.com", "jay@example.org"}).Draw(t, "user name"),
		Name:     &scim.Name{GivenName: rapid.SampledFrom([]string{"", "Jay", "Jamie"}).Draw(t, "given name"), FamilyName: "Jackson"},
	}
	drawClaims(t, u)
	if rapid.Bool().Draw(t, "says active") {
		active := rapid.Bool().Draw(t, "active")
		u.Active = &active
	}
	e := &mapping.UserExtension{CountryCode: rapid.SampledFrom([]string{"", "CA", "FR"}).Draw(t, "country")}
	e.OrganizationIDs = some(t, ours, "wants")
	if may := e.OrganizationIDs; rapid.Bool().Draw(t, "wants a default organization") {
		if len(may) == 0 {
			may = ours
		}
		org := rapid.SampledFrom(may).Draw(t, "default organization")
		e.DefaultOrganizationID = &org
	}
	u.Extensions = []any{e}
	return u
}

// drawClaims draws what conditions and the roles attribute look at.
func drawClaims(t *rapid.T, u *scim.User) {
	u.Title = rapid.SampledFrom([]string{"", "Buyer", "Seller"}).Draw(t, "has title")
	u.Roles = nil
	for _, r := range some(t, listed, "names role") {
		u.Roles = append(u.Roles, scim.MultiValue{Value: r.Name})
	}
}
