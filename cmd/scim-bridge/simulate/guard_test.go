package simulate

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// refusing answers what which picks by 429, for as long as retryAfter says.
func refusing(retryAfter string, which func(*http.Request) bool) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		if !which(r) {
			return nil
		}
		h := http.Header{"Content-Type": {"application/scim+json"}, "Retry-After": {retryAfter}}
		return canned(429, h, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"429","detail":"held by the guard"}`)
	}
}

func deletes(r *http.Request) bool { return r.Method == http.MethodDelete }

func stepOf(t *testing.T, r *Report, name string) Step {
	t.Helper()
	i := slices.IndexFunc(r.Steps, func(st Step) bool { return st.Name == name })
	if i < 0 {
		t.Fatalf("there is no step %q", name)
	}
	return r.Steps[i]
}

// A guard that holds changes for an hour is waited for once in a step, and not
// at all when the time for the clean-up ends before it; nothing is ok that was
// not played.
func TestAGuardIsNotWaitedForAgainAndAgain(t *testing.T) {
	t.Parallel()
	f := &fake{}
	f.answer = refusing("3000", func(r *http.Request) bool {
		return deletes(r) || r.Method != http.MethodGet && strings.Contains(bodyOf(r), `"active":false`)
	})
	o := options(f, "okta", "")
	var mu sync.Mutex
	waits := 0
	o.Wait = func(context.Context, time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		waits++
		return nil
	}
	r := run(t, o)
	if waits > 2 { // the steps disable and delete
		t.Errorf("waited %d times", waits)
	}
	if got := failures(r); len(got) > 0 {
		t.Errorf("%q: that it is held for longer than the run waits is no fault", got)
	}
	for name, want := range map[string]Verdict{"disable": Interrupted, "restore": Skipped, "delete": Interrupted, "clean-up": Skipped} {
		if st := stepOf(t, r, name); st.Verdict != want || st.Reason == "" {
			t.Errorf("%s: %s %q, want %s", name, st.Verdict, st.Reason, want)
		}
	}
	if r.Verdict != Interrupted || !strings.HasPrefix(r.Summary(), "interrupted: ") {
		t.Errorf("%s: %s", r.Verdict, r.Summary())
	}
	for _, l := range r.Left {
		if !strings.Contains(l.Reason, "held by the guard") {
			t.Errorf("%+v", l)
		}
	}
	if len(r.Left) != len(f.names()) {
		t.Errorf("listed %v, there are %v", r.Left, f.names())
	}
}

// When the time of the clean-up is over, what was removed is not listed, and
// what was refused keeps the reason.
func TestCleanUpOutOfTime(t *testing.T) {
	t.Parallel()
	f := &fake{}
	o := options(f, "okta", "")
	o.Users = 30
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	removed := 0
	held := refusing("5", deletes)
	f.answer = func(r *http.Request) *http.Response {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPatch {
			cancel()
		}
		switch {
		case r.Context().Err() != nil:
			return new(http.Response) // no answer
		case !deletes(r):
			return nil
		}
		if removed++; removed > 10 {
			return held(r)
		}
		return nil
	}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	cleaning, end := context.WithCancel(t.Context())
	defer end()
	o.Wait = func(context.Context, time.Duration) error {
		end() // and the delete is sent once more
		return nil
	}
	s := played(t, ctx, o)
	s.cleanUp(cleaning)
	r := s.report
	there := f.names()
	if len(there) == 0 || len(there) >= 30 {
		t.Fatalf("%d are there", len(there))
	}
	reasons := map[string]int{}
	for _, l := range r.Left {
		if !slices.Contains(there, l.Name) {
			t.Errorf("%+v was removed", l)
		}
		reasons[l.Reason]++
	}
	if len(r.Left) != len(there) || reasons["DELETE answered 429: held by the guard"] == 0 || reasons["there was no time left"] == 0 {
		t.Errorf("%d are there, listed are %v", len(there), reasons)
	}
	if st := stepOf(t, r, "clean-up"); st.Verdict != Interrupted {
		t.Errorf("%+v", st)
	}
}

// played plays the steps of a run without its clean-up.
func played(t *testing.T, ctx context.Context, o Options) *simulation {
	t.Helper()
	s, err := prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	s.playAll(ctx)
	return s
}

// An interrupted run is not ok, and neither is the step that it was in.
func TestAnInterruptedRunIsNotOK(t *testing.T) {
	t.Parallel()
	f := &fake{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.answer = func(r *http.Request) *http.Response {
		if r.Method == http.MethodPut {
			cancel()
		}
		return nil
	}
	r, err := Run(ctx, options(f, "okta", ""))
	if err == nil || r.Verdict != Interrupted || !r.Interrupted {
		t.Errorf("%v, %s", err, r.Summary())
	}
	if got := failures(r); len(got) > 0 {
		t.Errorf("%q", got)
	}
	verdicts := map[Verdict]int{}
	for _, st := range r.Steps {
		verdicts[st.Verdict]++
	}
	if verdicts[Interrupted] != 1 || verdicts[Skipped] < 5 {
		t.Errorf("%v", verdicts)
	}
	all := text(t, r)
	if n := strings.Count(all, "the run was interrupted"); n != 3 { // its step, those that follow, the summary
		t.Errorf("said %d times\n%s", n, all)
	}
	if strings.Contains(all, `(id "")`) {
		t.Error(all)
	}
}
