package sqlstore

import (
	"context"
	"database/sql"

	"github.com/sharearefund/scim-bridge/store"
)

// list reads every row of a statement.
func list[T any](ctx context.Context, r *reader, scan func(*sql.Rows) (*T, error), doing, text string, args ...any) ([]*T, error) {
	rows, err := r.query(ctx, text, args...)
	if err != nil {
		return nil, wrap(err, "%s", doing)
	}
	defer rows.Close()
	var found []*T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, wrap(err, "%s", doing)
		}
		found = append(found, v)
	}
	return found, wrap(rows.Err(), "%s", doing)
}

// first reads the first row of a statement, or returns store.ErrNotFound.
func first[T any](ctx context.Context, r *reader, scan func(*sql.Rows) (*T, error), doing, text string, args ...any) (*T, error) {
	found, err := list(ctx, r, scan, doing, text, args...)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, store.ErrNotFound
	}
	return found[0], nil
}
