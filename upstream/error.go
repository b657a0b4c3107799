package upstream

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what an error means for the caller.
type Kind int

// The kinds of errors. Of these only Ambiguous may have changed something upstream.
const (
	// Invalid: the service refused the request's content (400, 422).
	Invalid Kind = iota + 1
	// Unauthorized: our own credential was refused (401, or 403 without the service's own error).
	Unauthorized
	// Forbidden: the credential is good but may not do this (403 forbidden).
	Forbidden
	// NotFound: the service itself said 404; a proxy's 404 is Unavailable or Protocol.
	NotFound
	// Conflict: 409; Code tells which one.
	Conflict
	// RateLimited: 429; RetryAfter tells when.
	RateLimited
	// Unavailable: no answer or a 5xx, and nothing happened.
	Unavailable
	// Ambiguous: the request may have taken effect; read back before repeating it.
	Ambiguous
	// Protocol: an answer that the contract does not allow (content type, shape, another id), and nothing happened.
	Protocol
)

// Codes of Conflict.
const (
	CodeEmailTaken    = "email_taken"
	CodeLastOwner     = "last_owner"
	CodeStateConflict = "state_conflict"
)

var kindNames = [...]string{
	Invalid: "invalid", Unauthorized: "unauthorized", Forbidden: "forbidden", NotFound: "not found", Conflict: "conflict",
	RateLimited: "rate limited", Unavailable: "unavailable", Ambiguous: "ambiguous", Protocol: "protocol",
}

// String names the kind in lower case.
func (k Kind) String() string {
	if k > 0 && int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", int(k))
}

// Error is the only error type that this package's calls return.
type Error struct {
	Operation  string        // as in the endpoint table: "update_user"
	Status     int           // HTTP status; 0: no answer
	Code       string        // the service's own code; "" when it gave none
	Message    string        // the service's own text: bounded, one line, without control characters
	Field      string        // the field that the service complains about; "" when it gave none
	RetryAfter time.Duration // 0: none given
	Kind       Kind
	Err        error // cause; may be nil
}

// Error implements error. It never contains a secret, an e-mail address, an answer's body or a URL.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("upstream ")
	b.WriteString(e.Operation)
	b.WriteString(": ")
	b.WriteString(e.Kind.String())
	if e.Status != 0 {
		fmt.Fprintf(&b, ", status %d", e.Status)
	}
	if e.Code != "" {
		fmt.Fprintf(&b, ", code %q", e.Code)
	}
	if e.Field != "" {
		fmt.Fprintf(&b, ", field %q", e.Field)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %q", withoutAddresses(e.Message))
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf gives the kind of the first *Error in err's chain, 0 when there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return 0
}

// IsNotFound tells that the service said that the thing does not exist.
func IsNotFound(err error) bool { return KindOf(err) == NotFound }

// IsAmbiguous tells that the request may have taken effect: read back before repeating it.
func IsAmbiguous(err error) bool { return KindOf(err) == Ambiguous }

// IsConflict tells that the service answered 409 with code; code "" matches every conflict.
func IsConflict(err error, code string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == Conflict && (code == "" || e.Code == code)
}
