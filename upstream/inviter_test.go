package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
)

// inviteService is a small invite_users and list_invites. Fields are set before use.
type inviteService struct {
	latency time.Duration
	// refuse answers the call as a whole; nil or a zero reply: it is carried out.
	refuse func(call int, emails []string) reply
	// loses carries the call out and drops the answer.
	loses  func(call int) bool
	hidden int // list_invites calls that do not show fresh invites yet

	mu      sync.Mutex
	batches [][]string
	reads   []string
	pending []string // e-mails, as sent
	orgs    string
	inAir   int
	most    int
}

func (s *inviteService) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == "GET" {
		return s.list(r)
	}
	var body struct {
		Users           []struct{ Email string }
		OrganizationIDs []int64 `json:"OrganizationIds"`
	}
	if err := json.UnmarshalRead(r.Body, &body); err != nil {
		return nil, err
	}
	var emails, results []string
	for _, u := range body.Users {
		emails = append(emails, u.Email)
		results = append(results, fmt.Sprintf(`{"Email":%q,"Status":"invited","InviteId":%q}`, u.Email, inviteIDOf(u.Email)))
		if strings.HasPrefix(u.Email, "rejected") {
			results[len(results)-1] = fmt.Sprintf(`{"Email":%q,"Status":"rejected","Error":{"code":"invalid_field","message":"no","field":"Email"}}`, u.Email)
		}
	}
	s.mu.Lock()
	s.batches = append(s.batches, emails)
	call := len(s.batches)
	s.inAir++
	s.most = max(s.most, s.inAir)
	s.mu.Unlock()
	time.Sleep(s.latency)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inAir--
	if s.refuse != nil {
		if a := s.refuse(call, emails); a != (reply{}) {
			return a.response(r)
		}
	}
	s.pending = append(s.pending, emails...)
	s.orgs = strings.ReplaceAll(fmt.Sprint(body.OrganizationIDs), " ", ",")
	if s.loses != nil && s.loses(call) {
		return nil, &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	}
	return reply{status: 200, body: `{"Results":[` + strings.Join(results, ",") + `]}`}.response(r)
}

func (s *inviteService) list(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = append(s.reads, r.URL.RawQuery)
	var invites []string
	if s.hidden--; s.hidden < 0 {
		for _, email := range s.pending {
			if want := r.URL.Query().Get("email"); want == "" || strings.EqualFold(want, email) {
				invites = append(invites, fmt.Sprintf(`{"Id":%q,"Email":%q,"State":"pending","OrganizationIds":%s,"UserId":77}`, inviteIDOf(email), strings.ToUpper(email), s.orgs))
			}
		}
	}
	return reply{status: 200, body: fmt.Sprintf(`{"Invites":[%s],"Page":1,"PageSize":200,"Total":%d}`, strings.Join(invites, ","), len(invites))}.response(r)
}

func inviteIDOf(email string) string {
	return "inv_" + strings.NewReplacer("@", "_", ".", "_").Replace(strings.ToLower(email))
}

type outcomes struct {
	sync.WaitGroup
	mu   sync.Mutex
	got  map[string]outcome
	list []Batch
}

func (o *outcomes) invite(ctx context.Context, i *Inviter, email string, orgs ...int64) {
	o.Go(func() {
		r, err := i.Invite(ctx, InviteUser{Email: email}, orgs)
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.got == nil {
			o.got = map[string]outcome{}
		}
		o.got[email] = outcome{r, err}
	})
}

// inBubble runs f with an inviter over s and closes it afterwards.
func inBubble(t *testing.T, s *inviteService, change func(*Options, *InviterOptions), f func(*testing.T, *Inviter, *outcomes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := &outcomes{}
		io := InviterOptions{Observe: func(b Batch) { o.mu.Lock(); o.list = append(o.list, b); o.mu.Unlock() }}
		io.Client = newTestClient(t, s, func(co *Options) {
			if change != nil {
				change(co, &io)
			}
		})
		i := NewInviter(io)
		defer i.Close()
		f(t, i, o)
	})
}

func person(n int) string { return fmt.Sprintf("p%03d@x.test", n) }

