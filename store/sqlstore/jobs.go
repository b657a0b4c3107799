package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

const jobColumns = `id, tenant, kind, key, args, state, progress, result, error, attempts, cancel_requested,
	run_at, holder, lease_until, created_at, updated_at`

func scanJob(rows *sql.Rows) (*store.Job, error) {
	j := new(store.Job)
	var runAt, leaseUntil, created, updated int64
	err := rows.Scan(&j.ID, &j.Tenant, &j.Kind, &j.Key, &j.Args, &j.State, &j.Progress, &j.Result, &j.Error,
		&j.Attempts, &j.CancelRequested, &runAt, &j.Holder, &leaseUntil, &created, &updated)
	j.RunAt, j.LeaseUntil = moment(runAt), moment(leaseUntil)
	j.CreatedAt, j.UpdatedAt = moment(created), moment(updated)
	return j, err
}

func (r *reader) Job(ctx context.Context, id int64) (*store.Job, error) {
	return first(ctx, r, scanJob, "reading a job", `SELECT `+jobColumns+` FROM jobs WHERE id = $1`, id)
}

func (r *reader) Jobs(ctx context.Context, tenant string, limit int) ([]*store.Job, error) {
	if tenant == "" {
		return list(ctx, r, scanJob, "reading jobs",
			`SELECT `+jobColumns+` FROM jobs ORDER BY id DESC LIMIT $1`, max(0, limit))
	}
	return list(ctx, r, scanJob, "reading jobs",
		`SELECT `+jobColumns+` FROM jobs WHERE tenant = $1 ORDER BY id DESC LIMIT $2`, tenant, max(0, limit))
}

func (s *sqlStore) EnqueueJob(ctx context.Context, j store.Job) (*store.Job, error) {
	var out *store.Job
	err := s.write(ctx, func(t *tx) error {
		var err error
		out, err = first(t.ctx, &t.reader, scanJob, "adding a job", `INSERT INTO jobs (tenant, kind, key, args, state,
				error, attempts, cancel_requested, run_at, holder, lease_until, created_at, updated_at)
			VALUES ($1, $2, $3, $4, 'queued', '', 0, FALSE,
				CASE WHEN CAST($5 AS BIGINT) = 0 THEN {now} ELSE CAST($5 AS BIGINT) END, '', 0, {now}, {now})
			ON CONFLICT DO NOTHING RETURNING `+jobColumns, j.Tenant, j.Kind, j.Key, blob(j.Args), micros(j.RunAt))
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		out, err = first(t.ctx, &t.reader, scanJob, "reading a job", `SELECT `+jobColumns+` FROM jobs
			WHERE tenant = $1 AND kind = $2 AND key = $3 AND state IN ('queued', 'running')`, j.Tenant, j.Kind, j.Key)
		if errors.Is(err, store.ErrNotFound) {
			return errAgain
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *sqlStore) ClaimJob(ctx context.Context, holder string, kinds []string, ttl time.Duration) (*store.Job, error) {
	if len(kinds) == 0 {
		return nil, store.ErrNotFound
	}
	args := make([]any, len(kinds), len(kinds)+3)
	marks := make([]string, len(kinds))
	for i, k := range kinds {
		args[i], marks[i] = k, fmt.Sprintf("$%d", i+1)
	}
	due := ` FROM jobs WHERE kind IN (` + strings.Join(marks, ", ") + `) AND state IN ('queued', 'running')
		AND run_at <= {now} AND (state = 'queued' OR lease_until <= {now})`

	// Most looks find nothing, and reading does not wait for whoever writes.
	var one int
	switch err := s.one(ctx, `SELECT 1`+due+` LIMIT 1`, args, &one); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, store.ErrNotFound
	case err != nil:
		return nil, wrap(err, "looking for a job")
	}
	claim := fmt.Sprintf(`UPDATE jobs SET state = 'running', holder = $%d, lease_until = {now} + CAST($%d AS BIGINT),
			attempts = attempts + 1, updated_at = {now}
		WHERE id = (SELECT id%s ORDER BY run_at, id LIMIT 1{skip})
		RETURNING %s`, len(args)+1, len(args)+2, due, jobColumns)
	args = append(args, holder, ttl.Microseconds())

	var out *store.Job
	err := s.write(ctx, func(t *tx) error {
		var err error
		out, err = first(t.ctx, &t.reader, scanJob, "claiming a job", claim, args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *sqlStore) HeartbeatJob(ctx context.Context, id int64, holder string, ttl time.Duration, progress []byte) (bool, error) {
	var cancel bool
	err := s.write(ctx, func(t *tx) error {
		ok, err := t.found(`UPDATE jobs SET lease_until = {now} + CAST($3 AS BIGINT), updated_at = {now},
				progress = coalesce($4, progress)
			WHERE id = $1 AND holder = $2 AND state = 'running' RETURNING cancel_requested`,
			[]any{id, holder, ttl.Microseconds(), blob(progress)}, &cancel)
		if err != nil {
			return wrap(err, "renewing job %d", id)
		}
		return t.heldJob(id, ok)
	})
	return cancel && err == nil, err
}

func (s *sqlStore) FinishJob(ctx context.Context, id int64, holder string, state store.JobState, result []byte, errText string) error {
	if state != store.JobDone && state != store.JobFailed && state != store.JobCancelled {
		return fmt.Errorf("sqlstore: a job cannot finish as %q: have done, failed, cancelled", state)
	}
	return s.changeJob(ctx, id, "finishing", `UPDATE jobs SET state = $3, result = $4, error = $5,
			holder = '', lease_until = 0, updated_at = {now}
		WHERE id = $1 AND holder = $2 AND state = 'running'`, id, holder, string(state), blob(result), errText)
}

func (s *sqlStore) RetryJob(ctx context.Context, id int64, holder string, runAt time.Time, errText string) error {
	return s.changeJob(ctx, id, "putting back", `UPDATE jobs SET
			state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'queued' END, run_at = $3, error = $4,
			holder = '', lease_until = 0, updated_at = {now}
		WHERE id = $1 AND holder = $2 AND state = 'running'`, id, holder, micros(runAt), errText)
}

// changeJob runs a statement that changes a job its holder has.
func (s *sqlStore) changeJob(ctx context.Context, id int64, doing, text string, args ...any) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(t.ctx, text, args...)
		if err != nil {
			return wrap(err, "%s job %d", doing, id)
		}
		return t.heldJob(id, n == 1)
	})
}

// heldJob tells a job that another has from one that is not there.
func (t *tx) heldJob(id int64, held bool) error {
	if held {
		return nil
	}
	if _, err := t.Job(t.ctx, id); err != nil {
		return err
	}
	return store.ErrLeaseLost
}

func (s *sqlStore) CancelJob(ctx context.Context, id int64) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(t.ctx, `UPDATE jobs SET cancel_requested = TRUE, updated_at = {now},
				state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
			WHERE id = $1 AND state IN ('queued', 'running')`, id)
		if err != nil {
			return wrap(err, "cancelling job %d", id)
		}
		if n == 0 {
			_, err = t.Job(t.ctx, id)
		}
		return err
	})
}
