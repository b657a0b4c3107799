package provision_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// idsByCursor follows nextCursor to the end. between runs before each further
// page.
func idsByCursor(t *testing.T, s *bridgetest.Stack, path string, between func()) []string {
	t.Helper()
	var ids []string
	for cursor, more := "", true; more; more = cursor != "" {
		if cursor != "" && between != nil {
			between()
		}
		var page struct {
			Resources  []struct{ ID string }
			NextCursor string
		}
		if err := json.Unmarshal(s.Must(200, "GET", path+"&cursor="+cursor, "").Body, &page); err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Resources {
			ids = append(ids, r.ID)
		}
		if cursor = page.NextCursor; len(ids) > 1000 {
			t.Fatalf("%s does not end", path)
		}
	}
	return ids
}

// TestCursorsShowWhatIndexesShow follows every way in which lists are read: from
// the store alone, rendered, through a filter, sorted, by an index.
func TestCursorsShowWhatIndexesShow(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Sandbox: sandbox.Options{Users: 23}})
	for i := range 7 {
		s.Must(201, "POST", "/Groups", fmt.Sprintf(`{"displayName":"group %c%d","externalId":"x%d"}`, 'a'+(i*3)%7, i, i%2))
	}
	for _, query := range []string{
		"/Users?", "/Users?attributes=userName", "/Users?sortBy=name.familyName", "/Users?sortBy=userName&sortOrder=descending",
		"/Users?filter=userName+pr", "/Users?filter=name.familyName+gt+%22m%22&sortBy=name.familyName", "/Users?filter=userName+eq+%22nobody%22",
		"/Groups?", "/Groups?excludedAttributes=members&sortBy=displayName", "/Groups?filter=externalId+eq+%22x1%22", "/Groups?filter=displayName+co+%22a%22",
		"/Roles?sortBy=weight", "/?filter=displayName+pr",
	} {
		var list struct{ Resources []struct{ ID string } }
		if err := json.Unmarshal(s.Must(200, "GET", query+"&count=1000", "").Body, &list); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, r := range list.Resources {
			want = append(want, r.ID)
		}
		for _, count := range []int{1, 2, 5, len(want), 100} {
			if got := idsByCursor(t, s, fmt.Sprintf("%s&count=%d", query, max(count, 1)), nil); !slices.Equal(got, want) {
				t.Errorf("%s by %d: %v, want %v", query, count, got, want)
			}
		}
	}
}

// TestCursorWhilePeopleComeAndGo deletes who was just shown and creates others
// between the pages: those who stay are shown once.
func TestCursorWhilePeopleComeAndGo(t *testing.T) {
	t.Parallel()
	for _, sort := range []string{"", "&sortBy=userName", "&sortBy=userName&sortOrder=descending"} {
		s := bridgetest.Start(t, bridgetest.Config{})
		var stay, leave []string
		for i := range 6 {
			id := s.Must(201, "POST", "/Users", bridgetest.User(fmt.Sprintf("p%d@example.com", i))).ID()
			if i%2 == 0 {
				stay = append(stay, id)
			} else {
				leave = append(leave, id)
			}
		}
		n := 0
		ids := idsByCursor(t, s, "/Users?filter=userName+sw+%22p%22&count=2"+sort, func() {
			if len(leave) > 0 {
				s.Must(204, "DELETE", "/Users/"+leave[0], "")
				leave = leave[1:]
				n++
				s.Must(201, "POST", "/Users", bridgetest.User(fmt.Sprintf("p%dx@example.com", n)))
			}
		})
		for _, id := range stay {
			if got := strings.Count(strings.Join(ids, " "), id); got != 1 {
				t.Errorf("%s: somebody who stays was shown %d times", sort, got)
			}
		}
	}
}
