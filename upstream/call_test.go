package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// operations used by the tables: one for each effect.
var byEffect = map[string]func(context.Context, *Client) error{
	"get_user": func(ctx context.Context, c *Client) error { _, err := c.GetUser(ctx, 7); return err },
	"update_user": func(ctx context.Context, c *Client) error {
		name := "N"
		_, err := c.UpdateUser(ctx, 7, Profile{FirstName: &name})
		return err
	},
	"remove_user": func(ctx context.Context, c *Client) error { return c.RemoveUser(ctx, 7, 113) },
	"create_user": func(ctx context.Context, c *Client) error {
		e := "a@x.test"
		_, err := c.CreateUser(ctx, Profile{Email: &e})
		return err
	},
	"invite_users": func(ctx context.Context, c *Client) error {
		_, err := c.InviteUsers(ctx, []InviteUser{{Email: "a@x.test"}}, []int64{113})
		return err
	},
}

func TestRetriesOnlyWhatCannotHappenTwice(t *testing.T) {
	good := accountJSON(7, "a@x.test", activeIn113)
	refusedDial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	reset := &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
	tests := []struct {
		name      string
		operation string
		replies   []reply
		want      Kind // 0: success
		wantCalls int
	}{
		{"read: 503 then good", "get_user", []reply{{status: 503}, {status: 200, body: good}}, 0, 2},
		{"read: 503 for ever", "get_user", []reply{{status: 503}}, Unavailable, 3},
		{"read: reset then good", "get_user", []reply{{err: reset}, {status: 200, body: good}}, 0, 2},
		{"read: garbage then good", "get_user", []reply{{status: 200, body: "{]"}, {status: 200, body: good}}, 0, 2},
		{"read: garbage for ever", "get_user", []reply{{status: 200, body: "{]"}}, Protocol, 3},
		{"read: 404 of the service", "get_user", []reply{{status: 404, body: errorJSON("not_found")}}, NotFound, 1},
		{"read: 404 of a proxy", "get_user", []reply{{status: 404, body: "<html>", kind: "text/html"}}, Protocol, 1},
		{"read: 401", "get_user", []reply{{status: 401, body: errorJSON("unauthorized")}}, Unauthorized, 1},
		{"read: 403 of the service", "get_user", []reply{{status: 403, body: errorJSON("forbidden")}}, Forbidden, 1},
		{"read: 403 of a proxy", "get_user", []reply{{status: 403, body: "<html>", kind: "text/html"}}, Unauthorized, 1},
		{"read: redirect", "get_user", []reply{{status: 302, header: "Location: https://evil.test/"}}, Protocol, 1},

		{"repeatable: 500 then good", "update_user", []reply{{status: 500}, {status: 200, body: good}}, 0, 2},
		{"repeatable: reset for ever", "update_user", []reply{{err: reset}}, Ambiguous, 3},
		{"repeatable: refused for ever", "update_user", []reply{{err: refusedDial}}, Unavailable, 3},
		{"repeatable: reset, then refused", "update_user", []reply{{err: reset}, {err: refusedDial}}, Ambiguous, 3},
		{"repeatable: reset, then 409", "update_user", []reply{{err: reset}, {status: 409, body: errorJSON(CodeEmailTaken)}}, Conflict, 2},
		{"repeatable: empty 200", "update_user", []reply{{status: 200}}, Ambiguous, 3},
		{"repeatable: 204 instead of the record", "update_user", []reply{{status: 204}}, Ambiguous, 3},
		{"repeatable: redirect", "update_user", []reply{{status: 307, header: "Location: /x"}}, Ambiguous, 3},

		{"removes: good", "remove_user", []reply{{status: 204}}, 0, 1},
		{"removes: 404 at once", "remove_user", []reply{{status: 404, body: errorJSON("not_found")}}, NotFound, 1},
		{"removes: reset, then 404 is success", "remove_user", []reply{{err: reset}, {status: 404, body: errorJSON("not_found")}}, 0, 2},
		{"removes: refused, then 404 is none of ours", "remove_user", []reply{{err: refusedDial}, {status: 404, body: errorJSON("not_found")}}, NotFound, 2},
		{"removes: a proxy's 404 is no success", "remove_user", []reply{{err: reset}, {status: 404, body: "nope", kind: "text/plain"}}, Ambiguous, 2},
		{"removes: empty 200", "remove_user", []reply{{status: 200}}, Ambiguous, 3},
		{"removes: empty object", "remove_user", []reply{{status: 200, body: "{}"}}, Ambiguous, 3},
		{"removes: page of a proxy", "remove_user", []reply{{status: 200, body: "<html>", kind: "text/html"}}, Ambiguous, 3},

		{"once: 500", "create_user", []reply{{status: 500}}, Ambiguous, 1},
		{"once: 408", "create_user", []reply{{status: 408}}, Ambiguous, 1},
		{"once: reset", "invite_users", []reply{{err: reset}}, Ambiguous, 1},
		{"once: refused then good", "create_user", []reply{{err: refusedDial}, {status: 201, body: accountJSON(8, "A@X.test", "")}}, 0, 2},
		{"once: 429 then good", "create_user", []reply{{status: 429}, {status: 201, body: accountJSON(8, "a@x.test", "")}}, 0, 2},
		{"once: garbage", "invite_users", []reply{{status: 200, body: `{"Results":[]}`}}, Ambiguous, 1},
		{"once: 422", "invite_users", []reply{{status: 422, body: errorJSON("invalid_field")}}, Invalid, 1},
		{"once: 400 of a proxy", "invite_users", []reply{{status: 400, body: "bad", kind: "text/plain"}}, Protocol, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{replies: tt.replies}
				err := byEffect[tt.operation](t.Context(), newTestClient(t, s, nil))
				if got := KindOf(err); got != tt.want || (err == nil) != (tt.want == 0) {
					t.Errorf("kind = %v, want %v (error %v)", got, tt.want, err)
				}
				if got := len(s.seen()); got != tt.wantCalls {
					t.Errorf("%d calls, want %d", got, tt.wantCalls)
				}
			})
		})
	}
}

