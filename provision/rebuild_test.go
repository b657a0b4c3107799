package provision_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// restored is what a client sees of a person before and after a rebuild.
type restored struct {
	ID, UserName, ExternalID string
	Active, Managed          bool
}

// directory is everybody whom the list shows, by user name.
func directory(t *testing.T, s *bridgetest.Stack) map[string]restored {
	t.Helper()
	var page struct {
		Resources []struct {
			ID, UserName, ExternalID string
			Active                   bool
			Extension                struct{ Managed bool } `json:"urn:sharearefund:params:scim:schemas:extension:2.0:User"`
		}
	}
	if err := json.Unmarshal(s.Must(200, "GET", "/Users?count=100", "").Body, &page); err != nil {
		t.Fatal(err)
	}
	all := map[string]restored{}
	for _, u := range page.Resources {
		if _, twice := all[u.UserName]; twice {
			t.Errorf("%s is listed twice", u.UserName)
		}
		all[u.UserName] = restored{u.ID, u.UserName, u.ExternalID, u.Active, u.Extension.Managed}
	}
	return all
}

// leads checks that an id leads to the person by every way that a client goes.
func leads(t *testing.T, s *bridgetest.Stack, id string, want restored) {
	t.Helper()
	equal(t, "userName of GET "+id, s.Must(200, "GET", "/Users/"+id, "").JSON("userName"), any(want.UserName))
	for _, filter := range []string{fmt.Sprintf("id eq %q", id), fmt.Sprintf("userName eq %q", want.UserName)} {
		r := s.Must(200, "GET", "/Users?filter="+url.QueryEscape(filter), "")
		equal(t, "id of the person with "+filter, r.JSON("Resources.0.id"), any(want.ID))
	}
}

func rename(to string) string {
	return bridgetest.PatchOp(
		fmt.Sprintf(`{"op":"replace","path":"userName","value":%q}`, to),
		fmt.Sprintf(`{"op":"replace","path":"emails[primary eq true].value","value":%q}`, to))
}

// office fills a tenant with people in every situation that a rebuild has to
// tell apart. It returns the ids by the name under which each was created.
func office(t *testing.T, s *bridgetest.Stack, c *clock, names ...string) map[string]string {
	t.Helper()
	accept := func(email string) {
		t.Helper()
		c.advance(time.Second)
		if err := s.Sandbox.Accept(email); err != nil {
			t.Fatal(err)
		}
	}
	situations := map[string]func(path, email, renamed string){
		"pending":          func(_, _, _ string) {},
		"accepted":         func(_, email, _ string) { accept(email) },
		"plain":            func(_, email, _ string) { accept(email) },
		"accepted-off":     func(path, email, _ string) { accept(email); s.Must(200, "PATCH", path, setActive(false)) },
		"accepted-renamed": func(path, email, to string) { accept(email); s.Must(200, "PATCH", path, rename(to)) },
		"renamed":          func(path, _, to string) { s.Must(200, "PATCH", path, rename(to)) },
		"renamed-twice": func(path, _, to string) {
			s.Must(200, "PATCH", path, rename("twice."+to))
			c.advance(time.Second)
			s.Must(200, "PATCH", path, rename(to))
		},
		"renamed-accepted": func(path, _, to string) { s.Must(200, "PATCH", path, rename(to)); accept(to) },
		"off":              func(path, _, _ string) { s.Must(200, "PATCH", path, setActive(false)) },
		"off-on": func(path, _, _ string) {
			s.Must(200, "PATCH", path, setActive(false))
			s.Must(200, "PATCH", path, setActive(true))
		},
		"renamed-off": func(path, _, to string) {
			s.Must(200, "PATCH", path, rename(to))
			s.Must(200, "PATCH", path, setActive(false))
		},
		"deleted":          func(path, _, _ string) { s.Must(204, "DELETE", path, "") },
		"accepted-deleted": func(path, email, _ string) { accept(email); s.Must(204, "DELETE", path, "") },
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(situations))
	}
	ids := map[string]string{}
	for _, name := range names {
		email := name + "@example.com"
		var more []string
		if name != "plain" {
			more = append(more, fmt.Sprintf(`"externalId":"x-%s"`, name))
		}
		ids[name] = s.Must(201, "POST", "/Users", bridgetest.User(email, more...)).ID()
		c.advance(time.Second)
		situations[name]("/Users/"+ids[name], email, "new."+email)
	}
	return ids
}

// anew is a bridge on another database over the upstream of s; it rebuilds.
func anew(t *testing.T, s *bridgetest.Stack, c *clock, cfg bridgetest.Config) *bridgetest.Stack {
	t.Helper()
	cfg.Over = s
	cfg.Change = func(o *bridge.Options) { o.Now, o.DirectoryInterval = c.Now, 1000*time.Hour }
	n := bridgetest.Start(t, cfg)
	if _, err := n.Bridge.Service.Rebuild(t.Context(), "acme", nil); err != nil {
		t.Fatal(err)
	}
	return n
}

