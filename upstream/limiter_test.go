package upstream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimiterPacesAndShares(t *testing.T) {
	tests := []struct {
		name  string
		rate  float64
		burst int
		share int
		calls int
		want  time.Duration
	}{
		{"no limit", 0, 0, 1, 1000, 0},
		{"a burst, then the rate", 10, 5, 1, 15, time.Second},
		{"half for one of two replicas", 10, 4, 2, 12, 2 * time.Second},
		{"never less than one at a time", 1, 1, 10, 2, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := NewLimiter(tt.rate, tt.burst)
				l.SetShare(tt.share)
				time.Sleep(time.Minute) // a full bucket
				start := time.Now()
				for range tt.calls {
					if err := l.Wait(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if got := time.Since(start).Round(time.Millisecond); got != tt.want {
					t.Errorf("%d slots took %s, want %s", tt.calls, got, tt.want)
				}
			})
		})
	}
}

func TestLimiterPausesEverybodyAfterA429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := reply{status: 200, body: accountJSON(7, "a@x.test", activeIn113)}
		s := &script{replies: []reply{{status: 429, header: "Retry-After: 10"}, good}}
		l := NewLimiter(1000, 10)
		c := newTestClient(t, s, func(o *Options) { o.Limiter = l })
		start := time.Now()
		done := make(chan time.Duration, 2)
		for range 2 {
			go func() {
				if err := byEffect["get_user"](t.Context(), c); err != nil {
					t.Error(err)
				}
				done <- time.Since(start)
			}()
			synctest.Wait()
		}
		if l.Ready() {
			t.Error("the limiter is ready during the pause")
		}
		short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := byEffect["create_user"](short, c)
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != RateLimited || e.RetryAfter != 10*time.Second {
			t.Errorf("a caller with 3 s: %v, want to hear at once of the 10 s", err)
		}
		for range 2 {
			if took := <-done; took < 10*time.Second || took > 11*time.Second {
				t.Errorf("answered after %s, want after the pause of 10 s", took)
			}
		}
		if got := len(s.seen()); got != 3 {
			t.Errorf("%d calls, want 3", got)
		}
	})
}

func TestLimiterRefusesAtOnceWhatCannotBeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(1, 1)
		s := &script{replies: []reply{{status: 200, body: accountJSON(7, "a@x.test", activeIn113)}}}
		c := newTestClient(t, s, func(o *Options) { o.Limiter = l })
		if err := byEffect["get_user"](t.Context(), c); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := byEffect["create_user"](short, c)
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Unavailable || e.RetryAfter != time.Second {
			t.Errorf("error = %v, want unavailable with a second", err)
		}
		if time.Since(start) != 0 || len(s.seen()) != 1 {
			t.Errorf("waited %s, %d calls", time.Since(start), len(s.seen()))
		}
		// The slot that could not be waited for is given back.
		if err := l.Wait(t.Context()); err != nil || time.Since(start) != time.Second {
			t.Errorf("the next slot came after %s, error %v", time.Since(start), err)
		}
	})
}

func TestPauseHoldsThoseWhoWaitAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(1, 1)
		if err := l.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		start, passed := time.Now(), make(chan time.Duration)
		go func() {
			if err := l.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			passed <- time.Since(start)
		}()
		synctest.Wait()
		l.Pause(10 * time.Second)
		l.Pause(time.Second) // a shorter one changes nothing
		if got := <-passed; got != 10*time.Second {
			t.Errorf("passed after %s, want 10s", got)
		}
	})
}

func TestLimiterEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(1, 1)
		l.Pause(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- l.Wait(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v", err)
		}
	})
}
