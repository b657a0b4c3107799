package credentials

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// Credential is what a valid token proves.
type Credential struct {
	// ID and Tenant are those of the credential; neither is ever empty.
	ID, Tenant string
	// Client is Auto or the name of a scim.Dialect; Evidence is the dialect
	// recognised from traffic while Client is Auto, or "".
	Client, Evidence string
}

// Reason says why a token is refused.
type Reason int

// Reasons. All of them are 401 to the client.
const (
	Missing Reason = iota + 1
	Malformed
	Unknown
	Expired
	Revoked
)

// Error refuses a token. Its text is for the provisioning client's
// administrator; it never shows the token.
type Error struct {
	Reason Reason
	// Credential is the id of an expired or revoked one, else "".
	Credential string
	text       string
}

func (e *Error) Error() string { return e.text }

// UnavailableError means that the store could not say whether the token is
// good: 503 to the client, never 401.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string {
	return "the credential cannot be checked at the moment: " + e.Err.Error()
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// maxHeader bounds the Authorization header; tokens are far shorter.
const maxHeader = 512

// Authenticate tells whose token the values of the Authorization header carry.
// There must be exactly one: two readers of a request might choose
// differently. The error is *Error when the token is refused and
// *UnavailableError when the store could not be asked.
//
// A token that was accepted goes on being accepted while the store is away
// for at most five seconds.
func (s *Service) Authenticate(ctx context.Context, authorization ...string) (Credential, error) {
	token, err := s.tokenOf(authorization)
	if err != nil {
		return Credential{}, err
	}
	if err := s.validate(ctx); err != nil {
		return Credential{}, &UnavailableError{err}
	}
	hash := hashOf(token)
	s.mu.Lock()
	e, generation, now := s.known[hash], s.generation, s.now()
	s.mu.Unlock()
	if e == nil || now.Sub(e.readAt) > rereadAfter {
		e, err = s.lookUp(ctx, hash, generation)
		if err != nil {
			return Credential{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &e.credential
	if !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt) {
		return Credential{}, &Error{Expired, c.ID, fmt.Sprintf("the token expired at %s: create a new one with `scim-bridge token create` and give it to the provisioning client", c.ExpiresAt.UTC().Format(time.RFC3339))}
	}
	s.noteUse(c.ID, now)
	return Credential{ID: c.ID, Tenant: c.Tenant, Client: c.Client, Evidence: c.Evidence}, nil
}

// tokenOf reads the header (RFC 6750 §2.1; the scheme in any case, RFC 9110
// §11.1).
func (s *Service) tokenOf(values []string) (string, error) {
	const how = `send the header "Authorization: Bearer <token>"`
	switch {
	case len(values) == 0:
		return "", &Error{Missing, "", "the request has no Authorization header: " + how}
	case len(values) > 1:
		return "", &Error{Malformed, "", "the request has more than one Authorization header: " + how + " once"}
	case len(values[0]) > maxHeader:
		return "", &Error{Malformed, "", "the Authorization header is too long: " + how}
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", &Error{Malformed, "", "the Authorization header does not have the scheme Bearer: " + how}
	}
	token = strings.TrimLeft(token, " ")
	if token == "" {
		return "", &Error{Missing, "", "the Authorization header has no token: " + how}
	}
	if err := s.checkToken(token); err != nil {
		return "", &Error{Malformed, "", err.Error() + ": copy it from where it was created, or create a new one with `scim-bridge token create`"}
	}
	return token, nil
}

// checkToken applies the rules of shape that this Service has.
func (s *Service) checkToken(token string) error {
	if !s.allowShort {
		return CheckToken(token)
	}
	if token == "" || len(token) > 256 || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c == ',' || c >= 0x7f }) {
		return errors.New("a token has 1 to 256 visible ASCII characters and no comma")
	}
	return nil
}

// lookUp reads a credential and remembers it if it is good and nothing
// changed since the generation was read: it may be what was there before a
// revocation.
func (s *Service) lookUp(ctx context.Context, hash [32]byte, generation int64) (*entry, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	readAt := s.now()
	c, err := s.store.CredentialByHash(ctx, hash[:])
	switch {
	case errors.Is(err, store.ErrNotFound):
		s.forget(hash)
		return nil, &Error{Unknown, "", "the token is not known here: it was deleted with its tenant, or belongs to another bridge; create one with `scim-bridge token create`"}
	case err != nil:
		return nil, &UnavailableError{err}
	case !c.RevokedAt.IsZero():
		s.forget(hash)
		return nil, &Error{Revoked, c.ID, fmt.Sprintf("the token was revoked at %s: give the provisioning client its successor", c.RevokedAt.UTC().Format(time.RFC3339))}
	}
	e := &entry{credential: *c, readAt: readAt}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.due[c.ID]; ok && d.evidence != "" {
		e.credential.Evidence = d.evidence
	}
	if s.generation == generation {
		s.known[hash] = e
	}
	return e, nil
}

func (s *Service) forget(hash [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, hash)
}

// validate makes sure that what is cached is not older than validFor. While
// it is younger, one request looks whether anything changed and the others go
// on; when it is not, all of them wait for that look.
func (s *Service) validate(ctx context.Context) error {
	s.mu.Lock()
	if s.younger(freshFor) {
		s.mu.Unlock()
		return nil
	}
	c := s.check
	if c == nil {
		c = &check{done: make(chan struct{})}
		s.check = c
		s.mu.Unlock()
		s.look(ctx, c)
	} else {
		usable := s.younger(validFor)
		s.mu.Unlock()
		if usable {
			return nil
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.younger(validFor) {
		return nil
	}
	return c.err
}

// younger reports whether the last successful look at the store began less
// than d ago. s.mu is held.
func (s *Service) younger(d time.Duration) bool {
	return !s.checkedAt.IsZero() && s.now().Sub(s.checkedAt) < d
}

// look reads the store's generation and forgets everything when it changed.
func (s *Service) look(ctx context.Context, c *check) {
	// Others wait for the outcome, so it must not depend on this client.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	began := s.now()
	generation, err := s.store.Generation(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.err = err; err == nil {
		if generation != s.generation || s.checkedAt.IsZero() {
			clear(s.known)
			s.generation = generation
		}
		s.checkedAt = began
	}
	// What is noted of credentials that are not used any more goes with it.
	maps.DeleteFunc(s.touched, func(_ string, at time.Time) bool { return began.Sub(at) >= touchEvery })
	s.check = nil
	close(c.done)
}
