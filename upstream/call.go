package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
)

// request is one call, ready to be attempted several times.
type request struct {
	operation string
	argument  string     // for the path's placeholder
	query     url.Values // nil: none
	payload   any        // becomes the JSON body; nil: none
	form      url.Values // the body instead of payload; such a request authenticates itself
	hasSlot   bool       // the first attempt's limiter slot is already taken
	unlimited bool       // the limiter does not apply
	secret    Secret     // part of the body; never shown in an error
	// decode reads the body of a 2xx answer and returns an error when the contract does not allow it. nil: any JSON
	// object with something in it will do.
	decode  func(body []byte) error
	mayLack bool // 204 without a body is an answer too

	body []byte // payload or form, encoded
}

// do carries a call out: token, limiter, breaker, attempts. It returns nil or *Error.
func (c *Client) do(ctx context.Context, req request) error {
	r := c.routes[req.operation]
	if err := req.encode(); err != nil {
		return err
	}
	c.budget.earn()
	pauses := newBackoff()
	unclear, renewed := false, false
	for n := 1; ; n++ {
		token, err := c.token(ctx, &req)
		if err == nil {
			err = c.attempt(ctx, r, &req, token, n)
		}
		switch {
		case err == nil:
			return nil
		case err.Kind == NotFound && unclear && r.effect == removes:
			return nil // what an earlier attempt of this call removed
		case err.Status == http.StatusUnauthorized && !renewed && err.Operation == req.operation && req.form == nil && c.tokens.renewable():
			// 401 means that nothing happened: one new token, one more try, outside the count of attempts.
			c.tokens.drop(token)
			renewed = true
			n--
			continue
		}
		unclear = unclear || err.Kind == Ambiguous
		wait, again := c.pause(ctx, r, err, n, pauses.NextBackOff())
		if !again || sleep(ctx, wait) != nil {
			return settle(r, err, unclear)
		}
	}
}

// encode prepares the body once for all attempts.
func (req *request) encode() error {
	switch {
	case req.form != nil:
		req.body = []byte(req.form.Encode())
	case req.payload != nil:
		body, err := json.Marshal(req.payload)
		if err != nil {
			return misuse(req.operation, "", "a value is not valid UTF-8")
		}
		req.body = body
	}
	return nil
}

// misuse is the error for arguments that no service could accept; nothing is sent.
func misuse(operation, field, message string) *Error {
	return &Error{Operation: operation, Kind: Invalid, Code: "invalid_request", Field: field, Message: message}
}

// pause decides whether the call is attempted again, and after which pause.
func (c *Client) pause(ctx context.Context, r *route, err *Error, n int, jitter time.Duration) (time.Duration, bool) {
	if n >= c.opts.MaxAttempts || !repeats(r.effect, err) || ctx.Err() != nil {
		return 0, false
	}
	wait := max(jitter, err.RetryAfter)
	if err.Kind == RateLimited {
		// Everybody behind the limiter waits, then comes back at its rate; jitter would only add to that.
		wait = err.RetryAfter
		if wait == 0 {
			wait = unaskedPause
		}
	}
	left := patience
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	need := wait
	if err.RetryAfter > 0 {
		need += c.opts.AttemptTimeout // they named a time: it must leave room for a whole attempt
	}
	if need >= left || !c.budget.spend() {
		return 0, false
	}
	return wait, true
}

// repeats tells that a second attempt after err cannot cause a second effect, and may fare better.
func repeats(ef effect, err *Error) bool {
	switch err.Kind {
	case RateLimited:
		return true
	case Unavailable:
		return !errors.Is(err.Err, errBreakerOpen) && !isWaitError(err.Err)
	case Ambiguous:
		return ef != once
	case Protocol:
		return ef == reads && err.Status < 300
	}
	return false
}

// settle gives the call's final error: after an unclear attempt, a later one that failed without an answer about the
// effect does not make the effect any clearer.
func settle(r *route, err *Error, unclear bool) *Error {
	if unclear && r.effect != reads {
		switch err.Kind {
		case RateLimited, Unavailable, Unauthorized, Protocol:
			err.Kind = Ambiguous
		}
	}
	return err
}

// token gives the bearer token for the call; a form request authenticates itself.
func (c *Client) token(ctx context.Context, req *request) (Secret, *Error) {
	if req.form != nil {
		return c.tokens.static, nil
	}
	return c.tokens.get(ctx)
}
