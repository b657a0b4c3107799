package play

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

func TestTable(t *testing.T) {
	t.Parallel()
	w := &world{
		organizations: []organization{{113, "Freight"}, {114, "Retail"}, {200, "Globex"}},
		roles:         []role{{1, "Owner", 100}, {3, "Manager", 50}, {5, "Viewer", 10}},
		accounts: map[string]record{
			"ada@x":    {Memberships: memberships(5, 3, "active")},
			"bruno@x":  {Memberships: []membership{{113, 5, "suspended"}}},
			"dmitri@x": {Memberships: []membership{{113, 3, "active"}}},
		},
		invites: map[string]invite{
			"chiara@x": {RoleID: 5, OrganizationIDs: []int64{113, 114}},
			"dmitri@x": {RoleID: 3, OrganizationIDs: []int64{114}},
		},
	}
	var all []idp.Person
	for _, mail := range []string{"bruno@x", "chiara@x", "ada@x", "dmitri@x", "élodie@x"} {
		all = append(all, idp.Person{Mail: mail})
	}
	rows, states := w.table(all, map[string]string{"ada@x": "Managers", "élodie@x": "Managers"})
	var out bytes.Buffer
	p := &printer{out: &out, width: 70}
	p.table(rows)
	want := `   person    group     113 Freight        114 Retail
   ────────  ────────  ─────────────────  ────────────────
   ada@x     Managers  Viewer, active     Manager, active
   dmitri@x  –         Manager, active    Manager, pending
   bruno@x   –         Viewer, suspended  –
   chiara@x  –         Viewer, pending    Viewer, pending
   élodie@x  Managers  –                  –
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]bool{"active": true, "pending": true, "suspended": true}, states); d != "" {
		t.Error(d)
	}
}
