package badinput

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// TestBadInputs sends every row of the catalogue of bad inputs that concerns
// people, and judges each answer by the ledger (I8, I9, I14, I17).
func TestBadInputs(t *testing.T) {
	tried := 0
	on := func(group string, r *rig, rows []attempt) {
		t.Run(group, func(t *testing.T) {
			if got := r.quietly(t, http.MethodPost, "/Users", userOf("taken@example.com")); got.Status != http.StatusCreated {
				t.Fatalf("status %d %s", got.Status, got.Body)
			}
			r.expired, r.revoked = r.deadTokens(t)
			r.bind(t)
			for _, a := range rows {
				if !t.Run(a.row, func(t *testing.T) { r.try(t, a) }) {
					r.bind(t) // what failed may have changed the person
				}
			}
			r.reckon(t)
			tried += r.tried
		})
	}
	on("requests", newRig(t, nil), slices.Concat(framing(), users(), types(), patches(), queries(), identifiers(), credentialRows(), protocol()))
	for _, s := range situations {
		t.Run(s.row, func(t *testing.T) { tried += s.run(t) })
	}
	t.Logf("%d bad inputs tried", tried)
	fmt.Printf("%d bad inputs tried\n", tried)
}

// reckon checks the log as a whole, a line for each request and no more, and
// that nothing was fetched.
func (r *rig) reckon(t *testing.T) {
	t.Helper()
	r.log.check(t, r.answers)
	if n := r.caught.Load(); n != 0 {
		t.Errorf("%d calls to an address that only stands in a resource", n)
	}
	for _, line := range r.log.asides() {
		r.clean(t, "the log line", line)
	}
}
