package sqlstore

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"github.com/sharearefund/scim-bridge/store"
)

func (r *reader) Members(ctx context.Context, tenant, groupID, after string, limit int) ([]store.Member, error) {
	args := []any{tenant, groupID, after, limit}
	if limit <= 0 || !findable(args) {
		return nil, nil
	}
	ids := make([]string, 0, min(limit, 1000))
	if err := each(ctx, r, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, "reading members", `SELECT person_id FROM group_members
		WHERE tenant = $1 AND group_id = $2 AND person_id > $3 ORDER BY person_id LIMIT $4`, args...); err != nil {
		return nil, err
	}
	names, err := r.pairs(ctx, "reading members' names", `SELECT id, user_name FROM persons
		WHERE tenant = $1 AND id {in $2}`, tenant, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]string, len(names))
	for _, n := range names {
		byID[n.key] = n.value
	}
	found := make([]store.Member, len(ids))
	for i, id := range ids {
		found[i] = store.Member{PersonID: id, UserName: byID[id]}
	}
	return found, nil
}

func (r *reader) MembersAmong(ctx context.Context, tenant, groupID string, personIDs []string) (map[string]bool, error) {
	found := make(map[string]bool)
	asked := distinct(personIDs)
	if len(asked) == 0 || !findable([]any{tenant, groupID}) {
		return found, nil
	}
	err := each(ctx, r, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		found[id] = true
		return err
	}, "looking for members", `SELECT person_id FROM group_members
		WHERE tenant = $1 AND group_id = $2 AND person_id {in $3}`, tenant, groupID, r.d.list(asked))
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (r *reader) GroupsOf(ctx context.Context, tenant string, personIDs []string) (map[string][]store.GroupRef, error) {
	found := make(map[string][]store.GroupRef)
	places, err := r.pairs(ctx, "reading memberships", `SELECT group_id, person_id FROM group_members
		WHERE tenant = $1 AND person_id {in $2}`, tenant, personIDs)
	if err != nil || len(places) == 0 {
		return found, err
	}
	members := make(map[string][]string)
	for _, p := range places {
		members[p.key] = append(members[p.key], p.value)
	}
	groups, err := r.groups(ctx, livingGroups+` AND g.id {in $2} ORDER BY g.seq`, tenant, r.d.list(slices.Collect(maps.Keys(members))))
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		for _, person := range members[g.ID] {
			found[person] = append(found[person], store.GroupRef{ID: g.ID, DisplayName: g.DisplayName, ExternalID: g.ExternalID})
		}
	}
	return found, nil
}

// The rows of a group's members are changed under the lock of the group's row.
// Whoever is added is kept from being deleted meanwhile, which would leave a
// member that is nobody.

func (t *tx) AddMembers(tenant, groupID string, personIDs []string) error {
	switch living, err := t.lockMembers(tenant, groupID); {
	case err != nil:
		return err
	case !living:
		return store.ErrNotFound
	}
	ids := distinct(personIDs)
	if len(ids) == 0 {
		return nil
	}
	_, err := t.exec(t.ctx, `INSERT INTO group_members (tenant, group_id, person_id)
		SELECT p.tenant, $2, p.id FROM persons p
		WHERE p.tenant = $1 AND p.id {in $3} AND p.deleted_at = 0
		ORDER BY p.id{share}
		ON CONFLICT DO NOTHING`, tenant, groupID, t.d.list(ids))
	return wrap(err, "adding members")
}

func (t *tx) RemoveMembers(tenant, groupID string, personIDs []string) error {
	ids := distinct(personIDs)
	if len(ids) == 0 {
		return nil
	}
	if living, err := t.lockMembers(tenant, groupID); err != nil || !living {
		return err
	}
	_, err := t.exec(t.ctx, `DELETE FROM group_members WHERE tenant = $1 AND group_id = $2 AND person_id {in $3}`,
		tenant, groupID, t.d.list(ids))
	return wrap(err, "removing members")
}

// lockMembers locks a group's row, and says whether there is one.
func (t *tx) lockMembers(tenant, groupID string) (living bool, err error) {
	if !findable([]any{tenant, groupID}) {
		return false, nil
	}
	var seq int64
	living, err = t.found(`SELECT seq FROM groups WHERE tenant = $1 AND id = $2 AND deleted_at = 0{lock}`,
		[]any{tenant, groupID}, &seq)
	return living, wrap(err, "locking a group")
}