func TestRetryAfterAgainstTheDeadline(t *testing.T) {
	good := accountJSON(7, "a@x.test", activeIn113)
	tests := []struct {
		name       string
		deadline   time.Duration // 0: none
		header     string
		status     int
		want       Kind
		wantAfter  time.Duration
		wantWaited time.Duration
	}{
		{"it waits what fits", 20 * time.Second, "Retry-After: 10", 429, 0, 0, 10 * time.Second},
		{"it keeps a whole attempt free", 20 * time.Second, "Retry-After: 16", 429, RateLimited, 16 * time.Second, 0},
		{"it waits a second when nothing was said", 20 * time.Second, "", 429, 0, 0, time.Second},
		{"it waits without a deadline, within reason", 0, "Retry-After: 15", 429, 0, 0, 15 * time.Second},
		{"it does not wait an hour without a deadline", 0, "Retry-After: 3600", 429, RateLimited, time.Hour, 0},
		{"it caps absurd values", time.Minute, "Retry-After: 99999999999999999999", 429, RateLimited, time.Hour, 0},
		{"it honours a 503's", 20 * time.Second, "Retry-After: 3", 503, 0, 0, 3 * time.Second},
		{"it gives a 503's to the caller", 5 * time.Second, "Retry-After: 3", 503, Unavailable, 3 * time.Second, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				s := &script{replies: []reply{{status: tt.status, header: tt.header, body: errorJSON("rate_limited")}, {status: 200, body: good}}}
				start := time.Now()
				_, err := newTestClient(t, s, nil).GetUser(ctx, 7)
				if got := KindOf(err); got != tt.want {
					t.Fatalf("kind = %v, want %v (error %v)", got, tt.want, err)
				}
				if e, ok := errors.AsType[*Error](err); ok && e.RetryAfter != tt.wantAfter {
					t.Errorf("RetryAfter = %s, want %s", e.RetryAfter, tt.wantAfter)
				}
				// Up to the jitter of one short backoff.
				if waited := time.Since(start); waited < tt.wantWaited || waited > tt.wantWaited+2*firstBackoff {
					t.Errorf("waited %s, want %s", waited, tt.wantWaited)
				}
			})
		})
	}
}

