package sqlstore

import (
	"math"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// What finds a request goes with it, whether it is pruned or its tenant deleted:
// nobody sees what is left, it only fills the database.
func TestSubjectsGoWithTheirRequests(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		s, raw := openTest(t, Options{URL: url}), migrationDB(t, url)
		subjects := func() (n int) {
			t.Helper()
			if err := raw.QueryRow(`SELECT count(*) FROM request_subjects`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			return tx.PutTenant(&store.Tenant{Slug: "t", BaseURL: "https://up.example"})
		}); err != nil {
			t.Fatal(err)
		}
		var rows []*store.Request
		for range 3 * pruneAtOnce {
			rows = append(rows, &store.Request{Tenant: "t", At: time.Unix(1, 0), ResourceID: "id", Names: []string{"p-1", "p-2", "p-1"}})
		}
		if err := s.AppendRequests(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		if n := subjects(); n != 9*pruneAtOnce {
			t.Fatalf("%d subjects", n)
		}
		if n, err := s.PruneRequests(t.Context(), "t", time.Time{}, pruneAtOnce/2, math.MaxInt); err != nil || n != 5*pruneAtOnce/2 {
			t.Fatalf("%d pruned, %v", n, err)
		}
		if n := subjects(); n != 3*pruneAtOnce/2 {
			t.Errorf("%d subjects after pruning", n)
		}
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.DeleteTenant("t") }); err != nil {
			t.Fatal(err)
		}
		if n := subjects(); n != 0 {
			t.Errorf("%d subjects without a tenant", n)
		}
	})
}
