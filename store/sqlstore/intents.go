package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

const intentColumns = `tenant, key, kind, person_id, payload, created_at`

func scanIntent(rows *sql.Rows) (*store.Intent, error) {
	i := new(store.Intent)
	var created int64
	err := rows.Scan(&i.Tenant, &i.Key, &i.Kind, &i.PersonID, &i.Payload, &created)
	i.CreatedAt = moment(created)
	return i, err
}

func (r *reader) Intent(ctx context.Context, tenant, key string) (*store.Intent, error) {
	return first(ctx, r, scanIntent, "reading an intent",
		`SELECT `+intentColumns+` FROM intents WHERE tenant = $1 AND key = $2`, tenant, key)
}

func (r *reader) Intents(ctx context.Context, tenant string, before time.Time, limit int) ([]*store.Intent, error) {
	return list(ctx, r, scanIntent, "reading intents", `SELECT `+intentColumns+` FROM intents
		WHERE tenant = $1 AND created_at < $2 ORDER BY created_at, key LIMIT $3`, tenant, micros(before), max(0, limit))
}

func (t *tx) PutIntent(i *store.Intent) error {
	_, err := t.exec(t.ctx, `INSERT INTO intents (`+intentColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (tenant, key) DO UPDATE SET kind = excluded.kind, person_id = excluded.person_id,
			payload = excluded.payload, created_at = excluded.created_at`,
		i.Tenant, i.Key, i.Kind, i.PersonID, blob(i.Payload), micros(i.CreatedAt))
	return wrap(err, "storing intent %q", i.Key)
}

func (t *tx) DeleteIntent(tenant, key string) error {
	_, err := t.exec(t.ctx, `DELETE FROM intents WHERE tenant = $1 AND key = $2`, tenant, key)
	return wrap(err, "deleting intent %q", key)
}
