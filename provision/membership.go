package provision

import (
	"context"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// withGroups reads the groups that a person is in.
func (s *Service) withGroups(ctx context.Context, r *record) error {
	of, err := s.store.GroupsOf(ctx, r.row.Tenant, []string{r.row.ID})
	if err != nil {
		return err
	}
	r.groups = groupsOf(of[r.row.ID])
	return nil
}

// readGroups reads which role work a change of a leased person settles, and
// then the groups that the person is in: in the other order a group could
// change in between whose work would end here without having been done.
func (k *changing) readGroups(ctx context.Context, tx store.Tx, id string) error {
	k.work = 0
	if k.pol.Governs() || k.roles {
		work, err := tx.RoleWork(ctx, k.c.Tenant, store.RoleWorkQuery{PersonIDs: []string{id}})
		if err != nil {
			return err
		}
		for _, w := range work {
			k.work = max(k.work, w.Seq)
		}
	}
	of, err := tx.GroupsOf(ctx, k.c.Tenant, []string{id})
	if err != nil {
		return err
	}
	k.groups = groupsOf(of[id])
	return nil
}

// records are rows with their JSON columns and their groups read.
func (s *Service) records(ctx context.Context, tenant string, rows []*store.Person) ([]*record, error) {
	ids := make([]string, len(rows))
	for i, p := range rows {
		ids[i] = p.ID
	}
	of, err := s.store.GroupsOf(ctx, tenant, ids)
	if err != nil {
		return nil, err
	}
	all := make([]*record, len(rows))
	for i, p := range rows {
		if all[i], err = readRecord(p); err != nil {
			return nil, err
		}
		all[i].groups = groupsOf(of[p.ID])
	}
	return all, nil
}

func groupsOf(refs []store.GroupRef) []mapping.Group {
	if len(refs) == 0 {
		return nil
	}
	groups := make([]mapping.Group, len(refs))
	for i, g := range refs {
		groups[i] = mapping.Group(g)
	}
	return groups
}

// groupRefs are the entries of a User's read-only attribute groups (RFC 7643
// §4.1.2): all are direct.
func (s *Service) groupRefs(groups []mapping.Group) []scim.GroupRef {
	if len(groups) == 0 {
		return nil
	}
	refs := make([]scim.GroupRef, len(groups))
	for i, g := range groups {
		refs[i] = scim.GroupRef{Value: g.ID, Ref: s.base() + "/Groups/" + g.ID, Display: g.DisplayName, Type: "direct"}
	}
	return refs
}
