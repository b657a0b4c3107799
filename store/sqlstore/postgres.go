package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/sharearefund/scim-bridge/store"
)

func newPostgresDialect(now func() time.Time) *dialect {
	return &dialect{
		name: "postgres",
		// The time of the statement, not of the transaction's start: a
		// lease must not outlive what others see.
		now:   `CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)`,
		lock:  ` FOR UPDATE`,
		skip:  ` FOR UPDATE SKIP LOCKED`,
		share: ` FOR KEY SHARE`,
		in:    `= ANY (CAST(%s AS TEXT[]))`,
		each:  `unnest(CAST(%s AS TEXT[])) AS each(value)`,
		rows:  `json_array_elements(CAST(%s AS JSON)) AS each(value)`,
		list:  func(texts []string) any { return texts },
		// Planned anew each time, for the length of the list and the size of
		// the table: the plan that fits one, or a table still empty, takes
		// seconds for 20,000.
		listMode:      pgx.QueryExecModeCacheDescribe,
		savepoints:    true,
		firstEvent:    `events_begin()`,
		nextEvent:     `nextval('events_seq')`,
		settledEvents: `SELECT events_settled()`,
		countSlots:    8,
		unique:        func(err error) bool { return sqlState(err) == "23505" },
		clock:         now,
	}
}

// postgresBackend runs every Update in a READ COMMITTED transaction. What must
// not race is arbitrated by a unique index (ids, names, organizations, active
// jobs), by a row lock before a compare-and-set (persons, leases), or in a
// single statement (lease and job claims); so a transaction waits for the one
// it meets and goes on, where SERIALIZABLE would throw work away and fail more
// the busier it gets. Deadlocks remain possible, when two transactions touch
// the same rows in different orders, and are run again.
type postgresBackend struct {
	db        *sql.DB
	d         *dialect
	logger    *slog.Logger
	txTimeout time.Duration

	// running is held for reading by every Update; closed is set under it.
	running sync.RWMutex
	closed  bool
}

func openPostgres(ctx context.Context, url string, o Options) (*sqlStore, error) {
	conf, err := pgx.ParseConfig(url)
	if err != nil {
		// The driver's error leaves the password out.
		return nil, wrap(err, "reading the database URL")
	}
	if conf.ConnectTimeout == 0 {
		conf.ConnectTimeout = 5 * time.Second
	}
	if err := migratePostgres(ctx, *conf, o.Logger); err != nil {
		return nil, fmt.Errorf("%w (database %q on %q)", err, conf.Database, conf.Host)
	}
	for name, value := range map[string]string{
		"application_name":                    "scim-bridge",
		"statement_timeout":                   milliseconds(o.StatementTimeout),
		"lock_timeout":                        milliseconds(o.StatementTimeout),
		"idle_in_transaction_session_timeout": milliseconds(o.TxTimeout),
	} {
		if _, set := conf.RuntimeParams[name]; !set {
			conf.RuntimeParams[name] = value
		}
	}
	conns := o.MaxConns
	if conns == 0 {
		conns = 16
	}
	d := newPostgresDialect(o.Now)
	b := &postgresBackend{db: stdlib.OpenDB(*conf), d: d, logger: o.Logger, txTimeout: o.TxTimeout}
	b.db.SetMaxOpenConns(conns)
	b.db.SetMaxIdleConns(conns)
	// So that connections find their way back after a fail-over.
	b.db.SetConnMaxLifetime(30 * time.Minute)
	return &sqlStore{reader: reader{d: d, q: b}, b: b}, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// migratePostgres uses connections of its own: a change of the schema may take
// longer than a statement otherwise may.
func migratePostgres(ctx context.Context, conf pgx.ConnConfig, logger *slog.Logger) error {
	conf.RuntimeParams = map[string]string{"application_name": "scim-bridge migration"}
	maps.Copy(conf.RuntimeParams, conf.Config.RuntimeParams)
	db := stdlib.OpenDB(conf)
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return wrap(err, "connecting")
	}
	return migrate(ctx, db, goose.DialectPostgres, logger, goose.WithSessionLocker(migrationLock{}))
}

