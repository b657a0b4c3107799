package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// giveBack undoes a change that would take away the last holder of the highest
// role: upstream refused it, so the group is what it was, and who lost something
// before that gets it back. When the change is repeated, what it was before the
// first attempt is not known: only who was refused is a member again. It reports
// whether there was anything to undo; false: the group is as the request leaves
// it, and upstream's last owner is what is still to be done.
func (k *regrouping) giveBack(ctx context.Context, cause error) (back bool, err error) {
	err = k.s.store.Update(ctx, func(tx store.Tx) error {
		back = false
		g, members, err := k.before(ctx, tx, cause)
		if err != nil || g == nil {
			return err
		}
		back = true
		if err := tx.UpdateGroup(g); err != nil {
			return err
		}
		if err := tx.RemoveMembers(k.c.Tenant, k.id, k.added); err != nil {
			return err
		}
		if err := tx.AddMembers(k.c.Tenant, k.id, members); err != nil {
			return err
		}
		work := make([]store.RoleWork, len(k.work))
		for i, w := range k.work {
			w.RunAt, w.CreatedAt, w.Removal = g.ModifiedAt, g.ModifiedAt, false
			work[i] = w
		}
		if err := tx.PutRoleWork(work); err != nil {
			return err
		}
		e, err := k.s.event(k.c, "group.restore", k.id, 0, eventData{Added: len(members), Removed: len(k.added)})
		if err != nil {
			return err
		}
		e.ResourceType, e.Detail = "Group", "upstream refused to take the highest role from its last holder: the group is what it was"
		return tx.AppendEvent(e)
	})
	if _, taken := errors.AsType[*store.ConflictError](err); taken || errors.Is(err, store.ErrNotFound) {
		return false, nil // others have changed it since
	}
	if err == nil && back {
		k.s.enqueueRoles(ctx, k.c.Tenant)
	}
	return back, err
}

// before locks the group as it is to be again, and lists who is to be a member
// again; a nil group is to stay as it is.
func (k *regrouping) before(ctx context.Context, tx store.Tx, cause error) (*store.Group, []string, error) {
	members := slices.Clone(k.removed)
	if who, ok := errors.AsType[*personError](cause); ok && !slices.Contains(members, who.id) {
		work, err := tx.RoleWork(ctx, k.c.Tenant, store.RoleWorkQuery{GroupID: k.id, PersonIDs: []string{who.id}, Removals: true})
		if err != nil {
			return nil, nil, err
		}
		if len(work) > 0 {
			members = append(members, who.id)
		}
	}
	now, renames := k.s.now(), !k.remove && !k.create && k.was != k.is
	if len(members) == 0 && !renames {
		return nil, nil, nil
	}
	get := tx.LockGroup
	if k.remove {
		get = func(tenant, id string) (*store.Group, error) { return tx.RestoreGroup(tenant, id, now) }
	}
	g, err := get(k.c.Tenant, k.id)
	if err != nil {
		return nil, nil, err
	}
	if renames {
		if ruled(g) != k.is {
			return nil, nil, store.ErrNotFound
		}
		g.DisplayName, g.FoldedName, g.ExternalID = k.was.DisplayName, scim.Fold(k.was.DisplayName), k.was.ExternalID
	}
	g.ModifiedAt = now
	return g, members, nil
}
