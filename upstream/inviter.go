package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// InviterOptions configure an Inviter.
type InviterOptions struct {
	Client      *Client       // required; its Limiter paces the batches
	Window      time.Duration // how long a batch waits for company; 0: 20 ms
	MaxBatch    int           // people per call; 0: 100, which is also the most
	MaxInFlight int           // batches being sent at once; 0: 4
	// Deadline bounds a batch from the moment it is sent until everybody in it has an outcome. 0: 20 s.
	Deadline time.Duration
	// Observe is called after each batch, from the batch's goroutine; it must not block. nil: none.
	Observe func(Batch)
}

// Batch describes one finished batch, for metrics.
type Batch struct {
	People   int           // people sent
	Calls    int           // invite_users calls that it took: more than one when a batch was split
	Resolved int           // people read back after a lost answer
	Waited   time.Duration // from the first person's arrival until sending
	Duration time.Duration // from sending until everybody had an outcome
	Err      error         // of the first call; nil when it was answered
}

// Inviter joins concurrent invites to the same organizations into few invite_users calls. A batch leaves when the
// limiter has a slot free and either its window has passed or it is full; while it waits for a slot it takes in more
// people. It is safe for concurrent use.
type Inviter struct {
	o        InviterOptions
	inFlight chan struct{}
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	ended  chan struct{}       // closed by Close: windows do not last any longer
	open   map[string][]*batch // by organizations, oldest first; batches that can still take people in
}

// batch is a group of people that is sent in one call. mu of the Inviter guards it until it is sealed.
type batch struct {
	key    string
	orgIDs []int64
	born   time.Time
	wait   context.Context // ends when everybody has left before sending
	cancel context.CancelFunc
	full   chan struct{} // closed when nobody fits in any more
	people []*guest
	sealed bool
}

// guest is one person in a batch and the caller who waits for the outcome.
type guest struct {
	user    InviteUser
	email   string // folded
	outcome chan outcome
	counts  counts // of the caller
}

type outcome struct {
	result InviteResult
	err    error
}

// errLeft and errClosed are the causes of invites that were never sent.
var (
	errLeft   = errors.New("the caller left before the invite was sent")
	errClosed = errors.New("the inviter is closed")
)

// NewInviter makes an Inviter for one client, and so for one credential.
func NewInviter(o InviterOptions) *Inviter {
	if o.Client == nil {
		panic("upstream: NewInviter: Client is required")
	}
	if o.Window <= 0 {
		o.Window = 20 * time.Millisecond
	}
	if o.MaxBatch <= 0 || o.MaxBatch > maxInvites {
		o.MaxBatch = maxInvites
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = 4
	}
	if o.Deadline <= 0 {
		o.Deadline = 20 * time.Second
	}
	if o.Observe == nil {
		o.Observe = func(Batch) {}
	}
	return &Inviter{o: o, inFlight: make(chan struct{}, o.MaxInFlight), ended: make(chan struct{}), open: map[string][]*batch{}}
}

// Invite invites one person together with whoever else is being invited to the same organizations, in any order.
// A rejected person's error is the result's Error. When ctx ends before the batch is sent the person is taken out and
// the error is Unavailable; after that the batch goes on and the error is Ambiguous.
func (i *Inviter) Invite(ctx context.Context, u InviteUser, orgIDs []int64) (InviteResult, error) {
	const operation = "invite_users"
	if u.Email == "" {
		return InviteResult{}, misuse(operation, "Email", "no e-mail given")
	}
	if len(orgIDs) == 0 {
		return InviteResult{}, misuse(operation, "OrganizationIds", "no organization given")
	}
	if ctx.Err() != nil {
		return InviteResult{}, neverSent(context.Cause(ctx))
	}
	if err := i.pausedBeyond(ctx); err != nil {
		return InviteResult{}, err
	}
	g := &guest{user: u, email: fold(u.Email), outcome: make(chan outcome, 1), counts: countsOf(ctx)}
	b, err := i.join(g, orgIDs)
	if err != nil {
		return InviteResult{}, err
	}
	select {
	case out := <-g.outcome:
		return out.result, out.err
	case <-ctx.Done():
	}
	if i.leave(b, g) {
		return InviteResult{}, neverSent(fmt.Errorf("%w: %w", errLeft, context.Cause(ctx)))
	}
	select {
	case out := <-g.outcome: // it arrived at the last moment
		return out.result, out.err
	default:
	}
	return InviteResult{}, &Error{Operation: operation, Kind: Ambiguous, Err: fmt.Errorf("the caller left while the invite was being sent: %w", context.Cause(ctx))}
}

