package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

const requestColumns = `seq, at, tenant, credential, dialect, method, route, action, bulk, resource_type, resource_id,
	names, filter, status, scim_type, detail, calls, duration, request_id, entra_flag, aborted`

func scanRequest(rows *sql.Rows) (*store.Request, error) {
	r := new(store.Request)
	var at, duration int64
	var names string
	err := rows.Scan(&r.Seq, &at, &r.Tenant, &r.Credential, &r.Dialect, &r.Method, &r.Route, &r.Action, &r.Bulk, &r.ResourceType,
		&r.ResourceID, &names, &r.Filter, &r.Status, &r.Type, &r.Detail, &r.Calls, &duration, &r.RequestID, &r.EntraFlag, &r.Aborted)
	r.At, r.Duration = moment(at), time.Duration(duration)*time.Microsecond
	if names != "" {
		r.Names = strings.Split(names, " ")
	}
	return r, err
}

func (s *sqlStore) AppendRequests(ctx context.Context, rows []*store.Request) error {
	if len(rows) == 0 {
		return nil
	}
	for _, r := range rows {
		if err := storableRequest(r); err != nil {
			return err
		}
	}
	return s.write(ctx, func(t *tx) error { return wrap(t.appendRequests(rows), "appending requests") })
}

func (t *tx) appendRequests(rows []*store.Request) error {
	// The row stays locked until the commit, so that Seq grows in the order of
	// commits and who follows misses nothing.
	var last int64
	if err := t.one(t.ctx, `UPDATE requests_given SET seq = seq + CAST($1 AS BIGINT) WHERE id = 1 RETURNING seq`,
		[]any{len(rows)}, &last); err != nil {
		return err
	}
	living, err := t.livingTenants(rows)
	if err != nil {
		return err
	}
	var cells, subjects [][]any
	for i, r := range rows {
		old := r.Seq
		t.undo = append(t.undo, func() { r.Seq = old })
		if r.Seq = 0; !living[r.Tenant] {
			continue
		}
		r.Seq = last - int64(len(rows)-1-i)
		cells = append(cells, []any{
			r.Seq, micros(r.At), r.Tenant, r.Credential, r.Dialect, r.Method, r.Route, r.Action, r.Bulk, r.ResourceType,
			r.ResourceID, strings.Join(r.Names, " "), r.Filter, r.Status, r.Type, r.Detail, r.Calls, r.Duration.Microseconds(),
			r.RequestID, r.EntraFlag, r.Aborted})
		for _, subject := range subjectsOf(r) {
			subjects = append(subjects, []any{r.Tenant, r.Seq, subject})
		}
	}
	if err := t.insertAll(`INSERT INTO requests (`+requestColumns+`) VALUES `, cells); err != nil {
		return err
	}
	return t.insertAll(`INSERT INTO request_subjects (tenant, seq, subject) VALUES `, subjects)
}

// insertAtOnce is how many rows a statement inserts: one of many is quicker than
// many of one, and there are two lengths of it to prepare.
const insertAtOnce = 32

