package upstream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func benchPage(n int) []byte {
	var users []string
	for i := range n {
		users = append(users, fmt.Sprintf(`{"Id":%d,"Email":"person%05d@example.com","FirstName":"Jamie","LastName":"Jackson","CountryId":"CA","OtherId":"00u1ab2cd%d",
		"Memberships":[{"OrganizationId":113,"RoleId":3,"State":"active"},{"OrganizationId":114,"RoleId":5,"State":"suspended"}],"DefaultOrganizationId":113,
		"IdentityProviderId":2,"AccountState":"active","IsAccessible":true,"InviteId":"inv_01J0000000000000000000%04d","CreatedAt":"2026-01-05T09:00:00Z",
		"UpdatedAt":"2026-02-01T10:00:00Z","LastLoginAt":null}`, i+1, i, i, i))
	}
	return fmt.Appendf(nil, `{"Users":[%s],"Page":1,"PageSize":%d,"Total":%d}`, strings.Join(users, ","), n, n)
}

// canned answers every request with the same body and costs next to nothing itself.
type canned struct {
	header http.Header
	body   []byte
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: c.header, Body: io.NopCloser(bytes.NewReader(c.body))}, nil
}

func benchClient(b *testing.B, body []byte) *Client {
	return newTestClient(b, &canned{http.Header{"Content-Type": {"application/json"}}, body}, nil)
}

func BenchmarkGetUser(b *testing.B) {
	c := benchClient(b, []byte(accountJSON(7, "a@x.test", activeIn113)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.GetUser(context.Background(), 7); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeUser(b *testing.B) {
	body := []byte(accountJSON(7, "a@x.test", activeIn113))
	b.ReportAllocs()
	for b.Loop() {
		w, err := decoded[snakeAccount](body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.account(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListPageOf100(b *testing.B) {
	c := benchClient(b, benchPage(100))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range c.ListUsers(context.Background(), ListUsersQuery{PageSize: 100}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 100 {
			b.Fatal(n)
		}
	}
}

// Gates on allocations, which do not depend on the machine.
func TestAllocations(t *testing.T) {
	c := newTestClient(t, &canned{http.Header{"Content-Type": {"application/json"}}, []byte(accountJSON(7, "a@x.test", activeIn113))}, nil)
	get := func() {
		if _, err := c.GetUser(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
	}
	get()
	if n := testing.AllocsPerRun(200, get); n > 40 {
		t.Errorf("get_user allocates %.0f times, want at most 40", n)
	}
	page := newTestClient(t, &canned{http.Header{"Content-Type": {"application/json"}}, benchPage(100)}, nil)
	list := func() {
		for _, err := range page.ListUsers(t.Context(), ListUsersQuery{PageSize: 100}) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	list()
	if n := testing.AllocsPerRun(50, list); n > 1000 {
		t.Errorf("a page of 100 allocates %.0f times, want at most 1000", n)
	}
}
