package badinput

import (
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
)

// TestBadInputs sends every row of the catalogue of bad inputs that concerns
// people, groups and their roles, and judges each answer by the ledger (I8, I9, I14, I17).
func TestBadInputs(t *testing.T) {
	t.Parallel()
	var tried atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d bad inputs tried", tried.Load())
		fmt.Printf("%d bad inputs tried\n", tried.Load())
	})
	on := func(group string, start func(*testing.T) *rig, rows []attempt) {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			if got := r.quietly(t, http.MethodPost, "/Users", userOf("taken@example.com")); got.Status != http.StatusCreated {
				t.Fatalf("status %d %s", got.Status, got.Body)
			}
			r.expired, r.revoked = r.deadTokens(t)
			r.bind(t)
			for i, a := range rows {
				if raced && i%10 != 0 && !a.chained {
					continue
				}
				if !t.Run(a.row, func(t *testing.T) { r.try(t, a) }) {
					r.bind(t) // what failed may have changed the person
				}
			}
			r.reckon(t)
			tried.Add(int64(r.tried))
		})
	}
	on("requests", func(t *testing.T) *rig { return newRig(t, nil) }, slices.Concat(framing(), users(), types(), patches(), queries(), identifiers(), credentialRows(), protocol(), bulkRows()))
	on("groups", groupRig, slices.Concat(groupFraming(), groupNames(), memberships(), memberValues(), privileged(), groupQueries(), groupIdentifiers(), groupProtocol()))
	on("injections", func(t *testing.T) *rig { return newRig(t, nil) }, slices.Concat(logInjection(), headerInjection()))
	on("secrets", secretsRig, slices.Concat(secretRows(), labelRows()))
	on("assertions", assertionRig, assertionRows())
	for _, s := range slices.Concat(situations, groupSituations, guards, owners, privileges, bulkSituations) {
		t.Run(s.row, func(t *testing.T) {
			t.Parallel()
			tried.Add(int64(s.run(t)))
		})
	}
}

// reckon checks the log as a whole, a line for each request and no more, that
// nothing was fetched, and what metrics and records show after all that.
func (r *rig) reckon(t *testing.T) {
	t.Helper()
	r.log.check(t, r.answers)
	if n := r.caught.Load(); n != 0 {
		t.Errorf("%d calls to an address that only stands in a resource", n)
	}
	for _, line := range r.log.asides() {
		r.clean(t, "the log line", line)
	}
	t.Run("L143 the labels of metrics", r.labels)
	if r.logged {
		t.Run("L142 the log of requests and the events", r.records)
	}
}
