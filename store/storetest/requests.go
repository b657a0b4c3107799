package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/store"
)

// request is a request with every field set, different for each n.
func request(n int) *store.Request {
	r := &store.Request{
		At: base.Add(time.Duration(n) * time.Second), Tenant: []string{"t", "u"}[n%2], Credential: fmt.Sprint("tok_", n%3),
		Dialect: "okta", Method: "GET", Route: "/scim/v2/Users/{id}", Action: "user.read", Bulk: n % 4, ResourceType: "User",
		ResourceID: fmt.Sprint("id-", n%3), Names: []string{fmt.Sprint("p-", n%2), "p-all"}, Filter: `userName eq p-é "`,
		Status: 200, Type: "noTarget", Detail: "détail", Calls: n, Duration: time.Duration(n) * time.Millisecond,
		RequestID: fmt.Sprint("req-", n/2), EntraFlag: n%3 == 0,
	}
	switch n % 4 {
	case 0:
		r.Status, r.Names, r.ResourceID = 404, nil, ""
	case 1:
		r.Aborted = true
	}
	return r
}

// log puts the tenants t and u, and requests of both.
func (h *suite) log(n int) []*store.Request {
	h.Helper()
	h.must(h.putTenant(tenant("t")))
	h.must(h.putTenant(tenant("u")))
	var all []*store.Request
	for i := range n {
		all = append(all, request(i))
	}
	h.must(h.s.AppendRequests(h.ctx, all))
	return all
}

// requestIDs are those of what a query finds.
func (h *suite) requestIDs(q store.RequestQuery) []string {
	h.Helper()
	found, err := h.s.Requests(h.ctx, q)
	h.must(err)
	list := []string{}
	for _, r := range found {
		list = append(list, r.RequestID)
	}
	return list
}

