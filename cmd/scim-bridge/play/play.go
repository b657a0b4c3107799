package play

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// Options configure Run.
type Options struct {
	// Client is one of idp.Names, in its default mode.
	Client string
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

// Run plays the onboarding. The error says why it could not go on; an answer
// that a provider could get is none, it is shown.
func Run(ctx context.Context, o Options) error {
	client, err := idp.New(o.Client, "")
	if err != nil {
		return err
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

func newSession(o Options, client idp.Client) *session {
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
	s.print.scene("%s tests the connection", s.client.Name())
	if _, err := s.sendAll(ctx, s.client.Test()); err != nil {
		return err
	}
	s.print.scene("%s is assigned to the application", all[0].Display())
	if err := s.assign(ctx, all[0]); err != nil {
		return err
	}
	s.print.scene("nine colleagues are assigned; %s sends their requests at once", s.client.Name())
	if err := s.assignTogether(ctx, all[1:]); err != nil {
		return err
	}
	s.print.scene("an answer was lost: %s sends the same create again", s.client.Name())
	again, err := s.client.Create(all[1])
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
func (s *session) career(ctx context.Context, p idp.Person) error {
	id := s.ids[p.Mail]
	if id == "" {
		return fmt.Errorf("%s could not be created", p.Mail)
	}
	was := p
	p.Family = "Okafor-Lind"
	s.print.scene("%s marries: a new family name", p.Given)
	if err := s.change(ctx, id, s.client.Traits().ReadsBeforeUpdate, func(current []byte) (idp.Request, error) {
		return s.client.Update(id, current, was, p)
	}); err != nil {
		return err
	}
	for _, active := range []bool{false, true} {
		if active {
			s.print.scene("%s comes back: enabled", p.Given)
		} else {
			s.print.scene("%s goes on leave: disabled", p.Given)
		}
		if err := s.change(ctx, id, s.client.Traits().ReadsBeforeStatus, func(current []byte) (idp.Request, error) {
			return s.client.SetActive(id, current, p, active)
		}); err != nil {
			return err
		}
	}
	return nil
}

// change sends what request makes of a user, which is read before where the
// client reads it.
func (s *session) change(ctx context.Context, id string, reads bool, request func(current []byte) (idp.Request, error)) error {
	var current []byte
	if reads {
		got, err := s.send(ctx, idp.Request{Method: http.MethodGet, Path: s.client.At("/Users/" + url.PathEscape(id))})
		if err != nil || got.status != http.StatusOK {
			return err // another answer is shown
		}
		current = got.body
	}
	r, err := request(current)
	if err != nil {
		return err
	}
	_, err = s.send(ctx, r)
	return err
}

// assign looks a person up and creates whoever is not there.
func (s *session) assign(ctx context.Context, p idp.Person) error {
	got, err := s.send(ctx, s.client.Find(p.Mail))
	if err != nil {
		return err
	}
	id, err := found(got)
	if err != nil {
		return err
	}
	if id != "" {
		s.ids[p.Mail] = id
		s.print.detail("→", p.Mail+" was assigned in an earlier run on this data: nothing to create")
		return nil
	}
	r, err := s.client.Create(p)
	if err != nil {
		return err
	}
	if got, err = s.send(ctx, r); err != nil {
		return err
	}
	s.ids[p.Mail], err = created(got)
	return err
}

// assignTogether is assign for several people at once. What was sent is shown
// in the order of the people, then what arrived upstream.
func (s *session) assignTogether(ctx context.Context, all []idp.Person) error {
	before, err := s.calls(ctx)
	if err != nil {
		return err
	}
	type sent struct {
		requests []idp.Request
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
			do := func(r idp.Request) reply {
				if out.err != nil {
					return reply{}
				}
				var got reply
				got, out.err = s.exchange(ctx, r)
				out.requests, out.replies = append(out.requests, r), append(out.replies, got)
				return got
			}
			got := do(s.client.Find(p.Mail))
			if out.err != nil {
				return
			}
			out.id, out.err = found(got)
			if out.there = out.id != ""; out.err != nil || out.there {
				return
			}
			r, err := s.client.Create(p)
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
		s.ids[all[n].Mail] = r.id
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
func (s *session) accept(ctx context.Context, p idp.Person) error {
	err := s.control(ctx, http.MethodPost, "/_sandbox/accept", map[string]string{"email": p.Mail}, nil)
	if r, ok := errors.AsType[*refused](err); ok && r.status == http.StatusConflict {
		s.print.detail("→", p.Mail+" accepted in an earlier run on this data: no invite is open")
		return nil
	}
	if err != nil {
		return err
	}
	return s.showUpstream(ctx)
}
