package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// WhatIfChange is what a new policy makes of a person in one organization.
type WhatIfChange struct {
	PersonID       string      `json:"person_id"`
	UserName       string      `json:"user_name"`
	OrganizationID int64       `json:"organization_id,omitempty"`
	From           WhatIfState `json:"from"`
	To             WhatIfState `json:"to"`
	// Problem says why the new policy cannot be applied to the person, whose
	// requests will hear the same; From and To are then empty.
	Problem string `json:"problem,omitempty"`
}

// WhatIfState is where a policy puts a person in one organization.
type WhatIfState struct {
	Access bool `json:"access"`
	// Role is "" without access.
	Role string `json:"role,omitempty"`
	// Because says from what it follows.
	Because string `json:"because"`
}

// WhatIfReport sums the changes up.
type WhatIfReport struct {
	Tenant string `json:"tenant"`
	// New says that there is no such tenant yet, and so nobody to change.
	New bool `json:"new,omitempty"`
	// People counts the managed people who were looked at, Changing those of
	// them of whom anything changes.
	People   int `json:"people"`
	Changing int `json:"changing"`
	// These count the people of whom something of the kind changes, in any
	// organization; one person may be in several.
	Raised   int `json:"raised"`
	Lowered  int `json:"lowered"`
	Admitted int `json:"admitted"`
	ShutOut  int `json:"shut_out"`
	Problems int `json:"problems,omitempty"`
	// Warnings are about the document: it can be applied, and does not do all
	// that it says.
	Warnings []string `json:"warnings,omitempty"`
	// DirectoryAt is when the people were last read from upstream.
	DirectoryAt time.Time `json:"directory_at,omitzero"`
}

// WhatIf tells, person by person, what would change if the tenant were
// configured as c. Nothing is stored, and nothing changes upstream. What it
// cannot be is a *ConfigError; an error of each ends it.
func (s *Service) WhatIf(ctx context.Context, c *tenantconfig.Config, each func(WhatIfChange) error) (WhatIfReport, error) {
	report := WhatIfReport{Tenant: c.Slug}
	draft, err := s.spaces.draft(c)
	if err != nil {
		return report, err
	}
	defer draft.client.Close()
	next, err := draft.resolve(ctx)
	if err != nil {
		return report, err
	}
	report.Warnings = warnings(c, next)
	q := &question{s: s, next: next, report: &report, each: each}
	w, now, err := s.enter(ctx, c.Slug)
	switch broken, isBroken := isConfig(err); {
	case errors.Is(err, store.ErrNotFound):
		report.New = true
		return report, nil
	case isBroken:
		report.Warnings = append(report.Warnings, "today's configuration cannot be used ("+broken.Detail+"): compared with what Share A Refund shows")
	case err != nil:
		return report, err
	default:
		q.now = now
		for _, org := range without(w.organizations, c.Organizations) {
			report.Warnings = append(report.Warnings, fmt.Sprintf("organizations: %d leaves the tenant: its people stay there as they are", org))
		}
	}
	d, err := s.store.Directory(ctx, c.Slug)
	if err != nil {
		return report, err
	}
	report.DirectoryAt = d.CompletedAt
	err = s.eachManaged(ctx, c.Slug, func(part []*record) error {
		for _, r := range part {
			if err := q.ask(r); err != nil {
				return err
			}
		}
		return nil
	})
	return report, err
}

// draft is a workspace of a configuration that is not stored. It shares no
// rate limit with those that are at work, and its inviter is nil.
func (ws *Workspaces) draft(c *tenantconfig.Config) (*workspace, error) {
	u := c.Upstream
	client, err := upstream.New(upstream.Options{
		BaseURL: u.BaseURL, ClientID: u.ClientID, ClientSecret: u.ClientSecret, APIKey: u.APIKey,
		Endpoints: u.Endpoints, Transport: ws.opts.Transport, Limiter: upstream.NewLimiter(u.Rate, u.Burst), Now: ws.opts.Now,
		Logger: ws.opts.Logger.With("tenant", c.Slug),
	})
	if err != nil {
		return nil, &ConfigError{Tenant: c.Slug, Detail: "the tenant's upstream section cannot be used", Err: err}
	}
	return &workspace{slug: c.Slug, config: c, organizations: c.Organizations, client: client, now: ws.opts.Now}, nil
}

