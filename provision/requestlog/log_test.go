package requestlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// fakeStore keeps rows, and prunes as many times as it is told.
type fakeStore struct {
	mu      sync.Mutex
	batches [][]*store.Request
	err     error
	// hangs lets writes wait until block is closed.
	hangs bool
	block chan struct{}
	old   map[string]int // rows to prune by tenant
	asked []string
}

func (s *fakeStore) AppendRequests(ctx context.Context, rows []*store.Request) error {
	if s.hangs {
		select {
		case <-s.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.batches = append(s.batches, rows)
	return nil
}

func (s *fakeStore) Tenants(context.Context) ([]*store.Tenant, error) {
	return []*store.Tenant{{Slug: "acme"}, {Slug: "globex"}}, nil
}

func (s *fakeStore) PruneRequests(_ context.Context, tenant string, before time.Time, keep, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, fmt.Sprint(tenant, " ", time.Since(before), " ", keep))
	n := min(s.old[tenant], limit)
	if n > 0 {
		s.old[tenant] -= n
	}
	return n, nil
}

func (s *fakeStore) sizes() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sizes []string
	for _, b := range s.batches {
		sizes = append(sizes, fmt.Sprint(len(b)))
	}
	return strings.Join(sizes, " ")
}

// running runs a log in a bubble; the function that it hands out ends it.
func running(t *testing.T, s *fakeStore, change func(*Options), f func(l *Log, dropped *int, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s.block = make(chan struct{}) // of this bubble
		dropped := 0
		o := Options{Store: s, Pseudonyms: testPseudonyms(t), MaxRows: 10, Dropped: func(n int) { dropped += n }}
		if change != nil {
			change(&o)
		}
		l, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			l.Run(ctx)
			close(ended)
		}()
		stop := sync.OnceFunc(func() {
			cancel()
			<-ended
		})
		defer stop()
		synctest.Wait()
		f(l, &dropped, stop)
	})
}

func add(l *Log, n int) {
	for range n {
		l.Add(Entry{Tenant: "acme", Name: "ada@example.com", Status: 200})
	}
}

func TestRowsAreWrittenWithinASecond(t *testing.T) {
	s := &fakeStore{}
	running(t, s, nil, func(l *Log, _ *int, _ func()) {
		add(l, 1)
		time.Sleep(batchEvery / 2)
		add(l, 2)
		synctest.Wait()
		if got := s.sizes(); got != "" {
			t.Errorf("batches of %s before a second", got)
		}
		time.Sleep(batchEvery/2 + 1)
		synctest.Wait()
		if got := s.sizes(); got != "3" {
			t.Errorf("batches of %s", got)
		}
		add(l, maxBatch+5) // a full batch does not wait
		synctest.Wait()
		if got := s.sizes(); got != "3 64" {
			t.Errorf("batches of %s", got)
		}
		if name := s.batches[0][0].Names[0]; !isPseudonym(name) {
			t.Errorf("the name is %q", name)
		}
	})
}

func TestWhatWaitsIsWrittenAtTheEnd(t *testing.T) {
	s := &fakeStore{}
	running(t, s, nil, func(l *Log, dropped *int, stop func()) {
		add(l, 3*maxBatch)
		stop()
		if n := total(s); n != 3*maxBatch || *dropped != 0 {
			t.Errorf("%d rows, %d dropped", n, *dropped)
		}
	})
}

func total(s *fakeStore) (n int) {
	for _, b := range s.batches {
		n += len(b)
	}
	return n
}

func TestAStoreThatHangsCostsRowsAlone(t *testing.T) {
	s := &fakeStore{hangs: true}
	running(t, s, nil, func(l *Log, dropped *int, stop func()) {
		add(l, maxBatch)
		synctest.Wait()      // the writer hangs
		add(l, maxWaiting+7) // none of which blocks
		if *dropped != 7 {
			t.Errorf("%d dropped, want 7", *dropped)
		}
		close(s.block)
		stop()
		if n := total(s); n != maxBatch+maxWaiting {
			t.Errorf("%d rows", n)
		}
	})
}

