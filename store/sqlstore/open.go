// Package sqlstore keeps package store's rows in SQLite or PostgreSQL. The SQL
// is one; what differs between the two lies in dialect.go, sqlite.go, writer.go
// and postgres.go.
package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// Options say which database to open and how.
type Options struct {
	// URL is "sqlite:PATH", a plain path, "postgres://…" or "postgresql://…".
	// A SQLite file is created when it does not exist, readable by its owner
	// alone; its directory must exist.
	URL string
	// Now is the clock. PostgreSQL judges leases, jobs and replicas by its
	// own. nil: time.Now.
	Now func() time.Time
	// Logger hears of migrations, retries and doubtful file modes. nil: nobody.
	Logger *slog.Logger
	// MaxConns bounds the connections that read SQLite (the one that writes
	// is apart) and all connections to PostgreSQL. 0: 4 and 16.
	MaxConns int
	// GroupWindow is how long a SQLite commit waits until as many Updates
	// share it as shared the one before; who works alone never waits. 0: a
	// commit takes those that are there, which under load are those that
	// came during the one before.
	GroupWindow time.Duration
	// StatementTimeout bounds a PostgreSQL statement, and the wait for a row
	// lock; the URL's own statement_timeout or lock_timeout wins. 0: 10 s.
	StatementTimeout time.Duration
	// TxTimeout bounds a PostgreSQL transaction from its start; a caller
	// that leaves does not end it. 0: 20 s.
	TxTimeout time.Duration
}

// Open opens the database, creating or migrating its schema. Any number of
// processes may do so at once.
func Open(ctx context.Context, o Options) (store.Store, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func open(ctx context.Context, o Options) (*sqlStore, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.StatementTimeout == 0 {
		o.StatementTimeout = 10 * time.Second
	}
	if o.TxTimeout == 0 {
		o.TxTimeout = 20 * time.Second
	}
	kind, target, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if kind == "postgres" {
		return openPostgres(ctx, target, o)
	}
	return openSQLite(ctx, target, o)
}

// parseURL tells a PostgreSQL URL, returned whole, from the path of a SQLite file.
func parseURL(raw string) (kind, target string, err error) {
	scheme, rest, found := strings.Cut(raw, ":")
	switch {
	case raw == "":
		return "", "", errors.New("sqlstore: no database is named: give a file or a postgres:// URL")
	case scheme == "postgres" || scheme == "postgresql":
		return "postgres", raw, nil
	case found && scheme == "sqlite":
		target = strings.TrimPrefix(rest, "//")
	case strings.Contains(raw, "://"):
		// Only the scheme is shown: the rest may hold a password.
		return "", "", fmt.Errorf("sqlstore: unknown database scheme %q: use sqlite: or postgres://", scheme)
	default:
		target = raw
	}
	if target == "" || target == ":memory:" {
		return "", "", fmt.Errorf("sqlstore: %q is not a file: SQLite needs the path of one", raw)
	}
	return "sqlite", target, nil
}

// fileURI is the SQLite URI of an absolute path, with the given parameters.
func fileURI(path string, params ...string) string {
	return "file://" + (&url.URL{Path: path}).EscapedPath() + "?" + strings.Join(params, "&")
}

// backend is what SQLite and PostgreSQL do in ways of their own.
type backend interface {
	querier
	update(ctx context.Context, fn func(tx store.Tx) error) error
	backup(ctx context.Context, path string) error
	close() error
}

// sqlStore implements store.Store over a backend.
type sqlStore struct {
	reader
	b backend
}

var _ store.Store = (*sqlStore)(nil)

// errClosed answers what comes after Close.
var errClosed = errors.New("sqlstore: the store is closed")

func (s *sqlStore) Update(ctx context.Context, fn func(tx store.Tx) error) error {
	return s.b.update(ctx, fn)
}

// write runs one of the package's own updates.
func (s *sqlStore) write(ctx context.Context, fn func(t *tx) error) error {
	return s.b.update(ctx, func(st store.Tx) error { return fn(st.(*tx)) })
}

func (s *sqlStore) Backup(ctx context.Context, path string) error { return s.b.backup(ctx, path) }

func (s *sqlStore) Close() error { return s.b.close() }

func (s *sqlStore) Ping(ctx context.Context) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(t.ctx, `UPDATE pulse SET at = {now} WHERE id = 1`)
		return wrap(err, "writing the pulse")
	})
}