// Warnings says what a tenant's configuration does not do though it says so,
// in words for an operator.
func (s *Service) Warnings(ctx context.Context, tenant string) ([]string, error) {
	w, pol, err := s.enter(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return warnings(w.config, pol), nil
}

// warnings are about what is named and not given: roles above the ceiling, and
// silence that upstream does not keep.
func warnings(c *tenantconfig.Config, pol *mapping.Policy) []string {
	var all []string
	if c.Ceiling != "" && !strings.EqualFold(strings.TrimSpace(c.Ceiling), pol.Ceiling.Name) {
		all = append(all, fmt.Sprintf("ceiling: the tenant's credential may grant nothing above %s (weight %d): that is the ceiling, and not %s",
			pol.Ceiling.Name, pol.Ceiling.Weight, c.Ceiling))
	}
	above := func(path string, r mapping.Role, then string) {
		if pol.Ceiling.ID != 0 && r.Weight > pol.Ceiling.Weight {
			all = append(all, fmt.Sprintf("%s: %s (weight %d) is above the ceiling %s (weight %d): %s; raise ceiling if that role is meant, or name a lower one",
				path, r.Name, r.Weight, pol.Ceiling.Name, pol.Ceiling.Weight, then))
		}
	}
	for i, r := range pol.Rules {
		then := fmt.Sprintf("people get %s instead", pol.Ceiling.Name)
		if r.Match != nil {
			then = "nobody can be put into the groups that it matches"
		}
		above(fmt.Sprintf("rules[%d].role", i), r.Role, then)
	}
	if c.Upstream.ClientID != "" && pol.Ceiling.Weight > highestBelowTop(pol.Roles).Weight {
		all = append(all, fmt.Sprintf("ceiling: Share A Refund does not tell which role the client %q has: what is above its own role is refused there when it is given, and shows in jobs and events",
			c.Upstream.ClientID))
	}
	if !c.SendMail && c.IdentityProvider == "" {
		all = append(all, "send_mail: false has no effect without identity_provider: Share A Refund mails an invite unless an identity provider is named that lets the person in")
	}
	return all
}

// question is a WhatIf under way. now is nil where today's policy is not known.
type question struct {
	s         *Service
	now, next *mapping.Policy
	report    *WhatIfReport
	each      func(WhatIfChange) error
}

// ask compares what one person is due by both policies.
func (q *question) ask(r *record) error {
	q.report.People++
	u, err := r.desired(q.s.codec)
	if u == nil || err != nil {
		return err
	}
	to, err := stationsOf(q.next, u, r)
	if refused, ok := errors.AsType[*scim.Error](err); ok {
		q.report.Changing++
		q.report.Problems++
		return q.each(WhatIfChange{PersonID: r.row.ID, UserName: r.row.UserName, Problem: refused.Detail})
	}
	if err != nil {
		return err
	}
	from := map[int64]station{}
	if q.now != nil {
		from, err = stationsOf(q.now, u, r)
		if _, refused := errors.AsType[*scim.Error](err); err != nil && !refused {
			return err
		}
	}
	var raised, lowered, admitted, shutOut bool
	for _, org := range q.next.Organizations {
		was, known := from[org]
		if !known {
			was = stationSeen(q.next, r.seen, org, "held upstream")
		}
		is := to[org]
		if was.access == is.access && was.role.ID == is.role.ID {
			continue
		}
		switch {
		case !was.access:
			admitted = true
		case !is.access:
			shutOut = true
		case was.role.Weight < is.role.Weight:
			raised = true
		default:
			lowered = true
		}
		err := q.each(WhatIfChange{PersonID: r.row.ID, UserName: r.row.UserName, OrganizationID: org, From: was.shown(), To: is.shown()})
		if err != nil {
			return err
		}
	}
	count := func(n *int, yes bool) {
		if yes {
			*n++
		}
	}
	count(&q.report.Raised, raised)
	count(&q.report.Lowered, lowered)
	count(&q.report.Admitted, admitted)
	count(&q.report.ShutOut, shutOut)
	count(&q.report.Changing, raised || lowered || admitted || shutOut)
	return nil
}

// station is where a person stands in one organization, or is due to.
type station struct {
	access  bool
	role    mapping.Role
	because string
}

func (s station) shown() WhatIfState {
	if !s.access {
		return WhatIfState{Because: s.because}
	}
	return WhatIfState{Access: true, Role: s.role.Name, Because: s.because}
}

// stationsOf is where a policy puts a person, for each of its organizations.
func stationsOf(pol *mapping.Policy, u *scim.User, r *record) (map[int64]station, error) {
	all := map[int64]station{}
	if protected, why := pol.Protects(r.seen); protected {
		for _, org := range pol.Organizations {
			all[org] = stationSeen(pol, r.seen, org, why)
		}
		return all, nil
	}
	want, err := pol.DesireOf(u, r.seen, mapping.Past{Written: r.written, Groups: r.groups})
	if err != nil {
		return nil, err
	}
	for _, org := range pol.Organizations {
		switch {
		case slices.Contains(want.Untouched, org):
			all[org] = stationSeen(pol, r.seen, org, "held upstream")
		case want.Active && slices.Contains(want.Organizations, org):
			all[org] = stationDue(pol, want, r.seen, org)
		case want.Withheld, slices.Contains(want.KeptOut, org):
			all[org] = station{because: "in no group that gives access"}
		case !want.Active:
			all[org] = station{because: "not active"}
		default:
			all[org] = station{because: "no rule puts the person there"}
		}
	}
	return all, nil
}

// stationSeen is what upstream shows.
func stationSeen(pol *mapping.Policy, seen mapping.Account, org int64, because string) station {
	if len(seen.AccessIn([]int64{org})) == 0 {
		return station{because: because}
	}
	return station{access: true, role: roleOf(pol, heldRole(seen, org)), because: because}
}

// stationDue is what is due in an organization that the person is to be in. A
// role that nothing decides about is the one that is held there.
func stationDue(pol *mapping.Policy, want mapping.Desire, seen mapping.Account, org int64) station {
	due := mapping.DueRole{Role: want.Role, Because: "default role", Keep: true}
	for _, r := range want.Roles {
		if r.OrganizationID == org {
			due = r
		}
	}
	if held := heldRole(seen, org); due.Keep && held != 0 {
		return station{access: true, role: roleOf(pol, held), because: "held upstream"}
	}
	return station{access: true, role: due.Role, because: due.Because}
}

// roleOf is one of upstream's roles; one that upstream does not list has no
// more than its id for a name.
func roleOf(pol *mapping.Policy, id int64) mapping.Role {
	if i := slices.IndexFunc(pol.Roles, func(r mapping.Role) bool { return r.ID == id }); i >= 0 {
		return pol.Roles[i]
	}
	return mapping.Role{ID: id, Name: fmt.Sprintf("role %d", id)}
}

// without returns those of a that are not in b.
func without(a, b []int64) []int64 {
	return slices.DeleteFunc(slices.Clone(a), func(id int64) bool { return slices.Contains(b, id) })
}
