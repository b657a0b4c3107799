package upstreamtest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/upstream"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// change is an operation with an effect, ready to be called once.
type change struct {
	operation string
	call      func(context.Context, *upstream.Client) error
}

// changes prepares somebody for each operation with an effect, and gives the calls.
func changes(t *testing.T, s *service) []change {
	t.Helper()
	c, ctx, n := s.client(t, "acme", nil), t.Context(), 0
	orgs := []int64{113, 114}
	invite := func() upstream.InviteResult {
		n++
		r, err := c.InviteUsers(ctx, []upstream.InviteUser{{Email: fmt.Sprintf("p%d@x.example", n), RoleID: 5, IdentityProviderID: 2}}, orgs)
		if err != nil {
			t.Fatal(err)
		}
		return r[0]
	}
	member := func() int64 {
		a, err := c.AcceptInvite(ctx, invite().InviteID, 2, fmt.Sprint("s", n))
		if err != nil {
			t.Fatal(err)
		}
		return a.ID
	}
	suspended := func() int64 {
		a, err := c.DeactivateUser(ctx, member(), orgs)
		if err != nil {
			t.Fatal(err)
		}
		return a.ID
	}
	name, email := "Changed", "created@x.example"
	updated, roled, reset, deactivated := member(), member(), member(), member()
	activated, removed := suspended(), suspended()
	changed, resent, revoked, accepted := invite(), invite(), invite(), invite()
	return []change{
		{"create_user", func(ctx context.Context, c *upstream.Client) error {
			return second(c.CreateUser(ctx, upstream.Profile{Email: &email}))
		}},
		{"update_user", func(ctx context.Context, c *upstream.Client) error {
			return second(c.UpdateUser(ctx, updated, upstream.Profile{FirstName: &name}))
		}},
		{"set_role", func(ctx context.Context, c *upstream.Client) error { return second(c.SetRole(ctx, roled, 113, 3)) }},
		{"reset_password", func(ctx context.Context, c *upstream.Client) error {
			return c.ResetPassword(ctx, reset, "a long password")
		}},
		{"deactivate_user", func(ctx context.Context, c *upstream.Client) error {
			return second(c.DeactivateUser(ctx, deactivated, orgs))
		}},
		{"activate_user", func(ctx context.Context, c *upstream.Client) error {
			return second(c.ActivateUser(ctx, activated, orgs))
		}},
		{"remove_user", func(ctx context.Context, c *upstream.Client) error { return c.RemoveUser(ctx, removed, 113) }},
		{"invite_users", func(ctx context.Context, c *upstream.Client) error {
			return second(c.InviteUsers(ctx, []upstream.InviteUser{{Email: "new@x.example", RoleID: 5, ShouldActivateByEmail: true}}, orgs))
		}},
		{"update_invite", func(ctx context.Context, c *upstream.Client) error {
			return second(c.UpdateInvite(ctx, changed.InviteID, upstream.InviteUpdate{Profile: upstream.Profile{FirstName: &name}}))
		}},
		{"resend_invite", func(ctx context.Context, c *upstream.Client) error {
			return second(c.ResendInvite(ctx, resent.InviteID))
		}},
		{"revoke_invite", func(ctx context.Context, c *upstream.Client) error { return c.RevokeInvite(ctx, revoked.InviteID, nil) }},
		{"accept_invite", func(ctx context.Context, c *upstream.Client) error {
			return second(c.AcceptInvite(ctx, accepted.InviteID, 2, "subject"))
		}},
	}
}

func second[T any](_ T, err error) error { return err }

