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

// guardBucket is how finely a guard's time is kept.
const guardBucket = time.Second

// guardKept is how long a guard's count is kept.
const guardKept = 31 * 24 * time.Hour

// bucketOf is the start of the bucket that a time falls into.
func bucketOf(t time.Time) int64 {
	n, width := micros(t), guardBucket.Microseconds()
	return n - n%width
}

func (r *reader) GuardCount(ctx context.Context, tenant, guard string, since time.Time) (int, error) {
	var n int
	err := r.one(ctx, `SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM guard_counters
		WHERE tenant = $1 AND guard = $2 AND bucket >= $3`, []any{tenant, guard, bucketOf(since)}, &n)
	return n, wrap(err, "reading guard %q", guard)
}

func (t *tx) AddGuardCount(tenant, guard string, at time.Time, n int) error {
	_, err := t.exec(t.ctx, `INSERT INTO guard_counters (tenant, guard, bucket, n) VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant, guard, bucket) DO UPDATE SET n = guard_counters.n + excluded.n`,
		tenant, guard, bucketOf(at), n)
	return wrap(err, "counting for guard %q", guard)
}

// leaseKept is how long a lease that nobody uses keeps its row.
const leaseKept = 24 * time.Hour

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
		{`DELETE FROM guard_counters WHERE bucket < {now} - CAST($1 AS BIGINT)`, guardKept},
	} {
		if _, err := t.exec(t.ctx, old.text, old.kept.Microseconds()); err != nil {
			return wrap(err, "house-keeping")
		}
	}
	return nil
}