// migrationLock lets one process at a time migrate; the others wait.
type migrationLock struct{}

const migrationLockKey = 0x5C1B_5CE7

func (migrationLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, migrationLockKey)
	return err
}

func (migrationLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, migrationLockKey)
	return err
}

func (b *postgresBackend) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	return b.db.ExecContext(ctx, text, args...)
}

func (b *postgresBackend) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return b.db.QueryContext(ctx, text, args...)
}

func (b *postgresBackend) backup(context.Context, string) error {
	return errors.New("sqlstore: a PostgreSQL database is backed up with pg_dump --format=custom, not by scim-bridge")
}

func (b *postgresBackend) close() error {
	b.running.Lock()
	defer b.running.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	return wrap(b.db.Close(), "closing")
}

// maxAttempts bounds how often an Update is run when it meets others. From
// queueAttempt on it waits for the others that were met as often, so that they
// do not go on meeting each other.
const (
	maxAttempts  = 30
	queueAttempt = 3
	queueKey     = 0x5C1B_5CE8
)

func (b *postgresBackend) update(ctx context.Context, fn func(tx store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.running.RLock()
	defer b.running.RUnlock()
	if b.closed {
		return errClosed
	}
	for n := 1; ; n++ {
		err := b.attempt(ctx, fn, n >= queueAttempt)
		if err == nil || n == maxAttempts || !again(err) {
			return err
		}
		b.logger.Debug("running a transaction again", "attempt", n, "err", err)
		// Up to 1, 2, 4, … 256 ms: who met here should not meet again.
		wait := time.NewTimer(rand.N(time.Millisecond << min(n-1, 8)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
	}
}

// attempt runs fn in one transaction. A caller that leaves is heeded until the
// transaction begins; after that its end would only make the outcome unknown.
func (b *postgresBackend) attempt(ctx context.Context, fn func(tx store.Tx) error, queue bool) error {
	conn, err := b.db.Conn(ctx)
	if err != nil {
		return wrap(err, "connecting")
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.txTimeout)
	defer cancel()
	dbtx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return &beginError{wrap(err, "beginning a transaction")}
	}
	q := &postgresTx{tx: dbtx}
	t := newTx(ctx, b.d, q)
	committed := false
	defer func() {
		if !committed {
			t.over = true
			_ = dbtx.Rollback() // what failed before tells more
			t.revert()
		}
	}()
	if queue {
		if _, err := q.exec(ctx, `SELECT pg_advisory_xact_lock($1)`, queueKey); err != nil {
			return wrap(err, "waiting for other transactions")
		}
	}
	err = t.call(fn)
	if q.met != nil {
		// Whatever fn made of it: the transaction is lost.
		return wrap(q.met, "running a transaction")
	}
	if err != nil {
		return err
	}
	if err := dbtx.Commit(); err != nil {
		return wrap(err, "committing")
	}
	committed = true
	return nil
}

// beginError is a failure before anything was sent for the transaction.
type beginError struct{ error }

func (e *beginError) Unwrap() error { return e.error }

// again says that the transaction did nothing and may succeed when run again.
func again(err error) bool {
	if _, ok := errors.AsType[*beginError](err); ok {
		// The pool gave a connection that a restart of the server had closed.
		return errors.Is(err, driver.ErrBadConn) || pgconn.SafeToRetry(err)
	}
	return errors.Is(err, errAgain) || meets(err)
}

// meets says that a transaction was chosen to make way for another.
func meets(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01": // serialization failure, deadlock
		return true
	}
	return false
}

// sqlState is the five-character code of a PostgreSQL error, "" for others.
func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// postgresTx is a transaction's querier.
type postgresTx struct {
	tx *sql.Tx
	// met is the first error by which the transaction made way for another.
	met error
}

func (p *postgresTx) note(err error) error {
	if err != nil && p.met == nil && meets(err) {
		p.met = err
	}
	return err
}

func (p *postgresTx) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	res, err := p.tx.ExecContext(ctx, text, args...)
	return res, p.note(err)
}

func (p *postgresTx) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	rows, err := p.tx.QueryContext(ctx, text, args...)
	return rows, p.note(err)
}