func TestInvitesShareACallWithinTheWindow(t *testing.T) {
	s := &inviteService{latency: 80 * time.Millisecond}
	inBubble(t, s, nil, func(t *testing.T, i *Inviter, o *outcomes) {
		start := time.Now()
		for n := range 30 {
			o.invite(t.Context(), i, person(n), 113, 114)
			synctest.Wait()
		}
		time.Sleep(19 * time.Millisecond)
		o.invite(t.Context(), i, person(30), 113, 114)
		synctest.Wait()
		time.Sleep(2 * time.Millisecond) // the window has passed
		o.invite(t.Context(), i, person(31), 113, 114)
		o.Wait()
		if len(s.batches) != 2 || len(s.batches[0]) != 31 || len(s.batches[1]) != 1 {
			t.Fatalf("batches = %v", s.batches)
		}
		for email, out := range o.got {
			if out.err != nil || out.result.InviteID != inviteIDOf(email) || out.result.Status != Invited {
				t.Errorf("%s: %+v", email, out)
			}
		}
		if took := time.Since(start); took != 121*time.Millisecond {
			t.Errorf("took %s, want 21 ms + 20 ms + 80 ms", took)
		}
		synctest.Wait()
		if b := o.list[0]; b.People != 31 || b.Calls != 1 || b.Waited != 20*time.Millisecond || b.Duration != 80*time.Millisecond || b.Err != nil {
			t.Errorf("observed %+v", b)
		}
	})
}

func TestFullBatchLeavesAtOnce(t *testing.T) {
	s := &inviteService{latency: 80 * time.Millisecond}
	inBubble(t, s, nil, func(t *testing.T, i *Inviter, o *outcomes) {
		start := time.Now()
		for n := range 250 {
			o.invite(t.Context(), i, person(n), 113)
		}
		o.Wait()
		sizes := []int{}
		for _, b := range s.batches {
			sizes = append(sizes, len(b))
		}
		slices.Sort(sizes)
		if !slices.Equal(sizes, []int{50, 100, 100}) {
			t.Errorf("batches of %v", sizes)
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("took %s, want the window and the latency", took)
		}
	})
}

func TestBatchesAreByOrganizations(t *testing.T) {
	s := &inviteService{}
	inBubble(t, s, nil, func(t *testing.T, i *Inviter, o *outcomes) {
		o.invite(t.Context(), i, "a@x.test", 113)
		o.invite(t.Context(), i, "b@x.test", 113, 114)
		o.invite(t.Context(), i, "c@x.test", 113)
		o.invite(t.Context(), i, "d@x.test", 114, 113) // another default organization
		o.Wait()
		if len(s.batches) != 3 {
			t.Errorf("batches = %v, want 3", s.batches)
		}
	})
}

func TestBatchWaitsForTheLimiterAndGrowsMeanwhile(t *testing.T) {
	s := &inviteService{}
	inBubble(t, s, func(o *Options, _ *InviterOptions) { o.Limiter = NewLimiter(1, 1) }, func(t *testing.T, i *Inviter, o *outcomes) {
		o.invite(t.Context(), i, person(0), 113)
		o.Wait() // takes the only slot
		for n := 1; n <= 9; n++ {
			o.invite(t.Context(), i, person(n), 113)
			time.Sleep(100 * time.Millisecond)
		}
		o.Wait()
		if len(s.batches) != 2 || len(s.batches[1]) != 9 {
			t.Errorf("batches = %v, want everybody who came while no slot was free in the second", s.batches)
		}
	})
}

func TestOnlySoManyBatchesAreInFlight(t *testing.T) {
	s := &inviteService{latency: time.Second}
	inBubble(t, s, func(_ *Options, io *InviterOptions) { io.MaxBatch = 1; io.MaxInFlight = 2 }, func(t *testing.T, i *Inviter, o *outcomes) {
		for n := range 6 {
			o.invite(t.Context(), i, person(n), 113)
		}
		o.Wait()
		if s.most != 2 || len(s.batches) != 6 {
			t.Errorf("%d at once, %d calls; want 2, 6", s.most, len(s.batches))
		}
	})
}

func TestSameEmailIsNeverTwiceInABatch(t *testing.T) {
	s := &inviteService{}
	inBubble(t, s, nil, func(t *testing.T, i *Inviter, o *outcomes) {
		for _, email := range []string{"Jamie@x.test", "jamie@X.test", "JAMIE@x.test ", "other@x.test"} {
			o.invite(t.Context(), i, email, 113)
			synctest.Wait()
		}
		o.Wait()
		if len(s.batches) != 3 {
			t.Fatalf("batches = %v, want 3", s.batches)
		}
		for _, b := range s.batches {
			seen := map[string]bool{}
			for _, email := range b {
				if seen[fold(email)] {
					t.Errorf("twice in %v", b)
				}
				seen[fold(email)] = true
			}
		}
	})
}