var requestCases = []testCase{
	{"answers every query in order", func(h *suite) {
		all := h.log(24)
		for i, r := range all {
			if r.Seq == 0 || i > 0 && r.Seq <= all[i-1].Seq {
				h.Fatalf("request %d has seq %d", i, r.Seq)
			}
		}
		for _, q := range []store.RequestQuery{
			{}, {Tenant: "t"}, {RequestID: "req-2"}, {Failed: true}, {Limit: 3}, {After: all[4].Seq}, {After: all[23].Seq},
			{Subjects: []string{"id-1"}, Tenant: "t"}, {Subjects: []string{"p-1"}, Tenant: "u"}, {Subjects: []string{"p"}, Tenant: "t"},
			{Subjects: []string{"p-all", "id-2"}, After: all[3].Seq, Tenant: "t"}, {Subjects: []string{"p-all", "id-1"}, Tenant: "u", Failed: true},
			{Tenant: "u", Failed: true, Limit: 2}, {Tenant: "v"}, {Tenant: "t", RequestID: "req-3", Subjects: []string{"id-0", "p-0"}},
			{Tenant: "t\x00"}, {Subjects: []string{"\x00"}, Tenant: "t"}, {RequestID: "req-2", Failed: true, After: all[0].Seq},
		} {
			for _, newest := range []bool{false, true} {
				q.Newest = newest
				got, err := h.s.Requests(h.ctx, q)
				h.must(err)
				if diff := cmp.Diff(selectedRequests(all, q), got); diff != "" {
					h.Fatalf("%+v (-want +got)\n%s", q, diff)
				}
			}
		}
	}},
	{"finds subjects within a tenant alone", func(h *suite) {
		h.log(4)
		if found, err := h.s.Requests(h.ctx, store.RequestQuery{Subjects: []string{"id-1"}}); err == nil {
			h.Fatalf("found %d requests of any tenant", len(found))
		}
	}},
	{"answers a hundred when no limit is asked for", func(h *suite) {
		h.log(130)
		if n := len(h.requestIDs(store.RequestQuery{})); n != 100 {
			h.Fatalf("%d requests", n)
		}
	}},
	{"leaves out the requests of tenants that do not exist", func(h *suite) {
		h.must(h.putTenant(tenant("t")))
		rows := []*store.Request{request(1), request(2), request(3)}
		h.must(h.s.AppendRequests(h.ctx, rows))
		if rows[0].Seq != 0 || rows[1].Seq == 0 || rows[2].Seq != 0 {
			h.Fatalf("seqs %d, %d and %d", rows[0].Seq, rows[1].Seq, rows[2].Seq)
		}
		equal(h, rows[1:2])(h.s.Requests(h.ctx, store.RequestQuery{}))
		h.must(h.s.AppendRequests(h.ctx, []*store.Request{request(5)}))
		h.must(h.s.AppendRequests(h.ctx, nil))
		equal(h, rows[1:2])(h.s.Requests(h.ctx, store.RequestQuery{}))
	}},
	{"loses a tenant's requests with the tenant", func(h *suite) {
		all := h.log(8)
		h.update(func(tx store.Tx) error { return tx.DeleteTenant("u") })
		kept := selectedRequests(all, store.RequestQuery{Tenant: "t"})
		equal(h, kept)(h.s.Requests(h.ctx, store.RequestQuery{}))
		h.must(h.putTenant(tenant("u")))
		equal(h, kept)(h.s.Requests(h.ctx, store.RequestQuery{}))
		equal(h, []*store.Request(nil))(h.s.Requests(h.ctx, store.RequestQuery{Tenant: "u", Subjects: []string{"p-1", "id-1"}}))
	}},
	{"refuses what it cannot keep, and keeps nothing then", func(h *suite) {
		h.must(h.putTenant(tenant("t")))
		bad := request(2)
		bad.Detail = "a\x00b"
		if err := h.s.AppendRequests(h.ctx, []*store.Request{request(0), bad}); err == nil {
			h.Fatal("a zero byte was kept")
		}
		if ids := h.requestIDs(store.RequestQuery{}); len(ids) != 0 {
			h.Fatalf("kept %v", ids)
		}
	}},
	{"prunes by age, in portions", func(h *suite) {
		all := h.log(20) // t has the even ones
		cut := all[9].At
		var portions []int
		for {
			n, err := h.s.PruneRequests(h.ctx, "t", cut, 1000, 2)
			h.must(err)
			if portions = append(portions, n); n < 2 {
				break
			}
		}
		if !slices.Equal(portions, []int{2, 2, 1}) {
			h.Fatalf("portions of %v", portions)
		}
		equal(h, 0)(h.s.PruneRequests(h.ctx, "t", cut, 1000, 100))
		equal(h, selectedRequests(all, store.RequestQuery{Tenant: "t", After: all[8].Seq}))(h.s.Requests(h.ctx, store.RequestQuery{Tenant: "t"}))
		equal(h, selectedRequests(all, store.RequestQuery{Tenant: "u"}))(h.s.Requests(h.ctx, store.RequestQuery{Tenant: "u"}))
		// What finds a row went with it.
		subjects := store.RequestQuery{Tenant: "t", Subjects: []string{"p-0", "p-all", "id-0", "id-1", "id-2"}}
		equal(h, selectedRequests(all[9:], subjects))(h.s.Requests(h.ctx, subjects))
	}},
	{"prunes what is old behind what a fast clock dated", func(h *suite) {
		h.must(h.putTenant(tenant("t")))
		cut := base.Add(time.Hour)
		var all []*store.Request
		for i := range 260 {
			r := request(2 * i)
			if r.At = base; i < 150 {
				r.At = base.Add(1000 * time.Hour)
			} else if i >= 250 {
				r.At = cut
			}
			all = append(all, r)
		}
		h.must(h.s.AppendRequests(h.ctx, all))
		equal(h, 0)(h.s.PruneRequests(h.ctx, "t", time.Time{}, 1000, 1000))
		equal(h, 200)(h.s.PruneRequests(h.ctx, "t", cut, 1000, 200))
		equal(h, 50)(h.s.PruneRequests(h.ctx, "t", cut, 1000, 200))
		equal(h, all[250:])(h.s.Requests(h.ctx, store.RequestQuery{Tenant: "t"}))
	}},
	{"prunes by number, in portions", func(h *suite) {
		all := h.log(20)
		equal(h, 0)(h.s.PruneRequests(h.ctx, "t", base, 10, 100))
		equal(h, 3)(h.s.PruneRequests(h.ctx, "t", base, 5, 3))
		equal(h, 2)(h.s.PruneRequests(h.ctx, "t", base, 5, 3))
		equal(h, 0)(h.s.PruneRequests(h.ctx, "t", base, 5, 3))
		equal(h, selectedRequests(all[10:], store.RequestQuery{Tenant: "t"}))(h.s.Requests(h.ctx, store.RequestQuery{Tenant: "t"}))
		equal(h, 0)(h.s.PruneRequests(h.ctx, "t", base, 0, 0))
		equal(h, 5)(h.s.PruneRequests(h.ctx, "t", base, 0, 100))
		equal(h, 0)(h.s.PruneRequests(h.ctx, "nobody", base, 0, 100))
		equal(h, selectedRequests(all, store.RequestQuery{Tenant: "u"}))(h.s.Requests(h.ctx, store.RequestQuery{}))
	}},
	{"is pruned by several at once", func(h *suite) {
		all := h.log(200)
		errs := together(4, func(int) error {
			for {
				n, err := h.s.PruneRequests(h.ctx, "t", base, 10, 7)
				if err != nil || n == 0 {
					return err
				}
			}
		})
		h.must(errors.Join(errs...))
		equal(h, selectedRequests(all[180:], store.RequestQuery{Tenant: "t"}))(h.s.Requests(h.ctx, store.RequestQuery{Tenant: "t"}))
	}},
	{"loses none to whoever follows", func(h *suite) {
		h.must(h.putTenant(tenant("t")))
		h.must(h.putTenant(tenant("u")))
		const writers, batches = 6, 25
		var mu sync.Mutex
		var appended []int64
		stop := make(chan struct{})
		followed := make(chan []int64, 1)
		go func() { followed <- h.followRequests(stop) }()
		errs := together(writers, func(w int) error {
			for i := range batches {
				var rows []*store.Request
				for n := range 1 + i%4 {
					rows = append(rows, request(w+n))
				}
				if err := h.s.AppendRequests(h.ctx, rows); err != nil {
					return err
				}
				mu.Lock()
				for _, r := range rows {
					appended = append(appended, r.Seq)
				}
				mu.Unlock()
			}
			return nil
		})
		close(stop)
		seen := <-followed
		h.must(errors.Join(errs...))
		slices.Sort(appended)
		if !slices.Equal(seen, appended) {
			h.Fatalf("followed %d of %d requests, or not in order", len(seen), len(appended))
		}
	}},
}

