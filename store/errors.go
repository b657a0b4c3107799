package store

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNotFound means that there is no such row.
	ErrNotFound = errors.New("store: not found")
	// ErrStale means that the row changed since it was read.
	ErrStale = errors.New("store: the row changed since it was read")
	// ErrLeaseLost means that the lease ended or another holder took it.
	ErrLeaseLost = errors.New("store: lease lost")
)

// ConflictError means that a unique value is taken.
type ConflictError struct {
	// Field is one of "id", "userName", "email", "userID", "alias",
	// "displayName", "organization", "slug", "hash".
	Field string
	// Value is the one that is taken.
	Value string
	// Owner is the person's or group's id or the tenant's slug that has it, when known.
	Owner string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("store: %s %q is taken by %q", e.Field, e.Value, e.Owner)
}

// LeaseHeldError means that another holder has the lease.
type LeaseHeldError struct {
	Key   string
	Until time.Time
}

func (e *LeaseHeldError) Error() string {
	return fmt.Sprintf("store: lease %q is held until %s", e.Key, e.Until.UTC().Format(time.RFC3339))
}