// Close refuses new invites, sends what waits at once, and returns when every batch has its outcome.
func (i *Inviter) Close() {
	i.mu.Lock()
	if !i.closed {
		i.closed = true
		close(i.ended)
	}
	i.mu.Unlock()
	i.running.Wait()
}

func neverSent(cause error) *Error {
	return &Error{Operation: "invite_users", Kind: Unavailable, Err: cause}
}

// fold is how e-mail addresses are compared inside a batch. The service compares without case; folding more than it
// does only puts two people into two batches.
func fold(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// pausedBeyond gives the error for a caller whose deadline ends before the pause that the service asked for.
func (i *Inviter) pausedBeyond(ctx context.Context) error {
	limiter := i.o.Client.opts.Limiter
	if limiter == nil {
		return nil
	}
	if left := limiter.paused(); left > 0 && tooLate(ctx, left) {
		return &Error{Operation: "invite_users", Kind: RateLimited, RetryAfter: left, Err: &WaitError{After: left, Paused: true}}
	}
	return nil
}

// join puts g into the oldest open batch for the organizations that has room and nobody with the same e-mail, in a new
// one when there is none.
func (i *Inviter) join(g *guest, orgIDs []int64) (*batch, error) {
	key := fmt.Sprint(orgIDs) // in their order, which may choose a new account's default organization
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, neverSent(errClosed)
	}
	for _, b := range i.open[key] {
		if len(b.people) < i.o.MaxBatch && !slices.ContainsFunc(b.people, func(o *guest) bool { return o.email == g.email }) {
			b.people = append(b.people, g)
			if len(b.people) == i.o.MaxBatch {
				close(b.full)
			}
			return b, nil
		}
	}
	b := &batch{key: key, orgIDs: slices.Clone(orgIDs), born: time.Now(), full: make(chan struct{}), people: []*guest{g}}
	b.wait, b.cancel = context.WithCancel(context.Background())
	if i.o.MaxBatch == 1 {
		close(b.full)
	}
	i.open[key] = append(i.open[key], b)
	i.running.Go(func() { i.run(b) })
	return b, nil
}

// leave takes g out of b; false when b was already sent.
func (i *Inviter) leave(b *batch, g *guest) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if b.sealed {
		return false
	}
	b.people = slices.DeleteFunc(b.people, func(o *guest) bool { return o == g })
	if len(b.people) == 0 {
		i.seal(b)
		b.cancel()
	}
	return true
}

// seal closes b to everybody; mu is held.
func (i *Inviter) seal(b *batch) {
	b.sealed = true
	rest := slices.DeleteFunc(i.open[b.key], func(o *batch) bool { return o == b })
	if len(rest) == 0 {
		delete(i.open, b.key)
	} else {
		i.open[b.key] = rest
	}
}

// run waits until b may leave, and sends it.
func (i *Inviter) run(b *batch) {
	defer b.cancel()
	window := time.NewTimer(i.o.Window)
	defer window.Stop()
	select {
	case <-window.C:
	case <-b.full:
	case <-i.ended:
	case <-b.wait.Done():
		return
	}
	select {
	case i.inFlight <- struct{}{}:
		defer func() { <-i.inFlight }()
	case <-b.wait.Done():
		return
	}
	if limiter := i.o.Client.opts.Limiter; limiter != nil {
		// Without a deadline: each caller leaves at its own. When all have left, wait ends.
		if limiter.Wait(b.wait) != nil {
			return
		}
	}
	i.mu.Lock()
	if b.sealed { // everybody left while the slot was being taken
		i.mu.Unlock()
		return
	}
	i.seal(b)
	i.mu.Unlock()
	i.send(b)
}
