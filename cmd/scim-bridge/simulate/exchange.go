package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

const (
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 8 << 20
	// maxExchanges is how many requests of a step are listed.
	maxExchanges = 60
	// maxAsked bounds what a server can ask to wait, for the sums.
	maxAsked = 30 * 24 * time.Hour
)

// answer is what came of a request.
type answer struct {
	request idp.Request
	// status is 0 where nothing came.
	status int
	header http.Header
	body   []byte
	// object is the body where it is a JSON object.
	object map[string]any
	// problem says why there is no answer to go on with. "": there is one.
	problem string
	// later: the request is for the client's next cycle.
	later bool
	took  time.Duration
}

// success reports whether the answer is a success that was read wholly.
func (a *answer) success() bool { return a.problem == "" && a.status >= 200 && a.status < 300 }

// says is the answer in words.
func (a *answer) says() string {
	if a.problem != "" {
		return a.problem
	}
	text := fmt.Sprintf("answered %d", a.status)
	if detail := textOf(a.object["detail"]); a.status >= 400 && detail != "" {
		text += ": " + detail
	}
	return text
}

// send makes a request as the client does, waits included, and records what is
// expected of every answer.
func (s *simulation) send(ctx context.Context, r idp.Request) *answer {
	return s.sendIn(ctx, r, false)
}

// sendIn is send in a cycle of a client that has some: with more, what fails is
// left to the next one and only marked.
func (s *simulation) sendIn(ctx context.Context, r idp.Request, more bool) *answer {
	retry := s.traits.Retry
	var last time.Duration
	// vain: the wait before was cut, so that the next answer may say the same.
	throttled, vain := false, false
	for try := 1; ; try++ {
		a := s.once(ctx, r)
		if ctx.Err() != nil {
			a.problem = "interrupted"
			return a
		}
		busy := a.status == http.StatusTooManyRequests
		throttled = throttled || busy
		again := busy
		if retry.NextCycle > 0 {
			again = busy || a.problem != "" || a.status >= 500
		}
		real, played, asked := s.pause(a.header, last)
		if busy {
			s.expect(isRetryAfter, asked, a, "429 with Retry-After %q", a.header.Get("Retry-After"))
		}
		long := busy && s.longer(a.header)
		if long && (vain || s.isHeld()) {
			// Nothing shows whether the client would get in after all of its wait.
			s.inspect(a, false)
			s.giveUp(a)
			return a
		}
		if !again || try >= retry.Times {
			s.inspect(a, throttled)
			return a
		}
		if a.later = more && retry.NextCycle > 0; a.later {
			s.mu.Lock()
			s.cycle = max(s.cycle, played)
			s.mu.Unlock()
			return a
		}
		last, vain = real, long
		if err := s.hold(ctx, real, played); err != nil {
			a.problem = "interrupted"
			return a
		}
	}
}

// pause is how long the client waits after an answer that asks it to, real, and
// how long the simulation does, played. asked says whether the answer has a
// Retry-After that the client understands; last is the wait before.
func (s *simulation) pause(h http.Header, last time.Duration) (real, played time.Duration, asked bool) {
	retry := s.traits.Retry
	if real, asked = retryAfter(h); !asked {
		real = retry.Unasked
	}
	if retry.Doubles && last > 0 {
		real = min(max(real, 2*last), maxAsked)
	}
	played = min(real, s.MaxWait)
	if retry.NextCycle > 0 {
		real = retry.NextCycle
	}
	return real, played, asked
}

// retryAfter is what an answer asks to wait, in whole seconds. ok is false where
// it does not say so.
func retryAfter(h http.Header) (d time.Duration, ok bool) {
	seconds, err := strconv.ParseInt(strings.TrimSpace(h.Get("Retry-After")), 10, 64)
	if err != nil || seconds < 0 {
		return 0, false
	}
	return time.Duration(min(seconds, int64(maxAsked/time.Second))) * time.Second, true
}

// longer reports whether an answer asks for a longer wait than the simulation
// makes.
func (s *simulation) longer(h http.Header) bool {
	d, asked := retryAfter(h)
	if !asked {
		d = s.traits.Retry.Unasked
	}
	return d > s.MaxWait
}

// isHeld reports whether a wait in the current step was in vain, so that none as
// long is made again.
func (s *simulation) isHeld() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held != ""
}

// giveUp gives up a request that is answered 429 for longer than the
// simulation waits.
func (s *simulation) giveUp(a *answer) {
	text := a.says()
	if d, asked := retryAfter(a.header); asked {
		text += fmt.Sprintf(" (Retry-After %d s)", int64(d/time.Second))
	}
	a.problem = text
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == "" {
		s.held = fmt.Sprintf("not played to its end, for a run waits %[3]s at most: %[1]s was %[2]s", a.request.Label(), text, s.MaxWait)
	}
}

