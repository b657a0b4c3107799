package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/store"
)

func event(n int) *store.Event {
	e := &store.Event{At: base.Add(time.Duration(n) * time.Second), Tenant: []string{"t", "u"}[n%2],
		Actor: "cli", RequestID: fmt.Sprint("req-", n/2), Action: "user.create", ResourceType: "User",
		ResourceID: fmt.Sprint("id-", n%3), Outcome: store.OutcomeOK, Status: 201, Detail: "détail", Data: []byte(`{"n":1}`)}
	if n%4 == 0 {
		e.Outcome, e.Status, e.Data = store.OutcomeFailed, 503, nil
	}
	return e
}

var eventCases = []testCase{
	{"answers every query in order", func(h *suite) {
		var all []*store.Event
		for n := range 12 {
			all = append(all, event(n))
		}
		h.update(func(tx store.Tx) error {
			for _, e := range all {
				if err := tx.AppendEvent(e); err != nil {
					return err
				}
			}
			return nil
		})
		for i, e := range all {
			if e.Seq == 0 || i > 0 && e.Seq <= all[i-1].Seq {
				h.Fatalf("event %d has seq %d", i, e.Seq)
			}
		}
		for _, q := range []store.EventQuery{
			{}, {Tenant: "t"}, {ResourceID: "id-1"}, {RequestID: "req-2"}, {Failed: true}, {Limit: 3},
			{After: all[4].Seq}, {After: all[11].Seq}, {Tenant: "u", ResourceID: "id-2", After: all[2].Seq, Limit: 1},
			{Tenant: "t", RequestID: "req-3", ResourceID: "id-0"}, {Tenant: "t", Failed: true, Limit: 2}, {Tenant: "v"},
			{Failed: true, After: all[0].Seq, RequestID: "req-2", ResourceID: "id-1", Tenant: "t"},
		} {
			for _, newest := range []bool{false, true} {
				q.Newest = newest
				got, err := h.s.Events(h.ctx, q)
				h.must(err)
				if diff := cmp.Diff(selected(all, q), got); diff != "" {
					h.Fatalf("%+v (-want +got)\n%s", q, diff)
				}
			}
		}
	}},
	{"answers a hundred when no limit is asked for", func(h *suite) {
		h.update(func(tx store.Tx) error {
			for n := range 130 {
				if err := tx.AppendEvent(event(n)); err != nil {
					return err
				}
			}
			return nil
		})
		events, err := h.s.Events(h.ctx, store.EventQuery{})
		if err != nil || len(events) != 100 {
			h.Fatalf("%d events, %v", len(events), err)
		}
	}},
	{"loses none to whoever follows, I11", func(h *suite) {
		const writers, each = 8, 40
		var mu sync.Mutex
		appended := make(map[int64]bool)
		stop := make(chan struct{})
		followed := make(chan []int64, 1)
		go func() { followed <- h.follow(stop) }()
		errs := together(writers, func(w int) error {
			for i := range each {
				var seqs []int64
				err := h.s.Update(h.ctx, func(tx store.Tx) error {
					seqs = nil
					for range 1 + i%3 {
						e := event(i)
						if err := tx.AppendEvent(e); err != nil {
							return err
						}
						seqs = append(seqs, e.Seq)
						// Whatever else the transaction does takes time, in which others pass it.
						if _, err := tx.CountPersons(h.ctx, fmt.Sprint(w)); err != nil {
							return err
						}
					}
					if i%5 == 4 {
						return errStop
					}
					return nil
				})
				if errors.Is(err, errStop) {
					continue
				}
				if err != nil {
					return err
				}
				mu.Lock()
				for _, seq := range seqs {
					appended[seq] = true
				}
				mu.Unlock()
			}
			return nil
		})
		close(stop)
		seen := <-followed
		h.must(errors.Join(errs...))
		for i, seq := range seen {
			if i > 0 && seq <= seen[i-1] {
				h.Fatalf("seq %d followed %d", seq, seen[i-1])
			}
			if !appended[seq] {
				h.Fatalf("seq %d was never committed", seq)
			}
		}
		if len(seen) != len(appended) {
			h.Fatalf("followed %d of %d events", len(seen), len(appended))
		}
	}},
	{"holds back what comes after an event still to be committed", func(h *suite) {
		if err := h.overtake(); err != nil {
			h.Fatal(err)
		}
	}},
}

// follow reads events as they come until stop is closed and nothing is left.
func (h *suite) follow(stop <-chan struct{}) []int64 {
	var seen []int64
	var after int64
	for {
		var last bool
		select {
		case <-stop:
			last = true
		default:
		}
		events, err := h.s.Events(h.ctx, store.EventQuery{After: after, Limit: 7})
		if err != nil {
			h.Errorf("following: %v", err)
			return nil
		}
		for _, e := range events {
			seen = append(seen, e.Seq)
			after = e.Seq
		}
		if last && len(events) == 0 {
			return seen
		}
	}
}

// overtake lets one transaction begin before another and end after it, as far
// as the store allows: one that runs updates in turn keeps the order by itself.
func (h *suite) overtake() error {
	begun, leave := make(chan struct{}), make(chan struct{})
	slow, fast := event(1), event(2)
	results := make(chan error, 2)
	go func() {
		results <- h.s.Update(h.ctx, func(tx store.Tx) error {
			if err := tx.AppendEvent(slow); err != nil {
				return err
			}
			close(begun)
			<-leave
			return nil
		})
	}()
	<-begun
	goOn := sync.OnceFunc(func() { close(leave) })
	defer goOn()
	go func() {
		results <- h.s.Update(h.ctx, func(tx store.Tx) error { return tx.AppendEvent(fast) })
	}()
	select {
	case err := <-results:
		if err != nil {
			return err
		}
		// The second is committed, the first is not: neither may show.
		events, err := h.s.Events(h.ctx, store.EventQuery{})
		if err != nil || len(events) != 0 {
			return fmt.Errorf("%d events shown, %v", len(events), err)
		}
		newest, err := h.s.Events(h.ctx, store.EventQuery{Newest: true})
		if err != nil || len(newest) != 1 {
			return fmt.Errorf("%d newest events shown, %v", len(newest), err)
		}
		goOn()
		if err := <-results; err != nil {
			return err
		}
	case <-time.After(200 * time.Millisecond):
		goOn()
		if err := errors.Join(<-results, <-results); err != nil {
			return err
		}
	}
	events, err := h.s.Events(h.ctx, store.EventQuery{})
	if err != nil || len(events) != 2 || events[0].Seq != slow.Seq || events[1].Seq != fast.Seq {
		return fmt.Errorf("%d events in the end, %v", len(events), err)
	}
	return nil
}

// selected is what an EventQuery selects.
func selected(all []*store.Event, q store.EventQuery) []*store.Event {
	var out []*store.Event
	for i := range all {
		e := all[i]
		if q.Newest {
			e = all[len(all)-1-i]
		}
		if e.Seq > q.After && (q.Tenant == "" || e.Tenant == q.Tenant) && (q.ResourceID == "" || e.ResourceID == q.ResourceID) &&
			(q.RequestID == "" || e.RequestID == q.RequestID) && (!q.Failed || e.Outcome == store.OutcomeFailed) &&
			(q.Limit == 0 || len(out) < q.Limit) {
			out = append(out, e)
		}
	}
	return out
}
