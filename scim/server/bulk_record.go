package server

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"

	"github.com/sharearefund/scim-bridge/scim"
)

// conclude tells whoever records what came of an operation, as finish does of a
// request. The resource is not part of the answer: a stream is never begun.
func (s *server) conclude(x *exchange, a answer, err error) *bulkResult {
	took := s.Now().Sub(x.start)
	s.buffers.put(a)
	var refusal *scim.Error
	if err != nil {
		refusal = s.refusal(x, err)
		a = answer{status: refusal.Status}
		if x.mutates() && s.Failed != nil {
			s.guard(x, "Failed", func() { s.Failed(context.WithoutCancel(x.r.Context()), failedRequest(x, refusal)) })
		}
		s.logOperation(x, refusal)
	}
	if s.Observe != nil {
		s.guard(x, "Observe", func() { s.Observe(x.r.Context(), observed(x, a, took, refusal)) })
	}
	return &bulkResult{status: a.status, version: a.etag, location: a.location, created: a.created, refusal: withHint(refusal)}
}

// logOperation writes a line about an operation that failed. Those that
// succeed are in the events of what they changed.
func (s *server) logOperation(x *exchange, refusal *scim.Error) {
	ctx, level := x.r.Context(), slog.LevelInfo
	if refusal.Status >= 500 {
		level = slog.LevelError
	}
	if !s.Logger.Enabled(ctx, level) {
		return
	}
	s.Logger.LogAttrs(ctx, level, "operation failed",
		slog.String("request_id", x.requestID),
		slog.String("tenant", x.caller.Tenant),
		slog.Int("operation", x.operation),
		slog.String("method", method(x.r.Method)),
		slog.String("route", x.route()),
		slog.Int("status", refusal.Status),
		slog.String("err", logText(refusal)),
		stackOf(refusal.Err))
}

// withHint says in the detail of a 429 or 503 when to send the operation again:
// it has no header of its own.
func withHint(e *scim.Error) *scim.Error {
	if e == nil || e.Status != http.StatusTooManyRequests && e.Status != http.StatusServiceUnavailable {
		return e
	}
	hinted := *e
	after := cmp.Or(max(e.RetryAfter, 0), retryLater)
	hinted.Detail += fmt.Sprintf(" (send it again after %.0f seconds)", math.Ceil(after.Seconds()))
	return &hinted
}