// hold waits, and puts it into the report.
func (s *simulation) hold(ctx context.Context, real, played time.Duration) error {
	s.mu.Lock()
	if s.report.Waits == nil {
		s.report.Waits = &Waits{Source: s.traits.Retry.Source}
	}
	s.report.Waits.Times++
	s.report.Waits.Real += real.Milliseconds()
	s.report.Waits.Played += played.Milliseconds()
	s.mu.Unlock()
	return s.Wait(ctx, played)
}

// inspect records what is expected of every answer.
func (s *simulation) inspect(a *answer, throttled bool) {
	if !s.expect(isAnswered, a.problem == "", a, "%s", a.problem) {
		return
	}
	s.expect(isNoServerError, a.status < 500 || a.status == http.StatusNotImplemented, a, "%s", a.says())
	if throttled {
		s.expect(isLetIn, a.status != http.StatusTooManyRequests, a, "%s", a.says())
	}
	if a.status >= 300 && a.status < 400 {
		s.expect(isNotRedirected, false, a, "answered %d to %s", a.status, place(a.header.Get("Location")))
		a.problem = fmt.Sprintf("answered %d, a redirect, which was not followed", a.status)
		return
	}
	if len(a.body) > 0 {
		kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
		own := http.Header{}
		s.client.Header(own)
		fits := err == nil && (kind == "application/scim+json" || kind == own.Get("Accept"))
		s.expect(isMediaType, fits, a, "Content-Type %q", a.header.Get("Content-Type"))
		if !s.expect(isJSON, a.object != nil, a, "%s with a body that is %s", a.says(), bodyKind(a.body)) && a.success() {
			a.problem = "answered something that is not a JSON object"
			return
		}
	}
	if a.status >= 400 {
		s.expect(isError, isErrorBody(a), a, "%s", errorShape(a))
	}
}

// place is where a redirect leads, without what may tell who is asked for.
func place(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return "what is not a URL"
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
	return u.String()
}

// isErrorBody: RFC 7644 §3.12.
func isErrorBody(a *answer) bool {
	return hasText(a.object["schemas"], "urn:ietf:params:scim:api:messages:2.0:Error") &&
		a.object["status"] == strconv.Itoa(a.status) && textOf(a.object["detail"]) != ""
}

func errorShape(a *answer) string {
	if a.object == nil {
		return fmt.Sprintf("answered %d without a JSON body", a.status)
	}
	return fmt.Sprintf("answered %d with schemas %s, status %s, detail %s", a.status, shape(a.object["schemas"]), shape(a.object["status"]), shape(a.object["detail"]))
}

// once sends a request and reads the answer.
func (s *simulation) once(ctx context.Context, r idp.Request) *answer {
	return s.onceAs(ctx, r, s.Token)
}

func (s *simulation) onceAs(ctx context.Context, r idp.Request, token string) *answer {
	began := s.Now()
	a := &answer{request: r, header: http.Header{}}
	if err := s.roundTrip(ctx, r, token, a); err != nil {
		a.problem = s.fault(ctx, err)
	}
	a.took = s.Now().Sub(began)
	s.record(a)
	return a
}

// roundTrip fills in a.
func (s *simulation) roundTrip(ctx context.Context, r idp.Request, token string, a *answer) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	hr, err := http.NewRequestWithContext(ctx, r.Method, s.BaseURL+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return err
	}
	s.client.Header(hr.Header)
	if r.Body == nil {
		hr.Body = http.NoBody
		hr.Header.Del("Content-Type")
	}
	hr.Header.Set("Authorization", "Bearer "+token)
	resp, err := s.http.Do(hr)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("answered %d, but the body ended early: %w", a.status, err)
	case len(a.body) > maxAnswer:
		a.body = nil
		return fmt.Errorf("answered %d with more than %d MiB", a.status, maxAnswer>>20)
	}
	_ = json.Unmarshal(a.body, &a.object) // no object: there is none
	return nil
}

// fault is an error of sending in words that hold no address of the server: the
// report has it once.
func (s *simulation) fault(ctx context.Context, err error) string {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Sprintf("no whole answer within %s", s.Timeout)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return err.Error()
}

// record puts an exchange into the report.
func (s *simulation) record(a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := strconv.Itoa(a.status)
	if a.status == 0 {
		status = "none"
	}
	s.report.Requests++
	s.report.Statuses[status]++
	s.report.Slowest = max(s.report.Slowest, a.took.Milliseconds())
	s.current.Count++
	if len(s.current.Requests) < maxExchanges {
		s.current.Requests = append(s.current.Requests, Exchange{s.clean(a.request.Label()), a.status, a.took.Milliseconds()})
	}
}
