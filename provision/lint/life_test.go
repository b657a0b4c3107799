package lint

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// mailNickname is what Entra sends of a person unless told otherwise.
var mailNickname = user("externalId", `"jamie.jackson"`)

// Ids as the bridge gives them.
const idA, idB = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"

func TestFindingsOfPeopleGoOneByOne(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{idA, idB} {
		r.post("entra", id, mailNickname)
	}
	f := r.the("entra-external-id")
	want := Report{
		Code: "entra-external-id", Severity: Warning, Client: "entra", Credentials: []string{"entra"}, Subjects: 2,
		Examples: []string{idA, idB}, Count: 2, FirstSeen: start, LastSeen: start, Title: f.Title, Why: f.Why, Source: f.Source,
		Remedy: entraUsers + " › externalId: source attribute objectId, Save; then " + entraRun, about: aPerson,
	}
	if diff := cmp.Diff(want, f, cmp.AllowUnexported(Report{})); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	if got := f.About(); got != "2 people: "+idA+", "+idB {
		t.Errorf("it is about %q", got)
	}
	r.after(time.Hour)
	r.patch("entra", idA, mailNickname, `{"op":"Replace","path":"externalId","value":"`+guid+`"}`)
	if f := r.the("entra-external-id"); f.Subjects != 1 || f.Examples[0] != idB || f.About() != "person "+idB {
		t.Errorf("after one was corrected: %+v", f)
	}
	// Another token, as after one was replaced, says the same of the person.
	r.put("auto", idB, user())
	if !r.has("entra-external-id") {
		t.Error("a client that says nothing about Entra's ids corrects them")
	}
	r.credential(store.Credential{ID: "entra-2", Client: "entra", CreatedAt: start, LastUsedAt: start})
	c := caller("entra")
	c.Credential = "entra-2"
	u := &scim.User{UserName: "jamie@example.com", ExternalID: guid}
	r.user = u
	if _, err := r.users.ReplaceUser(t.Context(), c, idB, u, scim.Preconditions{}); err != nil {
		t.Fatal(err)
	}
	if r.has("entra-external-id") {
		t.Error("it does not go")
	}
	r.after(time.Hour)
	r.post("entra", idA, mailNickname)
	if f := r.the("entra-external-id"); f.Count != 1 || !f.FirstSeen.Equal(start.Add(2*time.Hour)) {
		t.Errorf("it does not begin anew: %+v", f)
	}
}

func TestWhatWasRightBeforeCountsNoMore(t *testing.T) {
	r := newRig(t)
	r.put("entra", "a", user())
	r.after(time.Second)
	r.put("entra", "a", mailNickname)
	r.after(time.Second)
	r.put("okta", "a", user()) // right, but of what Entra sends it says nothing
	if !r.has("entra-external-id") {
		t.Error("it is over because of what was right before")
	}
}

