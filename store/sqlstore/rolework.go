package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// roleWorkLimit is how much is listed when no limit is asked for.
const roleWorkLimit = 1000

func (r *reader) RoleWork(ctx context.Context, tenant string, q store.RoleWorkQuery) ([]store.RoleWork, error) {
	args := []any{tenant}
	where := []string{"tenant = $1"}
	restrict := func(format string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(format, len(args)))
	}
	if q.GroupID != "" {
		restrict("group_id = $%d", q.GroupID)
	}
	if !findable(args) {
		return nil, nil
	}
	if len(q.PersonIDs) > 0 {
		restrict("person_id {in $%d}", r.d.list(distinct(q.PersonIDs)))
	}
	if q.Removals {
		where = append(where, "removal")
	}
	if !q.DueBy.IsZero() {
		restrict("run_at <= $%d", micros(q.DueBy))
	}
	if q.Limit <= 0 {
		q.Limit = roleWorkLimit
	}
	args = append(args, q.Limit)
	var found []store.RoleWork
	err := each(ctx, r, func(rows *sql.Rows) error {
		var w store.RoleWork
		var runAt, created int64
		err := rows.Scan(&w.Tenant, &w.GroupID, &w.PersonID, &w.Seq, &w.Removal, &w.Attempts, &w.Error, &runAt, &created)
		w.RunAt, w.CreatedAt = moment(runAt), moment(created)
		found = append(found, w)
		return err
	}, "reading role work", fmt.Sprintf(`SELECT tenant, group_id, person_id, seq, removal, attempts, error, run_at, created_at
		FROM role_work WHERE %s ORDER BY seq LIMIT $%d`, strings.Join(where, " AND "), len(args)), args...)
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (r *reader) CountRoleWork(ctx context.Context, tenant string) (all, removals int, err error) {
	err = r.one(ctx, `SELECT count(*), count(CASE WHEN removal THEN 1 END) FROM role_work WHERE tenant = $1`,
		[]any{tenant}, &all, &removals)
	return all, removals, wrap(err, "counting role work")
}

func (t *tx) PutRoleWork(work []store.RoleWork) error {
	byTenant := make(map[string][]*store.RoleWork)
	for i := range work {
		w := &work[i]
		for _, text := range []string{w.Tenant, w.GroupID, w.PersonID} {
			if !storable(text) {
				return unstorable("role work of", text)
			}
		}
		byTenant[w.Tenant] = append(byTenant[w.Tenant], w)
	}
	tenants := make([]string, 0, len(byTenant))
	for tenant := range byTenant {
		tenants = append(tenants, tenant)
	}
	slices.Sort(tenants)
	for _, tenant := range tenants {
		if err := t.putRoleWork(tenant, byTenant[tenant]); err != nil {
			return wrap(err, "putting role work")
		}
	}
	return nil
}

// putRoleWork puts the work of one tenant and assigns its Seq. What is there
// twice is one row, a removal if any of the two is.
func (t *tx) putRoleWork(tenant string, work []*store.RoleWork) error {
	type place struct{ group, person string }
	merged := make(map[place]*store.RoleWork, len(work))
	for _, w := range work {
		at := place{w.GroupID, w.PersonID}
		row := *w
		if before := merged[at]; before != nil {
			row.Removal = row.Removal || before.Removal
		}
		merged[at] = &row
	}
	rows := make([]*store.RoleWork, 0, len(merged))
	for _, row := range merged {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b *store.RoleWork) int {
		return cmp.Or(cmp.Compare(a.GroupID, b.GroupID), cmp.Compare(a.PersonID, b.PersonID))
	})
	// The row stays locked until the commit, so that Seq grows in the order of
	// commits: whoever ends a person's work up to a Seq that it saw has seen
	// all that it ends. A tenant's first is the time, above all that a tenant
	// of this name had before.
	var last int64
	if err := t.one(t.ctx, `INSERT INTO role_work_given (tenant, seq) VALUES ($1, {now} + CAST($2 AS BIGINT))
		ON CONFLICT (tenant) DO UPDATE SET seq = role_work_given.seq + CAST($2 AS BIGINT)
		RETURNING seq`, []any{tenant, len(rows)}, &last); err != nil {
		return err
	}
	cells := make([][]any, len(rows))
	for i, row := range rows {
		row.Seq = last - int64(len(rows)-1-i)
		cells[i] = []any{row.Seq, row.GroupID, row.PersonID, row.Removal, micros(row.RunAt), micros(row.CreatedAt)}
	}
	_, err := t.exec(t.ctx, `INSERT INTO role_work (tenant, seq, group_id, person_id, removal, attempts, error, run_at, created_at)
		SELECT $1, CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2, CAST(value ->> 3 AS BOOLEAN), 0, '',
			CAST(value ->> 4 AS BIGINT), CAST(value ->> 5 AS BIGINT)
		FROM {rows $2} WHERE TRUE
		ON CONFLICT (tenant, group_id, person_id) DO UPDATE SET seq = excluded.seq, attempts = 0, error = '',
			removal = role_work.removal OR excluded.removal, run_at = excluded.run_at`, tenant, jsonText(cells))
	if err != nil {
		return err
	}
	for _, w := range work {
		old := w.Seq
		t.undo = append(t.undo, func() { w.Seq = old })
		w.Seq = merged[place{w.GroupID, w.PersonID}].Seq
	}
	return nil
}

func (t *tx) EndRoleWork(tenant, personID string, upTo int64) error {
	_, err := t.exec(t.ctx, `DELETE FROM role_work WHERE tenant = $1 AND person_id = $2 AND seq <= $3`, tenant, personID, upTo)
	return wrap(err, "ending the role work of %q", personID)
}

func (t *tx) DropGrants(tenant string, upTo int64) (int, error) {
	n, err := t.exec(t.ctx, `DELETE FROM role_work WHERE tenant = $1 AND seq <= $2 AND NOT removal`, tenant, upTo)
	return int(n), wrap(err, "dropping grants")
}

func (t *tx) DelayRoleWork(tenant, personID string, upTo int64, runAt time.Time, errText string) error {
	_, err := t.exec(t.ctx, `UPDATE role_work SET attempts = attempts + 1, run_at = $4, error = $5
		WHERE tenant = $1 AND person_id = $2 AND seq <= $3`, tenant, personID, upTo, micros(runAt), errText)
	return wrap(err, "delaying the role work of %q", personID)
}
