package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A dialect is what one database says otherwise than the other. Statements use
// $1, $2, … in both, and these marks:
//
//	{now}   the time in microseconds by the clock that judges leases
//	{lock}  keeps the selected row from changing until the transaction ends
//	{skip}  the same, passing over rows that others have locked
//	{share} keeps the selected rows from being locked by others until then
//
// A list of texts is one argument, which dialect.list makes of it; a list of
// rows is a JSON array of arrays:
//
//	{in $n}   an operator: is one of the texts
//	{each $n} the texts as a table "each" with the column value
//	{rows $n} the rows as a table "each", whose cells are value ->> 0, 1, …
type dialect struct {
	name string
	// now is the expression of {now}; empty: Options.Now, as a further argument.
	now               string
	lock, skip, share string
	// in, each and rows have %s for the argument.
	in, each, rows string
	// list makes an argument of a list.
	list func(texts []string) any
	// listMode goes before the arguments of a statement that takes a list;
	// nil: nothing does.
	listMode any
	// savepoints says that a failed statement spoils its transaction unless
	// it ran in a savepoint.
	savepoints bool
	// firstEvent draws an event's Seq in a transaction that has drawn none,
	// nextEvent in one that has.
	firstEvent, nextEvent string
	// settledEvents answers the Seq up to which no event is still to come;
	// empty: all that can be read.
	settledEvents string
	// countSlots spreads a tenant's counter over rows, so that concurrent
	// transactions seldom wait for the same one.
	countSlots int
	// unique tells a violated uniqueness from other errors.
	unique func(error) bool

	clock func() time.Time
	texts sync.Map // statement as written → expanded
}

// expanded is a statement in the dialect's own words.
type expanded struct {
	sql string
	// clock says that the time is a further argument.
	clock bool
	// mode goes before the arguments when it is not nil.
	mode any
}

// listMark is a mark that names its argument.
var listMark = regexp.MustCompile(`\{(in|each|rows) (\$[0-9]+)\}`)

// expand replaces the marks of a statement that takes len(args) arguments.
func (d *dialect) expand(text string, args []any) (string, []any) {
	if v, ok := d.texts.Load(text); ok {
		e := v.(expanded)
		if e.clock {
			args = append(args, micros(d.clock()))
		}
		if e.mode != nil {
			args = slices.Insert(args, 0, e.mode)
		}
		return e.sql, args
	}
	e := expanded{clock: d.now == "" && strings.Contains(text, "{now}")}
	now := d.now
	if e.clock {
		now = "$" + strconv.Itoa(len(args)+1)
	}
	e.sql = strings.NewReplacer("{now}", now, "{lock}", d.lock, "{skip}", d.skip, "{share}", d.share).Replace(text)
	if listMark.MatchString(text) {
		e.mode = d.listMode
	}
	e.sql = listMark.ReplaceAllStringFunc(e.sql, func(mark string) string {
		m := listMark.FindStringSubmatch(mark)
		return fmt.Sprintf(map[string]string{"in": d.in, "each": d.each, "rows": d.rows}[m[1]], m[2])
	})
	d.texts.Store(text, e)
	return d.expand(text, args)
}

// querier runs statements in the database's own words.
type querier interface {
	exec(ctx context.Context, text string, args ...any) (sql.Result, error)
	query(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// exec runs a statement and returns how many rows it changed.
func (r *reader) exec(ctx context.Context, text string, args ...any) (int64, error) {
	text, args = r.d.expand(text, args)
	res, err := r.q.exec(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (r *reader) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	text, args = r.d.expand(text, args)
	return r.q.query(ctx, text, args...)
}

// one scans the first row into dest, or returns sql.ErrNoRows.
func (r *reader) one(ctx context.Context, text string, args []any, dest ...any) error {
	rows, err := r.query(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	if err := rows.Scan(dest...); err != nil {
		return err
	}
	return rows.Close()
}

// wrap says what a failed statement was for.
func wrap(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlstore: %s: %w", fmt.Sprintf(doing, args...), err)
}

// micros is a time as stored.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment is a stored time.
func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// blob makes an empty value NULL, so that it is read as nil from both databases.
func blob(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// distinct sorts texts and leaves out repeats and those that cannot have been
// stored. In one order, concurrent transactions do not wait in a circle.
func distinct(texts []string) []string {
	list := make([]string, 0, len(texts))
	for _, s := range texts {
		if storable(s) {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// jsonText is a value that always has a JSON form.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
