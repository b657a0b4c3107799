package server

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

// challenge is the WWW-Authenticate of a 401 (RFC 9110 §11.6.1); badToken that of
// one for a credential that was sent (RFC 6750 §3.1).
const (
	challenge = `Bearer realm="scim"`
	badToken  = challenge + `, error="invalid_token"`
)

const (
	// maxHeaders bounds the names and values of the request headers.
	maxHeaders = 64 << 10
	// maxAuthorization leaves room for any JWT that an issuer signs.
	maxAuthorization = 16 << 10
)

func checkHeaderSize(h http.Header) error {
	n := 0
	for k, vs := range h {
		for _, v := range vs {
			n += len(k) + len(v)
		}
	}
	if n > maxHeaders {
		return &scim.Error{Status: 431, Detail: fmt.Sprintf("the request headers have %d bytes: at most %d are accepted", n, maxHeaders)}
	}
	return nil
}

// authenticate sets the caller, or refuses the request.
func (s *server) authenticate(x *exchange) error {
	if err := checkCredential(x); err != nil {
		return s.failedAttempt(x, err)
	}
	id, err := s.Authenticate(x.r)
	if err != nil {
		var e *scim.Error
		if !errors.As(err, &e) {
			return scim.Unavailable(retryLater, "the credential could not be checked right now; send the request again").Because(err)
		}
		if e != nil && e.Status == http.StatusUnauthorized {
			return s.failedAttempt(x, e)
		}
		return err
	}
	if id.Tenant == "" || id.Credential == "" {
		return fmt.Errorf("authentication returned an identity without tenant or credential (tenant %q, credential %q)", id.Tenant, id.Credential)
	}
	x.identity = id
	x.caller = scim.Caller{Tenant: id.Tenant, Credential: id.Credential, RequestID: x.requestID}
	return s.setDialect(x, nil)
}

// checkCredential requires one Authorization header that holds a scheme and a
// credential. What is ambiguous is refused: two readers of the request might
// choose differently.
func checkCredential(x *exchange) *scim.Error {
	refuse := func(detail string) *scim.Error { return &scim.Error{Status: http.StatusUnauthorized, Detail: detail} }
	const how = `: send the header "Authorization: Bearer <token>"`
	if x.query.token {
		return refuse("a token in the query string is refused, because addresses end up in logs; revoke that token and send a new one in the header Authorization")
	}
	values := x.r.Header["Authorization"]
	switch {
	case len(values) == 0:
		return refuse("the request has no Authorization header" + how)
	case len(values) > 1:
		return refuse("the request has more than one Authorization header" + how + " once")
	case len(values[0]) > maxAuthorization:
		return refuse("the Authorization header is too long" + how)
	}
	scheme, credential, _ := strings.Cut(values[0], " ")
	if scheme == "" || credential == "" || strings.Trim(credential, " \t") != credential || strings.ContainsAny(credential, ", \t") {
		return refuse("the Authorization header is malformed" + how)
	}
	return nil
}

// failedAttempt counts a failed authentication against the client's address
// and returns what is answered: refusal, or 429 above the limit.
func (s *server) failedAttempt(x *exchange, refusal *scim.Error) error {
	wait := s.attempts.failed(s.clientAddr(x.r), s.Now())
	if wait == 0 {
		return refusal
	}
	return scim.TooManyRequests(max(wait, time.Second), "too many failed authentications from this address: correct the credential before trying again").Because(refusal)
}
