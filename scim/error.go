package scim

import (
	"fmt"
	"time"
)

// The scimType vocabulary of RFC 7644 §3.12, and of RFC 9865 §2.1 for cursors.
const (
	TypeInvalidFilter = "invalidFilter"
	TypeTooMany       = "tooMany"
	TypeUniqueness    = "uniqueness"
	TypeMutability    = "mutability"
	TypeInvalidSyntax = "invalidSyntax"
	TypeInvalidPath   = "invalidPath"
	TypeNoTarget      = "noTarget"
	TypeInvalidValue  = "invalidValue"
	TypeInvalidVers   = "invalidVers"
	TypeSensitive     = "sensitive"
	TypeInvalidCursor = "invalidCursor"
)

// Error is every refusal that a provisioning client sees (RFC 7644 §3.12).
// Detail is written for the identity provider's administrator: what is wrong,
// which value, what to do next. Err is for the server's own log and is never
// sent.
type Error struct {
	// Status is the HTTP status, 400 to 599.
	Status int
	// Type is the scimType; empty where RFC 7644 defines none.
	Type string
	// Detail is the text that the client shows.
	Detail string
	// RetryAfter is sent in whole seconds, rounded up, at least 1 when
	// positive; 0 sends no header.
	RetryAfter time.Duration
	// Err is the cause, or nil.
	Err error
}

func (e *Error) Error() string {
	s := fmt.Sprintf("scim: %d", e.Status)
	if e.Type != "" {
		s += " " + e.Type
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Because returns a copy of e with err as its cause.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// BadRequest is 400 with a scimType.
func BadRequest(scimType, format string, args ...any) *Error {
	return &Error{Status: 400, Type: scimType, Detail: fmt.Sprintf(format, args...)}
}

// Forbidden is 403: the request is understood and refused.
func Forbidden(format string, args ...any) *Error {
	return &Error{Status: 403, Detail: fmt.Sprintf(format, args...)}
}

// NotFound is 404 for a resource of the given type and id.
func NotFound(resourceType, id string) *Error {
	return &Error{Status: 404, Detail: fmt.Sprintf("%s %q does not exist", resourceType, id)}
}

// Conflict is 409 with scimType uniqueness.
func Conflict(format string, args ...any) *Error {
	return &Error{Status: 409, Type: TypeUniqueness, Detail: fmt.Sprintf(format, args...)}
}

// PreconditionFailed is 412 (RFC 7644 §3.14).
func PreconditionFailed(format string, args ...any) *Error {
	return &Error{Status: 412, Detail: fmt.Sprintf(format, args...)}
}

// TooManyRequests is 429 with a Retry-After.
func TooManyRequests(after time.Duration, format string, args ...any) *Error {
	return &Error{Status: 429, RetryAfter: after, Detail: fmt.Sprintf(format, args...)}
}

// Unavailable is 503 with a Retry-After: nothing is known to be wrong with
// the request; the client is to send it again.
func Unavailable(after time.Duration, format string, args ...any) *Error {
	return &Error{Status: 503, RetryAfter: after, Detail: fmt.Sprintf(format, args...)}
}
