package upstream

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

var errBreakerOpen = errors.New("circuit breaker is open after repeated failures; the service is probed again within seconds")

func isWaitError(err error) bool {
	_, ok := errors.AsType[*WaitError](err)
	return ok
}

// attempt makes one request and reads its answer.
func (c *Client) attempt(ctx context.Context, r *route, req *request, token Secret, n int) *Error {
	if c.breaker.refuses() {
		return c.refused(r, errBreakerOpen, c.breaker.openFor)
	}
	if err := c.enter(ctx, r, req, n); err != nil {
		return err
	}
	defer func() { <-c.slots }()
	report, err := c.breaker.allow()
	if err != nil {
		return c.refused(r, errBreakerOpen, c.breaker.openFor)
	}
	attempted(ctx)
	start := time.Now()
	status, failure := c.roundTrip(ctx, r, req, token)
	call := Call{Operation: r.operation, Status: status, Duration: time.Since(start), Attempt: n}
	report(c.verdict(ctx, failure, call.Duration))
	if failure != nil {
		call.Err = failure
		if failure.Kind == RateLimited && c.opts.Limiter != nil && !req.unlimited {
			c.opts.Limiter.Pause(cmp.Or(failure.RetryAfter, unaskedPause))
		}
	}
	c.opts.Observe(call)
	return failure
}

// enter waits for the limiter and for one of the places for concurrent attempts. A context that has ended already ends
// the call here, where it is certain that nothing was sent.
func (c *Client) enter(ctx context.Context, r *route, req *request, n int) *Error {
	if ctx.Err() != nil {
		return c.refused(r, context.Cause(ctx), 0)
	}
	if c.opts.Limiter != nil && !req.unlimited && !(req.hasSlot && n == 1) {
		if err := c.opts.Limiter.Wait(ctx); err != nil {
			e := c.refused(r, err, 0)
			if wait, ok := errors.AsType[*WaitError](err); ok {
				e.RetryAfter = wait.After
				if wait.Paused {
					e.Kind = RateLimited
				}
			}
			return e
		}
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return c.refused(r, fmt.Errorf("%d calls are under way already: %w", cap(c.slots), ctx.Err()), time.Second)
	}
}

// refused is the error of an attempt that was never sent.
func (c *Client) refused(r *route, cause error, after time.Duration) *Error {
	return &Error{Operation: r.operation, Kind: Unavailable, RetryAfter: after, Err: cause}
}

// roundTrip sends one request and reads its answer. status is 0 when there was none.
func (c *Client) roundTrip(ctx context.Context, r *route, req *request, token Secret) (status int, _ *Error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.opts.AttemptTimeout, c.tooSlow)
	defer cancel()
	unclear := Ambiguous // what a missing or unreadable answer means
	var conn connTrace
	if r.effect == reads {
		unclear = Unavailable
	} else {
		ctx = httptrace.WithClientTrace(ctx, conn.hooks())
	}
	hr, err := c.newRequest(ctx, r, req, token)
	if err != nil {
		return 0, &Error{Operation: r.operation, Kind: Invalid, Err: err}
	}
	resp, err := c.opts.Transport.RoundTrip(hr)
	if err != nil {
		if r.effect != reads && conn.neverSent(err) {
			unclear = Unavailable
		}
		return 0, &Error{Operation: r.operation, Kind: unclear, Err: cause(ctx, err)}
	}
	defer resp.Body.Close()
	buf := c.buffers.Get().(*bytes.Buffer)
	defer c.recycle(buf)
	if err := c.readBody(buf, resp.Body); err != nil {
		return resp.StatusCode, unreadable(r, resp, cause(ctx, err), c.opts.Now())
	}
	if resp.StatusCode >= 300 {
		return resp.StatusCode, c.scrub(refusal(r, resp.StatusCode, resp.Header, buf.Bytes(), c.opts.Now()), req, token)
	}
	if err := accept(req, resp, buf.Bytes()); err != nil {
		if r.effect == reads {
			unclear = Protocol
		}
		return resp.StatusCode, &Error{Operation: r.operation, Status: resp.StatusCode, Kind: unclear, Err: err}
	}
	return resp.StatusCode, nil
}

