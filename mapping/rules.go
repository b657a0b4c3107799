package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// Group is what rules know of a group that a person is a member of.
type Group struct {
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	ExternalID  string `json:"external_id,omitempty"`
}

// Condition is one over a person's attributes. An error says why it could not
// be judged: then it does not hold.
type Condition interface {
	Holds(u *scim.User) (bool, error)
	String() string
}

// Rule gives a role to the members of groups and to those of whom a condition
// holds. It has a Match, a When or both: then both have to be satisfied.
type Rule struct {
	// Match says which groups; nil: none is needed.
	Match *Match
	// When is nil where there is no condition.
	When Condition
	Role Role
	// Organizations are where the role is given, and which the person joins
	// for it. nil: wherever the person is.
	Organizations []int64
}

// DueRole is the role that a person is due in one organization.
type DueRole struct {
	OrganizationID int64
	Role           Role
	// Because says from what it follows, in words for an administrator.
	Because string
	// Ruled is false for the default role: nothing said anything of the person.
	Ruled bool
	// Keep leaves the role as it is upstream: it was not given through us and
	// nothing that the client said takes it away.
	Keep bool
}

// Governs reports whether roles are the tenant's to decide after a person was
// made: without rules they are given once and left to upstream.
func (p *Policy) Governs() bool { return len(p.Rules) > 0 || p.RolesAttribute }

// Maps reports whether a rule looks at the group.
func (p *Policy) Maps(g Group) bool {
	return slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Match != nil && r.Match.Matches(g.DisplayName, g.ExternalID) })
}

// AboveCeiling finds a rule by which the members of the group would be due
// more than the tenant lets the provisioning client grant, and says so in
// words for an administrator; "" when there is none.
func (p *Policy) AboveCeiling(g Group) string {
	for i, r := range p.Rules {
		if r.Match != nil && p.Ceiling.ID != 0 && r.Role.Weight > p.Ceiling.Weight && r.Match.Matches(g.DisplayName, g.ExternalID) {
			return fmt.Sprintf("rules[%d] maps groups that match %s to the role %s (weight %d), which is above the most that this tenant lets a provisioning client grant: %s (weight %d)",
				i, r.Match, r.Role.Name, r.Role.Weight, p.Ceiling.Name, p.Ceiling.Weight)
		}
	}
	return ""
}

// claim is a role that something gives a person.
type claim struct {
	role          Role
	organizations []int64 // nil: wherever the person is
	because       string
	group         bool // a group that the person is in is among the reasons
}

// claims lists what rules and the roles attribute give a person, in the
// order of the rules, none above the ceiling.
func (p *Policy) claims(u *scim.User, groups []Group) []claim {
	var all []claim
	for i, r := range p.Rules {
		c := claim{role: r.Role, organizations: r.Organizations, because: fmt.Sprintf("rules[%d]", i)}
		if r.Match != nil {
			at := slices.IndexFunc(groups, func(g Group) bool { return r.Match.Matches(g.DisplayName, g.ExternalID) })
			if at < 0 {
				continue
			}
			c.group = true
			c.because += fmt.Sprintf(": group %q", groups[at].DisplayName)
		}
		if r.When != nil {
			if ok, err := r.When.Holds(u); !ok || err != nil {
				continue
			}
			c.because += ": " + r.When.String()
		}
		all = append(all, p.capped(c))
	}
	if p.RolesAttribute {
		for _, v := range u.Roles {
			if role, ok := p.roleNamed(v); ok {
				all = append(all, p.capped(claim{role: role, because: fmt.Sprintf("the attribute roles: %q", role.Name)}))
			}
		}
	}
	return all
}

// capped lowers a claim to the ceiling.
func (p *Policy) capped(c claim) claim {
	if p.Ceiling.ID != 0 && c.role.Weight > p.Ceiling.Weight {
		c.because += fmt.Sprintf(", %s lowered to the ceiling %s", c.role.Name, p.Ceiling.Name)
		c.role = p.Ceiling
	}
	return c
}

// roleNamed finds the role that an entry of the attribute roles means: by its
// value, which is the name or the id that /Roles shows, or else by the name that
// it displays.
func (p *Policy) roleNamed(v scim.MultiValue) (Role, bool) {
	for _, name := range []string{v.Value, v.Display} {
		if i := slices.IndexFunc(p.Roles, func(r Role) bool { return name != "" && strings.EqualFold(r.Name, name) }); i >= 0 {
			return p.Roles[i], true
		}
	}
	id, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil {
		return Role{}, false
	}
	return p.role(id)
}

// entitlement is where a person is to be and with which role.
type entitlement struct {
	roles []DueRole
	// granted are those of the organizations that only a rule adds.
	granted []int64
	// keptOut are organizations that no group gives access to.
	keptOut []int64
	// withheld says that the person is in no group that gives access.
	withheld bool
}

// entitle decides what a person is due who, without rules, is to be in the
// organizations base. The highest weight wins, among equals the lower id of the
// role and the earlier rule.
func (p *Policy) entitle(u *scim.User, groups []Group, base []int64) entitlement {
	claims := p.claims(u, groups)
	var e entitlement
	orgs := slices.Clone(base)
	if p.RequireGroup {
		everywhere := slices.ContainsFunc(claims, func(c claim) bool { return c.group && c.organizations == nil })
		if !everywhere {
			orgs = slices.DeleteFunc(orgs, func(org int64) bool { return !coversByGroup(claims, org) })
			e.keptOut = without(base, orgs)
		}
	}
	for _, c := range claims {
		if p.RequireGroup && !c.group {
			continue
		}
		for _, org := range without(c.organizations, orgs) {
			orgs, e.granted = append(orgs, org), append(e.granted, org)
		}
	}
	for _, org := range orgs {
		e.roles = append(e.roles, p.dueIn(org, claims))
	}
	e.withheld = len(orgs) == 0
	return e
}

