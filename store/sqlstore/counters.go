package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

func (r *reader) Directory(ctx context.Context, tenant string) (store.Directory, error) {
	var d store.Directory
	var started, completed int64
	err := r.one(ctx, `SELECT started_at, completed_at, people FROM directories WHERE tenant = $1`,
		[]any{tenant}, &started, &completed, &d.People)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Directory{}, nil
	}
	d.StartedAt, d.CompletedAt = moment(started), moment(completed)
	return d, wrap(err, "reading the directory's state")
}

func (t *tx) PutDirectory(tenant string, d store.Directory) error {
	_, err := t.exec(t.ctx, `INSERT INTO directories (tenant, started_at, completed_at, people) VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant) DO UPDATE SET started_at = excluded.started_at,
			completed_at = excluded.completed_at, people = excluded.people`,
		tenant, micros(d.StartedAt), micros(d.CompletedAt), d.People)
	return wrap(err, "storing the directory's state")
}

func (r *reader) First(ctx context.Context, tenant, what string) (time.Time, error) {
	var at int64
	err := r.one(ctx, `SELECT at FROM firsts WHERE tenant = $1 AND what = $2`, []any{tenant, what}, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return moment(at), wrap(err, "reading when %q was first noted", what)
}

func (t *tx) NoteFirst(tenant, what string, at time.Time) error {
	if at.IsZero() {
		return errors.New("sqlstore: something is first noted at some time: at is zero")
	}
	_, err := t.exec(t.ctx, `INSERT INTO firsts (tenant, what, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		tenant, what, micros(at))
	return wrap(err, "noting %q", what)
}

const (
	// leaseKept is how long a lease that nobody uses keeps its row.
	leaseKept = 24 * time.Hour
	// guardKept is how long it is known who passed a guard or was held.
	guardKept = 31 * 24 * time.Hour
	// groupKept is how long a deleted group that nobody purged keeps its row.
	groupKept = 24 * time.Hour
)

func (s *sqlStore) Heartbeat(ctx context.Context, replica string, ttl time.Duration) (int, error) {
	var live int
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec(t.ctx, `INSERT INTO replicas (id, until) VALUES ($1, {now} + CAST($2 AS BIGINT))
			ON CONFLICT (id) DO UPDATE SET until = excluded.until`, replica, ttl.Microseconds())
		if err != nil {
			return wrap(err, "noting replica %q", replica)
		}
		if err := t.one(t.ctx, `SELECT count(*) FROM replicas WHERE until > {now}`, nil, &live); err != nil {
			return wrap(err, "counting replicas")
		}
		return t.housekeep()
	})
	return live, err
}

func (s *sqlStore) RemoveReplica(ctx context.Context, replica string) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(t.ctx, `DELETE FROM replicas WHERE id = $1`, replica)
		return wrap(err, "removing replica %q", replica)
	})
}

// housekeep removes what time has made useless. One replica does so in an hour:
// the one that finds the last time long ago.
func (t *tx) housekeep() error {
	n, err := t.exec(t.ctx, `UPDATE housekeeping SET at = {now} WHERE id = 1 AND at < {now} - CAST($1 AS BIGINT)`,
		time.Hour.Microseconds())
	if err != nil || n == 0 {
		return wrap(err, "looking for house-keeping")
	}
	for _, old := range []struct {
		text string
		kept time.Duration
	}{
		{`DELETE FROM leases WHERE until < {now} - CAST($1 AS BIGINT)`, leaseKept},
		{`DELETE FROM replicas WHERE until < {now} - CAST($1 AS BIGINT)`, leaseKept},
		{`DELETE FROM guard_entries WHERE passed_at < {now} - CAST($1 AS BIGINT)
			AND held_at < {now} - CAST($1 AS BIGINT)`, guardKept},
		{`DELETE FROM groups WHERE deleted_at <> 0 AND deleted_at < {now} - CAST($1 AS BIGINT)
			AND NOT EXISTS (SELECT 1 FROM role_work w WHERE w.tenant = groups.tenant AND w.group_id = groups.id)`, groupKept},
	} {
		if _, err := t.exec(t.ctx, old.text, old.kept.Microseconds()); err != nil {
			return wrap(err, "house-keeping")
		}
	}
	return nil
}