// followRequests is follow for requests.
func (h *suite) followRequests(stop <-chan struct{}) []int64 {
	var seen []int64
	var after int64
	for {
		var last bool
		select {
		case <-stop:
			last = true
		default:
		}
		found, err := h.s.Requests(h.ctx, store.RequestQuery{After: after, Limit: 7})
		if err != nil {
			h.Errorf("following: %v", err)
			return nil
		}
		for _, r := range found {
			seen = append(seen, r.Seq)
			after = r.Seq
		}
		if last && len(found) == 0 {
			return seen
		}
	}
}

// selectedRequests is what a RequestQuery selects.
func selectedRequests(all []*store.Request, q store.RequestQuery) []*store.Request {
	var out []*store.Request
	for i := range all {
		r := all[i]
		if q.Newest {
			r = all[len(all)-1-i]
		}
		about := len(q.Subjects) == 0 || slices.Contains(q.Subjects, r.ResourceID) ||
			slices.ContainsFunc(r.Names, func(name string) bool { return slices.Contains(q.Subjects, name) })
		if r.Seq > q.After && (q.Tenant == "" || r.Tenant == q.Tenant) && (q.RequestID == "" || r.RequestID == q.RequestID) &&
			about && (!q.Failed || r.Failed()) && (q.Limit == 0 || len(out) < q.Limit) {
			out = append(out, r)
		}
	}
	return out
}
