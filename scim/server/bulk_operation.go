package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
)

// exchange makes a request of an operation.
func (r *bulkRun) exchange(ctx context.Context, o *bulkOperation) *exchange {
	if r.s.Begin != nil {
		ctx = r.s.Begin(ctx)
	}
	x := &exchange{
		w: noConnection{}, start: r.s.Now(), requestID: r.caller.RequestID, endpoint: o.endpoint, id: o.id,
		identity: r.identity, caller: r.caller, operation: o.number,
	}
	x.query.entra = r.entra
	req := &http.Request{Method: o.method, URL: &url.URL{}, Header: http.Header{}}
	if o.endpoint != nil {
		req.URL.Path = o.route()
	}
	if r.agent != nil {
		req.Header["User-Agent"] = r.agent
	}
	if o.version != "" {
		req.Header["If-Match"] = []string{o.version}
	}
	x.r = req.WithContext(ctx)
	return x
}

// setBody gives a request a body, which is not copied; nil is none.
func setBody(r *http.Request, body []byte) {
	if body == nil {
		return
	}
	r.Header["Content-Type"] = []string{mediaType}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// noConnection is where the answer to an operation would go: it is in that of
// the bulk request.
type noConnection struct{}

func (noConnection) Header() http.Header         { return http.Header{} }
func (noConnection) Write(p []byte) (int, error) { return len(p), nil }
func (noConnection) WriteHeader(int)             {}

// perform carries out an operation as serve does a request.
func (s *server) perform(x *exchange) (a answer, err error) {
	defer func() {
		if v := recover(); v != nil {
			a, err = answer{}, panicked(v)
		}
	}()
	prepare, err := s.prepareOf(x, x.r.URL.Path)
	if err != nil {
		return a, err
	}
	work, err := prepare(x)
	if err != nil {
		return a, err
	}
	return s.bounded(x.r.Context(), work)
}
