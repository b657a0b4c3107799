package sqlstore

import (
	"context"

	"github.com/sharearefund/scim-bridge/store"
)

func (r *reader) GroupsMark(ctx context.Context, tenant string) (store.GroupsMark, error) {
	var m store.GroupsMark
	err := r.one(ctx, `SELECT count(*), CAST(coalesce(sum(version), 0) AS BIGINT), coalesce(max(seq), 0)
		FROM groups WHERE tenant = $1 AND deleted_at = 0`, []any{tenant}, &m.Count, &m.Versions, &m.LastSeq)
	return m, wrap(err, "reading the state of the groups")
}
