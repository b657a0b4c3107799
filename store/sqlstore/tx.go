package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/sharearefund/scim-bridge/store"
)

// tx implements store.Tx.
type tx struct {
	reader
	// ctx bounds the transaction; the methods that change something take none.
	ctx context.Context
	// counts is by how much each tenant's number of listed persons changed.
	// It is written at the end, so that concurrent transactions wait for
	// each other's counter only while they commit.
	counts map[string]int
	// events says that an event was appended.
	events bool
	// undo takes back, latest last, what was assigned to the caller's rows.
	undo []func()
	// over is set when the function has returned.
	over bool
}

var _ store.Tx = (*tx)(nil)

var (
	errTxOver = errors.New("sqlstore: a transaction was used after its function returned")
	// errAgain asks for another attempt: a row that forbade a change was
	// gone when it was looked for.
	errAgain = errors.New("sqlstore: the transaction met a concurrent one")
)

// during makes a querier refuse work once its transaction is over.
type during struct {
	querier
	t *tx
}

func (d during) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	if d.t.over {
		return nil, errTxOver
	}
	return d.querier.exec(ctx, text, args...)
}

func (d during) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if d.t.over {
		return nil, errTxOver
	}
	return d.querier.query(ctx, text, args...)
}

func newTx(ctx context.Context, d *dialect, q querier) *tx {
	t := &tx{ctx: ctx}
	t.reader = reader{d: d, q: during{q, t}, inTx: true}
	return t
}

// call runs fn, then writes what was kept for the end.
func (t *tx) call(fn func(tx store.Tx) error) error {
	err := fn(t)
	if err == nil {
		err = t.flush()
	}
	t.over = true
	return err
}

// revert gives the caller's rows back as they were.
func (t *tx) revert() {
	for _, f := range slices.Backward(t.undo) {
		f()
	}
	t.undo = nil
}

// flush writes the counters, tenants in order so that no two wait in a circle.
func (t *tx) flush() error {
	if len(t.counts) == 0 {
		return nil
	}
	tenants := make([]string, 0, len(t.counts))
	for tenant, n := range t.counts {
		if n != 0 {
			tenants = append(tenants, tenant)
		}
	}
	slices.Sort(tenants)
	for _, tenant := range tenants {
		_, err := t.exec(t.ctx, `INSERT INTO person_counts (tenant, slot, n) VALUES ($1, $2, $3)
			ON CONFLICT (tenant, slot) DO UPDATE SET n = person_counts.n + excluded.n`,
			tenant, rand.N(t.d.countSlots), t.counts[tenant])
		if err != nil {
			return wrap(err, "counting persons")
		}
	}
	return nil
}

// count notes that the number of a tenant's listed, living persons changed.
func (t *tx) count(tenant string, before, after bool) {
	if before == after {
		return
	}
	if t.counts == nil {
		t.counts = make(map[string]int)
	}
	if after {
		t.counts[tenant]++
	} else {
		t.counts[tenant]--
	}
}

// CountPersons adds what is still to be written.
func (t *tx) CountPersons(ctx context.Context, tenant string) (int, error) {
	n, err := t.reader.CountPersons(ctx, tenant)
	return n + t.counts[tenant], err
}

// try runs a statement that may violate a uniqueness, which it reports without
// spoiling the transaction.
func (t *tx) try(text string, args ...any) (changed int64, taken bool, err error) {
	if t.d.savepoints {
		if _, err := t.exec(t.ctx, `SAVEPOINT try`); err != nil {
			return 0, false, err
		}
	}
	changed, err = t.exec(t.ctx, text, args...)
	taken = err != nil && t.d.unique(err)
	if t.d.savepoints {
		end := `RELEASE SAVEPOINT try`
		if taken {
			end = `ROLLBACK TO SAVEPOINT try`
		} else if err != nil {
			return 0, false, err
		}
		if _, err := t.exec(t.ctx, end); err != nil {
			return 0, false, err
		}
	}
	if taken {
		return 0, true, nil
	}
	return changed, false, err
}

// found is true when the statement yields a row, which is scanned into dest.
func (t *tx) found(text string, args []any, dest ...any) (bool, error) {
	err := t.one(t.ctx, text, args, dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
