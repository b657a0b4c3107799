package simulate_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// The bridge meets every expectation of every client, whether its credential
// names the client or not, and whether invited people have an account at once
// or not.
func TestTheBridge(t *testing.T) {
	t.Parallel()
	for _, name := range idp.Names() {
		for _, mode := range idp.Modes(name) {
			for credential, invites := range map[string]sandbox.InviteMode{name: sandbox.Immediate, "": sandbox.Deferred} {
				parallel := 50
				if raced {
					parallel = 12
				}
				if raced && (credential == "" || name != idp.Okta && name != idp.Entra || mode != idp.Modes(name)[0]) {
					continue
				}
				t.Run(strings.Join([]string{name, mode, credential, string(invites)}, "-"), func(t *testing.T) {
					t.Parallel()
					s := bridgetest.Start(t, bridgetest.Config{
						Client: credential, Sandbox: sandbox.Options{Invites: invites, Users: 5},
						Tenant: []string{"guards: {deactivations: off, role_losses: off, invites: off, addresses: off}", "rules: [{match: {glob: simulate-*}, role: Manager}]"},
					})
					r, err := simulate.Run(t.Context(), simulate.Options{
						Client: name, Mode: mode, BaseURL: s.Base, Token: s.Token, Users: 5, Groups: 2, Parallel: parallel, MaxWait: 2 * time.Second,
					})
					if err != nil {
						t.Fatal(err)
					}
					if r.Verdict != simulate.OK || len(r.Left) > 0 {
						var text bytes.Buffer
						if err := r.WriteText(&text); err != nil {
							t.Error(err)
						}
						t.Errorf("\n%s", text.String())
					}
				})
			}
		}
	}
}

// Guards as they are by default let a run of the default size pass and clean up.
func TestTheBridgeWithGuards(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("it is about what is refused, which the race detector does not look at")
	}
	s := bridgetest.Start(t, bridgetest.Config{Tenant: []string{"rules: [{match: {glob: simulate-*}, role: Manager}]"}})
	r, err := simulate.Run(t.Context(), simulate.Options{Client: idp.Okta, BaseURL: s.Base, Token: s.Token, MaxWait: 100 * time.Millisecond})
	if err != nil || r.Verdict != simulate.OK || len(r.Left) > 0 {
		t.Errorf("%v %+v", err, r)
	}
}
