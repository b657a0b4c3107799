// Package cache remembers which SCIM id and which upstream ids belong to a
// user name, an e-mail address, an externalId or a SCIM id. It is a hint and
// nothing else: whoever reads it checks the answer against the store. Losing
// it, or its being slow, down or wrong, costs time only.
package cache

import "context"

// Kind says what a key is.
type Kind uint8

const (
	// KindID is a SCIM id.
	KindID Kind = iota + 1
	// KindUserName is a folded user name.
	KindUserName
	// KindEmail is a folded e-mail address.
	KindEmail
	// KindExternalID is an externalId, byte for byte.
	KindExternalID
	// KindUserID is an upstream account's id in decimal.
	KindUserID
)

// Key names one mapping of one tenant. Distinct Keys are stored apart,
// whatever bytes their values hold.
type Key struct {
	Tenant string
	Kind   Kind
	Value  string
}

// Mapping is what a Key leads to.
type Mapping struct {
	// ID is the person's SCIM id.
	ID string
	// UserID is the upstream account, 0 while there is none.
	UserID int64
	// InviteID is the upstream invite while there is no account.
	InviteID string
	// Version is the person's version when this was stored; an older one
	// never replaces a newer one.
	Version int64
}

// Cache is safe for concurrent use. No method returns an error: a cache that
// cannot answer has nothing to say; implementations count and log what failed.
type Cache interface {
	// Get reports the mapping, or false when it is unknown, unreadable,
	// late, or was stored under another key.
	Get(ctx context.Context, k Key) (Mapping, bool)
	// Set stores the mapping under each key.
	Set(ctx context.Context, m Mapping, keys ...Key)
	// Delete forgets the keys.
	Delete(ctx context.Context, keys ...Key)
	// Ping says whether the cache works, for readiness reports.
	Ping(ctx context.Context) error
	Close() error
}
