package badinput

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// groupSituations are rows of group G that need a bridge of their own.
var groupSituations = []situation{
	{"G89 10 001 members", manyMembers},
	{"G90 members and groups of another tenant", otherTenantsGroups},
	{"G93 the same name at once", sameNameAtOnce},
}

// manyMembers is row 89: more members than anybody lists by hand.
func manyMembers(t *testing.T) int {
	n := 10_001
	if raced {
		n = 1001
	}
	r := startRig(t, bridgetest.Config{Sandbox: sandbox.Options{Users: n}, Tenant: groupRules, Idle: true})
	var ids []string
	for start := 1; len(ids) < n; start = len(ids) + 1 {
		res := r.quietly(t, "GET", fmt.Sprintf("/Users?attributes=id&startIndex=%d&count=1000", start), "")
		page, _ := res.JSON("Resources").([]any)
		if len(page) == 0 {
			t.Fatalf("no page at %d: %d %s", start, res.Status, excerpt(res.Body))
		}
		for _, u := range page {
			ids = append(ids, u.(map[string]any)["id"].(string))
		}
	}
	ledger := len(r.Sandbox.Ledger())
	id := r.mustGroup(t, groupOf("Everybody", entries(ids[:2]...)))
	shown := func() int {
		list, _ := r.quietly(t, "GET", "/Groups/"+id, "").JSON("members").([]any)
		return len(list)
	}
	for _, c := range []struct {
		ask
		status, members int
	}{
		{ask{"replace", "okta", "PATCH", "/Groups/" + id, bridgetest.PatchOp(`{"op":"replace","path":"members","value":` + entries(ids...) + `}`)}, 204, len(ids)},
		{ask{"PUT of two", "okta", "PUT", "/Groups/" + id + "?excludedAttributes=members", groupOf("Everybody", entries(ids[:2]...))}, 200, 2},
		{ask{"PUT", "okta", "PUT", "/Groups/" + id + "?excludedAttributes=members", groupOf("Everybody", entries(ids...))}, 200, len(ids)},
		{ask{"Remove of a list", "entra", "PATCH", "/Groups/" + id, bridgetest.PatchOp(`{"op":"Remove","path":"members","value":` + entries(ids[2:]...) + `}`)}, 204, 2},
	} {
		r.lets(t, c.status, c.ask)
		r.tried++
		if got := shown(); got != c.members {
			t.Errorf("%s: %d members, want %d", c.name, got, c.members)
		}
	}
	if n := len(r.Sandbox.Ledger()) - ledger; n != 0 {
		t.Errorf("%d effects upstream of a group without a rule", n)
	}
	return r.tried
}