func TestCallersWhoLeave(t *testing.T) {
	s := &inviteService{latency: time.Second}
	inBubble(t, s, nil, func(t *testing.T, i *Inviter, o *outcomes) {
		early, leaveEarly := context.WithCancel(t.Context())
		late, leaveLate := context.WithCancel(t.Context())
		defer leaveLate()
		o.invite(early, i, "early@x.test", 113)
		o.invite(late, i, "late@x.test", 113)
		o.invite(t.Context(), i, "stays@x.test", 113)
		synctest.Wait()
		leaveEarly()
		time.Sleep(500 * time.Millisecond)
		leaveLate()
		o.Wait()
		if len(s.batches) != 1 || len(s.batches[0]) != 2 || slices.Contains(s.batches[0], "early@x.test") {
			t.Errorf("batches = %v, want the one who left before it was sent taken out", s.batches)
		}
		for email, want := range map[string]Kind{"early@x.test": Unavailable, "late@x.test": Ambiguous, "stays@x.test": 0} {
			if out := o.got[email]; KindOf(out.err) != want {
				t.Errorf("%s: %v, want %v", email, out.err, want)
			}
		}
		if err := o.got["early@x.test"].err; !errors.Is(err, errLeft) || !errors.Is(err, context.Canceled) {
			t.Errorf("early: %v", err)
		}
	})
}

func TestBatchThatEverybodyLeftIsNotSent(t *testing.T) {
	s := &inviteService{}
	inBubble(t, s, nil, func(t *testing.T, i *Inviter, o *outcomes) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		o.invite(ctx, i, "a@x.test", 113)
		o.invite(ctx, i, "b@x.test", 113)
		o.Wait()
		time.Sleep(time.Second)
		o.invite(t.Context(), i, "c@x.test", 113)
		o.Wait()
		if len(s.batches) != 1 || len(s.batches[0]) != 1 {
			t.Errorf("batches = %v", s.batches)
		}
	})
}

func TestRejectionReachesItsCallerOnly(t *testing.T) {
	s := &inviteService{}
	inBubble(t, s, nil, func(t *testing.T, i *Inviter, o *outcomes) {
		o.invite(t.Context(), i, "good@x.test", 113)
		o.invite(t.Context(), i, "rejected@x.test", 113)
		o.Wait()
		if out := o.got["good@x.test"]; out.err != nil || out.result.Status != Invited {
			t.Errorf("good: %+v", out)
		}
		out := o.got["rejected@x.test"]
		e, ok := errors.AsType[*Error](out.err)
		if out.result.Status != Rejected || !ok || e.Kind != Invalid || e.Field != "Email" || out.result.Error != e {
			t.Errorf("rejected: %+v", out)
		}
	})
}

func TestPoisonIsSingledOut(t *testing.T) {
	poisoned := func(bad ...string) func(int, []string) reply {
		return func(_ int, emails []string) reply {
			if slices.ContainsFunc(emails, func(e string) bool { return slices.Contains(bad, e) }) {
				return reply{status: 422, body: errorJSON("invalid_field")}
			}
			return reply{}
		}
	}
	tests := []struct {
		name      string
		bad       []string
		mostCalls int
	}{
		{"one of a hundred", []string{person(42)}, 15},
		{"two of a hundred", []string{person(0), person(99)}, 27},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &inviteService{refuse: poisoned(tt.bad...)}
			inBubble(t, s, nil, func(t *testing.T, i *Inviter, o *outcomes) {
				for n := range 100 {
					o.invite(t.Context(), i, person(n), 113)
				}
				o.Wait()
				for n := range 100 {
					want := Kind(0)
					if slices.Contains(tt.bad, person(n)) {
						want = Invalid
					}
					if out := o.got[person(n)]; KindOf(out.err) != want {
						t.Errorf("%s: %v, want %v", person(n), out.err, want)
					}
				}
				if len(s.batches) > tt.mostCalls {
					t.Errorf("%d calls, want at most %d", len(s.batches), tt.mostCalls)
				}
				seen := map[string]int{}
				for _, email := range s.pending {
					if seen[email]++; seen[email] > 1 {
						t.Errorf("%s was invited twice", email)
					}
				}
			})
		})
	}
}

func TestBatchOfPoisonStaysBounded(t *testing.T) {
	s := &inviteService{refuse: func(int, []string) reply { return reply{status: 403, body: errorJSON("forbidden")} }}
	inBubble(t, s, nil, func(t *testing.T, i *Inviter, o *outcomes) {
		for n := range 100 {
			o.invite(t.Context(), i, person(n), 113)
		}
		o.Wait()
		if len(s.batches) != maxSplitCalls {
			t.Errorf("%d calls, want %d", len(s.batches), maxSplitCalls)
		}
		for email, out := range o.got {
			if k := KindOf(out.err); k != Forbidden && k != Unavailable {
				t.Errorf("%s: %v", email, out.err)
			}
		}
	})
}

