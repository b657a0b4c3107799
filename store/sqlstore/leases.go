package sqlstore

import (
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// A released lease keeps its row, so that its token goes on growing; housekeep
// removes rows that nobody has used for a day. A key's first token is the time,
// so that it is above the tokens of a row that was removed.

func (t *tx) AcquireLease(tenant, key, holder string, ttl time.Duration) (store.Lease, error) {
	// Taken before the database looks at its clock: the lease ends for its
	// holder no later than for everybody else.
	asked := t.d.clock()
	l := store.Lease{Tenant: tenant, Key: key, Holder: holder}
	ok, err := t.found(`INSERT INTO leases (tenant, key, holder, token, until)
		VALUES ($1, $2, $3, {now}, {now} + CAST($4 AS BIGINT))
		ON CONFLICT (tenant, key) DO UPDATE SET holder = excluded.holder, until = excluded.until,
			token = CASE WHEN excluded.token > leases.token THEN excluded.token ELSE leases.token + 1 END
		WHERE leases.holder = excluded.holder OR leases.until <= {now}
		RETURNING token`, []any{tenant, key, holder, ttl.Microseconds()}, &l.Token)
	if err != nil {
		return store.Lease{}, wrap(err, "acquiring lease %q", key)
	}
	if ok {
		l.Until = asked.Add(ttl).Truncate(time.Microsecond)
		return l, nil
	}
	var left int64
	ok, err = t.found(`SELECT until - {now} FROM leases WHERE tenant = $1 AND key = $2`, []any{tenant, key}, &left)
	if err != nil {
		return store.Lease{}, wrap(err, "reading lease %q", key)
	}
	if !ok {
		return store.Lease{}, errAgain
	}
	return store.Lease{}, &store.LeaseHeldError{Key: key, Until: t.d.clock().Add(max(0, time.Duration(left)*time.Microsecond))}
}

func (t *tx) CheckLease(l store.Lease) error {
	// The lock keeps others from taking it over before this transaction ends.
	var one int
	ok, err := t.found(`SELECT 1 FROM leases
		WHERE tenant = $1 AND key = $2 AND holder = $3 AND token = $4 AND until > {now}{lock}`,
		[]any{l.Tenant, l.Key, l.Holder, l.Token}, &one)
	if err != nil {
		return wrap(err, "checking lease %q", l.Key)
	}
	if !ok {
		return store.ErrLeaseLost
	}
	return nil
}

func (t *tx) ReleaseLease(l store.Lease) error {
	_, err := t.exec(t.ctx, `UPDATE leases SET holder = '', until = {now}
		WHERE tenant = $1 AND key = $2 AND holder = $3 AND token = $4`, l.Tenant, l.Key, l.Holder, l.Token)
	return wrap(err, "releasing lease %q", l.Key)
}
