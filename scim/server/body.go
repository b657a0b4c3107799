package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

// readBody reads the body of a request, of at most most bytes. It is the
// caller's: what is decoded from it may refer to it.
func (s *server) readBody(x *exchange, most int64) ([]byte, error) {
	r := x.r
	if err := checkMediaType(r.Header); err != nil {
		return nil, err
	}
	if r.ContentLength > most {
		return nil, tooLarge(most)
	}
	empty := scim.BadRequest(scim.TypeInvalidSyntax, "the request has no body: send a JSON object")
	if r.Body == nil || r.ContentLength == 0 {
		return nil, empty
	}
	// An error means a connection without deadlines; the work's own still
	// holds. net/http lifts the deadline when the body has ended.
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(s.RequestTimeout / 2))
	buf := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead))
	_, err := buf.ReadFrom(http.MaxBytesReader(x.w, r.Body, most))
	var over *http.MaxBytesError
	switch {
	case err == nil && buf.Len() == 0:
		return nil, empty
	case err == nil:
		return buf.Bytes(), nil
	case errors.As(err, &over):
		return nil, tooLarge(most)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &scim.Error{Status: 408, Detail: fmt.Sprintf("the body did not arrive within %v; send the request again", s.RequestTimeout/2), Err: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, scim.BadRequest(scim.TypeInvalidSyntax, "the body ended before its announced length").Because(err)
	}
	return nil, scim.BadRequest(scim.TypeInvalidSyntax, "the body could not be read").Because(err)
}

func tooLarge(most int64) error {
	return &scim.Error{Status: 413, Detail: fmt.Sprintf("the body is larger than %d bytes: send less at once", most)}
}

// checkMediaType accepts JSON in UTF-8, announced as such or not at all.
func checkMediaType(h http.Header) error {
	for _, v := range h["Content-Encoding"] {
		if v != "" && !strings.EqualFold(v, "identity") {
			return &scim.Error{Status: 415, Detail: fmt.Sprintf("the Content-Encoding %q is not accepted: send the body uncompressed", clip(v))}
		}
	}
	types := h["Content-Type"]
	if len(types) == 0 || len(types) == 1 && plainType(types[0]) {
		return nil
	}
	const want = "send application/scim+json in UTF-8"
	if len(types) > 1 {
		return &scim.Error{Status: 415, Detail: "the request has more than one Content-Type: " + want}
	}
	media, params, err := mime.ParseMediaType(types[0])
	if err != nil || media != "application/scim+json" && media != "application/json" {
		return &scim.Error{Status: 415, Detail: fmt.Sprintf("the Content-Type %q is not accepted: %s", clip(types[0]), want)}
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return &scim.Error{Status: 415, Detail: fmt.Sprintf("the charset %q is not accepted: %s", clip(charset), want)}
	}
	return nil
}

// plainType reports whether a Content-Type is one that clients usually send.
func plainType(v string) bool {
	switch v {
	case "", "application/scim+json", "application/json", "application/scim+json; charset=utf-8", "application/json; charset=utf-8":
		return true
	}
	return false
}
