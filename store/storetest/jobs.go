package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

var jobKinds = []string{"scan", "fan-out"}

// enqueue adds a job that is due.
func (h *suite) enqueue(tenant, kind, key string) *store.Job {
	h.Helper()
	j, err := h.s.EnqueueJob(h.ctx, store.Job{Tenant: tenant, Kind: kind, Key: key, Args: []byte(`{"x":1}`)})
	h.must(err)
	return j
}

// claim claims the next job, which there must be.
func (h *suite) claim(holder string) *store.Job {
	h.Helper()
	j, err := h.s.ClaimJob(h.ctx, holder, jobKinds, time.Minute)
	h.must(err)
	return j
}

// state checks what became of a job.
func (h *suite) state(id int64, want store.JobState) *store.Job {
	h.Helper()
	j, err := h.s.Job(h.ctx, id)
	h.must(err)
	if j.State != want {
		h.Fatalf("job %d is %s, want %s", id, j.State, want)
	}
	return j
}

var jobCases = []testCase{
	{"is queued, claimed, renewed and finished", func(h *suite) {
		j := h.enqueue("t", "scan", "k")
		if j.ID == 0 || j.State != store.JobQueued || string(j.Args) != `{"x":1}` || j.RunAt.IsZero() || j.CreatedAt.IsZero() {
			h.Fatalf("queued %+v", j)
		}
		c := h.claim("a")
		if c.ID != j.ID || c.State != store.JobRunning || c.Holder != "a" || c.Attempts != 1 || c.LeaseUntil.IsZero() {
			h.Fatalf("claimed %+v", c)
		}
		notFound[store.Job](h)(h.s.ClaimJob(h.ctx, "b", jobKinds, time.Minute))
		equal(h, false)(h.s.HeartbeatJob(h.ctx, j.ID, "a", time.Minute, []byte("half")))
		equal(h, false)(h.s.HeartbeatJob(h.ctx, j.ID, "a", time.Minute, nil))
		if got := h.state(j.ID, store.JobRunning); string(got.Progress) != "half" {
			h.Fatalf("progress %q", got.Progress)
		}
		h.must(h.s.FinishJob(h.ctx, j.ID, "a", store.JobDone, []byte("all"), "with a warning"))
		got := h.state(j.ID, store.JobDone)
		if string(got.Result) != "all" || got.Error != "with a warning" || got.Holder != "" || !got.LeaseUntil.IsZero() {
			h.Fatalf("finished %+v", got)
		}
		notFound[store.Job](h)(h.s.ClaimJob(h.ctx, "b", jobKinds, time.Minute))
	}},
	{"is one for its tenant, kind and key while unfinished", func(h *suite) {
		j := h.enqueue("t", "scan", "k")
		for _, other := range []*store.Job{h.enqueue("u", "scan", "k"), h.enqueue("t", "fan-out", "k"), h.enqueue("t", "scan", "l")} {
			if other.ID == j.ID {
				h.Fatalf("%+v is the job of another", other)
			}
		}
		errs := together(crowd, func(int) error {
			same, err := h.s.EnqueueJob(h.ctx, store.Job{Tenant: "t", Kind: "scan", Key: "k"})
			if err == nil && same.ID != j.ID {
				err = fmt.Errorf("job %d beside %d", same.ID, j.ID)
			}
			return err
		})
		h.must(errors.Join(errs...))
		h.claim("a")
		if same := h.enqueue("t", "scan", "k"); same.ID != j.ID || same.State != store.JobRunning {
			h.Fatalf("%+v beside the running job", same)
		}
		h.must(h.s.FinishJob(h.ctx, j.ID, "a", store.JobFailed, nil, "x"))
		if next := h.enqueue("t", "scan", "k"); next.ID == j.ID {
			h.Fatal("a finished job was given again")
		}
	}},
	{"is claimed oldest first, of the asked kinds, when due", func(h *suite) {
		first := h.enqueue("t", "scan", "1")
		second := h.enqueue("t", "fan-out", "2")
		h.enqueue("t", "unasked", "3")
		later, err := h.s.EnqueueJob(h.ctx, store.Job{Tenant: "t", Kind: "scan", Key: "4", RunAt: first.RunAt.Add(time.Hour)})
		h.must(err)
		for _, want := range []int64{first.ID, second.ID} {
			if got := h.claim("a"); got.ID != want {
				h.Fatalf("claimed %d, want %d", got.ID, want)
			}
			h.must(h.s.FinishJob(h.ctx, want, "a", store.JobDone, nil, ""))
		}
		notFound[store.Job](h)(h.s.ClaimJob(h.ctx, "a", jobKinds, time.Minute))
		notFound[store.Job](h)(h.s.ClaimJob(h.ctx, "a", nil, time.Minute))
		h.pass(2 * time.Hour)
		if got := h.claim("a"); got.ID != later.ID {
			h.Fatalf("claimed %d, want %d", got.ID, later.ID)
		}
	}},
	{"is taken over when its holder is silent", func(h *suite) {
		j := h.enqueue("t", "scan", "k")
		h.claim("a")
		h.pass(50 * time.Second)
		equal(h, false)(h.s.HeartbeatJob(h.ctx, j.ID, "a", time.Minute, []byte("p")))
		h.pass(50 * time.Second)
		notFound[store.Job](h)(h.s.ClaimJob(h.ctx, "b", jobKinds, time.Minute))
		h.pass(20 * time.Second)
		if got := h.claim("b"); got.ID != j.ID || got.Attempts != 2 || string(got.Progress) != "p" {
			h.Fatalf("taken over %+v", got)
		}
		_, err := h.s.HeartbeatJob(h.ctx, j.ID, "a", time.Minute, nil)
		h.is(err, store.ErrLeaseLost)
		h.is(h.s.FinishJob(h.ctx, j.ID, "a", store.JobDone, nil, ""), store.ErrLeaseLost)
		h.is(h.s.RetryJob(h.ctx, j.ID, "a", base, ""), store.ErrLeaseLost)
		h.state(j.ID, store.JobRunning)
	}},
	{"is put back for later", func(h *suite) {
		j := h.enqueue("t", "scan", "k")
		h.claim("a")
		h.must(h.s.RetryJob(h.ctx, j.ID, "a", j.RunAt.Add(time.Hour), "busy"))
		if got := h.state(j.ID, store.JobQueued); got.Error != "busy" || got.Holder != "" {
			h.Fatalf("put back %+v", got)
		}
		notFound[store.Job](h)(h.s.ClaimJob(h.ctx, "a", jobKinds, time.Minute))
		h.pass(2 * time.Hour)
		if got := h.claim("b"); got.ID != j.ID || got.Attempts != 2 {
			h.Fatalf("claimed %+v", got)
		}
	}},
	{"is cancelled at once or asked to stop", func(h *suite) {
		queued := h.enqueue("t", "scan", "1")
		h.must(h.s.CancelJob(h.ctx, queued.ID))
		h.state(queued.ID, store.JobCancelled)
		running := h.enqueue("t", "scan", "2")
		h.claim("a")
		h.must(h.s.CancelJob(h.ctx, running.ID))
		h.state(running.ID, store.JobRunning)
		equal(h, true)(h.s.HeartbeatJob(h.ctx, running.ID, "a", time.Minute, nil))
		h.must(h.s.FinishJob(h.ctx, running.ID, "a", store.JobCancelled, nil, ""))
		h.must(h.s.CancelJob(h.ctx, running.ID))
		retried := h.enqueue("t", "scan", "3")
		h.claim("a")
		h.must(h.s.CancelJob(h.ctx, retried.ID))
		h.must(h.s.RetryJob(h.ctx, retried.ID, "a", base, "x"))
		h.state(retried.ID, store.JobCancelled)
		notFound[store.Job](h)(h.s.ClaimJob(h.ctx, "a", jobKinds, time.Minute))
	}},
	{"tells a missing job from a lost one", func(h *suite) {
		h.is(h.s.CancelJob(h.ctx, 999), store.ErrNotFound)
		h.is(h.s.FinishJob(h.ctx, 999, "a", store.JobDone, nil, ""), store.ErrNotFound)
		h.is(h.s.RetryJob(h.ctx, 999, "a", base, ""), store.ErrNotFound)
		_, err := h.s.HeartbeatJob(h.ctx, 999, "a", time.Minute, nil)
		h.is(err, store.ErrNotFound)
		notFound[store.Job](h)(h.s.Job(h.ctx, 999))
		j := h.enqueue("t", "scan", "k")
		h.is(h.s.FinishJob(h.ctx, j.ID, "a", store.JobDone, nil, ""), store.ErrLeaseLost)
		if err := h.s.FinishJob(h.ctx, j.ID, "a", store.JobQueued, nil, ""); err == nil {
			h.Fatal("finished as queued")
		}
	}},
	{"is listed newest first", func(h *suite) {
		var want []int64
		for i := range 5 {
			j := h.enqueue([]string{"t", "u"}[i%2], "scan", fmt.Sprint(i))
			want = append([]int64{j.ID}, want...)
		}
		equal(h, want)(jobIDs(h.s.Jobs(h.ctx, "", 10)))
		equal(h, want[:2])(jobIDs(h.s.Jobs(h.ctx, "", 2)))
		equal(h, []int64{want[1], want[3]})(jobIDs(h.s.Jobs(h.ctx, "u", 10)))
	}},
	{"is claimed once by many workers", func(h *suite) {
		const jobs = 120
		for i := range jobs {
			h.enqueue("t", "scan", fmt.Sprint(i))
		}
		var mu sync.Mutex
		claims := make(map[int64]int)
		errs := together(16, func(worker int) error {
			for {
				j, err := h.s.ClaimJob(h.ctx, fmt.Sprint("w", worker), jobKinds, time.Minute)
				if errors.Is(err, store.ErrNotFound) {
					return nil
				}
				if err != nil {
					return err
				}
				mu.Lock()
				claims[j.ID]++
				mu.Unlock()
				if err := h.s.FinishJob(h.ctx, j.ID, fmt.Sprint("w", worker), store.JobDone, nil, ""); err != nil {
					return err
				}
			}
		})
		h.must(errors.Join(errs...))
		h.drain(claims)
		if len(claims) != jobs {
			h.Fatalf("%d of %d jobs claimed", len(claims), jobs)
		}
		for id, n := range claims {
			if n != 1 {
				h.Fatalf("job %d was claimed %d times", id, n)
			}
		}
	}},
}

// drain claims what is left: a worker may find nothing while another's claim
// of the last job is under way, but never while a job is free.
func (h *suite) drain(claims map[int64]int) {
	h.Helper()
	for {
		j, err := h.s.ClaimJob(context.WithoutCancel(h.ctx), "last", jobKinds, time.Minute)
		if errors.Is(err, store.ErrNotFound) {
			return
		}
		h.must(err)
		claims[j.ID]++
	}
}

func jobIDs(jobs []*store.Job, err error) ([]int64, error) {
	list := []int64{}
	for _, j := range jobs {
		list = append(list, j.ID)
	}
	return list, err
}
