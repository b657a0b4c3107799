package scim

import "context"

// Caller is who sends a request, as the credential says: never the path, a
// header or the body. It is a required argument of every handler, so that no
// look-up can forget the tenant.
type Caller struct {
	// Tenant is the slug of the tenant that the credential belongs to.
	Tenant string
	// Credential is the id of the credential, for events; never its secret.
	Credential string
	// Dialect is the client whose tolerances apply to this request.
	Dialect Dialect
	// RequestID is the id that answers, logs and events share.
	RequestID string
}

// UserHandler serves User resources. Every error is a *Error or is answered
// 500 and logged. Implementations are safe for concurrent use. A returned
// User has ID, Meta (with Location and Version) and Active set, and belongs to
// the caller.
type UserHandler interface {
	// CreateUser is POST (RFC 7644 §3.3). The handler takes u over.
	CreateUser(ctx context.Context, c Caller, u *User) (*User, error)
	// GetUser is GET by id (RFC 7644 §3.4.1).
	GetUser(ctx context.Context, c Caller, id string) (*User, error)
	// ListUsers is GET with a query (RFC 7644 §3.4.2).
	ListUsers(ctx context.Context, c Caller, q Query) (*Page[User], error)
	// ReplaceUser is PUT (RFC 7644 §3.5.1). What u leaves nil is absent.
	ReplaceUser(ctx context.Context, c Caller, id string, u *User, pre Preconditions) (*User, error)
	// PatchUser is PATCH (RFC 7644 §3.5.2).
	PatchUser(ctx context.Context, c Caller, id string, p *Patch, pre Preconditions) (*User, error)
	// DeleteUser is DELETE (RFC 7644 §3.6).
	DeleteUser(ctx context.Context, c Caller, id string, pre Preconditions) error
}

// ResourceReader reads the resources of a type that clients cannot change.
// Errors are as in UserHandler, and implementations are safe for concurrent
// use.
type ResourceReader[T any] interface {
	// All returns every resource of the caller's tenant, in a stable order,
	// each with its id. meta need not be set. What is returned is not changed
	// by either side. There are to be few: a request reads them all.
	All(ctx context.Context, c Caller) ([]*T, error)
}

// Query is a list request (RFC 7644 §3.4.2).
type Query struct {
	// Filter is nil when every resource is asked for.
	Filter *Filter
	// SortBy is nil for the handler's own stable order.
	SortBy     *SortKey
	Descending bool
	// StartIndex is at least 1, and 1 when a cursor is asked for.
	StartIndex int
	// Cursor asks for pages by cursor (RFC 9865): the page begins behind After,
	// and Page.Next says where the next one does.
	Cursor bool
	After  Position
	// Count is at least 0 and already capped at the server's maximum; 0 asks
	// for the total alone.
	Count int
	// Projection says which attributes will be shown, so that a handler can
	// leave unasked ones out; it need not.
	Projection Projection
}

// Page is the answer to a Query: the window of Resources out of Total.
type Page[T any] struct {
	Total     int
	Resources []*T
	// Rendered may stand for Resources when the Query's projection is the
	// default one: each resource as Codec.Append writes it. It is not changed.
	Rendered [][]byte
	// Next is where the next page begins, if the Query asked for a cursor and
	// there is more; nil otherwise.
	Next *Position
}

// Preconditions are the conditional headers of a mutation (RFC 7644 §3.14,
// RFC 9110 §13.1). The zero value sets none.
type Preconditions struct {
	// IfMatch lists the entity tags of If-Match; "*" matches any version.
	IfMatch []string
	// IfNoneMatch lists the entity tags of If-None-Match.
	IfNoneMatch []string
}

// Check reports whether a mutation may go on against a resource whose current
// entity tag is etag: nil, or a *Error of 412 that names both. Tags are
// compared weakly (RFC 9110 §8.8.3.2): this protocol's versions are weak.
func (p Preconditions) Check(etag string) error {
	if len(p.IfMatch) > 0 && !matchesTag(p.IfMatch, etag) {
		return PreconditionFailed("If-Match %q does not match the current version %s: read the resource again and repeat the change on what you find", p.IfMatch, etag)
	}
	if len(p.IfNoneMatch) > 0 && matchesTag(p.IfNoneMatch, etag) {
		return PreconditionFailed("If-None-Match %q matches the current version %s", p.IfNoneMatch, etag)
	}
	return nil
}

func matchesTag(tags []string, etag string) bool {
	for _, t := range tags {
		if t == "*" || weak(t) == weak(etag) {
			return true
		}
	}
	return false
}

func weak(tag string) string {
	if len(tag) > 2 && (tag[0] == 'W' || tag[0] == 'w') && tag[1] == '/' {
		return tag[2:]
	}
	return tag
}
