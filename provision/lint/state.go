package lint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/store"
)

// window is how many rows are read at once.
const window = 500

// state finds what is wrong with what is stored.
func (l *Linter) state(ctx context.Context, t *store.Tenant, config *tenantconfig.Config, creds []*store.Credential, deep bool) ([]Report, error) {
	all := l.tokens(creds)
	if config.Provisioning == tenantconfig.Invite && !config.SendMail && config.IdentityProvider == "" {
		all = append(all, mailsAnyway.report("", nil))
	}
	client := onlyClient(creds, l.now())
	for _, look := range []func() ([]Report, error){
		func() ([]Report, error) { return l.directory(ctx, t.Slug) },
		func() ([]Report, error) { return l.guarded(ctx, t.Slug) },
		func() ([]Report, error) { return l.groups(ctx, t.Slug, config, client, deep) },
		func() ([]Report, error) {
			if !deep {
				return nil, nil
			}
			return l.invites(ctx, t.Slug)
		},
	} {
		found, err := look()
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// onlyClient is the kind of client that all live credentials belong to, "" when
// there are several or none.
func onlyClient(creds []*store.Credential, now time.Time) string {
	client := ""
	for _, c := range creds {
		k := clientOf(c)
		switch {
		case !live(c, now) || k == "":
		case client != "" && client != k:
			return ""
		default:
			client = k
		}
	}
	return client
}

// tokens looks at how credentials are used, by kind of client.
func (l *Linter) tokens(creds []*store.Credential) []Report {
	now := l.now()
	var newest time.Time // use of any
	for _, c := range creds {
		if c.LastUsedAt.After(newest) {
			newest = c.LastUsedAt
		}
	}
	type place struct {
		rule   *Rule
		client string
	}
	ids := map[place][]string{}
	for _, c := range creds {
		var r *Rule
		switch {
		case !c.RevokedAt.IsZero():
		case !live(c, now):
			// Nobody came with another one since, and somebody did with this one.
			if !newest.After(c.ExpiresAt) && c.ExpiresAt.Sub(c.LastUsedAt) < week && now.Sub(c.ExpiresAt) < month && !c.LastUsedAt.IsZero() {
				r = tokenExpired
			}
		case c.LastUsedAt.IsZero():
			if now.Sub(c.CreatedAt) >= week {
				r = tokenNeverUsed
			}
		case now.Sub(c.LastUsedAt) >= month:
			r = tokenUnused
		case !c.ExpiresAt.IsZero() && c.ExpiresAt.Sub(now) <= month:
			r = tokenExpires
		}
		if r != nil {
			p := place{r, clientOf(c)}
			ids[p] = append(ids[p], c.ID)
		}
	}
	var all []Report
	for p, credentials := range ids {
		all = append(all, p.rule.report(p.client, credentials))
	}
	return all
}

func (l *Linter) directory(ctx context.Context, tenant string) ([]Report, error) {
	d, err := l.store.Directory(ctx, tenant)
	if err != nil || d.CompletedAt.IsZero() || l.now().Sub(d.CompletedAt) < 2*l.interval {
		return nil, err
	}
	return []Report{directoryOld.report("", nil)}, nil
}

// guarded asks which guards hold people, and whether the tenant can be served.
func (l *Linter) guarded(ctx context.Context, tenant string) ([]Report, error) {
	guards, err := l.guards.ShowGuards(ctx, tenant)
	if wrong, ok := errors.AsType[*provision.ConfigError](err); ok {
		r := unusable.report("", nil)
		r.Why += " " + wrong.Detail + "."
		return []Report{r}, nil
	}
	if err != nil {
		return nil, err
	}
	var holding []string
	for _, g := range guards {
		if g.Held > 0 && g.OpenUntil.IsZero() { // a released one holds nobody any more
			holding = append(holding, g.Guard)
		}
	}
	if holding == nil {
		return nil, nil
	}
	return []Report{guardHolds.report("", holding)}, nil
}

// groups compares the groups that were pushed with the rules. Whether some have
// members is looked at if deep: each is asked.
func (l *Linter) groups(ctx context.Context, tenant string, config *tenantconfig.Config, client string, deep bool) ([]Report, error) {
	idle := map[int]bool{}
	for i, r := range config.Rules {
		if r.Match != nil {
			idle[i] = true
		}
	}
	matching := len(idle) > 0
	if !matching && !deep {
		return nil, nil
	}
	groups, filled := 0, ""
	for after := int64(0); ; {
		part, err := l.store.Groups(ctx, tenant, store.Window{After: after, Limit: window})
		if err != nil {
			return nil, err
		}
		for _, g := range part {
			groups, after = groups+1, g.Seq
			for i := range idle {
				if config.Rules[i].Match.Matches(g.DisplayName, g.ExternalID) {
					delete(idle, i)
				}
			}
			if !matching && filled == "" && groups <= window {
				members, err := l.store.Members(ctx, tenant, g.ID, "", 1)
				if err != nil {
					return nil, err
				}
				if len(members) > 0 {
					filled = g.ID
				}
			}
		}
		if len(part) < window || matching && len(idle) == 0 || filled != "" {
			break
		}
	}
	switch {
	case filled != "":
		return []Report{groupsIdle.report(client, []string{filled})}, nil
	case groups == 0 || len(idle) == 0:
		return nil, nil // nothing was pushed yet: a rule cannot match
	}
	var names []string
	for i := range idle {
		names = append(names, fmt.Sprintf("rules[%d]", i))
	}
	return []Report{ruleIdle.report(client, names)}, nil
}

func accepted(m mapping.Membership) bool { return m.State == mapping.MembershipActive }

// invites looks for people whose invite expired.
func (l *Linter) invites(ctx context.Context, tenant string) ([]Report, error) {
	var waiting []string
	for after := int64(0); ; {
		part, err := l.store.Persons(ctx, tenant, store.Window{After: after, Limit: window})
		if err != nil {
			return nil, err
		}
		for _, p := range part {
			after = p.Seq
			// Few have one: the others are not worth reading.
			if !p.Managed || !p.Active || !bytes.Contains(p.LastSeen, []byte(`"`+mapping.InviteExpired+`"`)) {
				continue
			}
			var a mapping.Account
			if err := json.Unmarshal(p.LastSeen, &a); err != nil {
				return nil, fmt.Errorf("tenant %q: what was seen of person %s is damaged: %w", tenant, p.ID, err)
			}
			if a.Invite != nil && a.Invite.State == mapping.InviteExpired && !slices.ContainsFunc(a.Memberships, accepted) {
				waiting = append(waiting, p.ID)
			}
		}
		if len(part) < window {
			break
		}
	}
	if waiting == nil {
		return nil, nil
	}
	return []Report{invitesOver.report("", waiting)}, nil
}
