package sandbox

import (
	"errors"
	"fmt"
	"net/http"
)

// apiError is a refusal as the API words it.
type apiError struct {
	status     int
	retryAfter int    // seconds; 0: no header
	allow      string // the Allow header; "": none
	Code       string `json:"code"`
	Message    string `json:"message"`
	Field      string `json:"field,omitempty"`
}

type errorBody struct {
	Error *apiError `json:"error"`
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

// asAPIError hides what is not meant for the caller.
func asAPIError(err error) *apiError {
	var e *apiError
	if errors.As(err, &e) {
		return e
	}
	return &apiError{status: http.StatusInternalServerError, Code: "internal_error", Message: "internal error"}
}

func refusal(status int, code, field, format string, args []any) error {
	return &apiError{status: status, Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

func invalidRequest(field, format string, args ...any) error {
	return refusal(http.StatusBadRequest, "invalid_request", field, format, args)
}

func unauthorized(format string, args ...any) error {
	return refusal(http.StatusUnauthorized, "unauthorized", "", format, args)
}

func forbidden(format string, args ...any) error {
	return refusal(http.StatusForbidden, "forbidden", "", format, args)
}

func notFound(format string, args ...any) error {
	return refusal(http.StatusNotFound, "not_found", "", format, args)
}

func emailTaken(field, email string) error {
	return refusal(http.StatusConflict, "email_taken", field, "the e-mail address %q is taken", []any{email})
}

func lastOwner(organizationID int64) error {
	return refusal(http.StatusConflict, "last_owner", "", "organization %d would be left without an owner: appoint another first", []any{organizationID})
}

func stateConflict(format string, args ...any) error {
	return refusal(http.StatusConflict, "state_conflict", "", format, args)
}

func invalidField(field, format string, args ...any) error {
	return refusal(http.StatusUnprocessableEntity, "invalid_field", field, format, args)
}

func unavailable(format string, args ...any) error {
	return refusal(http.StatusServiceUnavailable, "unavailable", "", format, args)
}
