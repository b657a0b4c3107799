package sqlstore

import (
	"context"
	"database/sql"

	"github.com/sharearefund/scim-bridge/store"
)

// each hands every row of a statement to scan.
func each(ctx context.Context, r *reader, scan func(*sql.Rows) error, doing, text string, args ...any) error {
	rows, err := r.query(ctx, text, args...)
	if err != nil {
		return wrap(err, "%s", doing)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return wrap(err, "%s", doing)
		}
	}
	return wrap(rows.Err(), "%s", doing)
}

// A pair is a row of two texts.
type pair struct{ key, value string }

// pairs reads the rows of a statement whose arguments are a tenant and a list.
//
// With it, long lists are joined here and not by the database: before there are
// statistics of a table, PostgreSQL may look through all of it for every row of
// another.
func (r *reader) pairs(ctx context.Context, doing, text, tenant string, texts []string) ([]pair, error) {
	asked := distinct(texts)
	if len(asked) == 0 || !storable(tenant) {
		return nil, nil
	}
	found := make([]pair, 0, len(asked))
	err := each(ctx, r, func(rows *sql.Rows) error {
		var p pair
		err := rows.Scan(&p.key, &p.value)
		found = append(found, p)
		return err
	}, doing, text, tenant, r.d.list(asked))
	return found, err
}

// list reads every row of a statement.
func list[T any](ctx context.Context, r *reader, scan func(*sql.Rows) (*T, error), doing, text string, args ...any) ([]*T, error) {
	var found []*T
	err := each(ctx, r, func(rows *sql.Rows) error {
		v, err := scan(rows)
		if err == nil {
			found = append(found, v)
		}
		return err
	}, doing, text, args...)
	if err != nil {
		return nil, err
	}
	return found, nil
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
