package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sharearefund/scim-bridge/scim"
)

const (
	mediaType   = "application/scim+json"
	listSchema  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	errorSchema = "urn:ietf:params:scim:api:messages:2.0:Error"

	// retryLater is sent with a 429 or 503 that names no time itself: Okta
	// waits five minutes without one.
	retryLater = 5 * time.Second
)

// answer is a response that is not written yet.
type answer struct {
	status   int
	etag     string
	location string
	// created is the id of the resource that a POST made.
	created    string
	retryAfter time.Duration
	// body is SCIM JSON; empty for 204 and 304.
	body []byte
	// stream makes the body while it is sent, instead of body.
	stream streamFunc
	// pooled holds body when it came from the bufferPool; nil when it is shared.
	pooled *[]byte
}

// bufferPool lends the buffers that answers are appended into. Its zero value
// is ready.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) get() *[]byte {
	b, ok := p.pool.Get().(*[]byte)
	if !ok {
		b = new([]byte)
		*b = make([]byte, 0, 4<<10)
	}
	*b = (*b)[:0]
	return b
}

// put takes a's buffer back. One that grew to hold a large list is left to the
// collector.
func (p *bufferPool) put(a answer) {
	if a.pooled != nil && cap(*a.pooled) <= 1<<20 {
		p.pool.Put(a.pooled)
	}
}

// panicError is a panic that was recovered. Its text leaves the value out:
// anything may be in it.
type panicError struct {
	value any
	stack []byte
}

func panicked(v any) error { return &panicError{value: v, stack: debug.Stack()} }

func (e *panicError) Error() string {
	if err, ok := e.value.(interface {
		error
		RuntimeError()
	}); ok {
		return "panic: " + err.Error()
	}
	return "panic with a value of type " + typeName(e.value)
}

// refusal is what a client is told about err. What is not meant for clients
// becomes 500 and silence.
func (s *server) refusal(x *exchange, err error) *scim.Error {
	var e *scim.Error
	switch {
	case errors.As(err, &e):
		// Once the caller is known, a 401 would tell the client that its
		// credential is bad, and Entra would stop provisioning.
		unauthorized := e != nil && e.Status == http.StatusUnauthorized && x.caller.Tenant != ""
		if e != nil && e.Status >= 400 && e.Status <= 599 && !unauthorized {
			return e
		}
		err = errors.New("a handler returned an error that is no refusal: " + errorText(e))
	case errors.Is(err, context.DeadlineExceeded):
		return scim.Unavailable(retryLater, "the request could not be finished in time; send it again").Because(err)
	case errors.Is(err, context.Canceled):
		return scim.Unavailable(retryLater, "the client closed the connection").Because(err)
	}
	return &scim.Error{
		Status: http.StatusInternalServerError,
		Detail: "internal error: the operator finds the cause in the log under the request id " + x.requestID,
		Err:    err,
	}
}

func errorText(e *scim.Error) string {
	if e == nil {
		return "nil"
	}
	return e.Error()
}

// errorAnswer is the body of RFC 7644 §3.12.
func (s *server) errorAnswer(e *scim.Error) answer {
	b := s.buffers.get()
	out := append(*b, `{"schemas":["`+errorSchema+`"],`...)
	if e.Type != "" {
		out = append(out, `"scimType":`...)
		out, _ = jsontext.AppendQuote(out, e.Type)
		out = append(out, ',')
	}
	if e.Detail != "" {
		out = append(out, `"detail":`...)
		// The error reports invalid UTF-8, which was replaced.
		out, _ = jsontext.AppendQuote(out, e.Detail)
		out = append(out, ',')
	}
	out = append(out, `"status":"`...)
	out = strconv.AppendInt(out, int64(e.Status), 10)
	*b = append(out, `"}`...)
	a := answer{status: e.Status, retryAfter: e.RetryAfter, body: *b, pooled: b}
	if a.retryAfter <= 0 && (e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable) {
		a.retryAfter = retryLater
	}
	return a
}

// appendListHead begins a ListResponse (RFC 7644 §3.4.2), up to its first
// resource.
func appendListHead(dst []byte, total, startIndex, items int) []byte {
	dst = append(appendTotal(dst, total), `,"startIndex":`...)
	return appendItems(strconv.AppendInt(dst, int64(startIndex), 10), items)
}

func appendTotal(dst []byte, total int) []byte {
	dst = append(dst, `{"schemas":["`+listSchema+`"],"totalResults":`...)
	return strconv.AppendInt(dst, int64(total), 10)
}

func appendItems(dst []byte, items int) []byte {
	dst = append(dst, `,"itemsPerPage":`...)
	dst = strconv.AppendInt(dst, int64(items), 10)
	return append(dst, `,"Resources":[`...)
}

// locate sets what the server knows about a resource that a handler returned:
// its type and its address.
func (s *server) locate(resourceType, endpoint, id string, m *scim.Meta) error {
	if !validID(id) {
		return fmt.Errorf("the handler returned a %s with the id %q", resourceType, id)
	}
	m.ResourceType = resourceType
	m.Location = s.base + endpoint + "/" + id
	return nil
}

// write sends a, with what body it has. All but the body of a stream is sent
// here.
func write(x *exchange, a answer) {
	h := x.w.Header()
	h.Set("X-Request-Id", x.requestID)
	h.Set("Cache-Control", "no-store")
	if a.etag != "" {
		h.Set("ETag", a.etag)
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatFloat(math.Ceil(a.retryAfter.Seconds()), 'f', 0, 64))
	}
	switch a.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge)
		if len(x.r.Header["Authorization"]) > 0 {
			h.Set("WWW-Authenticate", badToken)
		}
	case http.StatusMethodNotAllowed:
		if x.endpoint != nil {
			h.Set("Allow", x.endpoint.allow)
		}
	case http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusRequestHeaderFieldsTooLarge:
		// What is left of the request is not worth reading.
		h.Set("Connection", "close")
	}
	if a.status == http.StatusNoContent || a.status == http.StatusNotModified {
		x.w.WriteHeader(a.status)
		return
	}
	h.Set("Content-Type", mediaType)
	h.Set("X-Content-Type-Options", "nosniff")
	if a.stream == nil {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	x.w.WriteHeader(a.status)
	if x.r.Method != http.MethodHead {
		// An error means that the client is gone, and that nobody is left to
		// be told.
		_, _ = x.w.Write(a.body)
	}
}
