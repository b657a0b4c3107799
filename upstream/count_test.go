package upstream

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestEveryAttemptIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{{status: 503}, {status: 429, header: "Retry-After: 1"}, {status: 200, body: accountJSON(7, "a@x.test", activeIn113)}}}
		c := newTestClient(t, s, nil)
		outer := WithCount(t.Context())
		inner := WithCount(outer)
		if _, err := c.GetUser(inner, 7); err != nil {
			t.Fatal(err)
		}
		other := WithCount(outer)
		if _, err := c.GetUser(other, 7); err != nil {
			t.Fatal(err)
		}
		if _, err := c.GetUser(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		ended, cancel := context.WithCancel(WithCount(t.Context()))
		cancel()
		if _, err := c.GetUser(ended, 7); err == nil {
			t.Fatal("a call without a context that lasts")
		}
		for name, got := range map[string][2]int{
			"inner": {Calls(inner), 3}, "other": {Calls(other), 1}, "outer": {Calls(outer), 4},
			"never sent": {Calls(ended), 0}, "no count": {Calls(t.Context()), 0},
		} {
			if got[0] != got[1] {
				t.Errorf("%s: %d calls, want %d", name, got[0], got[1])
			}
		}
	})
}

// What is invited together counts for everybody who is, and what concerns some
// of them for those alone.
func TestSharedInvitesCountForEachOnce(t *testing.T) {
	tests := []struct {
		name string
		s    *inviteService
		want map[string]int
	}{
		{"one call", &inviteService{}, map[string]int{"a": 1, "b": 1, "c": 1, "outer": 1}},
		{"a call that is refused and halved", &inviteService{refuse: func(_ int, emails []string) reply {
			if len(emails) > 1 {
				return reply{status: 422, body: errorJSON("invalid_field")}
			}
			return reply{}
		}}, map[string]int{"a": 2, "b": 3, "c": 3, "outer": 5}},
		{"an answer that is lost and read back", &inviteService{loses: func(int) bool { return true }},
			map[string]int{"a": 4, "b": 4, "c": 4, "outer": 4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, tt.s, func(_ *Options, o *InviterOptions) { o.Window = time.Second }, func(t *testing.T, i *Inviter, o *outcomes) {
				outer := WithCount(t.Context())
				in := map[string]context.Context{"outer": outer}
				for _, name := range []string{"a", "b", "c"} {
					in[name] = WithCount(outer)
					o.invite(in[name], i, name+"@x.test", 113)
					synctest.Wait()
				}
				o.Wait()
				for name, want := range tt.want {
					if got := Calls(in[name]); got != want {
						t.Errorf("%s: %d calls, want %d", name, got, want)
					}
				}
			})
		})
	}
}

func TestTokenCountsForWhoBeganToFetchIt(t *testing.T) {
	s := &tokenService{lifetime: "3600"}
	c := s.client(t)
	for _, want := range []int{2, 1} {
		ctx := WithCount(t.Context())
		if _, err := c.GetUser(ctx, 7); err != nil {
			t.Fatal(err)
		}
		if got := Calls(ctx); got != want {
			t.Errorf("%d calls, want %d", got, want)
		}
	}
}

func BenchmarkCount(b *testing.B) {
	ctx := context.WithValue(b.Context(), http.LocalAddrContextKey, "")
	b.ReportAllocs()
	for b.Loop() {
		in := WithCount(ctx)
		attempted(in)
		if Calls(in) != 1 {
			b.Fatal("not counted")
		}
	}
}
