package provision

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

// Roles, IdentityProviders and Organizations read what a tenant's credential
// shows of upstream's catalogue; each is a scim.ResourceReader.
type (
	Roles             struct{ Service *Service }
	IdentityProviders struct{ Service *Service }
	Organizations     struct{ Service *Service }
)

var (
	_ scim.ResourceReader[mapping.RoleResource]             = Roles{}
	_ scim.ResourceReader[mapping.IdentityProviderResource] = IdentityProviders{}
	_ scim.ResourceReader[mapping.OrganizationResource]     = Organizations{}
)

// remembered keeps a list of upstream's catalogue for as long as its roles are
// trusted. Its zero value is ready.
type remembered[T any] struct {
	mu   sync.Mutex
	list []T
	at   time.Time
}

func (r *remembered[T]) get(ctx context.Context, now time.Time, read func(context.Context) ([]T, error)) ([]T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := now.Sub(r.at); !r.at.IsZero() && age >= 0 && age < rolesFresh {
		return r.list, nil
	}
	list, err := read(ctx)
	if err != nil {
		return nil, err
	}
	r.list, r.at = list, now
	return list, nil
}

// All lists upstream's roles by weight, the greatest first.
func (r Roles) All(ctx context.Context, c scim.Caller) ([]*mapping.RoleResource, error) {
	_, pol, err := r.Service.enter(ctx, c.Tenant)
	if err != nil {
		return nil, entryRefusal(err)
	}
	roles := slices.Clone(pol.Roles)
	slices.SortFunc(roles, func(a, b mapping.Role) int { return byWeight(b, a) })
	all := make([]*mapping.RoleResource, len(roles))
	for i, role := range roles {
		weight := int64(role.Weight)
		description := fmt.Sprintf("Weight %d: more weight, more permission.", role.Weight)
		if pol.Ceiling.ID != 0 && role.Weight > pol.Ceiling.Weight {
			description += fmt.Sprintf(" Above %s, the most that this tenant lets a provisioning client grant.", pol.Ceiling.Name)
		}
		all[i] = &mapping.RoleResource{
			ID: strconv.FormatInt(role.ID, 10), DisplayName: role.Name, Type: "Role", Description: description, Weight: &weight,
		}
	}
	return all, nil
}

// All lists upstream's identity providers, disabled ones among them. Their ids
// have a prefix: an id is unique over all resource types (RFC 7643 §3.1).
func (r IdentityProviders) All(ctx context.Context, c scim.Caller) ([]*mapping.IdentityProviderResource, error) {
	w, err := r.Service.spaces.get(ctx, c.Tenant)
	if err != nil {
		return nil, entryRefusal(err)
	}
	list, err := w.providers.get(ctx, w.now(), w.client.ListIdentityProviders)
	if err != nil {
		return nil, refusal(err)
	}
	all := make([]*mapping.IdentityProviderResource, len(list))
	for i, p := range list {
		all[i] = &mapping.IdentityProviderResource{
			ID: "idp-" + strconv.FormatInt(p.ID, 10), ProviderID: &list[i].ID, DisplayName: p.Name, Prefix: p.Prefix, Enabled: &list[i].Enabled,
		}
	}
	return all, nil
}

// All lists the organizations that the tenant manages, in its order. One that
// upstream does not show to the credential has no name.
func (r Organizations) All(ctx context.Context, c scim.Caller) ([]*mapping.OrganizationResource, error) {
	w, err := r.Service.spaces.get(ctx, c.Tenant)
	if err != nil {
		return nil, entryRefusal(err)
	}
	list, err := w.named.get(ctx, w.now(), w.client.ListOrganizations)
	if err != nil {
		return nil, refusal(err)
	}
	all := make([]*mapping.OrganizationResource, len(w.organizations))
	for i, id := range w.organizations {
		all[i] = &mapping.OrganizationResource{ID: "org-" + strconv.FormatInt(id, 10), OrganizationID: &w.organizations[i]}
		for _, o := range list {
			if o.ID == id {
				all[i].DisplayName = o.Name
			}
		}
	}
	return all, nil
}
