package play

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options configure Run.
type Options struct {
	// Provider is one of Providers.
	Provider string
	// BaseURL is the bridge's SCIM base URL, without a slash at the end.
	BaseURL string
	// Token is the bearer token that the bridge knows.
	Token string
	// SandboxURL is the address of a sandbox with its side door open.
	SandboxURL string
	// HTTP sends requests. nil: http.DefaultClient.
	HTTP *http.Client
	// Out is where the onboarding is shown.
	Out io.Writer
	// Width is how many columns a line may have. 0: 96.
	Width int
	// Quiet is how long nothing may change upstream until all that follows
	// from the requests is taken to be done: longer than a call to the sandbox
	// takes. 0: half a second.
	Quiet time.Duration
}

// provider makes the requests of one identity provider.
type provider interface {
	name() string
	header(http.Header)
	// test is what the provider sends when an administrator tests the
	// connection.
	test() []request
	find(person) request
	create(person) (request, error)
	// rename sends whatever it takes to give the user p's names.
	rename(ctx context.Context, s *session, id string, p person) error
	setActive(id string, active bool) (request, error)
	findGroup(group) request
	createGroup(group) (request, error)
	// addMembers and removeMember are the requests that a change of the
	// members of the group with the SCIM id takes, in their order.
	addMembers(id string, g group, all []member) ([]request, error)
	removeMember(id string, g group, m member) ([]request, error)
}

func providers() map[string]provider { return map[string]provider{"entra": entra{}, "okta": okta{}} }

// Providers lists what Options.Provider can be.
func Providers() []string { return []string{"okta", "entra"} }

// Run plays the onboarding. The error says why it could not go on; an answer
// that a provider could get is none, it is shown.
func Run(ctx context.Context, o Options) error {
	client, ok := providers()[o.Provider]
	if !ok {
		return fmt.Errorf("unknown provider %q: have %s", o.Provider, strings.Join(Providers(), ", "))
	}
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	if o.Width == 0 {
		o.Width = 96
	}
	if o.Quiet == 0 {
		o.Quiet = 500 * time.Millisecond
	}
	s := newSession(o, client)
	if _, err := s.effects(ctx); err != nil { // what was before is not ours to show
		return err
	}
	w, err := s.look(ctx, nil)
	if err != nil {
		return err
	}
	for _, r := range w.roles {
		s.print.roles[r.ID] = r.Name
	}
	if err := s.onboarding(ctx); err != nil {
		return err
	}
	return s.print.err
}

func newSession(o Options, client provider) *session {
	return &session{
		Options: o, client: client, print: &printer{out: o.Out, width: o.Width, roles: map[int64]string{}},
		ids: map[string]string{}, groupIDs: map[string]string{}, memberOf: map[string]string{},
	}
}

// onboarding is the play: ten people join, one of them twice, and three groups
// give most of them a role; some accept; one is promoted; one marries, leaves
// and comes back.
func (s *session) onboarding(ctx context.Context) error {
	all := people()
	s.print.scene("%s tests the connection", s.client.name())
	if _, err := s.sendAll(ctx, s.client.test()); err != nil {
		return err
	}
	s.print.scene("%s is assigned to the application", all[0].display())
	if err := s.assign(ctx, all[0]); err != nil {
		return err
	}
	s.print.scene("nine colleagues are assigned; %s sends their requests at once", s.client.name())
	if err := s.assignTogether(ctx, all[1:]); err != nil {
		return err
	}
	s.print.scene("an answer was lost: %s sends the same create again", s.client.name())
	again, err := s.client.create(all[1])
	if err != nil {
		return err
	}
	if _, err := s.send(ctx, again); err != nil {
		return err
	}
	if err := s.pushing(ctx); err != nil {
		return err
	}
	s.print.scene("people follow the link in their invite")
	for _, i := range []int{0, 1, 2, 4, 9} {
		if err := s.accept(ctx, all[i]); err != nil {
			return err
		}
	}
	if err := s.promotion(ctx, all[2]); err != nil {
		return err
	}
	if err := s.career(ctx, all[0]); err != nil {
		return err
	}
	return s.outcome(ctx, all)
}

