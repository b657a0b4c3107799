package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// directory is a list of accounts that can change between pages.
type directory struct {
	ids    []int64
	calls  int
	most   int            // its own cap of the page size; 0: none
	before func(call int) // called before each page
	edit   func(map[string]any)
}

func (d *directory) RoundTrip(r *http.Request) (*http.Response, error) {
	d.calls++
	if d.before != nil {
		d.before(d.calls)
	}
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	size, _ := strconv.Atoi(r.URL.Query().Get("page_size"))
	if d.most > 0 {
		size = min(size, d.most)
	}
	from := min((number-1)*size, len(d.ids))
	var users []string
	for _, id := range d.ids[from:min(from+size, len(d.ids))] {
		users = append(users, fmt.Sprintf(`{"Id":%d,"Email":"p%d@x.test","AccountState":"active","IsAccessible":true,"Memberships":[{"OrganizationId":113,"RoleId":5,"State":"active"}]}`, id, id))
	}
	header := map[string]any{"Page": number, "PageSize": size, "Total": len(d.ids)}
	if d.edit != nil {
		d.edit(header)
	}
	var body strings.Builder
	body.WriteString(`{"Users":[` + strings.Join(users, ",") + `]`)
	for k, v := range header {
		body.WriteString(fmt.Sprintf(`,%q:%v`, k, v))
	}
	return reply{status: 200, body: body.String() + "}"}.response(r)
}

func (d *directory) list(t testing.TB, pageSize int) (ids []int64, err error) {
	c := newTestClient(t, d, func(o *Options) { o.MaxAttempts = 1 })
	for a, err := range c.ListUsers(context.Background(), ListUsersQuery{OrganizationIDs: []int64{113}, PageSize: pageSize}) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, a.ID)
	}
	return ids, nil
}

func upTo(n int) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = int64(i + 1)
	}
	return ids
}

func TestListReadsEveryPage(t *testing.T) {
	for _, tt := range []struct{ entries, pageSize, cap, wantCalls int }{
		{0, 0, 0, 1}, {1, 0, 0, 1}, {199, 0, 0, 1}, {200, 0, 0, 1}, {201, 0, 0, 2}, {2000, 0, 0, 12}, {2000, 1000, 0, 12},
		{1000, 100, 0, 12}, {60, 1, 0, 4}, {500, 0, 50, 12}, {20, 0, 3, 10},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			d := &directory{ids: upTo(tt.entries), most: tt.cap}
			got, err := d.list(t, tt.pageSize)
			if err != nil || !slices.Equal(got, upTo(tt.entries)) {
				t.Errorf("%d entries, error %v", len(got), err)
			}
			if d.calls > tt.wantCalls {
				t.Errorf("%d calls, want at most %d", d.calls, tt.wantCalls)
			}
		})
	}
}

// Whoever is in the list from beginning to end is read, exactly once, whatever happens around: this is what lets a scan
// conclude that somebody is gone.
func TestListMissesNobodyWhileItChanges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := &directory{ids: upTo(rapid.IntRange(0, 200).Draw(rt, "entries")), most: rapid.SampledFrom([]int{0, 0, 25}).Draw(rt, "cap")}
		stays := slices.Clone(d.ids)
		next, removed := int64(len(d.ids)), map[int64]bool{}
		d.before = func(call int) {
			if call > 12 {
				return // it settles in the end
			}
			for range rapid.IntRange(0, 6).Draw(rt, "changes") {
				if len(d.ids) == 0 || rapid.Bool().Draw(rt, "insert") {
					next++
					d.ids = append(d.ids, next)
					continue
				}
				at := rapid.IntRange(0, len(d.ids)-1).Draw(rt, "at")
				removed[d.ids[at]] = true
				d.ids = slices.Delete(d.ids, at, at+1)
			}
		}
		got, err := d.list(t, 20)
		if err != nil {
			if !errors.Is(err, errShifted) {
				rt.Fatalf("error %v", err)
			}
			return // complete, or an error
		}
		seen := map[int64]bool{}
		for _, id := range got {
			if seen[id] {
				rt.Fatalf("%d is listed twice", id)
			}
			seen[id] = true
		}
		for _, id := range stays {
			if !removed[id] && !seen[id] {
				rt.Fatalf("%d was there all the time and is missing from %v", id, got)
			}
		}
	})
}

// The shift that totals do not show: one entry leaves a page that was read, another one comes at the end.
func TestListNoticesAShiftThatKeepsTheTotal(t *testing.T) {
	d := &directory{ids: upTo(100)}
	d.before = func(call int) {
		if call == 2 {
			d.ids = append(slices.Delete(d.ids, 0, 3), 101, 102, 103)
		}
	}
	got, err := d.list(t, 20)
	if err != nil {
		t.Fatal(err)
	}
	for id := int64(4); id <= 103; id++ {
		if !slices.Contains(got, id) {
			t.Errorf("%d is missing", id)
		}
	}
}

func TestListThatNeverSettlesIsAnError(t *testing.T) {
	d := &directory{ids: upTo(100)}
	d.before = func(int) { d.ids = append(slices.Delete(d.ids, 0, 40), upTo(40)...) }
	if _, err := d.list(t, 20); !errors.Is(err, errShifted) || KindOf(err) != Unavailable {
		t.Errorf("error = %v, want %v", err, errShifted)
	}
	if d.calls > 100 {
		t.Errorf("%d calls until it gave up", d.calls)
	}
}

func TestListRefusesPagesThatDoNotFit(t *testing.T) {
	tests := []struct {
		name string
		edit func(map[string]any)
		want string
	}{
		{"another page", func(h map[string]any) { h["Page"] = 9 }, "page 9, asked was 1"},
		{"a larger page", func(h map[string]any) { h["PageSize"] = 500 }, "page size 500"},
		{"no page size", func(h map[string]any) { delete(h, "PageSize") }, "page size 0"},
		{"no total", func(h map[string]any) { h["Total"] = "null" }, "no Total"},
		{"a negative total", func(h map[string]any) { h["Total"] = -1 }, "no Total"},
		{"more entries than its size", func(h map[string]any) { h["PageSize"] = 3 }, "5 entries, more than its size"},
		{"fewer entries than its total", func(h map[string]any) { h["Total"] = 50 }, errShifted.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &directory{ids: upTo(5), edit: tt.edit}
			if _, err := d.list(t, 0); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestListStopsWhenTheReaderHasEnough(t *testing.T) {
	d := &directory{ids: upTo(1000)}
	c := newTestClient(t, d, nil)
	for range c.ListUsers(t.Context(), ListUsersQuery{}) {
		break
	}
	if d.calls != 1 {
		t.Errorf("%d calls, want 1", d.calls)
	}
}

func TestNextPageAlwaysOverlapsAndAdvances(t *testing.T) {
	for most := minPage; most <= defaultPage; most++ {
		for _, have := range []int{1, 19, 20, 60, 200, 398, 2520, 55440, 100_000, 720_720} {
			number, size := nextPage(have, most)
			start, end := (number-1)*size, number*size
			if start >= have || end <= have || size > most {
				t.Fatalf("have %d, most %d: page %d of %d covers [%d,%d)", have, most, number, size, start, end)
			}
		}
	}
}