// insertAll inserts rows of the same length.
func (t *tx) insertAll(into string, rows [][]any) error {
	for len(rows) > 0 {
		n := 1
		if len(rows) >= insertAtOnce {
			n = insertAtOnce
		}
		args := make([]any, 0, n*len(rows[0]))
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		if _, err := t.exec(t.ctx, into+placeholders(n, len(rows[0])), args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// placeholders are those of rows of the given length: ($1, $2), ($3, $4).
func placeholders(rows, length int) string {
	var b strings.Builder
	for i := range rows * length {
		switch {
		case i == 0:
			b.WriteString("($")
		case i%length == 0:
			b.WriteString("), ($")
		default:
			b.WriteString(", $")
		}
		b.WriteString(strconv.Itoa(i + 1))
	}
	return b.String() + ")"
}

// livingTenants tells which of the rows' tenants exist, and keeps those from
// being deleted before the rows are there to be deleted with them.
func (t *tx) livingTenants(rows []*store.Request) (map[string]bool, error) {
	var slugs []string
	for _, r := range rows {
		slugs = append(slugs, r.Tenant)
	}
	living := make(map[string]bool)
	return living, each(t.ctx, &t.reader, func(rows *sql.Rows) error {
		var slug string
		err := rows.Scan(&slug)
		living[slug] = true
		return err
	}, "looking for the tenants of requests", `SELECT slug FROM tenants WHERE slug {in $1} ORDER BY slug{share}`, t.d.list(distinct(slugs)))
}

// subjectsOf are what a request is found by, each once.
func subjectsOf(r *store.Request) []string {
	subjects := slices.Clone(r.Names)
	if r.ResourceID != "" {
		subjects = append(subjects, r.ResourceID)
	}
	slices.Sort(subjects)
	return slices.Compact(subjects)
}

func storableRequest(r *store.Request) error {
	for _, f := range []struct{ field, value string }{
		{"tenant", r.Tenant}, {"credential", r.Credential}, {"dialect", r.Dialect}, {"method", r.Method}, {"route", r.Route},
		{"action", r.Action}, {"resource type", r.ResourceType}, {"resource id", r.ResourceID}, {"names", strings.Join(r.Names, " ")},
		{"filter", r.Filter}, {"scimType", r.Type}, {"detail", r.Detail}, {"id", r.RequestID},
	} {
		if !storable(f.value) {
			return unstorable("request's "+f.field, f.value)
		}
	}
	return nil
}

func (r *reader) Requests(ctx context.Context, q store.RequestQuery) ([]*store.Request, error) {
	args := []any{q.After}
	where := []string{"seq > $1"}
	restrict := func(format string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(format, len(args)))
	}
	if q.Tenant != "" {
		restrict("tenant = $%d", q.Tenant)
	}
	if q.RequestID != "" {
		restrict("request_id = $%d", q.RequestID)
	}
	if !findable(args) {
		return nil, nil
	}
	if len(q.Subjects) > 0 {
		if q.Tenant == "" {
			return nil, errors.New("sqlstore: requests are found by their subjects within one tenant: name it")
		}
		restrict("seq IN (SELECT seq FROM request_subjects WHERE tenant = $2 AND seq > $1 AND subject {in $%d})", r.d.list(distinct(q.Subjects)))
	}
	if q.Failed {
		where = append(where, "(status >= 400 OR aborted)")
	}
	order := "seq"
	if q.Newest {
		order = "seq DESC"
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	args = append(args, q.Limit)
	return list(ctx, r, scanRequest, "reading requests", fmt.Sprintf(`SELECT %s FROM requests WHERE %s ORDER BY %s LIMIT $%d`,
		requestColumns, strings.Join(where, " AND "), order, len(args)), args...)
}

// pruneAtOnce is how many requests one transaction removes: others wait for it.
const pruneAtOnce = 100

func (s *sqlStore) PruneRequests(ctx context.Context, tenant string, before time.Time, keep, limit int) (int, error) {
	if !storable(tenant) {
		return 0, nil
	}
	// What is beyond the newest, or behind what is old, is so for good: rows only
	// come behind them.
	upTo, err := s.prunable(ctx, tenant, before, keep)
	total := 0
	for n := -1; err == nil && n != 0 && total < limit; total += n {
		err = s.write(ctx, func(t *tx) (err error) {
			n, err = t.pruneRequests(tenant, upTo, min(limit-total, pruneAtOnce))
			return err
		})
		if err != nil {
			n = 0
		}
	}
	return total, wrap(err, "pruning requests of %q", tenant)
}

// prunable is the greatest seq of what is to go, 0 for none.
func (s *sqlStore) prunable(ctx context.Context, tenant string, before time.Time, keep int) (int64, error) {
	var beyond, old int64
	err := s.one(ctx, `SELECT coalesce(max(seq), 0) FROM (SELECT seq FROM requests WHERE tenant = $1
		ORDER BY seq DESC LIMIT 1 OFFSET $2) newest`, []any{tenant, max(keep, 0)}, &beyond)
	if err == nil && !before.IsZero() {
		// All are looked at: behind those of a process whose clock was ahead
		// there may be older ones.
		err = s.one(ctx, `SELECT coalesce(max(seq), 0) FROM requests WHERE tenant = $1 AND at < $2`, []any{tenant, micros(before)}, &old)
	}
	return max(beyond, old), err
}

// pruneRequests removes the oldest few up to a seq.
func (t *tx) pruneRequests(tenant string, upTo int64, few int) (int, error) {
	oldest, err := list(t.ctx, &t.reader, scanRequest, "reading the oldest",
		`SELECT `+requestColumns+` FROM requests WHERE tenant = $1 AND seq <= $2 ORDER BY seq LIMIT $3`, tenant, upTo, few)
	if err != nil || len(oldest) == 0 {
		return 0, err
	}
	var subjects []string
	for _, r := range oldest {
		subjects = append(subjects, subjectsOf(r)...)
	}
	last := oldest[len(oldest)-1].Seq
	if _, err := t.exec(t.ctx, `DELETE FROM request_subjects WHERE tenant = $1 AND subject {in $2} AND seq <= $3`,
		tenant, t.d.list(distinct(subjects)), last); err != nil {
		return 0, err
	}
	n, err := t.exec(t.ctx, `DELETE FROM requests WHERE tenant = $1 AND seq <= $2`, tenant, last)
	return int(n), err
}