func TestAnswersThatMustNotPass(t *testing.T) {
	good := accountJSON(7, "a@x.test", activeIn113)
	result := func(s string) string { return `{"Results":[` + s + `]}` }
	read := func(ctx context.Context, c *Client) error { return byEffect["get_user"](ctx, c) }
	invite := func(ctx context.Context, c *Client) error { return byEffect["invite_users"](ctx, c) }
	tests := []struct {
		name string
		call func(context.Context, *Client) error
		body string
		kind string
		want string
	}{
		{"HTML", read, "<html>maintenance</html>", "text/html", `not JSON (Content-Type "text/html")`},
		{"JSON said to be text", read, good, "text/plain", "not JSON"},
		{"nothing", read, "", "", "the answer is empty"},
		{"null", read, "null", "", "has no id"},
		{"an empty object", read, "{}", "", "has no id"},
		{"an array", read, "[]", "", "unexpected value"},
		{"truncated", read, good[:len(good)/2], "", "not valid JSON"},
		{"two documents", read, good + good, "", "not valid JSON"},
		{"a duplicated field", read, strings.Replace(good, `{"id":7`, `{"id":8,"id":7`, 1), "", "not valid JSON"},
		{"invalid UTF-8", read, strings.Replace(good, `"A"`, "\"\xff\"", 1), "", "not valid JSON"},
		{"an id above 2⁶³", read, strings.Replace(good, `"id":7`, `"id":9223372036854775808`, 1), "", `unexpected value at "/id"`},
		{"an id as a float", read, strings.Replace(good, `"id":7`, `"id":7.5`, 1), "", `unexpected value at "/id"`},
		{"another account", read, strings.Replace(good, `"id":7`, `"id":8`, 1), "", "about account 8, asked was 7"},
		{"no memberships", read, strings.Replace(good, `"memberships":[`+activeIn113+`],`, "", 1), "", "no list of memberships"},
		{"a membership without state", read, strings.Replace(good, `"state":"active"`, `"state":""`, 1), "", "membership without"},
		{"no state", read, strings.Replace(good, `"account_state":"active"`, `"account_state":null`, 1), "", "has no state"},
		{"longer than allowed", read, good + strings.Repeat(" ", 4<<10), "", "longer than 4096 bytes"},

		{"results for another person", invite, result(`{"Email":"b@x.test","Status":"invited","InviteId":"inv_1"}`), "", "other people than asked"},
		{"too many results", invite, result(`{"Email":"a@x.test","Status":"already_member"},{"Email":"a@x.test","Status":"already_member"}`), "", "2 results for 1 people"},
		{"an unknown status", invite, result(`{"Email":"a@x.test","Status":"queued"}`), "", `unknown status "queued"`},
		{"invited without an invite", invite, result(`{"Email":"a@x.test","Status":"invited","InviteId":null}`), "", "names no invite"},
		{"an unusable invite id", invite, result(`{"Email":"a@x.test","Status":"invited","InviteId":".."}`), "", "unusable invite id"},
		{"no results", invite, `{}`, "", "0 results for 1"},

		{"another person found", func(ctx context.Context, c *Client) error { _, err := c.FindUserByEmail(ctx, "b@x.test"); return err }, good, "", "another e-mail"},
		{"still active after deactivation", func(ctx context.Context, c *Client) error {
			_, err := c.DeactivateUser(ctx, 7, []int64{113})
			return err
		}, good, "", "still active in organization 113"},
		{"another role than asked", func(ctx context.Context, c *Client) error { _, err := c.SetRole(ctx, 7, 113, 5); return err }, good, "", "does not hold role 5"},
		{"another default than asked", func(ctx context.Context, c *Client) error { _, err := c.SetDefaultAccount(ctx, 114); return err }, good, "", "default organization is 113"},
		{"another invite", func(ctx context.Context, c *Client) error { _, err := c.GetInvite(ctx, "inv_2"); return err }, inviteJSON("inv_1", "a@x.test", "pending", 113), "", `about invite "inv_1"`},
		{"an invite that is still pending", func(ctx context.Context, c *Client) error { return c.RevokeInvite(ctx, "inv_1", nil) }, inviteJSON("inv_1", "a@x.test", "pending", 113), "", "pending afterwards"},
		{"no list of roles", func(ctx context.Context, c *Client) error { _, err := c.ListRoles(ctx); return err }, `{"Roles":null}`, "", "no list Roles"},
		{"an empty role", func(ctx context.Context, c *Client) error { _, err := c.ListRoles(ctx); return err }, `{"Roles":[{}]}`, "", "Roles[0] has no id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{replies: []reply{{status: 200, body: tt.body, kind: tt.kind}}}
			c := newTestClient(t, s, func(o *Options) { o.MaxBodyBytes = 4 << 10; o.MaxAttempts = 1 })
			err := tt.call(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error = %v, want it to contain %q", err, tt.want)
			}
			if k := KindOf(err); k != Protocol && k != Ambiguous && k != Unavailable {
				t.Errorf("kind = %v, want one that claims nothing", k)
			}
			if strings.Contains(err.Error(), "@x.test") {
				t.Errorf("the error shows an e-mail address: %v", err)
			}
		})
	}
}