func TestTheEndDoesNotWaitForAStoreThatHangs(t *testing.T) {
	s := &fakeStore{hangs: true}
	running(t, s, nil, func(l *Log, dropped *int, stop func()) {
		add(l, maxWaiting)
		start := time.Now()
		stop()
		if took := time.Since(start); took > writeTimeout+drainTimeout || *dropped != maxWaiting {
			t.Errorf("it took %s, %d dropped", took, *dropped)
		}
	})
}

func TestAStoreThatFailsIsComplainedAboutNowAndThen(t *testing.T) {
	var logged bytes.Buffer
	s := &fakeStore{err: errors.New("disk full")}
	running(t, s, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&logged, nil)) }, func(l *Log, dropped *int, stop func()) {
		for range 90 {
			add(l, 1)
			time.Sleep(2 * time.Second) // three minutes in all
		}
		stop()
		if n := strings.Count(logged.String(), "disk full"); n != 3 || *dropped != 90 {
			t.Errorf("%d lines, %d dropped:\n%s", n, *dropped, logged.String())
		}
	})
}

func TestNothingIsKeptWithoutTenantOrRows(t *testing.T) {
	s := &fakeStore{}
	running(t, s, nil, func(l *Log, _ *int, stop func()) {
		l.Add(Entry{Name: "ada@example.com"})
		stop()
	})
	running(t, s, func(o *Options) { o.MaxRows = 0 }, func(l *Log, _ *int, stop func()) {
		add(l, 1)
		stop()
	})
	if got := s.sizes(); got != "" {
		t.Errorf("batches of %s", got)
	}
}

func TestOldRowsAreRemovedInPortions(t *testing.T) {
	s := &fakeStore{old: map[string]int{"acme": 2*portion + 1}}
	running(t, s, func(o *Options) { o.Keep = time.Hour }, func(l *Log, _ *int, stop func()) {
		time.Sleep(pruneEvery + 3*portionEvery)
		synctest.Wait()
		stop()
		// A round goes by the time at which it began.
		want := "acme 1h0m0s 10, acme 1h0m0.5s 10, acme 1h0m1s 10, globex 1h0m1s 10"
		if got := strings.Join(s.asked[:min(4, len(s.asked))], ", "); got != want {
			t.Errorf("asked: %s", got)
		}
		if s.old["acme"] != 0 {
			t.Errorf("%d rows are left", s.old["acme"])
		}
	})
}

// To find old rows takes a look at all of them, so most rounds count alone.
func TestAgeIsLookedAtNowAndThen(t *testing.T) {
	s := &fakeStore{}
	running(t, s, func(o *Options) { o.Keep = time.Hour }, func(l *Log, _ *int, stop func()) {
		time.Sleep(3*ageEvery + pruneEvery)
		synctest.Wait()
		stop()
		rounds, aged := 0, 0
		for _, asked := range s.asked {
			if strings.HasPrefix(asked, "acme ") {
				rounds++
			}
			if asked == "acme 1h0m0s 10" {
				aged++
			}
		}
		if rounds < int(3*ageEvery/pruneEvery) || aged < 3 || aged > 4 {
			t.Errorf("age was looked at in %d of %d rounds", aged, rounds)
		}
	})
}

func TestEntriesAreBounded(t *testing.T) {
	huge := strings.Repeat("x", 1<<20)
	e := Entry{Name: huge, Filter: huge, Detail: huge}
	e.bound()
	if len(e.Name) != 0 || len(e.Filter) != maxFilter+1 || len(e.Detail) != maxDetail {
		t.Errorf("%d, %d and %d bytes", len(e.Name), len(e.Filter), len(e.Detail))
	}
	m := masker{testPseudonyms(t), "acme"}
	if shown, _ := m.filter(e.Filter); shown != unreadable {
		t.Errorf("the filter shows %q", shown)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	p, s := testPseudonyms(t), &fakeStore{}
	for _, o := range []Options{{}, {Store: s}, {Pseudonyms: p}, {Store: s, Pseudonyms: p, Keep: -1}, {Store: s, Pseudonyms: p, MaxRows: -1}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}
