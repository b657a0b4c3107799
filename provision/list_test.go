package provision_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// resources are the users of a list answer by id.
func resources(t *testing.T, s *bridgetest.Stack, query string) map[string]any {
	t.Helper()
	var list struct {
		Resources []map[string]any `json:"Resources"`
	}
	if err := json.Unmarshal(s.Must(200, "GET", "/Users?"+query, "").Body, &list); err != nil {
		t.Fatal(err)
	}
	byID := map[string]any{}
	for _, r := range list.Resources {
		byID[fmt.Sprint(r["id"])] = r
	}
	return byID
}

// TestListsShowWhatSingleReadsShow compares every way to read a person, after
// every way to change one.
func TestListsShowWhatSingleReadsShow(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		id := s.Must(201, "POST", "/Users", bridgetest.User("zoe@example.com", `"nickName":"Z"`)).ID()
		other := "Zoë"
		for name, change := range map[string]func(){
			"nothing":  func() {},
			"accepted": func() { _ = s.Sandbox.Accept("zoe@example.com") },
			"renamed": func() {
				s.Must(200, "PATCH", "/Users/"+id, bridgetest.PatchOp(`{"op":"replace","path":"title","value":"Dr"}`))
			},
			"disabled": func() { s.Must(200, "PATCH", "/Users/"+id, setActive(false)) },
			"enabled":  func() { s.Must(200, "PATCH", "/Users/"+id, setActive(true)) },
			"changed upstream": func() {
				_, _ = s.Sandbox.Edit(sandbox.Edit{Email: "zoe@example.com", FirstName: &other})
			},
		} {
			change()
			var one any
			if err := json.Unmarshal(s.Must(200, "GET", "/Users/"+id, "").Body, &one); err != nil {
				t.Fatal(err)
			}
			for _, query := range []string{"", "sortBy=userName", "filter=nickName+eq+%22Z%22"} {
				if diff := cmp.Diff(one, resources(t, s, query)[id]); diff != "" {
					t.Errorf("after %s, ?%s (-alone +in the list)\n%s", name, query, diff)
				}
			}
		}
	})
}

// TestPagesAreStable reads pages of every size and wants everybody once.
func TestPagesAreStable(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Sandbox: sandbox.Options{Users: 37}})
	all := resources(t, s, "count=1000")
	for _, size := range []int{1, 5, 10, 36, 50} {
		seen := map[string]bool{}
		for start := 1; start <= len(all); start += size {
			for id := range resources(t, s, fmt.Sprintf("startIndex=%d&count=%d", start, size)) {
				if seen[id] {
					t.Errorf("%s is on two pages of %d", id, size)
				}
				seen[id] = true
			}
		}
		if len(seen) != len(all) {
			t.Errorf("pages of %d show %d of %d people", size, len(seen), len(all))
		}
	}
}
