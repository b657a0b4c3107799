package server

import (
	"context"
	"crypto/cipher"
	"net/http"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

type server struct {
	Options
	// base is the SCIM base URL, without a slash at the end.
	base string
	// prefix is the path of the public URL, "" or with a slash at its start.
	prefix   string
	routes   *routes
	cursors  cipher.AEAD
	attempts *attempts
	seen     recognised
	buffers  bufferPool
}

// exchange is a request on its way through the layers, and what they learn
// about it.
type exchange struct {
	w         http.ResponseWriter
	r         *http.Request
	start     time.Time
	requestID string
	// path is the clean path of the request, unless it names nothing.
	path    string
	pathErr error
	// endpoint is nil when no route matches.
	endpoint *endpoint
	// id is the path's variable, "" when it has none.
	id       string
	query    query
	queryErr error
	identity Identity
	caller   scim.Caller
	notes    []scim.Note
	// name is the userName or displayName in the body of a POST or PUT.
	name string
	// fromType is the index of the resource type that the cursor of a query over
	// several names.
	fromType int
	// operation counts the operations of a bulk request from 1; 0: the exchange
	// is a request of its own.
	operation int
	// aborted: an answer that was begun could not be finished.
	aborted bool
}

// mutates reports whether the method is one that changes resources, at the
// endpoint if that is known.
func (x *exchange) mutates() bool {
	if x.endpoint != nil && x.endpoint.reads {
		return false
	}
	switch x.r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return true
	}
	return false
}

func (x *exchange) route() string {
	if x.endpoint == nil {
		return "unmatched"
	}
	return x.endpoint.pattern
}

// prepareFunc reads everything that it needs of a request and validates it.
// It returns the work that is left, which must not touch the request.
type prepareFunc func(*exchange) (workFunc, error)

// workFunc calls the handler and builds the answer.
type workFunc func(context.Context) (answer, error)

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{w: w, r: r, start: s.Now(), requestID: s.requestID(r)}
	if x.path, x.pathErr = s.resourcePath(r.URL); x.pathErr == nil {
		x.endpoint, x.id = s.routes.match(r, x.path)
	}

	// What a mutation has sent upstream is to be finished and recorded even
	// though the client hung up.
	ctx := r.Context()
	if x.mutates() {
		ctx = context.WithoutCancel(ctx)
	}
	if s.Begin != nil {
		ctx = s.Begin(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, s.RequestTimeout/6*5)
	defer cancel()
	x.r = r.WithContext(ctx)

	a, err := s.serve(x)
	s.finish(x, a, err)
}

func (s *server) serve(x *exchange) (a answer, err error) {
	defer func() {
		if v := recover(); v != nil {
			a, err = answer{}, panicked(v)
		}
	}()
	if err := checkHeaderSize(x.r.Header); err != nil {
		return a, err
	}
	if x.pathErr != nil {
		return a, x.pathErr
	}
	x.query, x.queryErr = parseQuery(x.r.URL.RawQuery)
	if err := s.authenticate(x); err != nil {
		return a, err
	}
	prepare, err := s.prepareOf(x, x.path)
	if err != nil {
		return a, err
	}
	if x.queryErr != nil {
		return a, x.queryErr
	}
	work, err := prepare(x)
	if err != nil {
		return a, err
	}
	return s.bounded(x.r.Context(), work)
}

// bounded runs work and waits for it until the request must be answered. Work
// that ignores the end of its context is left behind, and its answer dropped.
func (s *server) bounded(ctx context.Context, work workFunc) (answer, error) {
	type outcome struct {
		answer answer
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if v := recover(); v != nil {
				o = outcome{err: panicked(v)}
			}
			done <- o
		}()
		o.answer, o.err = work(ctx)
	}()
	deadline, _ := ctx.Deadline()
	overdue := time.NewTimer(time.Until(deadline) + s.RequestTimeout/6)
	defer overdue.Stop()
	select {
	case o := <-done:
		return o.answer, o.err
	case <-overdue.C:
		return answer{}, context.DeadlineExceeded
	}
}

// requestID is the id that a trusted proxy gave the request, or a new one.
func (s *server) requestID(r *http.Request) string {
	if ids := r.Header["X-Request-Id"]; len(ids) == 1 && validID(ids[0]) && s.trusts(peer(r)) {
		return ids[0]
	}
	return s.NewRequestID()
}
