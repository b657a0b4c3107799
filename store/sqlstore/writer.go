package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// A writer is the one goroutine of a process that changes a SQLite file. It
// takes the Updates that wait into one transaction, each in a savepoint of its
// own, commits once and then answers them all: one fsync for many.
//
// Each function runs on its caller's goroutine, to which the writer hands the
// transaction and waits: a panic or a runtime.Goexit stays where it belongs.
type writer struct {
	db     *sql.DB
	d      *dialect
	window time.Duration
	// queue is unbuffered: who is not yet in a group can leave without trace.
	queue   chan *update
	closing chan struct{}
	stopped chan struct{}

	// The rest belongs to the goroutine.
	conn *writeConn
	// last is how many the last group took.
	last int
}

// maxGroup bounds a group, and so how long its first member waits.
const maxGroup = 256

// An update is one caller's function on its way through the writer.
type update struct {
	// turn hands the caller the transaction; the caller closes left when it
	// no longer waits for that.
	turn chan *tx
	left chan struct{}
	// ran receives what the function returned.
	ran chan error
	// answer receives what Update returns.
	answer chan error
	t      *tx
}

// errUnfinished stands for the result of a function that did not return.
var errUnfinished = errors.New("sqlstore: the function did not return")

func newWriter(db *sql.DB, d *dialect, window time.Duration) *writer {
	w := &writer{
		db: db, d: d, window: window,
		queue: make(chan *update), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	go w.run()
	return w
}

// update is Store.Update.
func (w *writer) update(ctx context.Context, fn func(tx store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	u := &update{
		turn: make(chan *tx), left: make(chan struct{}),
		ran: make(chan error, 1), answer: make(chan error, 1),
	}
	select {
	case w.queue <- u:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return errClosed
	}
	select {
	case t := <-u.turn:
		u.call(t, fn)
		return <-u.answer
	case err := <-u.answer:
		return err
	case <-ctx.Done():
		close(u.left)
		return ctx.Err()
	}
}

// call runs the function with the transaction that it was handed.
func (u *update) call(t *tx, fn func(tx store.Tx) error) {
	err := errUnfinished
	defer func() {
		u.ran <- err
		if err == errUnfinished {
			// The panic goes on once the rows are back as they were.
			<-u.answer
		}
	}()
	err = t.call(fn)
}

// close lets the current group end and stops the goroutine.
func (w *writer) close() {
	close(w.closing)
	<-w.stopped
}

func (w *writer) run() {
	defer close(w.stopped)
	defer w.drop()
	for {
		select {
		case u := <-w.queue:
			w.group(u)
		case <-w.closing:
			return
		}
	}
}

// group carries out one transaction.
func (w *writer) group(first *update) {
	if err := w.begin(); err != nil {
		// Whoever else waits would wait as long for the same answer.
		for u, n := first, 0; u != nil && n < maxGroup; u, n = w.next(nil), n+1 {
			u.answer <- err
		}
		return
	}
	// Those that shared the last commit have been answered and may come
	// again; who works alone is not kept waiting for anybody.
	expected := min(w.last, maxGroup)
	w.last = 0
	var deadline <-chan time.Time
	if w.window > 0 && expected > 1 {
		timer := time.NewTimer(w.window)
		defer timer.Stop()
		deadline = timer.C
	}
	var done []*update
	for u := first; u != nil; u = w.next(deadline) {
		kept, err := w.one(u)
		if err != nil {
			w.fail(append(done, u), err)
			return
		}
		if kept {
			done = append(done, u)
		}
		if w.last++; w.last == maxGroup {
			break
		}
		if w.last >= expected {
			deadline = nil
		}
	}
	if len(done) == 0 {
		if err := w.conn.do(`ROLLBACK`); err != nil {
			w.drop()
		}
		return
	}
	if err := w.conn.do(`COMMIT`); err != nil {
		w.fail(done, wrap(err, "committing"))
		return
	}
	for _, u := range done {
		u.answer <- nil
	}
}

// next is the next update that waits, until the deadline when there is one.
func (w *writer) next(deadline <-chan time.Time) *update {
	select {
	case u := <-w.queue:
		return u
	default:
	}
	if deadline == nil {
		return nil
	}
	select {
	case u := <-w.queue:
		return u
	case <-deadline:
		return nil
	}
}

// one runs an update in a savepoint. It answers the update itself when its
// function failed, else it is kept for the commit. An error means that the
// transaction is lost for all of its members.
func (w *writer) one(u *update) (kept bool, err error) {
	if err := w.conn.do(`SAVEPOINT member`); err != nil {
		return false, wrap(err, "beginning an update")
	}
	w.conn.broken = nil
	u.t = newTx(context.Background(), w.d, w.conn)
	select {
	case u.turn <- u.t:
	case <-u.left:
		return false, wrap(w.conn.do(`RELEASE member`), "ending an update")
	}
	failure := <-u.ran
	u.t.over = true
	if w.conn.broken != nil {
		return false, w.conn.broken
	}
	if failure == nil {
		return true, wrap(w.conn.do(`RELEASE member`), "ending an update")
	}
	for _, end := range []string{`ROLLBACK TO member`, `RELEASE member`} {
		if err := w.conn.do(end); err != nil {
			return false, wrap(err, "taking an update back")
		}
	}
	u.t.revert()
	u.answer <- failure
	return false, nil
}

// fail gives up a transaction and tells its members.
func (w *writer) fail(members []*update, err error) {
	if rerr := w.conn.do(`ROLLBACK`); rerr != nil {
		// SQLite may have rolled back by itself, and "no transaction is
		// active" is all it says; a new connection is certain to have none.
		w.drop()
	}
	for _, u := range members {
		if u.t != nil {
			u.t.revert()
		}
		u.answer <- err
	}
}

// begin takes the file's write lock, waiting as long as busy_timeout for other
// processes.
func (w *writer) begin() error {
	if w.conn == nil {
		conn, err := w.db.Conn(context.Background())
		if err != nil {
			return wrap(err, "connecting")
		}
		w.conn = &writeConn{conn: conn, stmts: make(map[string]*sql.Stmt)}
	}
	if err := w.conn.do(`BEGIN IMMEDIATE`); err != nil {
		w.drop()
		return wrap(err, "beginning a transaction")
	}
	return nil
}

// drop closes the connection; the next group opens another.
func (w *writer) drop() {
	if w.conn == nil {
		return
	}
	for _, s := range w.conn.stmts {
		_ = s.Close() // the connection goes with it
	}
	// A connection that reports ErrBadConn is closed, not kept.
	_ = w.conn.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = w.conn.conn.Close()
	w.conn = nil
}

// writeConn is the writer's connection with its prepared statements.
type writeConn struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	// broken is the first error after which SQLite may have given up the
	// transaction by itself, whatever the function made of it.
	broken error
}

func (c *writeConn) stmt(text string) (*sql.Stmt, error) {
	if s, ok := c.stmts[text]; ok {
		return s, nil
	}
	s, err := c.conn.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, err
	}
	c.stmts[text] = s
	return s, nil
}

// note remembers an error that ends the transaction.
func (c *writeConn) note(err error) error {
	if err != nil && c.broken == nil && losesTransaction(err) {
		c.broken = fmt.Errorf("sqlstore: the transaction was lost: %w", err)
	}
	return err
}

// do runs a statement of the writer's own, in whatever state the transaction is.
func (c *writeConn) do(text string) error {
	s, err := c.stmt(text)
	if err != nil {
		return err
	}
	_, err = s.Exec()
	return err
}

func (c *writeConn) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	if c.broken != nil {
		// The next statement would be committed by itself.
		return nil, c.broken
	}
	s, err := c.stmt(text)
	if err != nil {
		return nil, c.note(err)
	}
	res, err := s.ExecContext(ctx, args...)
	return res, c.note(err)
}

func (c *writeConn) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	s, err := c.stmt(text)
	if err != nil {
		return nil, c.note(err)
	}
	rows, err := s.QueryContext(ctx, args...)
	return rows, c.note(err)
}
