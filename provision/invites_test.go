package provision_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// bothClocks runs f in both invite modes with a clock of its own.
func bothClocks(t *testing.T, f func(t *testing.T, mode sandbox.InviteMode)) {
	t.Helper()
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			f(t, mode)
		})
	}
}

func TestExpiredInviteIsSentAgain(t *testing.T) {
	bothClocks(t, func(t *testing.T, mode sandbox.InviteMode) {
		s, c := startAt(t, mode, "invites: {resend_expired: 1}")
		id := person(s, "eve@example.com")
		for round, want := range []int{2, 2} {
			c.advance(2 * time.Minute)
			if _, err := s.Sandbox.Edit(sandbox.Edit{Email: "eve@example.com", InviteState: "expired"}); err != nil {
				t.Fatal(err)
			}
			sweep(t, s)
			eventually(t, "follow-up", func() string { return unfinished(t, s) }, "[]")
			equal(t, fmt.Sprintf("mails after round %d", round), mails(s, "eve@example.com"), want)
			r := s.Must(200, "GET", "/Users/"+id, "")
			equal(t, "active", r.JSON("active"), any(true))
		}
		sweep(t, s)
		eventually(t, "follow-up", func() string { return unfinished(t, s) }, "[]")
		events, err := s.Store.Events(t.Context(), store.EventQuery{Tenant: "acme", ResourceID: id})
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		for _, e := range events {
			if e.Action == "user.invite_expired" {
				told++
			}
		}
		equal(t, "events of the end", told, 1)
		c.advance(2 * time.Minute)
		invite := s.Must(200, "GET", "/Users/"+id, "").Extension()["invite"].(map[string]any)
		equal(t, "invite", invite["state"], any("expired"))
		equal(t, "listed", s.Must(200, "GET", byUserName("eve@example.com"), "").JSON("totalResults"), any(1.0))
	})
}

func TestLateAcceptanceGivesNoAccess(t *testing.T) {
	for _, remove := range []bool{false, true} {
		t.Run(fmt.Sprint("deleted ", remove), func(t *testing.T) {
			t.Parallel()
			s, c := startAt(t, sandbox.Deferred)
			id := person(s, "lea@example.com")
			invite := s.Must(200, "GET", "/Users/"+id, "").Extension()["invite"].(map[string]any)["id"].(string)
			if remove {
				s.Must(204, "DELETE", "/Users/"+id, "")
			} else {
				s.Must(200, "PATCH", "/Users/"+id, setActive(false))
			}
			c.advance(2 * time.Minute)
			// Whoever revives the invite at Share A Refund does not undo what the
			// identity provider said.
			client, err := upstream.New(upstream.Options{BaseURL: s.UpstreamURL, ClientID: "acme", ClientSecret: "acme-secret"})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if _, err := client.ResendInvite(t.Context(), invite); err != nil {
				t.Fatal(err)
			}
			accept(t, s, "lea@example.com")
			equal(t, "access", fmt.Sprint(access(s, "lea@example.com")), "[113 114]")
			sweep(t, s)
			eventually(t, "access", func() string { return fmt.Sprint(access(s, "lea@example.com")) }, "[]")
			c.advance(2 * time.Minute)
			sweep(t, s)
			equal(t, "access", fmt.Sprint(access(s, "lea@example.com")), "[]")
		})
	}
}
