package server

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

// part is how much of a streamed body is gathered before it is sent. A body
// that is smaller is sent as a whole, with its length.
const part = 32 << 10

// streamFunc appends a body to w.buf, and calls w.next often: more than a part
// is never to be held.
type streamFunc func(w *bodyWriter) error

// bodyWriter sends a body in parts.
type bodyWriter struct {
	ctx context.Context
	buf []byte
	// begin sends what comes before the body.
	begin func()
	out   http.ResponseWriter
	// begun: there is no way back to an answer of another status.
	begun bool
}

// next sends what was gathered once it is a part. An error, also that the time
// is up, ends the body.
func (w *bodyWriter) next() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if len(w.buf) < part {
		return nil
	}
	return w.send()
}

func (w *bodyWriter) send() error {
	if !w.begun {
		w.begun = true
		w.begin()
	}
	_, err := w.out.Write(w.buf)
	w.buf = w.buf[:0]
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// stream makes the body of a. It is sent when it is larger than a part; else
// it is in a.body then. On an error nothing was sent, or only a part.
func (s *server) stream(x *exchange, a *answer) (sent bool, err error) {
	b := s.buffers.get()
	w := &bodyWriter{ctx: x.r.Context(), buf: *b, out: x.w}
	control := http.NewResponseController(x.w)
	w.begin = func() {
		// Errors mean a connection without deadlines, as in readBody.
		if end, ok := w.ctx.Deadline(); ok {
			_ = control.SetWriteDeadline(end.Add(s.RequestTimeout / 6))
		}
		write(x, *a)
	}
	defer func() {
		if v := recover(); v != nil {
			err = panicked(v)
		}
		sent = w.begun
		*b = w.buf
		a.body, a.pooled = w.buf, b
		if !sent {
			a.stream = nil
		}
	}()
	if err := a.stream(w); err != nil || !w.begun {
		return w.begun, err
	}
	if err := w.send(); err != nil {
		return true, err
	}
	// The deadline must not outlive the answer: the connection may.
	_ = control.Flush()
	_ = control.SetWriteDeadline(time.Time{})
	return true, nil
}

// streamGroup appends a group with its members, one after the other.
func (s *server) streamGroup(w *bodyWriter, v *scim.GroupView, proj scim.Projection) error {
	w.buf = s.GroupCodec.Append(w.buf, &v.Group, proj)
	if v.Members == nil || !proj.Shows("members") {
		return w.next()
	}
	w.buf = w.buf[:len(w.buf)-1]
	refs, separator := s.base+"/Users/", `,"members":[`
	for m, err := range v.Members {
		if err != nil {
			return err
		}
		mark := len(w.buf)
		w.buf = append(w.buf, separator...)
		begin := len(w.buf)
		w.buf = s.GroupCodec.AppendMember(w.buf, &m, refs, proj)
		if len(w.buf) == begin {
			w.buf = w.buf[:mark]
			continue
		}
		separator = ","
		if err := w.next(); err != nil {
			return err
		}
	}
	if separator == "," {
		w.buf = append(w.buf, ']')
	}
	w.buf = append(w.buf, '}')
	return w.next()
}