func TestFindingsGoWithTheirSubject(t *testing.T) {
	r := newRig(t)
	r.post("entra", "a", mailNickname)
	r.err = badMember
	r.patchGroup("okta", "g", addsMember)
	r.postGroup("okta", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Managers","members":[{"value":"nobody"}]}`)
	if diff := cmp.Diff([]string{"group-before-members", "entra-external-id"}, r.codes()); diff != "" {
		t.Fatal(diff)
	}
	r.after(time.Minute)
	r.err = nil
	if err := r.users.DeleteUser(t.Context(), caller("entra"), "a", scim.Preconditions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.groups.DeleteGroup(t.Context(), caller("okta"), "g", scim.Preconditions{}); err != nil {
		t.Fatal(err)
	}
	r.postGroup("okta", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"managers"}`)
	if diff := cmp.Diff([]string{}, r.codes()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatSettles(t *testing.T) {
	for _, tt := range []struct {
		code       string
		wrong, set func(r *rig)
	}{
		{"no-email", func(r *rig) { r.err = noAddress; r.post("okta", "", user("userName", `"jay"`, "emails", "")) },
			func(r *rig) {
				r.request("okta", Request{Method: "POST", Route: usersRoute, ID: "a", Name: "Jay", Status: 201})
				r.post("okta", "a", user("userName", `"JAY"`))
				r.put("okta", "a", user())
			}},
		{"group-before-members", func(r *rig) { r.err = badMember; r.patchGroup("okta", "g", addsMember) },
			func(r *rig) { r.patchGroup("okta", "g", addsMember) }},
		{"account-not-adopted", func(r *rig) {
			r.person(store.Person{ID: idA})
			r.err = notOurs
			r.put("okta", idA, user())
		}, func(r *rig) { r.request("okta", Request{Method: "PUT", Route: userRoute, ID: idA, Status: 200}) }},
		{"refused-again", func(r *rig) {
			for range 3 {
				r.request("okta", Request{Method: "PUT", Route: userRoute, ID: "a", Status: 400})
			}
		}, func(r *rig) { r.request("okta", Request{Method: "PATCH", Route: userRoute, ID: "a", Status: 200}) }},
		{"refused-again", func(r *rig) {
			for range 3 {
				r.request("okta", Request{Method: "POST", Route: usersRoute, Name: "Jay", Status: 400})
			}
		}, func(r *rig) {
			r.request("okta", Request{Method: "POST", Route: usersRoute, Name: "jay", ID: "a", Status: 201})
		}},
		{"filter-unquoted", func(r *rig) {
			r.request("rfc", Request{Method: "GET", Route: usersRoute, Status: 400, Type: scim.TypeInvalidFilter, Filter: `userName eq jay`})
		}, func(r *rig) {
			r.request("rfc", Request{Method: "GET", Route: usersRoute, Status: 200, Filter: `userName eq "jay"`})
		}},
		{"roles-not-read", func(r *rig) { r.post("entra", "a", user("roles", `[{"value":"Manager"}]`)) },
			func(r *rig) { r.configure("roles_attribute: true") }},
		{"entra-without-flag", func(r *rig) { r.request("entra", Request{Method: "GET", Route: usersRoute, Status: 200}) },
			func(r *rig) {
				r.request("entra", Request{Method: "GET", Route: usersRoute, Status: 200, EntraFlag: true})
			}},
		{"several-clients", func(r *rig) {
			r.request("auto", Request{Method: "GET", Route: usersRoute, Status: 200, Dialect: scim.DialectOkta})
			r.request("auto", Request{Method: "GET", Route: usersRoute, Status: 200, Dialect: scim.DialectEntra, EntraFlag: true})
		}, func(r *rig) {
			r.credential(store.Credential{ID: "auto", Client: "auto", CreatedAt: start, LastUsedAt: start, RevokedAt: start})
		}},
	} {
		t.Run(tt.code, func(t *testing.T) {
			r := newRig(t)
			tt.wrong(r)
			if diff := cmp.Diff([]string{tt.code}, r.codes()); diff != "" {
				t.Fatal(diff)
			}
			r.after(time.Minute)
			r.err = nil
			tt.set(r)
			if diff := cmp.Diff([]string{}, r.codes()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFindingsEndByThemselves(t *testing.T) {
	r := newRig(t)
	r.post("entra", "a", mailNickname)
	r.request("entra", Request{Method: "GET", Route: usersRoute, Status: 200})
	must(t, r.Flush(t.Context()))
	use := func() { // or the tokens would be unused
		for _, kind := range kinds {
			must(t, r.st.TouchCredential(t.Context(), kind, r.clock, ""))
		}
	}
	r.after(week - time.Second)
	use()
	if diff := cmp.Diff([]string{"entra-external-id", "entra-without-flag"}, r.codes()); diff != "" {
		t.Error(diff)
	}
	r.after(time.Second)
	if diff := cmp.Diff([]string{"entra-external-id"}, r.codes()); diff != "" {
		t.Error(diff)
	}
	r.after(month)
	use()
	if diff := cmp.Diff([]string{}, r.codes()); diff != "" {
		t.Error(diff)
	}
	must(t, r.prune(t.Context()))
	if kept, err := r.st.Findings(t.Context(), "acme"); err != nil || len(kept) != 0 {
		t.Errorf("%d rows are kept, %v", len(kept), err)
	}
}

// What one replica saw wrong and another one right is judged by time, in
// whichever order they write.
func TestReplicasShareFindings(t *testing.T) {
	for _, wrongFirst := range []bool{true, false} {
		r := newRig(t)
		other := r.linter()
		r.post("entra", idA, mailNickname)
		r.after(time.Second)
		other.shaped(caller("entra"), idA, shapeOf(scim.DialectEntra, &scim.User{UserName: "j@example.com", ExternalID: guid}))
		replicas := []*Linter{r.Linter, other}
		if !wrongFirst {
			replicas = []*Linter{other, r.Linter}
		}
		for _, l := range replicas {
			must(t, l.Flush(t.Context()))
		}
		// The one that saw it right meets what the other wrote at its next write.
		other.shaped(caller("entra"), idB, shape{right: 1})
		must(t, other.Flush(t.Context()))
		if r.has("entra-external-id") {
			t.Errorf("wrong first %v: it stays", wrongFirst)
		}
	}
}

func TestSubjectsAreBounded(t *testing.T) {
	r := newRig(t)
	for n := range maxSubjects + 20 {
		r.post("entra", fmt.Sprintf("00000000-0000-4000-8000-%012d", n), mailNickname)
	}
	f := r.the("entra-external-id")
	if f.Subjects != maxSubjects || len(f.Examples) != maxExamples {
		t.Errorf("%d subjects, %d examples", f.Subjects, len(f.Examples))
	}
	r.after(time.Second)
	for n := range maxSubjects + 20 {
		r.post("entra", fmt.Sprintf("00000000-0000-4000-8000-%012d", n), user())
	}
	if r.has("entra-external-id") {
		t.Error("all were corrected")
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	r := newRig(t)
	for n := range maxGood + 100 {
		id := fmt.Sprint(n)
		r.shaped(caller("entra"), id, shape{wrong: maskOf(externalID), right: maskOf(userName)})
		r.refused(caller("entra"), refusal{id: id})
		r.seen.sender(id, scim.DialectOkta, start)
	}
	e := r.seen.of("acme")
	if len(e.tallies) > maxTallies || len(e.good) > maxGood || len(e.refusals) > maxRefusals || len(r.seen.senders) > maxSenders {
		t.Errorf("%d %d %d %d", len(e.tallies), len(e.good), len(e.refusals), len(r.seen.senders))
	}
}

// A tenant that fills all that may be held takes no evidence from another.
func TestNoiseOfOneTenantHidesNothingOfAnother(t *testing.T) {
	r := newRig(t)
	r.person(store.Person{ID: idA})
	noisy := scim.Caller{Tenant: "noisy", Credential: "x"}
	for n := range maxGood {
		r.shaped(noisy, fmt.Sprint(n), shape{wrong: maskOf(noEmail), right: maskOf(userName)})
		r.refused(noisy, refusal{id: fmt.Sprint(n)})
	}
	r.post("entra", idB, mailNickname)
	r.err = notOurs
	r.put("entra", idA, user())
	if diff := cmp.Diff([]string{"account-not-adopted", "entra-external-id"}, r.codes()); diff != "" {
		t.Fatal(diff)
	}
	r.err = nil
	for n := range maxGood {
		r.shaped(noisy, fmt.Sprint(n), shape{right: maskOf(userName)})
	}
	r.after(time.Second)
	r.post("entra", idB, user())
	if diff := cmp.Diff([]string{"account-not-adopted"}, r.codes()); diff != "" {
		t.Error(diff)
	}
}

// An id is a part of the line of its request, which may be long.
func TestEvidenceHoldsNoRequests(t *testing.T) {
	r := newRig(t)
	line := "PATCH /scim/v2/Users/" + idA + strings.Repeat("x", 1000)
	id := line[21:][:len(idA)]
	for range 2 { // a map can take the key of the second, too
		r.request("okta", Request{Method: "PATCH", Route: userRoute, ID: id, Status: 200})
		r.request("okta", Request{Method: "PATCH", Route: userRoute, ID: id, Status: 404})
	}
	e := r.seen.of("acme")
	if len(e.good) != 1 || len(e.tallies) != 1 {
		t.Fatalf("%d, %d", len(e.good), len(e.tallies))
	}
	for held := range e.good {
		if unsafe.StringData(held) == unsafe.StringData(id) {
			t.Error("what is good holds a request")
		}
	}
	for held := range e.tallies {
		if unsafe.StringData(held.subject) == unsafe.StringData(id) {
			t.Error("what was seen holds a request")
		}
	}
}

// Who moves from one client to another uses one of them from then on.
func TestSeveralClientsEnd(t *testing.T) {
	r := newRig(t)
	use := func(d scim.Dialect) {
		r.request("auto", Request{Method: "GET", Route: usersRoute, Status: 200, Dialect: d, EntraFlag: d == scim.DialectEntra})
	}
	use(scim.DialectEntra)
	for hours := range 24 * 9 {
		use(scim.DialectOkta)
		if hours == 0 && !r.has("several-clients") {
			t.Fatal("it is not found")
		}
		r.after(time.Hour)
	}
	if r.has("several-clients") {
		t.Errorf("nine days after the last request of Entra: %+v", r.the("several-clients"))
	}
	use(scim.DialectEntra)
	if !r.has("several-clients") {
		t.Error("it does not come back")
	}
}

// failing is a store that keeps no findings while broken is set.
type failing struct {
	store.Store
	broken bool
}

var errBroken = errors.New("broken")

func (f *failing) Findings(ctx context.Context, tenant string) ([]*store.Finding, error) {
	if f.broken {
		return nil, errBroken
	}
	return f.Store.Findings(ctx, tenant)
}

func TestAFailingStoreCostsFindingsAlone(t *testing.T) {
	r := newRig(t)
	f := &failing{Store: r.st, broken: true}
	r.Linter.store = f
	r.post("entra", "a", mailNickname)
	if err := r.Flush(t.Context()); !errors.Is(err, errBroken) {
		t.Fatalf("error is %v", err)
	}
	f.broken = false
	if diff := cmp.Diff([]string{}, r.codes()); diff != "" {
		t.Error(diff)
	}
	r.post("entra", "a", mailNickname)
	if !r.has("entra-external-id") {
		t.Error("it does not recover")
	}
}

// slow is a store that answers nothing about one tenant.
type slow struct{ store.Store }

func (s slow) Findings(ctx context.Context, tenant string) ([]*store.Finding, error) {
	if tenant == "stuck" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Findings(ctx, tenant)
}

func (s slow) Person(ctx context.Context, tenant, id string) (*store.Person, error) {
	if tenant == "stuck" || id == idB {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Person(ctx, tenant, id)
}

func TestASlowTenantCostsItsOwnFindingsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Linter.store = slow{r.st}
		stuck := scim.Caller{Tenant: "stuck", Credential: "x"}
		r.shaped(stuck, idA, shape{wrong: maskOf(noEmail)})
		r.refused(stuck, refusal{id: idA})
		r.post("entra", idA, mailNickname)
		r.refused(caller("entra"), refusal{id: idB}) // nor does a reason that is not found
		r.try(t.Context(), flushEvery, r.Flush)
		if diff := cmp.Diff([]string{"entra-external-id"}, r.codes()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnswersPassThrough(t *testing.T) {
	r := newRig(t)
	odd := errors.New("odd")
	for _, want := range []error{nil, odd, tooMany, exists, noAddress, notOurs} {
		r.user, r.err = &scim.User{ID: "x", UserName: "x@example.com"}, want
		p, err := r.codec.DecodePatch([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+addsRole+`]}`), scim.DialectEntra)
		must(t, err)
		for name, call := range map[string]func() (any, error){
			"create": func() (any, error) { return as(r.users.CreateUser(t.Context(), caller("entra"), &scim.User{})) },
			"replace": func() (any, error) {
				return as(r.users.ReplaceUser(t.Context(), caller("entra"), "x", &scim.User{}, scim.Preconditions{}))
			},
			"patch": func() (any, error) {
				return as(r.users.PatchUser(t.Context(), caller("entra"), "x", p, scim.Preconditions{}))
			},
			"delete": func() (any, error) {
				return r.user, r.users.DeleteUser(t.Context(), caller("entra"), "x", scim.Preconditions{})
			},
		} {
			got, err := call()
			if err != want || want == nil && got != any(r.user) {
				t.Errorf("%s: %v, %v, want %v", name, got, err, want)
			}
		}
		if _, err := r.groups.PatchGroup(t.Context(), caller("okta"), "g", &scim.GroupPatch{}, scim.Preconditions{}, false); err != want {
			t.Errorf("group: %v, want %v", err, want)
		}
	}
	r.user, r.err = nil, nil
	if got, err := r.users.CreateUser(t.Context(), caller("entra"), &scim.User{}); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func as[T any](v *T, err error) (any, error) {
	return v, err
}

func TestRunWritesAndReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		reported := 0
		var last []Report
		r.report = func(all map[string][]Report) { reported++; last = all["acme"] }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Linter.Run(ctx) }()
		synctest.Wait()
		r.request("entra", Request{Method: "GET", Route: usersRoute, Status: 200})
		time.Sleep(reportEvery + time.Second)
		synctest.Wait()
		if reported != 2 || len(last) != 1 || last[0].Code != "entra-without-flag" {
			t.Errorf("reported %d times, last %+v", reported, last)
		}
		r.RateLimited("acme", "entra")
		cancel()
		<-done
		if kept, err := r.st.Findings(t.Context(), "acme"); err != nil || len(kept) != 2 {
			t.Errorf("%d rows are kept, %v: what was seen last is lost", len(kept), err)
		}
	})
}

func BenchmarkUsers(b *testing.B) {
	u := &scim.User{
		ID: "2819c223-7f76-453a-919d-413861904646", ExternalID: guid, UserName: "jamie@example.com",
		Name: &scim.Name{GivenName: "Jamie", FamilyName: "Jackson"}, Emails: []scim.MultiValue{{Value: "jamie@example.com", Type: "work"}},
	}
	l := &Linter{now: time.Now, seen: newEvidence()}
	for name, h := range map[string]scim.UserHandler{"bare": always{u: u}, "looked at": l.Users(always{u: u})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = h.ReplaceUser(b.Context(), scim.Caller{Tenant: "acme", Credential: "c", Dialect: scim.DialectEntra}, u.ID, u, scim.Preconditions{})
			}
		})
	}
}

func BenchmarkRequest(b *testing.B) {
	l := &Linter{now: time.Now, seen: newEvidence()}
	r := &Request{Tenant: "acme", Credential: "c", Dialect: scim.DialectOkta, Method: "PATCH", Route: userRoute, ID: idA, Status: 200}
	b.ReportAllocs()
	for b.Loop() {
		l.Request(r)
	}
}

type always struct {
	scim.UserHandler
	u *scim.User
}

func (a always) ReplaceUser(context.Context, scim.Caller, string, *scim.User, scim.Preconditions) (*scim.User, error) {
	return a.u, nil
}
