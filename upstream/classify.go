package upstream

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const maxMessage = 200 // runes of the service's text that are kept

// complaint is the service's own error: {"error":{"code","message","field"}}, or RFC 6749 §5.2 from the token
// endpoint: {"error":"invalid_client","error_description":"…"}.
type complaint struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field"`
}

// readComplaint gives the service's own error, ok only when body is one: a proxy's page is not.
func readComplaint(h http.Header, body []byte) (c complaint, ok bool) {
	if !isJSON(h) {
		return c, false
	}
	var envelope struct {
		Error       jsontext.Value `json:"error"`
		Description string         `json:"error_description"`
	}
	if json.Unmarshal(body, &envelope) != nil || len(envelope.Error) == 0 {
		return c, false
	}
	if bytes.HasPrefix(envelope.Error, []byte(`"`)) {
		c.Message = envelope.Description
		return c, json.Unmarshal(envelope.Error, &c.Code) == nil && c.Code != ""
	}
	return c, json.Unmarshal(envelope.Error, &c) == nil && c.Code != ""
}

// refusal is the Error for an answer with a status of 300 or more.
func refusal(r *route, status int, h http.Header, body []byte, now time.Time) *Error {
	e := &Error{Operation: r.operation, Status: status, RetryAfter: retryAfter(h, now)}
	c, own := readComplaint(h, body)
	if own {
		e.Code, e.Message, e.Field = clean(c.Code), clean(c.Message), clean(c.Field)
	}
	e.Kind = kindOfStatus(r.effect, status, own)
	switch {
	case e.Kind == Protocol && status < 400:
		e.Err = errors.New("the service redirected; check the tenant's base URL and upstream.endpoints")
	case e.Kind == Protocol:
		e.Err = errors.New("not the service's own error format; check the tenant's base URL, upstream.endpoints and proxies on the way")
	}
	return e
}

// kindOfStatus judges a status of 300 or more. own tells that the body was the service's own error.
func kindOfStatus(ef effect, status int, own bool) Kind {
	switch {
	case status >= 500 || status == http.StatusRequestTimeout || status < 400:
		if ef != reads {
			return Ambiguous
		}
		if status < 400 {
			return Protocol
		}
		return Unavailable
	case status == http.StatusTooManyRequests:
		return RateLimited
	case status == http.StatusUnauthorized:
		return Unauthorized
	case status == http.StatusForbidden && !own:
		return Unauthorized // something in front of the service turned us away
	case !own:
		return Protocol
	case status == http.StatusForbidden:
		return Forbidden
	case status == http.StatusNotFound:
		return NotFound
	case status == http.StatusConflict:
		return Conflict
	}
	return Invalid
}

// kindOfCode judges a person that invite_users rejected.
func kindOfCode(code string) Kind {
	switch code {
	case CodeEmailTaken, CodeLastOwner, CodeStateConflict:
		return Conflict
	case "forbidden":
		return Forbidden
	case "not_found":
		return NotFound
	}
	return Invalid
}

// isJSON tells that the answer says that it is JSON (application/json, or any type with the +json suffix).
func isJSON(h http.Header) bool {
	value := h.Get("Content-Type")
	if value == "application/json" || value == "application/json; charset=utf-8" {
		return true
	}
	media, _, err := mime.ParseMediaType(value)
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// clean makes the service's text fit for a log line or an administrator: one bounded line of printable characters.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == maxMessage {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
		n++
	}
	return strings.TrimSpace(b.String())
}

// withoutAddresses masks e-mail addresses, which do not belong in logs.
func withoutAddresses(s string) string {
	if !strings.Contains(s, "@") {
		return s
	}
	words := strings.Fields(s)
	for i, word := range words {
		if strings.Contains(word, "@") {
			words[i] = "[address]"
		}
	}
	return strings.Join(words, " ")
}
