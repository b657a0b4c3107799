package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

func (r *reader) Findings(ctx context.Context, tenant string) ([]*store.Finding, error) {
	if !storable(tenant) {
		return nil, nil
	}
	return list(ctx, r, scanFinding, "reading findings", `SELECT tenant, code, credential, subject, first_seen, last_seen, settled_at, count
		FROM findings WHERE tenant = $1 ORDER BY code, credential, subject`, tenant)
}

func scanFinding(rows *sql.Rows) (*store.Finding, error) {
	f := new(store.Finding)
	var first, last, settled int64
	err := rows.Scan(&f.Tenant, &f.Code, &f.Credential, &f.Subject, &first, &last, &settled, &f.Count)
	f.FirstSeen, f.LastSeen, f.SettledAt = moment(first), moment(last), moment(settled)
	return f, err
}

func (s *sqlStore) MergeFindings(ctx context.Context, tenant string, seen []store.Finding) error {
	rows, err := mergeable(tenant, seen)
	if err != nil || len(rows) == 0 {
		return err
	}
	cells := make([][]any, len(rows))
	for i, f := range rows {
		cells[i] = []any{f.Code, f.Credential, f.Subject, micros(f.FirstSeen), micros(f.LastSeen), micros(f.SettledAt), f.Count}
	}
	return s.write(ctx, func(t *tx) error {
		// The tenant stays until the commit: one that is being deleted would
		// leave what is written now to the next of its name.
		var one int
		if ok, err := t.found(`SELECT 1 FROM tenants WHERE slug = $1{share}`, []any{tenant}, &one); err != nil || !ok {
			return wrap(err, "looking for the tenant of findings")
		}
		// What is over and seen again begins anew.
		const over, again = `findings.last_seen <= findings.settled_at`, `excluded.last_seen > findings.settled_at`
		_, err := t.exec(t.ctx, `INSERT INTO findings (tenant, code, credential, subject, first_seen, last_seen, settled_at, count)
			SELECT $1, value ->> 0, value ->> 1, value ->> 2, CAST(value ->> 3 AS BIGINT), CAST(value ->> 4 AS BIGINT),
				CAST(value ->> 5 AS BIGINT), CAST(value ->> 6 AS BIGINT)
			FROM {rows $2} WHERE true
			ON CONFLICT (tenant, code, credential, subject) DO UPDATE SET
				first_seen = CASE WHEN excluded.first_seen = 0 THEN findings.first_seen
					WHEN findings.first_seen = 0 OR `+over+` AND `+again+` THEN excluded.first_seen
					WHEN findings.first_seen < excluded.first_seen THEN findings.first_seen ELSE excluded.first_seen END,
				count = excluded.count + CASE WHEN `+over+` AND `+again+` THEN 0 ELSE findings.count END,
				last_seen = CASE WHEN findings.last_seen > excluded.last_seen THEN findings.last_seen ELSE excluded.last_seen END,
				settled_at = CASE WHEN findings.settled_at > excluded.settled_at THEN findings.settled_at ELSE excluded.settled_at END`,
			tenant, jsonText(cells))
		return wrap(err, "merging findings of %q", tenant)
	})
}

// mergeable are findings in one order, in which concurrent transactions do not
// wait in a circle, and each once.
func mergeable(tenant string, seen []store.Finding) ([]store.Finding, error) {
	rows := slices.Clone(seen)
	slices.SortFunc(rows, func(a, b store.Finding) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Credential, b.Credential), cmp.Compare(a.Subject, b.Subject))
	})
	distinct := rows[:0]
	for _, f := range rows {
		for _, text := range []string{tenant, f.Code, f.Credential, f.Subject} {
			if !storable(text) {
				return nil, unstorable("a finding of", text)
			}
		}
		n := len(distinct)
		if n == 0 || distinct[n-1].Code != f.Code || distinct[n-1].Credential != f.Credential || distinct[n-1].Subject != f.Subject {
			distinct = append(distinct, f)
			continue
		}
		merged := &distinct[n-1]
		if merged.FirstSeen.IsZero() || !f.FirstSeen.IsZero() && f.FirstSeen.Before(merged.FirstSeen) {
			merged.FirstSeen = f.FirstSeen
		}
		merged.LastSeen, merged.SettledAt = later(merged.LastSeen, f.LastSeen), later(merged.SettledAt, f.SettledAt)
		merged.Count += f.Count
	}
	return distinct, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *sqlStore) PruneFindings(ctx context.Context, unseen, settled time.Time) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(t.ctx, `DELETE FROM findings WHERE last_seen < $1 AND settled_at < $1
			OR settled_at >= last_seen AND settled_at < $2`, micros(unseen), micros(settled))
		return wrap(err, "forgetting findings")
	})
}