func (c *Client) newRequest(ctx context.Context, r *route, req *request, token Secret) (*http.Request, error) {
	var body io.Reader // a nil *bytes.Reader in the interface would be a body
	if req.body != nil {
		body = bytes.NewReader(req.body)
	}
	hr, err := http.NewRequestWithContext(ctx, r.method, r.url(req.argument, req.query), body)
	if err != nil {
		return nil, errors.New("the request cannot be built; check the tenant's base URL and upstream.endpoints")
	}
	hr.Header["User-Agent"] = []string{c.opts.UserAgent}
	hr.Header["Accept"] = []string{"application/json"}
	switch {
	case req.form != nil:
		hr.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
	case req.body != nil:
		hr.Header["Content-Type"] = []string{"application/json"}
	}
	if token != "" {
		hr.Header["Authorization"] = []string{"Bearer " + string(token)}
	}
	return hr, nil
}

// accept checks a 2xx answer. An empty one is never taken for success, unless the service says that it is meant to be
// empty (204).
func accept(req *request, resp *http.Response, body []byte) error {
	switch {
	case resp.StatusCode == http.StatusNoContent && req.mayLack:
		return nil
	case resp.StatusCode == http.StatusNoContent || len(body) == 0:
		return errors.New("the answer is empty")
	case !isJSON(resp.Header):
		return fmt.Errorf("the answer is not JSON (Content-Type %q)", clean(resp.Header.Get("Content-Type")))
	case req.decode != nil:
		return req.decode(body)
	}
	object, err := decoded[map[string]jsontext.Value](body)
	if err == nil && len(*object) == 0 {
		err = errors.New("the answer is an empty object")
	}
	return err
}

// unreadable is the error for an answer whose status arrived but whose body did not. A refusal stays one.
func unreadable(r *route, resp *http.Response, err error, now time.Time) *Error {
	e := &Error{Operation: r.operation, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, now), Err: err, Kind: Unavailable}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		e.Kind = RateLimited
	case r.effect != reads && (resp.StatusCode < 400 || resp.StatusCode >= 500):
		e.Kind = Ambiguous
	}
	return e
}

func (c *Client) readBody(buf *bytes.Buffer, body io.Reader) error {
	n, err := buf.ReadFrom(io.LimitReader(body, c.opts.MaxBodyBytes+1))
	if err == nil && n > c.opts.MaxBodyBytes {
		err = fmt.Errorf("the answer is longer than %d bytes", c.opts.MaxBodyBytes)
	}
	return err
}

// recycle keeps a buffer for the next answer, unless one huge answer made it huge.
func (c *Client) recycle(buf *bytes.Buffer) {
	if buf.Cap() <= 1<<20 {
		buf.Reset()
		c.buffers.Put(buf)
	}
}

// scrub removes our own secrets from what the service said, in case that it echoes them.
func (c *Client) scrub(e *Error, req *request, token Secret) *Error {
	for _, secret := range []Secret{token, c.opts.ClientSecret, c.opts.APIKey, req.secret} {
		if secret == "" {
			continue
		}
		for _, text := range []*string{&e.Message, &e.Code, &e.Field} {
			*text = strings.ReplaceAll(*text, string(secret), redacted)
		}
	}
	return e
}

// cause prefers the reason why ctx ended over the transport's rendering of it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// connTrace learns whether a request ever had a connection to be written to.
type connTrace struct{ asked, got atomic.Bool }

func (t *connTrace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { t.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { t.got.Store(true) },
	}
}

// neverSent tells that the request cannot have reached the service. A transport that does not report connections is
// believed only when it failed to dial.
func (t *connTrace) neverSent(err error) bool {
	if t.asked.Load() {
		return !t.got.Load()
	}
	op, dial := errors.AsType[*net.OpError](err)
	_, dns := errors.AsType[*net.DNSError](err)
	return dns || dial && op.Op == "dial"
}
