package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

const groupColumns = `g.tenant, g.id, g.seq, g.display_name, g.folded_name, g.external_id,
	g.version, g.created_at, g.modified_at, g.deleted_at`

const (
	livingGroups = `SELECT ` + groupColumns + ` FROM groups g WHERE g.tenant = $1 AND g.deleted_at = 0`
	deletedGroup = `SELECT ` + groupColumns + ` FROM groups g WHERE g.tenant = $1 AND g.id = $2 AND g.deleted_at <> 0`
	groupsOffset = livingGroups + ` AND g.seq >= (
			SELECT o.seq FROM groups o WHERE o.tenant = $1 AND o.seq > $2 AND o.deleted_at = 0
			ORDER BY o.seq LIMIT 1 OFFSET $4)
		ORDER BY g.seq LIMIT $3`
)

func scanGroup(rows *sql.Rows) (*store.Group, error) {
	g := new(store.Group)
	var created, modified, deleted int64
	err := rows.Scan(&g.Tenant, &g.ID, &g.Seq, &g.DisplayName, &g.FoldedName, &g.ExternalID,
		&g.Version, &created, &modified, &deleted)
	g.CreatedAt, g.ModifiedAt, g.DeletedAt = moment(created), moment(modified), moment(deleted)
	return g, err
}

func (r *reader) Group(ctx context.Context, tenant, id string) (*store.Group, error) {
	return r.group(ctx, livingGroups+` AND g.id = $2`, tenant, id)
}

func (r *reader) GroupByName(ctx context.Context, tenant, folded string) (*store.Group, error) {
	return r.group(ctx, livingGroups+` AND g.folded_name = $2`, tenant, folded)
}

func (r *reader) DeletedGroup(ctx context.Context, tenant, id string) (*store.Group, error) {
	return r.group(ctx, deletedGroup, tenant, id)
}

func (r *reader) GroupsByExternalID(ctx context.Context, tenant, externalID string) ([]*store.Group, error) {
	return r.groups(ctx, livingGroups+` AND g.external_id = $2 AND g.external_id <> '' ORDER BY g.seq`, tenant, externalID)
}

func (r *reader) Groups(ctx context.Context, tenant string, w store.Window) ([]*store.Group, error) {
	switch {
	case w.Limit <= 0:
		return nil, nil
	case w.Offset <= 0:
		return r.groups(ctx, livingGroups+` AND g.seq > $2 ORDER BY g.seq LIMIT $3`, tenant, w.After, w.Limit)
	default:
		return r.groups(ctx, groupsOffset, tenant, w.After, w.Limit, w.Offset)
	}
}

func (r *reader) CountGroups(ctx context.Context, tenant string) (int, error) {
	var n int
	err := r.one(ctx, `SELECT count(*) FROM groups WHERE tenant = $1 AND deleted_at = 0`, []any{tenant}, &n)
	return n, wrap(err, "counting groups")
}

// group reads the only row of a statement.
func (r *reader) group(ctx context.Context, text string, args ...any) (*store.Group, error) {
	if !findable(args) {
		return nil, store.ErrNotFound
	}
	return first(ctx, r, scanGroup, "reading a group", text, args...)
}

func (r *reader) groups(ctx context.Context, text string, args ...any) ([]*store.Group, error) {
	if !findable(args) {
		return nil, nil
	}
	return list(ctx, r, scanGroup, "reading groups", text, args...)
}

func (t *tx) InsertGroup(g *store.Group) error {
	if err := storableGroup(g); err != nil {
		return err
	}
	var seq int64
	ok, err := t.found(`INSERT INTO groups (tenant, id, display_name, folded_name, external_id,
			version, created_at, modified_at, deleted_at)
		VALUES ($1, $2, $3, $4, $5, 1, $6, $7, 0)
		ON CONFLICT DO NOTHING RETURNING seq`, []any{
		g.Tenant, g.ID, g.DisplayName, g.FoldedName, g.ExternalID, micros(g.CreatedAt), micros(g.ModifiedAt)}, &seq)
	if err != nil {
		return wrap(err, "inserting a group")
	}
	if !ok {
		// Deleted groups have their ids still.
		err := t.groupTaken("id", g.ID, ` AND id = $2`, g.Tenant, g.ID)
		if errors.Is(err, errAgain) {
			err = t.nameTaken(g)
		}
		return err
	}
	oldSeq, oldVersion := g.Seq, g.Version
	t.undo = append(t.undo, func() { g.Seq, g.Version = oldSeq, oldVersion })
	g.Seq, g.Version = seq, 1
	return nil
}

func (t *tx) LockGroup(tenant, id string) (*store.Group, error) {
	return t.group(t.ctx, livingGroups+` AND g.id = $2{lock}`, tenant, id)
}

