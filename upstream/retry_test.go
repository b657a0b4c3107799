package upstream

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		value string
		want  time.Duration
	}{
		{"", 0},
		{"0", 0},
		{"7", 7 * time.Second},
		{" 7 ", 7 * time.Second},
		{"3600", time.Hour},
		{"3601", time.Hour},
		{"99999999999999999999999", time.Hour},
		{"-5", 0},
		{"1.5", 0},
		{"soon", 0},
		{"Sun, 01 Mar 2026 12:00:30 GMT", 30 * time.Second},
		{"Sunday, 01-Mar-26 12:00:30 GMT", 30 * time.Second},
		{"Sun, 01 Mar 2026 11:00:00 GMT", 0},
		{"Mon, 01 Mar 2027 12:00:00 GMT", time.Hour},
	}
	for _, tt := range tests {
		h := http.Header{}
		if tt.value != "" {
			h.Set("Retry-After", tt.value)
		}
		if got := retryAfter(h, now); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.value, got, tt.want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"7", "-1", "Sun, 01 Mar 2026 12:00:30 GMT", "9e9", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d := retryAfter(http.Header{"Retry-After": {s}}, time.Unix(0, 0)); d < 0 || d > maxRetryAfter {
			t.Errorf("%q: %s", s, d)
		}
	})
}

func TestRetryBudget(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newRetryBudget(func() time.Time { return now })
	spent := func() (n int) {
		for b.spend() {
			n++
		}
		return n
	}
	if got := spent(); got != budgetReserve {
		t.Errorf("a quiet client has %d retries, want %d", got, budgetReserve)
	}
	for range 50 {
		b.earn()
	}
	if got := spent(); got != 5 {
		t.Errorf("50 calls earn %d retries, want 5", got)
	}
	now = now.Add(3 * time.Second)
	if got := spent(); got != 3 {
		t.Errorf("3 seconds give %d retries, want 3", got)
	}
	now = now.Add(-time.Hour)
	if got := spent(); got != 0 {
		t.Errorf("a clock that steps back gives %d retries, want 0", got)
	}
	now = now.Add(24 * time.Hour)
	if got := spent(); got != budgetReserve {
		t.Errorf("a day gives %d retries, want the reserve of %d", got, budgetReserve)
	}
	for range 5000 {
		b.earn()
	}
	if got := spent(); got != budgetCap {
		t.Errorf("much traffic saves up %d retries, want %d", got, budgetCap)
	}
}

func TestRetriesStayATenthOfTheTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{{status: 503}}}
		c := newTestClient(t, s, func(o *Options) { o.Breaker.Disabled = true; o.Now = func() time.Time { return time.Unix(0, 0) } })
		const calls = 500
		for range calls {
			if _, err := c.GetUser(t.Context(), 7); KindOf(err) != Unavailable {
				t.Fatal(err)
			}
		}
		if retries := len(s.seen()) - calls; retries > calls/10+budgetReserve {
			t.Errorf("%d retries for %d calls", retries, calls)
		}
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{{status: 503}}}
		c := newTestClient(t, s, func(o *Options) { o.MaxAttempts = 1; o.Breaker = BreakerOptions{Failures: 4, OpenFor: 2 * time.Second} })
		get := func() error { _, err := c.GetUser(t.Context(), 7); return err }
		answer := func(r reply) { s.mu.Lock(); s.replies = []reply{r}; s.mu.Unlock() }

		// A poison item is answered, however often: it opens nothing.
		answer(reply{status: 422, body: errorJSON("invalid_field")})
		for range 20 {
			if err := get(); KindOf(err) != Invalid {
				t.Fatal(err)
			}
		}
		answer(reply{status: 503})
		for range 4 {
			if err := get(); KindOf(err) != Unavailable || errors.Is(err, errBreakerOpen) {
				t.Fatal(err)
			}
		}
		before := len(s.seen())
		for range 10 {
			err := get()
			if e, _ := errors.AsType[*Error](err); e == nil || e.Kind != Unavailable || !errors.Is(err, errBreakerOpen) || e.RetryAfter <= 0 {
				t.Fatalf("open breaker: %v", err)
			}
			if err := byEffect["create_user"](t.Context(), c); KindOf(err) != Unavailable {
				t.Fatalf("open breaker: a call that was not sent is %v", err)
			}
		}
		if got := len(s.seen()); got != before {
			t.Errorf("%d calls went through the open breaker", got-before)
		}
		time.Sleep(2*time.Second + time.Millisecond)
		if err := get(); errors.Is(err, errBreakerOpen) { // the probe fails
			t.Error("no probe was let through")
		}
		if err := get(); !errors.Is(err, errBreakerOpen) {
			t.Errorf("after a failed probe: %v", err)
		}
		answer(reply{status: 200, body: accountJSON(7, "a@x.test", activeIn113)})
		time.Sleep(2*time.Second + time.Millisecond)
		for range 3 {
			if err := get(); err != nil {
				t.Errorf("after recovery: %v", err)
			}
		}
	})
}

func TestCallersWhoLeaveDoNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := transport(func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
		c := newTestClient(t, hangs, func(o *Options) { o.MaxAttempts = 1; o.Breaker.Failures = 3 })
		call := func(patience time.Duration, cancels bool) error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if cancels {
				ctx, cancel = context.WithCancel(t.Context())
				time.AfterFunc(patience, cancel)
				defer cancel()
			}
			_, err := c.GetUser(ctx, 7)
			return err
		}
		for range 5 {
			for _, err := range []error{call(time.Second, true), call(time.Second, false)} {
				if KindOf(err) != Unavailable || errors.Is(err, errBreakerOpen) {
					t.Fatal(err)
				}
			}
		}
		for range 3 { // these waited long enough to judge the service
			if err := call(4*time.Second, false); errors.Is(err, errBreakerOpen) {
				t.Fatal(err)
			}
		}
		if err := call(time.Minute, false); !errors.Is(err, errBreakerOpen) {
			t.Errorf("error = %v, want the open breaker", err)
		}
	})
}