// TestFaultsAreJudgedByTheLedger makes every operation with an effect meet every fault, once and for good. Whatever
// happens, the effect occurs at most once; success means that it occurred; and any error but Ambiguous means that it
// did not.
func TestFaultsAreJudgedByTheLedger(t *testing.T) {
	faults := []sandbox.Rule{
		{Status: 500}, {Status: 502, Body: "html"}, {Status: 503, RetryAfter: "0"}, {Status: 504}, {Status: 408}, {Status: 404, Body: "html"},
		{Status: 302}, {Status: 401}, {Status: 403}, {Status: 429}, {Status: 429, RetryAfter: "3600"},
		{Cut: "before"}, {Cut: "after"}, {Hang: true}, {Hang: true, When: "after"},
		{Body: "html"}, {Body: "truncated"}, {Body: "garbage"}, {Body: "empty"},
	}
	for _, fault := range faults {
		for _, times := range []int{1, 0} {
			name := strings.NewReplacer(" ", "_").Replace(fmt.Sprintf("status %d %s cut %q body %q hang %t %s times %d", fault.Status, fault.RetryAfter, fault.Cut, fault.Body, fault.Hang, fault.When, times))
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := start(t, sandbox.Options{Users: 3}, nil)
				all := changes(t, s)
				c := s.client(t, "acme", func(o *upstream.Options) { o.AttemptTimeout = 100 * time.Millisecond; o.Breaker.Disabled = true })
				if err := second(c.ListRoles(t.Context())); err != nil { // has its token before anything goes wrong
					t.Fatal(err)
				}
				var rules []sandbox.Rule
				for _, ch := range all {
					rule := fault
					rule.Operation, rule.Times = ch.operation, times
					rules = append(rules, rule)
				}
				before, mails := len(s.Ledger()), len(s.Outbox())
				if err := s.SetFaults(rules); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
				defer cancel()
				outcomes := make([]error, len(all))
				var calls sync.WaitGroup
				for i, ch := range all {
					calls.Go(func() { outcomes[i] = ch.call(ctx, c) })
				}
				calls.Wait()
				if err := s.SetFaults(nil); err != nil {
					t.Fatal(err)
				}
				effects := map[string]int{}
				for _, e := range s.Ledger()[before:] {
					effects[e.Operation]++
				}
				for i, ch := range all {
					judge(t, ch.operation, effects[ch.operation], outcomes[i])
				}
				if got := len(s.Outbox()) - mails; got > 2 {
					t.Errorf("%d mails for one invite and one that was sent again", got)
				}
			})
		}
	}
}

// judge compares what the client said with what happened.
func judge(t *testing.T, operation string, effects int, err error) {
	t.Helper()
	e, _ := errors.AsType[*upstream.Error](err)
	switch {
	case err != nil && e == nil:
		t.Errorf("%s: %v is not an *upstream.Error", operation, err)
	case effects > 1:
		t.Errorf("%s: %d effects: %v", operation, effects, err)
	case err == nil && effects != 1:
		t.Errorf("%s: success with %d effects", operation, effects)
	case err != nil && e.Kind != upstream.Ambiguous && effects != 0:
		t.Errorf("%s: %v, yet it took effect", operation, err)
	case upstream.IsNotFound(err):
		t.Errorf("%s: a fault is no absence: %v", operation, err)
	}
}