// I6: who loses the database gets everybody back under the same id, whether
// or not a server read the directory before the rebuild.
func TestRebuildOfALostStore(t *testing.T) {
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		for _, served := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/served before: %v", mode, served), func(t *testing.T) {
				t.Parallel()
				s, c := startAt(t, mode)
				ids := office(t, s, c)
				c.advance(2 * time.Minute)
				effects := len(operations(s))
				want := directory(t, s)
				plain := want["plain@example.com"]
				plain.Managed = false // nothing upstream tells that a client made it
				want["plain@example.com"] = plain
				if mode == sandbox.Deferred {
					// Nothing upstream tells it from one who is only disabled.
					want["deleted@example.com"] = restored{
						ID: ids["deleted"], UserName: "deleted@example.com", ExternalID: "x-deleted", Managed: true,
					}
				}

				n := anew(t, s, c, bridgetest.Config{NoScan: !served})
				if diff := cmp.Diff(want, directory(t, n)); diff != "" {
					t.Errorf("the directory after the rebuild (-before +after):\n%s", diff)
				}
				for _, p := range want {
					leads(t, n, p.ID, p)
				}
				again, err := n.Bridge.Service.Rebuild(t.Context(), "acme", nil)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "people restored by another rebuild", again.Restored, 0)
				if diff := cmp.Diff(want, directory(t, n)); diff != "" {
					t.Errorf("the directory after another rebuild (-before +after):\n%s", diff)
				}
				equal(t, "effects upstream", len(operations(s)), effects)
			})
		}
	}
}

// An invite that ran out is no reason to forget who was invited.
func TestRebuildFindsExpiredInvites(t *testing.T) {
	t.Parallel()
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		s, c := startAt(t, mode)
		office(t, s, c, "pending", "renamed")
		c.advance(8 * 24 * time.Hour)
		want := map[string]restored{}
		for _, name := range []string{"pending@example.com", "new.renamed@example.com"} {
			r := s.Must(200, "GET", byUserName(name), "")
			id, _ := r.JSON("Resources.0.id").(string)
			external, _ := r.JSON("Resources.0.externalId").(string)
			want[name] = restored{ID: id, UserName: name, ExternalID: external, Active: true, Managed: true}
		}
		got := directory(t, anew(t, s, c, bridgetest.Config{NoScan: true}))
		maps.DeleteFunc(got, func(_ string, p restored) bool { return !p.Managed }) // the owners
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the people after the rebuild (-before +after):\n%s", mode, diff)
		}
	}
}

// Whatever happened since the backup, nobody comes back twice or under
// another id, and who was deleted before it stays so.
func TestRebuildOfAnOldBackup(t *testing.T) {
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s, c := startAt(t, mode)
			old := office(t, s, c, "deleted", "pending")
			path := "/Users/" + old["pending"]
			c.advance(2 * time.Minute)
			copied := filepath.Join(t.TempDir(), "copy.db")
			if err := s.Store.Backup(t.Context(), copied); err != nil {
				t.Fatal(err)
			}
			s.Must(200, "PATCH", path, rename("moved@example.com"))
			office(t, s, c, "accepted", "renamed-accepted", "renamed", "off")
			c.advance(2 * time.Minute)
			want := directory(t, s)

			n := anew(t, s, c, bridgetest.Config{Store: copied, NoScan: true})
			got := directory(t, n)
			for name, p := range want {
				key := name
				if name == "moved@example.com" {
					key = "pending@example.com" // until the client says the new user name again
					p.UserName = key
				}
				if diff := cmp.Diff(p, got[key]); diff != "" {
					t.Errorf("%s after the rebuild (-before +after):\n%s", name, diff)
				}
				leads(t, n, p.ID, p)
			}
			equal(t, "people", len(got), len(want))
			n.Must(404, "GET", "/Users/"+old["deleted"], "")
			equal(t, "address of the one renamed since", n.Must(200, "GET", path, "").JSON("emails.0.value"), any("moved@example.com"))
		})
	}
}

// An alias of an id finds the person, who answers with the id.
func TestAliasFindsThePerson(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{})
	id := s.Must(201, "POST", "/Users", bridgetest.User("ana@example.com")).ID()
	alias := strings.Repeat("a", 8) + id[8:]
	if err := s.Store.Update(t.Context(), func(tx store.Tx) error { return tx.AddAlias("acme", alias, id) }); err != nil {
		t.Fatal(err)
	}
	leads(t, s, alias, restored{ID: id, UserName: "ana@example.com"})
	for filter, want := range map[string]float64{
		fmt.Sprintf("id eq %q and active eq true", alias):  1,
		fmt.Sprintf("id eq %q and active eq false", alias): 0,
		fmt.Sprintf("id ne %q", id):                        2, // the owners
	} {
		r := s.Must(200, "GET", "/Users?filter="+url.QueryEscape(filter), "")
		equal(t, "people with "+filter, r.JSON("totalResults"), any(want))
	}
}

// TestRebuildIsTriedAgainWhereNoServerRuns lets the first attempt fail: nobody
// but the one who asked is there for the second.
func TestRebuildIsTriedAgainWhereNoServerRuns(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Idle: true, Sandbox: sandbox.Options{Users: 3}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Sandbox.SetFaults([]sandbox.Rule{{Operation: "list_users", Times: 3, Status: 503}}); err != nil {
		t.Fatal(err)
	}
	report, err := s.Bridge.Service.Rebuild(ctx, "acme", nil)
	if err != nil || report.People < 3 {
		t.Errorf("a passing failure: %+v, %v", report, err)
	}
	if fired := s.Sandbox.Faults()[0].Fired; fired != 3 {
		t.Errorf("the fault fired %d times, want 3", fired)
	}
	if err := s.Sandbox.SetFaults([]sandbox.Rule{{Operation: "list_users", Status: 503}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Bridge.Service.Rebuild(ctx, "acme", nil); err == nil || ctx.Err() != nil {
		t.Errorf("a lasting failure: %v", err)
	}
}
