package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// heldShown is how many of those that a guard holds are named.
const heldShown = 100

const (
	passedSince = ` FROM guard_entries WHERE tenant = $1 AND guard = $2 AND passed_at >= $3 AND passed_at <> 0`
	heldSince   = ` FROM guard_entries WHERE tenant = $1 AND guard = $2 AND held_at >= $3 AND held_at <> 0`
)

func (r *reader) Guard(ctx context.Context, tenant, guard string, since time.Time) (store.GuardUse, error) {
	var use store.GuardUse
	var oldest, openUntil int64
	args := []any{tenant, guard, micros(since)}
	err := r.one(ctx, `SELECT (SELECT count(*)`+passedSince+`), (SELECT count(*)`+heldSince+`),
			(SELECT coalesce(min(passed_at), 0)`+passedSince+`),
			coalesce((SELECT open_until FROM guards WHERE tenant = $1 AND guard = $2), 0)`,
		args, &use.Used, &use.Held, &oldest, &openUntil)
	if err != nil {
		return store.GuardUse{}, wrap(err, "reading guard %q", guard)
	}
	use.Oldest, use.OpenUntil = moment(oldest), moment(openUntil)
	if use.Held == 0 {
		return use, nil
	}
	err = each(ctx, r, func(rows *sql.Rows) error {
		var subject string
		err := rows.Scan(&subject)
		use.HeldSubjects = append(use.HeldSubjects, subject)
		return err
	}, "reading whom a guard holds", `SELECT subject`+heldSince+` ORDER BY held_at DESC, subject LIMIT $4`,
		append(args, heldShown)...)
	if err != nil {
		return store.GuardUse{}, err
	}
	return use, nil
}

func (t *tx) TakeGuard(tenant, guard string, subjects []string, at, since time.Time, limit int) (bool, error) {
	names, err := guarded(subjects, at)
	if err != nil || len(names) == 0 {
		return err == nil, err
	}
	// Writing the row locks it: whoever comes next counts those that pass now.
	var openUntil int64
	if err := t.one(t.ctx, `INSERT INTO guards (tenant, guard, open_until) VALUES ($1, $2, 0)
		ON CONFLICT (tenant, guard) DO UPDATE SET open_until = guards.open_until
		RETURNING open_until`, []any{tenant, guard}, &openUntil); err != nil {
		return false, wrap(err, "locking guard %q", guard)
	}
	if openUntil <= micros(at) {
		fits, err := t.fits(tenant, guard, names, since, limit)
		if err != nil || !fits {
			return false, wrap(err, "counting for guard %q", guard)
		}
	}
	_, err = t.exec(t.ctx, `INSERT INTO guard_entries (tenant, guard, subject, passed_at, held_at)
		SELECT $1, $2, value, CAST($4 AS BIGINT), 0 FROM {each $3} WHERE TRUE
		ON CONFLICT (tenant, guard, subject) DO UPDATE SET held_at = 0,
			passed_at = CASE WHEN guard_entries.passed_at >= $5 AND guard_entries.passed_at <> 0
				THEN guard_entries.passed_at ELSE excluded.passed_at END`,
		tenant, guard, t.d.list(names), micros(at), micros(since))
	return err == nil, wrap(err, "passing guard %q", guard)
}

// fits says whether the names may pass: those that passed since then may, and
// with the others no more than limit.
func (t *tx) fits(tenant, guard string, names []string, since time.Time, limit int) (bool, error) {
	var again, used int
	args := []any{tenant, guard, micros(since)}
	if err := t.one(t.ctx, `SELECT count(*)`+passedSince+` AND subject {in $4}`, append(args, t.d.list(names)), &again); err != nil {
		return false, err
	}
	if again == len(names) {
		return true, nil
	}
	if err := t.one(t.ctx, `SELECT count(*)`+passedSince, args, &used); err != nil {
		return false, err
	}
	return used+len(names)-again <= limit, nil
}

func (t *tx) HoldGuard(tenant, guard string, subjects []string, at time.Time) error {
	names, err := guarded(subjects, at)
	if err != nil || len(names) == 0 {
		return err
	}
	_, err = t.exec(t.ctx, `INSERT INTO guard_entries (tenant, guard, subject, passed_at, held_at)
		SELECT $1, $2, value, 0, CAST($4 AS BIGINT) FROM {each $3} WHERE TRUE
		ON CONFLICT (tenant, guard, subject) DO UPDATE SET
			held_at = CASE WHEN guard_entries.held_at > excluded.held_at THEN guard_entries.held_at ELSE excluded.held_at END`,
		tenant, guard, t.d.list(names), micros(at))
	return wrap(err, "holding at guard %q", guard)
}

func (t *tx) OpenGuard(tenant, guard string, until time.Time) error {
	_, err := t.exec(t.ctx, `INSERT INTO guards (tenant, guard, open_until) VALUES ($1, $2, $3)
		ON CONFLICT (tenant, guard) DO UPDATE SET open_until = excluded.open_until`, tenant, guard, micros(until))
	return wrap(err, "opening guard %q", guard)
}

// guarded are subjects as a guard takes them, in order and once.
func guarded(subjects []string, at time.Time) ([]string, error) {
	if at.IsZero() {
		return nil, errors.New("sqlstore: a guard is passed at some time: at is zero")
	}
	for _, s := range subjects {
		if !storable(s) {
			return nil, unstorable("a guard's subject", s)
		}
	}
	return distinct(subjects), nil
}