// career renames, disables and enables one person.
func (s *session) career(ctx context.Context, p person) error {
	id := s.ids[p.mail]
	if id == "" {
		return fmt.Errorf("%s could not be created", p.mail)
	}
	p.family = "Okafor-Lind"
	s.print.scene("%s marries: a new family name", p.given)
	if err := s.client.rename(ctx, s, id, p); err != nil {
		return err
	}
	for _, active := range []bool{false, true} {
		if active {
			s.print.scene("%s comes back: enabled", p.given)
		} else {
			s.print.scene("%s goes on leave: disabled", p.given)
		}
		r, err := s.client.setActive(id, active)
		if err != nil {
			return err
		}
		if _, err := s.send(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// assign looks a person up and creates whoever is not there.
func (s *session) assign(ctx context.Context, p person) error {
	got, err := s.send(ctx, s.client.find(p))
	if err != nil {
		return err
	}
	id, err := found(got)
	if err != nil {
		return err
	}
	if id != "" {
		s.ids[p.mail] = id
		s.print.detail("→", p.mail+" was assigned in an earlier run on this data: nothing to create")
		return nil
	}
	r, err := s.client.create(p)
	if err != nil {
		return err
	}
	if got, err = s.send(ctx, r); err != nil {
		return err
	}
	s.ids[p.mail], err = created(got)
	return err
}

// assignTogether is assign for several people at once. What was sent is shown
// in the order of the people, then what arrived upstream.
func (s *session) assignTogether(ctx context.Context, all []person) error {
	before, err := s.calls(ctx)
	if err != nil {
		return err
	}
	type sent struct {
		requests []request
		replies  []reply
		id       string
		there    bool // since an earlier run
		err      error
	}
	results := make([]sent, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() {
			out := &results[i]
			do := func(r request) reply {
				if out.err != nil {
					return reply{}
				}
				var got reply
				got, out.err = s.exchange(ctx, r)
				out.requests, out.replies = append(out.requests, r), append(out.replies, got)
				return got
			}
			got := do(s.client.find(p))
			if out.err != nil {
				return
			}
			out.id, out.err = found(got)
			if out.there = out.id != ""; out.err != nil || out.there {
				return
			}
			r, err := s.client.create(p)
			if out.err = err; err != nil {
				return
			}
			if got = do(r); out.err == nil {
				out.id, out.err = created(got)
			}
		})
	}
	wg.Wait()
	var faults []error
	there := 0
	for n, r := range results {
		s.ids[all[n].mail] = r.id
		if r.there {
			there++
		}
		for i := range r.replies {
			s.print.exchange(r.requests[i], r.replies[i], false)
		}
		faults = append(faults, r.err)
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if there > 0 {
		s.print.detail("→", fmt.Sprintf("%d of %d were assigned in an earlier run on this data: nothing to create for them", there, len(all)))
	}
	if there == len(all) {
		return nil
	}
	if err := s.showUpstream(ctx); err != nil {
		return err
	}
	after, err := s.calls(ctx)
	if err != nil {
		return err
	}
	s.print.calls(before, after)
	return nil
}

// accept has a person follow the link, if there is one to follow.
func (s *session) accept(ctx context.Context, p person) error {
	err := s.control(ctx, http.MethodPost, "/_sandbox/accept", map[string]string{"email": p.mail}, nil)
	if r, ok := errors.AsType[*refused](err); ok && r.status == http.StatusConflict {
		s.print.detail("→", p.mail+" accepted in an earlier run on this data: no invite is open")
		return nil
	}
	if err != nil {
		return err
	}
	return s.showUpstream(ctx)
}