func coversByGroup(claims []claim, org int64) bool {
	return slices.ContainsFunc(claims, func(c claim) bool { return c.group && slices.Contains(c.organizations, org) })
}

func (p *Policy) dueIn(org int64, claims []claim) DueRole {
	best := p.capped(claim{role: p.DefaultRole, because: "default role"})
	due := DueRole{OrganizationID: org, Role: best.role, Because: best.because}
	for _, c := range claims {
		if c.organizations != nil && !slices.Contains(c.organizations, org) {
			continue
		}
		if !due.Ruled || cmp.Or(cmp.Compare(c.role.Weight, due.Role.Weight), cmp.Compare(due.Role.ID, c.role.ID)) > 0 {
			due.Role, due.Because, due.Ruled = c.role, c.because, true
		}
	}
	return due
}

// Protects reports whether an account is one that nothing a provisioning
// client asks for may touch, and if so why, in words for an administrator.
func (p *Policy) Protects(a Account) (bool, string) {
	switch {
	case a.UserID != 0 && slices.Contains(p.Protected.UserIDs, a.UserID):
		return true, fmt.Sprintf("account %d is protected", a.UserID)
	case a.Email != "" && slices.Contains(p.Protected.Emails, scim.Fold(a.Email)):
		return true, fmt.Sprintf("the account of %q is protected", a.Email)
	case p.Protected.Weight > 0:
		for _, m := range a.Memberships {
			if r, ok := p.role(m.RoleID); ok && r.Weight >= p.Protected.Weight && slices.Contains(p.Organizations, m.OrganizationID) {
				return true, fmt.Sprintf("the account is protected by its role %s", r.Name)
			}
		}
	}
	return false, ""
}

// Protection names the accounts that provisioning never touches.
type Protection struct {
	UserIDs []int64
	// Emails are folded.
	Emails []string
	// Weight protects whoever holds a role of at least that weight in one of
	// the tenant's organizations; 0: nobody.
	Weight int
}

// SameRules reports whether the same rules look at both groups.
func (p *Policy) SameRules(a, b Group) bool {
	return !slices.ContainsFunc(p.Rules, func(r Rule) bool {
		return r.Match != nil && r.Match.Matches(a.DisplayName, a.ExternalID) != r.Match.Matches(b.DisplayName, b.ExternalID)
	})
}

// Shift says what becoming another does to the rules that look at a group: takes
// that a rule which may matter to somebody does so no more, gives that one does
// from then on. A nil group is none.
func (p *Policy) Shift(was, is *Group) (takes, gives bool) {
	lost, won := p.looking(was), p.looking(is)
	differ := func(a, b []Rule) bool {
		return slices.ContainsFunc(a, func(r Rule) bool {
			return p.matters(r) && !slices.ContainsFunc(b, r.givesAs)
		})
	}
	return differ(lost, won), differ(won, lost)
}

// looking are the rules that look at a group.
func (p *Policy) looking(g *Group) []Rule {
	var rules []Rule
	for _, r := range p.Rules {
		if g != nil && r.Match != nil && r.Match.Matches(g.DisplayName, g.ExternalID) {
			rules = append(rules, r)
		}
	}
	return rules
}

// givesAs reports whether two rules give the same to whoever is in a group that
// both look at.
func (r Rule) givesAs(o Rule) bool {
	same := (r.When == nil) == (o.When == nil) && (r.When == nil || r.When.String() == o.When.String())
	return same && r.Role.ID == o.Role.ID && (r.Organizations == nil) == (o.Organizations == nil) && slices.Equal(r.Organizations, o.Organizations)
}

// matters reports whether a rule can give anybody what the default role does
// not.
func (p *Policy) matters(r Rule) bool {
	low := p.capped(claim{role: p.DefaultRole}).role
	return p.RequireGroup || p.RolesAttribute || r.Organizations != nil || p.capped(claim{role: r.Role}).role.ID != low.ID ||
		slices.ContainsFunc(p.Rules, func(o Rule) bool { return o.Role.Weight < low.Weight })
}

// Effect is what a change of groups means for a person.
type Effect struct {
	// Loses says that the person gets less somewhere: a lower role, or no
	// access. Changes says that anything at all is due otherwise.
	Loses, Changes bool
}

// EffectOf compares what a person is due when in the groups before and when in
// the groups after. Unless the client named the person's organizations, those
// that hold it may be any: then what is due in any of the tenant's counts.
func (p *Policy) EffectOf(u *scim.User, before, after []Group) Effect {
	if e := p.known(Extension(u)); e != nil && len(e.OrganizationIDs) > 0 {
		return p.effectIn(e.OrganizationIDs, u, before, after)
	}
	e := p.effectIn(p.Organizations, u, before, after)
	if p.DefaultOrganizations != nil {
		joins := p.effectIn(p.DefaultOrganizations, u, before, after)
		e.Loses, e.Changes = e.Loses || joins.Loses, e.Changes || joins.Changes
	}
	return e
}

func (p *Policy) effectIn(base []int64, u *scim.User, before, after []Group) Effect {
	was, is := p.entitle(u, before, base), p.entitle(u, after, base)
	var e Effect
	for _, w := range was.roles {
		i := slices.IndexFunc(is.roles, func(d DueRole) bool { return d.OrganizationID == w.OrganizationID })
		switch {
		case i < 0:
			e.Loses = true
		case is.roles[i].Role.ID != w.Role.ID:
			e.Changes = true
			e.Loses = e.Loses || is.roles[i].Role.Weight <= w.Role.Weight
		}
	}
	e.Changes = e.Changes || e.Loses || len(is.roles) != len(was.roles)
	return e
}