func TestLostAnswerIsReadBack(t *testing.T) {
	tests := []struct {
		name     string
		people   int
		hidden   int
		wantRead int
		want     Kind
	}{
		{"a full batch by pages", 100, 0, 1, 0},
		{"two people by e-mail", 2, 0, 2, 0},
		{"shown only a second later", 100, 1, 2, 0},
		{"not shown in time", 100, 9, 2, Ambiguous},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &inviteService{loses: func(int) bool { return true }, hidden: tt.hidden}
			inBubble(t, s, nil, func(t *testing.T, i *Inviter, o *outcomes) {
				for n := range tt.people {
					o.invite(t.Context(), i, person(n), 113, 114)
				}
				o.Wait()
				for email, out := range o.got {
					if KindOf(out.err) != tt.want {
						t.Fatalf("%s: %v, want %v", email, out.err, tt.want)
					}
					if tt.want == 0 && (!out.result.Resolved || out.result.InviteID != inviteIDOf(email) || out.result.UserID != 77 || out.result.Status != Invited) {
						t.Errorf("%s: %+v", email, out.result)
					}
				}
				if len(s.batches) != 1 || len(s.reads) != tt.wantRead {
					t.Errorf("%d calls and %d reads, want 1 and %d: %q", len(s.batches), len(s.reads), tt.wantRead, s.reads)
				}
				for _, q := range s.reads {
					if !strings.Contains(q, "state=pending") || !strings.Contains(q, "organization_id=113") {
						t.Errorf("read %q", q)
					}
				}
			})
		})
	}
}

func TestInviteThatCoversLessIsNotTheLostOne(t *testing.T) {
	s := &inviteService{refuse: func(int, []string) reply { return reply{status: 502} }, pending: []string{"a@x.test"}, orgs: "[113]"}
	inBubble(t, s, nil, func(t *testing.T, i *Inviter, o *outcomes) {
		o.invite(t.Context(), i, "a@x.test", 113, 114)
		o.Wait()
		if err := o.got["a@x.test"].err; !IsAmbiguous(err) {
			t.Errorf("error = %v, want ambiguous", err)
		}
	})
}

func TestNothingIsReadBackWhenNothingHappened(t *testing.T) {
	for name, a := range map[string]reply{
		"refused connection": {err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}},
		"429 for an hour":    {status: 429, header: "Retry-After: 3600"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &inviteService{refuse: func(int, []string) reply { return a }}
			inBubble(t, s, nil, func(t *testing.T, i *Inviter, o *outcomes) {
				o.invite(t.Context(), i, "a@x.test", 113)
				o.Wait()
				if k := KindOf(o.got["a@x.test"].err); k != Unavailable && k != RateLimited {
					t.Errorf("error = %v", o.got["a@x.test"].err)
				}
				if len(s.reads) != 0 {
					t.Errorf("%d reads", len(s.reads))
				}
			})
		})
	}
}

func TestCallersHearOfALongPauseAtOnce(t *testing.T) {
	s := &inviteService{}
	inBubble(t, s, func(o *Options, _ *InviterOptions) { o.Limiter = NewLimiter(100, 10); o.Limiter.Pause(time.Minute) }, func(t *testing.T, i *Inviter, _ *outcomes) {
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		start := time.Now()
		_, err := i.Invite(ctx, InviteUser{Email: "a@x.test"}, []int64{113})
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != RateLimited || e.RetryAfter != time.Minute || time.Since(start) != 0 {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

func TestCloseSendsWhatWaitsAndRefusesTheRest(t *testing.T) {
	s := &inviteService{latency: time.Second}
	inBubble(t, s, func(_ *Options, io *InviterOptions) { io.Window = time.Hour }, func(t *testing.T, i *Inviter, o *outcomes) {
		o.invite(t.Context(), i, "a@x.test", 113)
		synctest.Wait()
		i.Close()
		i.Close()
		o.Wait()
		if err := o.got["a@x.test"].err; err != nil {
			t.Error(err)
		}
		if _, err := i.Invite(t.Context(), InviteUser{Email: "b@x.test"}, []int64{113}); !errors.Is(err, errClosed) || KindOf(err) != Unavailable {
			t.Errorf("after Close: %v", err)
		}
	})
}

// The budget of onboarding: 5,000 people from 100 connections, 80 ms and 20 calls a second, in at most 5.2 s.
func TestOnboardingStaysWithinItsBudget(t *testing.T) {
	s := &inviteService{latency: 80 * time.Millisecond}
	inBubble(t, s, func(o *Options, _ *InviterOptions) { o.Limiter = NewLimiter(20, 1) }, func(t *testing.T, i *Inviter, _ *outcomes) {
		start := time.Now()
		var connections sync.WaitGroup
		for c := range 100 {
			connections.Go(func() {
				for n := range 50 {
					if _, err := i.Invite(t.Context(), InviteUser{Email: person(c*50 + n)}, []int64{113}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		connections.Wait()
		if took := time.Since(start); took > 5200*time.Millisecond || len(s.batches) > 55 {
			t.Errorf("5,000 people took %s and %d calls", took, len(s.batches))
		} else {
			t.Logf("5,000 people took %s and %d calls", took, len(s.batches))
		}
	})
}