// groupKeys are the columns of a group that are indexed.
type groupKeys struct{ foldedName, externalID string }

// holdGroup locks a living group's row, or returns store.ErrStale when its
// version is not g's.
func (t *tx) holdGroup(g *store.Group) (groupKeys, error) {
	var keys groupKeys
	var version int64
	ok, err := t.found(`SELECT version, folded_name, external_id FROM groups
		WHERE tenant = $1 AND id = $2 AND deleted_at = 0{lock}`, []any{g.Tenant, g.ID},
		&version, &keys.foldedName, &keys.externalID)
	if err != nil {
		return keys, wrap(err, "locking a group")
	}
	if !ok || version != g.Version {
		return keys, store.ErrStale
	}
	return keys, nil
}

func (t *tx) UpdateGroup(g *store.Group) error {
	if err := storableGroup(g); err != nil {
		return err
	}
	old, err := t.holdGroup(g)
	if err != nil {
		return err
	}
	if now := (groupKeys{g.FoldedName, g.ExternalID}); old != now {
		// They change seldom, and SQLite rewrites the index of every column
		// that a statement sets.
		_, taken, err := t.try(`UPDATE groups SET folded_name = $3, external_id = $4 WHERE tenant = $1 AND id = $2`,
			g.Tenant, g.ID, now.foldedName, now.externalID)
		if err != nil {
			return wrap(err, "changing a group's keys")
		}
		if taken {
			return t.nameTaken(g)
		}
	}
	_, err = t.exec(t.ctx, `UPDATE groups SET display_name = $3, modified_at = $4, version = version + 1
		WHERE tenant = $1 AND id = $2`, g.Tenant, g.ID, g.DisplayName, micros(g.ModifiedAt))
	if err != nil {
		return wrap(err, "updating a group")
	}
	t.undo = append(t.undo, func() { g.Version-- })
	g.Version++
	return nil
}

func (t *tx) DeleteGroup(g *store.Group, at time.Time) error {
	if at.IsZero() {
		return errors.New("sqlstore: a group is deleted at some time: at is zero")
	}
	if _, err := t.holdGroup(g); err != nil {
		return err
	}
	if _, err := t.exec(t.ctx, `DELETE FROM group_members WHERE tenant = $1 AND group_id = $2`, g.Tenant, g.ID); err != nil {
		return wrap(err, "removing the members of a group")
	}
	_, err := t.exec(t.ctx, `UPDATE groups SET modified_at = $3, deleted_at = $3, version = version + 1
		WHERE tenant = $1 AND id = $2`, g.Tenant, g.ID, micros(at))
	return wrap(err, "deleting a group")
}

func (t *tx) RestoreGroup(tenant, id string, at time.Time) (*store.Group, error) {
	g, err := t.group(t.ctx, deletedGroup+`{lock}`, tenant, id)
	if err != nil {
		return nil, err
	}
	_, taken, err := t.try(`UPDATE groups SET modified_at = $3, deleted_at = 0, version = version + 1
		WHERE tenant = $1 AND id = $2`, tenant, id, micros(at))
	if err != nil {
		return nil, wrap(err, "restoring a group")
	}
	if taken {
		return nil, t.nameTaken(g)
	}
	return t.group(t.ctx, livingGroups+` AND g.id = $2`, tenant, id)
}

func (t *tx) PurgeGroup(tenant, id string) error {
	_, err := t.exec(t.ctx, `DELETE FROM groups WHERE tenant = $1 AND id = $2 AND deleted_at <> 0`, tenant, id)
	return wrap(err, "purging a group")
}

// nameTaken finds out which other group has g's name.
func (t *tx) nameTaken(g *store.Group) error {
	return t.groupTaken("displayName", g.FoldedName, ` AND folded_name = $2 AND deleted_at = 0 AND id <> $3`,
		g.Tenant, g.FoldedName, g.ID)
}

// groupTaken says that the group found by a condition has a value.
func (t *tx) groupTaken(field, value, condition string, args ...any) error {
	var owner string
	ok, err := t.found(`SELECT id FROM groups WHERE tenant = $1`+condition, args, &owner)
	if err != nil {
		return wrap(err, "looking for the owner of a value")
	}
	if !ok {
		return errAgain
	}
	return &store.ConflictError{Field: field, Value: value, Owner: owner}
}

// storableGroup is storablePerson for a group.
func storableGroup(g *store.Group) error {
	for _, f := range []struct{ field, value string }{
		{"tenant", g.Tenant}, {"id", g.ID}, {"display name", g.DisplayName}, {"folded name", g.FoldedName},
		{"external id", g.ExternalID},
	} {
		if !storable(f.value) {
			return unstorable("group's "+f.field, f.value)
		}
	}
	return nil
}
