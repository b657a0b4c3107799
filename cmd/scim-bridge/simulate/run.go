package simulate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// cleanUpMost bounds the removal of what a run created, also after it was
// interrupted.
const cleanUpMost = 2 * time.Minute

// simulation is one run.
type simulation struct {
	Options
	client idp.Client
	traits idp.Traits
	http   *http.Client

	// people and groups are the cast, and behind it whoever else the run made.
	people []*person
	groups []*group
	// broken says why nothing more can be played; "" while it can.
	broken string

	mu     sync.Mutex
	report *Report
	// current is the step that is played.
	current *Step
	// ids are those of all that was created, by type and id.
	ids map[string]bool
	// cycle is how long the simulation waits until the client's next cycle.
	cycle time.Duration
	// held is what the current step was not played for: an answer 429 that is to
	// last longer than the simulation waits. "": there was none.
	held        string
	done, total int
}

// person is one of the run's people.
type person struct {
	idp.Person
	// id is "" until the server gave one for this very person.
	id string
	// tried is set when a create was sent, gone when the person was deleted.
	tried, gone bool
	// disabled is set while the server has accepted that the person is disabled.
	disabled bool
}

// group is one of the run's groups; members are the ids of who is in it.
type group struct {
	idp.Group
	id          string
	tried, gone bool
	members     map[string]bool
}

// Run plays a client against a server and reports. The error says which option
// cannot be used, and there is no report then; or it is the context's, and the
// report has what was played until then. What the run created is removed in
// either case, unless Keep is set. A server that misbehaves is no error: the
// report says how.
func Run(ctx context.Context, o Options) (*Report, error) {
	s, err := prepare(o)
	if err != nil {
		return nil, err
	}
	defer s.http.CloseIdleConnections()
	started := s.Now()
	s.report.Started = started.UTC().Truncate(time.Second)
	s.playAll(ctx)
	interrupted := ctx.Err() // the clean-up is no part of what can be interrupted
	s.report.Interrupted = interrupted != nil
	cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpMost)
	defer cancel()
	s.cleanUp(cleaning)
	s.report.Millis = s.Now().Sub(started).Milliseconds()
	s.report.Verdict = s.verdict()
	return s.report, interrupted
}

// prepare completes the options and makes a run of them.
func prepare(o Options) (*simulation, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	client, err := idp.New(o.Client, o.Mode)
	if err != nil {
		return nil, err
	}
	if o.Name == "" {
		o.Name = strings.ToLower(rand.Text()[:6])
	}
	return newSimulation(o, client), nil
}

// playAll plays every step but the clean-up.
func (s *simulation) playAll(ctx context.Context) {
	for _, st := range s.steps() {
		s.play(ctx, st)
	}
}

// verdict is that of the run.
func (s *simulation) verdict() Verdict {
	v := OK
	if s.report.Interrupted {
		v = Interrupted
	}
	for _, st := range s.report.Steps {
		switch st.Verdict {
		case Failed:
			return Failed
		case Interrupted:
			v = Interrupted
		}
	}
	return v
}

func newSimulation(o Options, client idp.Client) *simulation {
	s := &simulation{
		Options: o, client: client, traits: client.Traits(), http: httpClient(o.HTTP), ids: map[string]bool{},
		report: &Report{
			Format: 1, Version: o.Version, Client: o.Client, Mode: o.Mode, BaseURL: o.BaseURL, Name: o.Name, Users: o.Users, Groups: o.Groups,
			Statuses: map[string]int{},
		},
	}
	s.cast()
	return s
}

// httpClient is a copy of the given client, or a new one, that follows no
// redirect: it would take the token along.
func httpClient(given *http.Client) *http.Client {
	var c http.Client
	if given != nil {
		c = *given
	} else {
		c.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: 256 << 10, MaxIdleConnsPerHost: 64,
			TLSHandshakeTimeout: 15 * time.Second, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true,
		}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Jar = nil
	return &c
}

// wasInterrupted is the reason of what was not played because of that.
const wasInterrupted = "the run was interrupted"

// step is a part of the run. It returns a *skip where there is nothing to play.
type step struct {
	name, title string
	// parts is how much of the progress it is. 0: 1.
	parts int
	run   func(context.Context) error
}

// skip says why a step was not played.
type skip struct{ reason string }

func (s *skip) Error() string { return s.reason }

func skipf(format string, args ...any) error { return &skip{fmt.Sprintf(format, args...)} }

