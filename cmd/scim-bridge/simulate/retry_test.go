package simulate

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Each client waits in its way, which the report has, and the run waits at most
// as long as it is let.
func TestItWaitsAsTheClientDoes(t *testing.T) {
	t.Parallel()
	const minute = 60 * time.Second
	for _, tt := range []struct {
		name, client, retryAfter string
		status, times            int
		// waits are those of the run, real is the client's own sum.
		waits []time.Duration
		real  time.Duration
		finds []string
	}{
		{"Okta, whole seconds", "okta", "7", 429, 1, []time.Duration{7 * time.Second}, 7 * time.Second, nil},
		{"Okta, twice", "okta", "7", 429, 2, []time.Duration{7 * time.Second, 14 * time.Second}, 21 * time.Second, nil},
		{"Okta, a date", "okta", "Wed, 21 Oct 2026 07:28:00 GMT", 429, 1, []time.Duration{30 * time.Second}, 5 * minute, []string{"create: retry-after"}},
		{"Okta, nothing", "okta", "", 429, 1, []time.Duration{30 * time.Second}, 5 * minute, []string{"create: retry-after"}},
		{"Okta, less than nothing", "okta", "-1", 429, 1, []time.Duration{30 * time.Second}, 5 * minute, []string{"create: retry-after"}},
		{"Okta, a fraction", "okta", "1.5", 429, 1, []time.Duration{30 * time.Second}, 5 * minute, []string{"create: retry-after"}},
		{"Okta, for ever", "okta", "99999999999999", 429, 1, []time.Duration{30 * time.Second}, 30 * 24 * time.Hour, nil},
		{"Okta, to the end", "okta", "1", 429, 10, seconds10(), 511 * time.Second, []string{"create: let-in"}},
		{"Okta, a server error", "okta", "1", 503, 1, nil, 0, []string{"create: no-server-error"}},
		{"Entra, the next cycle", "entra", "3", 429, 1, []time.Duration{3 * time.Second}, 40 * minute, nil},
		{"Entra, a server error", "entra", "", 500, 1, []time.Duration{30 * time.Second}, 40 * minute, nil},
		{"Entra, another cycle", "entra", "3", 429, 1000, []time.Duration{3 * time.Second}, 40 * minute, []string{"create: let-in"}},
		{"OneLogin", "onelogin", "2", 429, 1, []time.Duration{2 * time.Second}, 2 * time.Second, nil},
		{"JumpCloud, nothing", "jumpcloud", "", 429, 1, []time.Duration{30 * time.Second}, minute, []string{"connection: retry-after"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			f.answer = busy(tt.status, tt.times, tt.retryAfter)
			o := options(f, tt.client, "")
			var mu sync.Mutex
			var waits []time.Duration
			o.Wait = func(_ context.Context, d time.Duration) error {
				mu.Lock()
				defer mu.Unlock()
				waits = append(waits, d)
				return nil
			}
			r := run(t, o)
			if d := cmp.Diff(tt.waits, waits); d != "" && tt.times < 1000 {
				t.Error(d)
			}
			if tt.real > 0 && tt.times < 1000 && (r.Waits == nil || r.Waits.Real != tt.real.Milliseconds() || r.Waits.Times != len(tt.waits)) {
				t.Errorf("%+v", r.Waits)
			}
			got := failures(r)
			for _, want := range tt.finds {
				if !slices.Contains(got, want) {
					t.Errorf("%q is not among %q", want, got)
				}
			}
			if tt.finds == nil && len(got) > 0 {
				t.Errorf("%q", got)
			}
			if all := text(t, r); tt.waits != nil && !strings.Contains(all, "the real client would have waited") {
				t.Error(all)
			}
			if left := f.names(); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// seconds10 are the nine waits of ten attempts, bounded by half a minute.
func seconds10() []time.Duration {
	var out []time.Duration
	for d := time.Second; len(out) < 9; d *= 2 {
		out = append(out, min(d, 30*time.Second))
	}
	return out
}

// What Entra could not create in one cycle it creates in the next, each person
// once, also when the create was done and its answer lost.
func TestTheNextCycle(t *testing.T) {
	t.Parallel()
	f := &fake{}
	lossy := &losingOnce{fake: f, lost: map[string]bool{}}
	o := options(f, "entra", "")
	o.HTTP = &http.Client{Transport: lossy}
	r := run(t, o)
	for _, st := range r.Steps {
		if st.Name == "create" && (st.Verdict != OK || st.Count == 0) {
			t.Errorf("%+v", st)
		}
	}
	if len(f.names()) > 0 || len(r.Left) > 0 {
		t.Errorf("left %v, listed %v", f.names(), r.Left)
	}
}

// losingOnce loses the answer to the first create of each person.
type losingOnce struct {
	*fake
	lostMu sync.Mutex
	lost   map[string]bool
}

func (l *losingOnce) RoundTrip(r *http.Request) (*http.Response, error) {
	key := ""
	if r.Method == http.MethodPost {
		key = bodyOf(r)
	}
	resp, err := l.fake.RoundTrip(r)
	l.lostMu.Lock()
	defer l.lostMu.Unlock()
	if key != "" && !l.lost[key] {
		l.lost[key] = true
		return nil, http.ErrServerClosed
	}
	return resp, err
}

// busy answers the first n sendings of one create with the status.
func busy(status, n int, retryAfter string) func(*http.Request) *http.Response {
	var mu sync.Mutex
	var victim string
	return func(r *http.Request) *http.Response {
		if r.Method != http.MethodPost {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if body := bodyOf(r); victim == "" {
			victim = body
		} else if victim != body {
			return nil
		}
		if n--; n < 0 {
			return nil
		}
		h := http.Header{"Content-Type": {"application/scim+json"}}
		if retryAfter != "" {
			h.Set("Retry-After", retryAfter)
		}
		return canned(status, h, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"`+strconv.Itoa(status)+`","detail":"later"}`)
	}
}

// bodyOf is a request's body.
func bodyOf(r *http.Request) string {
	body, err := r.GetBody()
	if err != nil {
		panic(err)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		panic(err)
	}
	return string(b)
}
