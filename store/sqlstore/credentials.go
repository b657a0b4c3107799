package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

const credentialColumns = `id, tenant, name, kind, client, evidence, hash, hint,
	created_at, expires_at, revoked_at, last_used_at`

func (r *reader) CredentialByHash(ctx context.Context, hash []byte) (*store.Credential, error) {
	return first(ctx, r, scanCredential, "reading a credential",
		`SELECT `+credentialColumns+` FROM credentials WHERE hash = $1`, hash)
}

func (r *reader) Credentials(ctx context.Context, tenant string) ([]*store.Credential, error) {
	return list(ctx, r, scanCredential, "reading credentials",
		`SELECT `+credentialColumns+` FROM credentials WHERE tenant = $1 ORDER BY created_at, id`, tenant)
}

func scanCredential(rows *sql.Rows) (*store.Credential, error) {
	c := new(store.Credential)
	var created, expires, revoked, used int64
	err := rows.Scan(&c.ID, &c.Tenant, &c.Name, &c.Kind, &c.Client, &c.Evidence, &c.Hash, &c.Hint,
		&created, &expires, &revoked, &used)
	c.CreatedAt, c.ExpiresAt = moment(created), moment(expires)
	c.RevokedAt, c.LastUsedAt = moment(revoked), moment(used)
	return c, err
}

func (t *tx) PutCredential(c *store.Credential) error {
	// A credential never moves to another tenant.
	changed, taken, err := t.try(`INSERT INTO credentials (`+credentialColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, kind = excluded.kind, client = excluded.client,
			evidence = excluded.evidence, hash = excluded.hash, hint = excluded.hint,
			created_at = excluded.created_at, expires_at = excluded.expires_at,
			revoked_at = excluded.revoked_at, last_used_at = excluded.last_used_at
		WHERE credentials.tenant = excluded.tenant`,
		c.ID, c.Tenant, c.Name, c.Kind, c.Client, c.Evidence, c.Hash, c.Hint,
		micros(c.CreatedAt), micros(c.ExpiresAt), micros(c.RevokedAt), micros(c.LastUsedAt))
	if err != nil {
		return wrap(err, "storing credential %q", c.ID)
	}
	if !taken && changed == 1 {
		return t.grow()
	}
	conflict := &store.ConflictError{Field: "id", Value: c.ID}
	text, arg := `SELECT tenant FROM credentials WHERE id = $1`, any(c.ID)
	if taken {
		// The hash itself is nothing to show; the hint tells which it is.
		conflict = &store.ConflictError{Field: "hash", Value: c.Hint}
		text, arg = `SELECT tenant FROM credentials WHERE hash = $1`, c.Hash
	}
	ok, err := t.found(text, []any{arg}, &conflict.Owner)
	if err != nil {
		return wrap(err, "looking for the owner of credential %q", c.ID)
	}
	if !ok {
		return errAgain
	}
	return conflict
}

func (s *sqlStore) TouchCredential(ctx context.Context, id string, used time.Time, evidence string) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(t.ctx, `UPDATE credentials SET
				last_used_at = CASE WHEN last_used_at < $2 THEN $2 ELSE last_used_at END,
				evidence = CASE WHEN $3 <> '' THEN $3 ELSE evidence END
			WHERE id = $1`, id, micros(used), evidence)
		if err != nil {
			return wrap(err, "noting the use of credential %q", id)
		}
		if n == 0 {
			return store.ErrNotFound
		}
		return nil
	})
}