// steps are the run, in its order.
func (s *simulation) steps() []step {
	name := s.client.Name()
	all := []step{
		{"connection", name + " tests the connection", 0, s.connection},
		{"credential", "a wrong token is refused", 0, s.credential},
		{"schemas", "the schemas are read", 0, s.schemas},
		{"create", fmt.Sprintf("%d people are looked up and created", s.Users), s.Users, s.create},
		{"find", "they are found again", 0, s.find},
		{"duplicate", "a create is sent a second time", 0, s.duplicate},
		{"import", "people are read, page by page", 0, s.importPeople},
		{"update", "a person gets another family name", 0, s.update},
		{"rename", "a person gets another user name", 0, s.rename},
		{"attributes", "attributes as only this client sends them", 0, s.attributes},
		{"groups", fmt.Sprintf("%d groups are looked up and created", s.Groups), s.Groups, s.createGroups},
		{"members", "members come and go, and the group is renamed", 0, s.members},
		{"parallel", fmt.Sprintf("%d changes of members at once, twice", s.Parallel), 2 * s.Parallel, s.parallel},
		{"group-import", "groups are read, page by page", 0, s.importGroups},
		{"disable", "a person is disabled", 0, s.disable},
		{"restore", "the person comes back", 0, s.restore},
		{"unknown", "an id that nobody has is read", 0, s.unknown},
		{"delete", "what is to go is deleted", 0, s.remove},
	}
	for i := range all {
		all[i].parts = max(1, all[i].parts)
		s.total += all[i].parts
	}
	s.total += s.Users + s.Groups
	return all
}

// play plays one step and puts it into the report.
func (s *simulation) play(ctx context.Context, st step) {
	before := s.done
	s.begin(st.name, st.title)
	began := s.Now()
	var err error
	switch {
	case ctx.Err() != nil:
		err = skipf(wasInterrupted)
	case s.broken != "":
		err = skipf("%s", s.broken)
	default:
		err = st.run(ctx)
		if ctx.Err() != nil {
			err = ctx.Err() // what a step says of itself then is of no use
		} else if _, skips := errors.AsType[*skip](err); s.held != "" && (err == nil || skips) {
			err = &cut{s.held}
		}
	}
	s.end(err, s.Now().Sub(began))
	s.tick(st.title, before+st.parts-s.done)
}

// begin makes a step the current one.
func (s *simulation) begin(name, title string) {
	s.report.Steps = append(s.report.Steps, Step{Name: name, Title: title, Verdict: OK})
	s.current = &s.report.Steps[len(s.report.Steps)-1]
	s.held = ""
	s.tick(title, 0)
}

// cut says why a step was not played to its end.
type cut struct{ reason string }

func (c *cut) Error() string { return c.reason }

// end settles the current step. An error that is no *skip is a fault that ends
// what is played of the step, and is a failure.
func (s *simulation) end(err error, took time.Duration) {
	c := s.current
	c.Millis = took.Milliseconds()
	skipped, skips := errors.AsType[*skip](err)
	short, isCut := errors.AsType[*cut](err)
	switch {
	case skips:
		c.Reason = s.quote(skipped.reason)
		if len(c.Checks) == 0 {
			c.Verdict = Skipped
		}
	case isCut:
		c.Verdict, c.Reason = Interrupted, s.quote(short.reason)
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		c.Verdict, c.Reason = Interrupted, wasInterrupted
	case err != nil:
		c.Verdict, c.Reason = Failed, s.quote(err.Error())
	}
	for _, check := range c.Checks {
		if check.Verdict == Failed {
			c.Verdict = Failed
		}
	}
}

// tick says that n more parts are done.
func (s *simulation) tick(title string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done += n
	if s.Progress != nil {
		s.Progress(Progress{Step: title, Done: s.done, Total: s.total})
	}
}

// expect records whether an expectation was met in the current step. got says
// what came instead. The result is ok.
func (s *simulation) expect(e *expectation, ok bool, a *answer, got string, args ...any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := -1
	for n := range s.current.Checks {
		if s.current.Checks[n].Name == e.name {
			i = n
		}
	}
	if i < 0 {
		s.current.Checks = append(s.current.Checks, Check{
			Name: e.name, What: e.what, Verdict: OK, Why: e.reason(s.Client), Source: e.source,
		})
		i = len(s.current.Checks) - 1
	}
	c := &s.current.Checks[i]
	c.Times++
	if ok {
		return true
	}
	c.Failures++
	if c.Verdict == Failed {
		return false
	}
	c.Verdict, c.Got = Failed, s.quote(fmt.Sprintf(got, args...))
	if a != nil {
		c.Request, c.Sent = s.clean(a.request.Label()), s.quote(sent(a.request.Body))
	}
	return false
}
