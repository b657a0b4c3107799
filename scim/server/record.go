package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

// finish answers the request, and tells whoever records what came of it.
func (s *server) finish(x *exchange, a answer, err error) {
	sent := false
	if err == nil && a.stream != nil && x.r.Method != http.MethodHead {
		sent, err = s.stream(x, &a)
	}
	x.aborted = sent && err != nil
	var refusal *scim.Error
	if err != nil {
		refusal = s.refusal(x, err)
	}
	if refusal != nil && !sent {
		a = s.errorAnswer(refusal)
		if x.mutates() && x.caller.Tenant != "" && s.Failed != nil {
			s.guard(x, "Failed", func() { s.Failed(context.WithoutCancel(x.r.Context()), failedRequest(x, refusal)) })
		}
	}
	if !sent {
		write(x, a)
	}
	took := s.Now().Sub(x.start)
	s.log(x, a.status, took, refusal)
	s.buffers.put(a)
	if s.Observe != nil {
		s.guard(x, "Observe", func() { s.Observe(x.r.Context(), observed(x, a, took, refusal)) })
	}
	if x.aborted {
		// net/http closes the connection: nobody takes a part for the whole.
		panic(http.ErrAbortHandler)
	}
}

// guard keeps a defect of a listener from breaking the answer.
func (s *server) guard(x *exchange, what string, call func()) {
	defer func() {
		if v := recover(); v != nil {
			err := panicked(v)
			s.Logger.LogAttrs(context.Background(), slog.LevelError, "listener panicked",
				slog.String("listener", what), slog.String("request_id", x.requestID), slog.String("err", err.Error()), stackOf(err))
		}
	}()
	call()
}

func failedRequest(x *exchange, e *scim.Error) FailedRequest {
	return FailedRequest{
		Caller: x.caller, Method: method(x.r.Method), Route: x.route(), ID: x.id,
		Status: e.Status, Type: e.Type, Detail: e.Detail, Notes: x.notes,
	}
}

func observed(x *exchange, a answer, took time.Duration, refusal *scim.Error) Request {
	r := Request{
		Start: x.start, RequestID: x.requestID, Tenant: x.caller.Tenant, Credential: x.caller.Credential,
		Method: method(x.r.Method), Route: x.route(), Operation: x.operation, ID: x.id, Name: x.name, Filter: x.query.filter.value,
		EntraFlag: x.query.entra, Status: a.status, Duration: took, Dialect: x.caller.Dialect, Notes: x.notes, Aborted: x.aborted,
	}
	if r.ID == "" {
		r.ID = a.created
	}
	if refusal != nil {
		var p *panicError
		r.Type, r.Detail, r.Panicked = refusal.Type, refusal.Detail, errors.As(refusal.Err, &p)
	}
	return r
}

// method is m when it is one that clients have a use for, so that the number
// of different ones stays bounded.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return m
	}
	return "other"
}

// log writes the request's one line. It names ids, never people or tokens.
func (s *server) log(x *exchange, status int, took time.Duration, refusal *scim.Error) {
	ctx := x.r.Context()
	level := slog.LevelInfo
	hungUp := refusal != nil && errors.Is(refusal.Err, context.Canceled)
	if (status >= 500 && status != http.StatusNotImplemented || x.aborted) && !hungUp {
		level = slog.LevelError
	}
	if s.Logger.Enabled(ctx, level) {
		attrs := make([]slog.Attr, 0, 12)
		attrs = append(attrs,
			slog.String("request_id", x.requestID),
			slog.String("tenant", x.caller.Tenant),
			slog.String("credential", x.caller.Credential),
			slog.String("method", method(x.r.Method)),
			slog.String("route", x.route()),
			slog.Int("status", status),
			slog.Float64("dur_ms", float64(took.Microseconds())/1000))
		if x.aborted {
			attrs = append(attrs, slog.Bool("aborted", true))
		}
		if refusal != nil {
			attrs = append(attrs, slog.String("err", withoutToken(logText(refusal), x.r.Header)))
			if x.caller.Tenant == "" {
				attrs = append(attrs, slog.String("client_addr", s.clientAddr(x.r).String()))
			}
			if stack := stackOf(refusal.Err); stack.Key != "" {
				attrs = append(attrs, stack)
			}
		}
		s.Logger.LogAttrs(ctx, level, "request", attrs...)
	}
	if len(x.notes) > 0 && s.Logger.Enabled(ctx, slog.LevelDebug) {
		for _, n := range x.notes {
			s.Logger.LogAttrs(ctx, slog.LevelDebug, "note", slog.String("request_id", x.requestID),
				slog.String("path", maskAddresses(n.Path)), slog.String("reason", maskAddresses(n.Reason)), slog.String("tolerance", n.Tolerance))
		}
	}
}

func stackOf(err error) slog.Attr {
	var p *panicError
	if !errors.As(err, &p) {
		return slog.Attr{}
	}
	return slog.String("stack", string(p.stack))
}

func typeName(v any) string { return fmt.Sprintf("%T", v) }

// logText is what the log says about a refusal: the type, the detail without
// the values that it quotes, and the cause.
func logText(e *scim.Error) string {
	parts := make([]string, 0, 3)
	if e.Type != "" {
		parts = append(parts, e.Type)
	}
	if e.Detail != "" {
		parts = append(parts, maskAddresses(maskQuoted(e.Detail)))
	}
	if e.Err != nil {
		cause := e.Err.Error()
		if e.Status < http.StatusInternalServerError {
			cause = maskQuoted(cause) // somebody repeats what was refused
		}
		parts = append(parts, maskAddresses(cause))
	}
	return strings.Join(parts, ": ")
}

// maskQuoted empties what stands between double quotes: by %q, the values that
// came from outside.
func maskQuoted(s string) string {
	if !strings.Contains(s, `"`) {
		return s
	}
	var b strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			if quoted {
				b.WriteString("…")
			}
			quoted = !quoted
			b.WriteByte('"')
		case quoted && s[i] == '\\':
			i++
		case !quoted:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// maskAddresses replaces every word that has an "@" in it.
func maskAddresses(s string) string {
	if !strings.Contains(s, "@") {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		end := strings.IndexAny(s, " \t\r\n\"',;()<>[]{}")
		if end < 0 {
			end = len(s)
		}
		if strings.Contains(s[:end], "@") {
			b.WriteString("…@…")
		} else {
			b.WriteString(s[:end])
		}
		if end < len(s) {
			b.WriteByte(s[end])
			end++
		}
		s = s[end:]
	}
	return b.String()
}

// withoutToken removes the request's own credential from a text, should a
// cause have quoted it.
func withoutToken(s string, h http.Header) string {
	_, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); len(token) < 8 {
		return s
	}
	return strings.ReplaceAll(s, token, "[redacted]")
}
