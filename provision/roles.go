package provision

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/upstream"
)

// resolveRoles puts upstream's roles in the places of the names that the
// configuration has. may is the greatest weight that the credential is known
// to be allowed to grant.
func (w *workspace) resolveRoles(p *mapping.Policy, may int) error {
	c := w.config
	var faults []string
	find := func(path, name string) mapping.Role {
		i := slices.IndexFunc(p.Roles, func(r mapping.Role) bool { return strings.EqualFold(r.Name, name) })
		if i < 0 {
			faults = append(faults, fmt.Sprintf("%s: unknown role %q", path, name))
			return mapping.Role{}
		}
		return p.Roles[i]
	}
	p.DefaultRole = find("default_role", c.DefaultRole)
	p.Ceiling = highestBelowTop(p.Roles)
	if c.Ceiling != "" {
		p.Ceiling = find("ceiling", c.Ceiling)
	}
	if c.Guards.Protected.Role != "" {
		p.Protected.Weight = find("guards.protected.role", c.Guards.Protected.Role).Weight
	}
	for i, r := range c.Rules {
		rule := mapping.Rule{Match: r.Match, Role: find(fmt.Sprintf("rules[%d].role", i), r.Role)}
		if r.When != nil {
			rule.When = r.When
		}
		if len(r.Organizations) > 0 {
			rule.Organizations = r.Organizations
		}
		p.Rules = append(p.Rules, rule)
	}
	if len(faults) > 0 {
		var names []string
		for _, r := range p.Roles {
			names = append(names, r.Name)
		}
		return &ConfigError{Tenant: w.slug, Detail: fmt.Sprintf("%s (have %s)", strings.Join(faults, "; "), strings.Join(names, ", "))}
	}
	p.Ceiling = within(p.Roles, p.Ceiling, may)
	if p.DefaultRole.Weight > p.Ceiling.Weight {
		return &ConfigError{Tenant: w.slug, Detail: fmt.Sprintf("default_role: %s (weight %d) is above the most that may be given, %s (weight %d); raise ceiling if it is meant",
			p.DefaultRole.Name, p.DefaultRole.Weight, p.Ceiling.Name, p.Ceiling.Weight)}
	}
	return nil
}

// granting is the greatest weight that the tenant's credential may grant, as
// far as that can be asked: a key that belongs to an account has that account's
// role. What another credential may not grant, upstream refuses.
func (w *workspace) granting(ctx context.Context) (int, error) {
	may := math.MaxInt
	if w.config.Upstream.APIKey != "" {
		me, err := w.client.GetMe(ctx)
		switch {
		case err == nil && me.Role != nil:
			may = me.Role.Weight
		case err != nil && upstream.KindOf(err) != upstream.Unauthorized && upstream.KindOf(err) != upstream.Forbidden && !isNotFound(err):
			return 0, err // what cannot be asked now may be a limit
		}
	}
	return may, nil
}

// highestBelowTop is the role of the greatest weight that is not the greatest
// of all; the only one when there are no two weights.
func highestBelowTop(roles []mapping.Role) mapping.Role {
	top := slices.MaxFunc(roles, byWeight)
	below := slices.DeleteFunc(slices.Clone(roles), func(r mapping.Role) bool { return r.Weight == top.Weight })
	if len(below) == 0 {
		return top
	}
	return slices.MaxFunc(below, byWeight)
}

// within is the ceiling, or the highest role that the credential may grant when
// that is lower.
func within(roles []mapping.Role, ceiling mapping.Role, may int) mapping.Role {
	if ceiling.Weight <= may {
		return ceiling
	}
	allowed := slices.DeleteFunc(slices.Clone(roles), func(r mapping.Role) bool { return r.Weight > may })
	if len(allowed) == 0 {
		return slices.MinFunc(roles, byWeight)
	}
	return slices.MaxFunc(allowed, byWeight)
}

// byWeight orders roles, the lower id last among equals.
func byWeight(a, b mapping.Role) int {
	return cmp.Or(cmp.Compare(a.Weight, b.Weight), cmp.Compare(b.ID, a.ID))
}