func TestUnknownFieldsAreAllowed(t *testing.T) {
	body := strings.Replace(accountJSON(7, "a@x.test", activeIn113), `{"id":7`, `{"new_field":{"a":[1]},"id":7`, 1)
	a, err := newTestClient(t, &script{replies: []reply{{status: 200, body: body}}}, nil).GetUser(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	want := &Account{
		ID: 7, Email: "a@x.test", FirstName: "A", LastName: "B", CountryID: "CA", OtherID: "00u",
		Role: &Role{3, "Manager", 50}, Memberships: []Membership{{113, 3, "active"}}, DefaultOrganizationID: 113,
		AccountState: AccountActive, Accessible: true,
		CreatedAt: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC), UpdatedAt: time.Date(2026, 2, 1, 10, 0, 0, 0, time.UTC),
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Error(diff)
	}
}

func TestSlowAnswerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drip := transport(func(r *http.Request) (*http.Response, error) {
			body, w := io.Pipe()
			go func() {
				for {
					select {
					case <-time.After(time.Second):
						_, _ = w.Write([]byte(" "))
					case <-r.Context().Done():
						w.CloseWithError(r.Context().Err())
						return
					}
				}
			}()
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}, nil
		})
		start := time.Now()
		_, err := newTestClient(t, drip, func(o *Options) { o.MaxAttempts = 1 }).GetUser(t.Context(), 7)
		if KindOf(err) != Unavailable || !strings.Contains(err.Error(), "no complete answer within 5s") {
			t.Errorf("error = %v", err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %s, want 5s", took)
		}
	})
}

func TestConcurrentAttemptsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most int
		gate := make(chan struct{}, 1)
		gate <- struct{}{}
		slow := transport(func(r *http.Request) (*http.Response, error) {
			<-gate
			now++
			most = max(most, now)
			gate <- struct{}{}
			time.Sleep(time.Second)
			<-gate
			now--
			gate <- struct{}{}
			return reply{status: 200, body: accountJSON(7, "a@x.test", activeIn113)}.response(r)
		})
		c := newTestClient(t, slow, func(o *Options) { o.MaxConcurrent = 3 })
		errs := make(chan error, 10)
		for range 9 {
			go func() { _, err := c.GetUser(t.Context(), 7); errs <- err }()
		}
		impatient, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		synctest.Wait()
		if _, err := c.GetUser(impatient, 7); KindOf(err) != Unavailable || !strings.Contains(err.Error(), "3 calls are under way") {
			t.Errorf("the one in a hurry: %v", err)
		}
		for range 9 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if most != 3 {
			t.Errorf("%d at once, want 3", most)
		}
	})
}
