package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/sharearefund/scim-bridge/store"
)

const eventColumns = `seq, at, tenant, actor, request_id, action, resource_type, resource_id, outcome, status, detail, data`

func scanEvent(rows *sql.Rows) (*store.Event, error) {
	e := new(store.Event)
	var at int64
	err := rows.Scan(&e.Seq, &at, &e.Tenant, &e.Actor, &e.RequestID, &e.Action, &e.ResourceType, &e.ResourceID,
		&e.Outcome, &e.Status, &e.Detail, &e.Data)
	e.At = moment(at)
	return e, err
}

func (t *tx) AppendEvent(e *store.Event) error {
	draw := t.d.nextEvent
	if !t.events {
		draw = t.d.firstEvent
	}
	var seq int64
	_, err := t.found(`INSERT INTO events (`+eventColumns+`)
		VALUES (`+draw+`, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING seq`, []any{
		micros(e.At), e.Tenant, e.Actor, e.RequestID, e.Action, e.ResourceType, e.ResourceID,
		e.Outcome, e.Status, e.Detail, blob(e.Data)}, &seq)
	if err != nil {
		return wrap(err, "appending an event")
	}
	t.events = true
	old := e.Seq
	t.undo = append(t.undo, func() { e.Seq = old })
	e.Seq = seq
	return nil
}

func (r *reader) Events(ctx context.Context, q store.EventQuery) ([]*store.Event, error) {
	var args []any
	var where []string
	restrict := func(format string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(format, len(args)))
	}
	restrict("seq > $%d", q.After)
	if !q.Newest && !r.inTx && r.d.settledEvents != "" {
		// Who follows goes on from the last event it saw, so it must see
		// none before all that come earlier are there. A statement of its
		// own: the one below must see what has ended by now.
		var settled int64
		if err := r.one(ctx, r.d.settledEvents, nil, &settled); err != nil {
			return nil, wrap(err, "finding the last settled event")
		}
		restrict("seq <= $%d", settled)
	}
	for _, f := range []struct{ column, value string }{
		{"tenant", q.Tenant}, {"resource_id", q.ResourceID}, {"request_id", q.RequestID},
	} {
		if f.value != "" {
			restrict(f.column+" = $%d", f.value)
		}
	}
	// Literals that let the partial indexes serve.
	if q.ResourceID != "" {
		where = append(where, "resource_id <> ''")
	}
	if q.RequestID != "" {
		where = append(where, "request_id <> ''")
	}
	if q.Failed {
		where = append(where, "outcome = '"+store.OutcomeFailed+"'")
	}
	order := "seq"
	if q.Newest {
		order = "seq DESC"
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	args = append(args, q.Limit)
	text := fmt.Sprintf("SELECT %s FROM events WHERE %s ORDER BY %s LIMIT $%d",
		eventColumns, strings.Join(where, " AND "), order, len(args))
	return list(ctx, r, scanEvent, "reading events", text, args...)
}
