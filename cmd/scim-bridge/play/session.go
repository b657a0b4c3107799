package play

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// reply is the bridge's answer.
type reply struct {
	status int
	body   []byte
	took   time.Duration
	// waits are the pauses that the bridge asked for before this answer.
	waits []time.Duration
}

// session sends a client's requests and prints what comes of them.
type session struct {
	Options
	client idp.Client
	print  *printer
	// seq is the last ledger entry that was read.
	seq int64
	// ids are the SCIM ids of people by mail address, and of groups by name,
	// which a client keeps.
	ids, groupIDs map[string]string
	// memberOf is the group by person into which the client put it last.
	memberOf map[string]string
}

const (
	// maxReply bounds what is read of an answer, in bytes: the ledger of a
	// sandbox that was played on for long is the largest.
	maxReply = 256 << 20
	// maxTries is how often a request is sent while the bridge answers 429 or
	// 503: Okta gives a task up after ten.
	maxTries = 10
)

// send sends one request, prints it with its answer, and shows what arrived
// upstream when it was meant to change something.
func (s *session) send(ctx context.Context, r idp.Request) (reply, error) {
	got, err := s.exchange(ctx, r)
	if err != nil {
		return reply{}, err
	}
	s.print.exchange(r, got, true)
	if r.Method == http.MethodGet {
		return got, nil
	}
	return got, s.showUpstream(ctx)
}

// exchange sends a request until it has an answer, as clients do.
func (s *session) exchange(ctx context.Context, r idp.Request) (reply, error) {
	var waits []time.Duration
	for try := 1; ; try++ {
		got, after, err := s.once(ctx, r)
		if err != nil || after == 0 || try == maxTries {
			got.waits = waits
			return got, err
		}
		waits = append(waits, after)
		select {
		case <-time.After(after):
		case <-ctx.Done():
			return reply{}, ctx.Err()
		}
	}
}

// once sends a request. after is the pause that the answer asks for.
func (s *session) once(ctx context.Context, r idp.Request) (got reply, after time.Duration, err error) {
	hr, err := http.NewRequestWithContext(ctx, r.Method, s.BaseURL+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return reply{}, 0, err
	}
	s.client.Header(hr.Header)
	if r.Body == nil {
		hr.Header.Del("Content-Type")
	}
	hr.Header.Set("Authorization", "Bearer "+s.Token)
	start := time.Now()
	resp, err := s.HTTP.Do(hr)
	if err != nil {
		return reply{}, 0, fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
	}
	defer resp.Body.Close()
	body, err := readReply(resp.Body, maxReply)
	if err != nil {
		return reply{}, 0, fmt.Errorf("%s %s: reading the answer: %w", r.Method, r.Path, err)
	}
	got = reply{status: resp.StatusCode, body: body, took: time.Since(start)}
	if got.status == http.StatusTooManyRequests || got.status == http.StatusServiceUnavailable {
		seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if err != nil || seconds < 1 {
			seconds = 5
		}
		after = time.Duration(seconds) * time.Second
	}
	return got, after, nil
}

// showUpstream prints what the ledger has that was not shown yet.
func (s *session) showUpstream(ctx context.Context) error {
	effects, err := s.effects(ctx)
	if err != nil {
		return err
	}
	s.print.effects(effects)
	return nil
}

// effects reads what the ledger has that was not read yet.
func (s *session) effects(ctx context.Context) ([]effect, error) {
	var ledger struct {
		Entries []effect `json:"entries"`
	}
	if err := s.control(ctx, http.MethodGet, fmt.Sprintf("/_sandbox/ledger?after=%d", s.seq), nil, &ledger); err != nil {
		return nil, err
	}
	for _, e := range ledger.Entries {
		s.seq = max(s.seq, e.Seq)
	}
	return ledger.Entries, nil
}

// calls reads how often each operation was called upstream.
func (s *session) calls(ctx context.Context) (map[string]int, error) {
	var stats struct {
		Calls map[string]int `json:"calls"`
	}
	err := s.control(ctx, http.MethodGet, "/_sandbox/stats", nil, &stats)
	return stats.Calls, err
}

// refused is an answer of the side door that is not a success.
type refused struct {
	status int
	text   string
}

func (r *refused) Error() string { return fmt.Sprintf("answered %d %s", r.status, r.text) }

// readReply reads an answer to its end. One of more than limit bytes is an
// error: cut short it would be another answer.
func readReply(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("the answer is longer than %d bytes, more than is read here", limit)
	}
	return b, err
}

// control uses the sandbox's side door. An answer that is not a success is a
// *refused.
func (s *session) control(ctx context.Context, method, path string, in, out any) error {
	return s.ask(ctx, method, path, in, func(r io.Reader) error {
		b, err := readReply(r, maxReply)
		if err != nil || out == nil {
			return err
		}
		return json.Unmarshal(b, out)
	})
}

// ask is control where read takes the answer as it arrives.
func (s *session) ask(ctx context.Context, method, path string, in any, read func(io.Reader) error) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	hr, err := http.NewRequestWithContext(ctx, method, s.SandboxURL+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		hr.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.HTTP.Do(hr)
	if err != nil {
		return fmt.Errorf("sandbox: %s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		b, err := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("sandbox: %s %s: %w", method, path, errors.Join(&refused{resp.StatusCode, string(bytes.TrimSpace(b))}, err))
	}
	if err := read(resp.Body); err != nil {
		return fmt.Errorf("sandbox: %s %s: %w", method, path, err)
	}
	return nil
}

// resource is what a client keeps of a user or of a group.
type resource struct {
	ID string `json:"id"`
}

// found reads the id of the only match of a list answer, "" when none matched.
func found(r reply) (string, error) {
	var list struct {
		Total     int        `json:"totalResults"`
		Resources []resource `json:"Resources"`
	}
	if r.status != http.StatusOK {
		return "", fmt.Errorf("the look-up was answered %d: %s", r.status, detail(r))
	}
	if err := json.Unmarshal(r.body, &list); err != nil {
		return "", fmt.Errorf("the look-up's answer is not a list: %w", err)
	}
	if len(list.Resources) == 0 {
		return "", nil
	}
	return list.Resources[0].ID, nil
}

// created reads the id of what a POST made, "" when it made nothing.
func created(r reply) (string, error) {
	if r.status != http.StatusCreated {
		return "", nil // the answer is shown
	}
	var made resource
	if err := json.Unmarshal(r.body, &made); err != nil {
		return "", fmt.Errorf("the answer to the create is not a resource: %w", err)
	}
	return made.ID, nil
}

// detail is what a SCIM error says.
func detail(r reply) string {
	var e struct {
		Type   string `json:"scimType"`
		Detail string `json:"detail"`
	}
	if json.Unmarshal(r.body, &e) != nil {
		return ""
	}
	if e.Type != "" {
		return e.Type + ": " + e.Detail
	}
	return cmp.Or(e.Detail, "")
}