// TestFaultyReadsClaimNothing: a fault in a read never looks like an answer about the record.
func TestFaultyReadsClaimNothing(t *testing.T) {
	const id = 1004 // person00001@example.com
	reads := map[string]func(context.Context, *upstream.Client) error{
		"get_user": func(ctx context.Context, c *upstream.Client) error { return second(c.GetUser(ctx, id)) },
		"find_user_by_email": func(ctx context.Context, c *upstream.Client) error {
			return second(c.FindUserByEmail(ctx, "person00001@example.com"))
		},
		"list_users": func(ctx context.Context, c *upstream.Client) (err error) {
			n := 0
			for _, e := range c.ListUsers(ctx, upstream.ListUsersQuery{PageSize: 20}) {
				if n++; e != nil {
					return e
				}
			}
			if n < 30 {
				return fmt.Errorf("%d accounts without an error", n)
			}
			return nil
		},
		"list_roles": func(ctx context.Context, c *upstream.Client) error { return second(c.ListRoles(ctx)) },
	}
	faults := []sandbox.Rule{
		{Status: 500}, {Status: 404, Body: "html"}, {Status: 403, Body: "html"}, {Status: 302}, {Cut: "before"}, {Cut: "after"}, {Hang: true},
		{Body: "html"}, {Body: "truncated"}, {Body: "garbage"}, {Body: "empty"},
	}
	for operation, read := range reads {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			s := start(t, sandbox.Options{Users: 30}, nil)
			all := faults
			if operation == "get_user" || operation == "find_user_by_email" {
				all = append(all[:len(all):len(all)], sandbox.Rule{Swap: true}) // another person's record
			}
			for _, rule := range all {
				// One client for each, since each has its own budget of retries.
				c := s.client(t, "acme", func(o *upstream.Options) { o.AttemptTimeout = 250 * time.Millisecond; o.Breaker.Disabled = true })
				if err := read(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				rule.Operation = operation
				if err := s.SetFaults([]sandbox.Rule{rule}); err != nil {
					t.Fatal(err)
				}
				err := read(t.Context(), c)
				if k := upstream.KindOf(err); k != upstream.Unavailable && k != upstream.Protocol && k != upstream.Unauthorized {
					t.Errorf("%+v: %v", rule, err)
				}
				if rule.Status != 0 && rule.Status < 500 {
					if err := s.SetFaults(nil); err != nil {
						t.Fatal(err)
					}
					continue
				}
				// A bad answer, then a good one: the retry gets there.
				rule.Times = 1
				if err := s.SetFaults([]sandbox.Rule{rule}); err != nil {
					t.Fatal(err)
				}
				if err := read(t.Context(), c); err != nil {
					t.Errorf("once %+v: %v", rule, err)
				}
				if err := s.SetFaults(nil); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestLostBatchesInviteEverybodyOnce: answers to invite_users are lost, after the effect, and everybody is told the
// truth all the same.
func TestLostBatchesInviteEverybodyOnce(t *testing.T) {
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			s := start(t, sandbox.Options{Invites: mode}, nil)
			if err := s.SetFaults([]sandbox.Rule{{Operation: "invite_users", Cut: "after", Times: 3}}); err != nil {
				t.Fatal(err)
			}
			inviter := upstream.NewInviter(upstream.InviterOptions{Client: s.client(t, "acme", nil)})
			defer inviter.Close()
			const people = 250
			var all sync.WaitGroup
			var mu sync.Mutex
			resolved := 0
			for n := range people {
				all.Go(func() {
					r, err := inviter.Invite(t.Context(), upstream.InviteUser{Email: fmt.Sprintf("p%d@x.example", n), RoleID: 5, ShouldActivateByEmail: true}, []int64{113, 114})
					if err != nil || r.Status != upstream.Invited || r.InviteID == "" || (r.UserID != 0) != (mode == sandbox.Immediate) {
						t.Errorf("person %d: %+v, %v", n, r, err)
					}
					mu.Lock()
					defer mu.Unlock()
					if r.Resolved {
						resolved++
					}
				})
			}
			all.Wait()
			state := s.State()
			for n := range people {
				if got := len(state.InvitesOf(fmt.Sprintf("p%d@x.example", n))); got != 1 {
					t.Errorf("person %d has %d invites", n, got)
				}
			}
			if got := len(s.Outbox()); got != people {
				t.Errorf("%d mails for %d people", got, people)
			}
			if resolved == 0 || s.Stats().Calls["invite_users"] > 6 || s.Stats().Calls["list_invites"] > 20 {
				t.Errorf("%d resolved, calls %v", resolved, s.Stats().Calls)
			}
		})
	}
}

// TestRevokedTokensCostOneRenewal: every token dies under load, and nobody notices.
func TestRevokedTokensCostOneRenewal(t *testing.T) {
	s := start(t, sandbox.Options{}, nil)
	c := s.client(t, "acme", nil)
	if err := second(c.ListRoles(t.Context())); err != nil {
		t.Fatal(err)
	}
	s.RevokeTokens()
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if err := second(c.ListRoles(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := s.Stats().Calls["create_token"]; got != 2 {
		t.Errorf("%d tokens fetched, want 2", got)
	}
}

// TestStormStaysWithinTheRate: the service's own limit, two credentials, and a client that keeps to it.
func TestStormStaysWithinTheRate(t *testing.T) {
	s := start(t, sandbox.Options{Rate: 200}, nil)
	limiter := upstream.NewLimiter(180, 50)
	c := s.client(t, "acme", func(o *upstream.Options) { o.Limiter = limiter })
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if err := second(c.ListRoles(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := s.Stats().RateLimited; got != 0 {
		t.Errorf("%d calls were refused for their rate", got)
	}
}