// sameNameAtOnce is finding A24 for groups: of many creates of a name one
// succeeds, on whatever replica.
func sameNameAtOnce(t *testing.T) int {
	const n = 32
	cfg := lasting(t, groupRules)
	r := startRig(t, cfg)
	other, p := r.again(t, cfg), r.people(t, 1)[0]
	var made, taken atomic.Int64
	var wg sync.WaitGroup
	for i := range n {
		by, name := []*rig{r, other}[i%2], []string{"Managers-same", "MANAGERS-SAME"}[i/2%2]
		wg.Go(func() {
			switch res := by.Do("POST", "/Groups", groupOf(name, entries(p.id))); res.Status {
			case 201:
				made.Add(1)
			case 409:
				taken.Add(1)
			default:
				t.Errorf("status %d %s", res.Status, excerpt(res.Body))
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 || taken.Load() != n-1 || r.groups(t) != 1 {
		t.Errorf("%d were made and %d refused, and there are %v; want one", made.Load(), taken.Load(), r.groups(t))
	}
	if a := r.Sandbox.State().Account(p.name); a.Membership(113).RoleID != manager {
		t.Errorf("the member has the role %d in the sandbox", a.Membership(113).RoleID)
	}
	return n
}

// otherTenantsGroups: what another tenant has is unknown, to the byte (I5).
func otherTenantsGroups(t *testing.T) int {
	r := startRig(t, bridgetest.Config{Tenant: groupRules, Idle: true})
	r.Apply(bridgetest.Tenant("globex", r.UpstreamURL, groupRules[0]))
	globex := []string{"Authorization", "Bearer " + r.NewToken("globex", "rfc")}
	r.secret = append(r.secret, strings.TrimPrefix(globex[1], "Bearer "))
	them := r.Must(201, "POST", "/Users", userOf("them@example.com"), globex...).ID()
	theirs := r.Must(201, "POST", "/Groups", groupWith(`"Managers-theirs"`, entries(them), `"externalId":"theirs"`), globex...)
	r.gathers = true
	r.bind(t)
	const no = "3f0c9a3e-0000-4000-8000-000000000000"
	ledger, tried := len(r.Sandbox.Ledger()), 0
	same := func(name string, got, want bridgetest.Response, id string) {
		t.Helper()
		tried += 2
		for _, res := range []bridgetest.Response{got, want} {
			for _, h := range []string{"X-Request-Id", "Date"} {
				res.Header.Del(h)
			}
		}
		if got.Status != want.Status || strings.ReplaceAll(string(got.Body), id, no) != string(want.Body) || fmt.Sprint(got.Header) != fmt.Sprint(want.Header) {
			t.Errorf("%s: %d %v %s, of nobody %d %v %s", name, got.Status, got.Header, got.Body, want.Status, want.Header, want.Body)
		}
	}
	for method, body := range map[string]string{"GET": "", "HEAD": "", "DELETE": "", "PUT": groupOf("Managers-theirs", "[]"), "PATCH": bridgetest.PatchOp(wipe)} {
		got := r.Do(method, "/Groups/"+theirs.ID(), body)
		if got.Status != 404 {
			t.Errorf("%s of their group: status %d", method, got.Status)
		}
		same(method, got, r.Do(method, "/Groups/"+no, body), theirs.ID())
	}
	for _, id := range []string{them, theirs.ID()} {
		for _, w := range ways {
			say := func(id string) bridgetest.Response {
				fill := strings.NewReplacer("{list}", entries(r.crowd.in.id, id), "{group}", r.crowd.id, "{title}", r.crowd.title, "{new}", "new")
				return r.Do(w.method, fill.Replace(w.path), fill.Replace(w.body), "Authorization", "Bearer "+r.tokens[w.as])
			}
			got := say(id)
			if got.Status != 400 {
				t.Errorf("%s: status %d %s", w.name, got.Status, excerpt(got.Body))
			}
			same(w.name, got, say(no), id)
		}
		for _, filter := range []string{"id eq %q", "members eq %q", "members[value eq %q]", "members.value sw %q"} {
			path := func(id string) string { return "/Groups?filter=" + url.QueryEscape(fmt.Sprintf(filter, id)) }
			same(filter, r.Do("GET", path(id), ""), r.Do("GET", path(no), ""), id)
		}
		remove := func(id string) bridgetest.Response {
			return r.Do("PATCH", "/Groups/"+r.crowd.id, bridgetest.PatchOp(`{"op":"remove","path":"members","value":`+entries(id)+`}`))
		}
		same("remove", remove(id), remove(no), id)
	}
	for _, filter := range []string{`displayName eq "Managers-theirs"`, `externalId eq "theirs"`} {
		tried++
		if res := r.Do("GET", "/Groups?filter="+url.QueryEscape(filter), ""); res.JSON("totalResults") != 0.0 {
			t.Errorf("filter %s finds %s", filter, res.Body)
		}
	}
	if n := len(r.Sandbox.Ledger()) - ledger; n != 0 {
		t.Errorf("%d effects upstream", n)
	}
	if now := r.Do("GET", "/Groups/"+theirs.ID(), "", globex...); now.JSON("members.0.value") != them || now.Header.Get("ETag") != theirs.Header.Get("ETag") {
		t.Errorf("their group afterwards: %d %s", now.Status, now.Body)
	}
	r.lets(t, 201, ask{"a group of the same name", "rfc", "POST", "/Groups", groupWith(`"Managers-theirs"`, "", `"externalId":"theirs"`)})
	return tried
}
