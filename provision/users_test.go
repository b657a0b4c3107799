package provision_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// inBothModes runs f on a stack whose upstream makes accounts of invites at
// once, and on one where they wait for acceptance.
func inBothModes(t *testing.T, f func(t *testing.T, s *bridgetest.Stack), tenant ...string) {
	t.Helper()
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			f(t, bridgetest.Start(t, bridgetest.Config{Sandbox: sandbox.Options{Invites: mode}, Tenant: tenant}))
		})
	}
}

// mails counts the invite mails to an address.
func mails(s *bridgetest.Stack, to string) int {
	n := 0
	for _, m := range s.Sandbox.Outbox() {
		if m.Kind == "invite" && strings.EqualFold(m.To, to) {
			n++
		}
	}
	return n
}

// access lists the organizations in which upstream gives, or offers, the
// address access.
func access(s *bridgetest.Stack, email string) []int64 {
	var orgs []int64
	st := s.Sandbox.State()
	for _, a := range st.Accounts {
		if strings.EqualFold(a.Email, email) {
			for _, m := range a.Memberships {
				if m.State != "suspended" {
					orgs = append(orgs, m.OrganizationID)
				}
			}
		}
	}
	for _, i := range st.Invites {
		if strings.EqualFold(i.Email, email) && i.State == "pending" {
			orgs = append(orgs, i.OrganizationIDs...)
		}
	}
	slices.Sort(orgs)
	return slices.Compact(orgs)
}

// operations are the ledger's entries of our credential, oldest first.
func operations(s *bridgetest.Stack) []string {
	var ops []string
	for _, e := range s.Sandbox.Ledger() {
		if e.Credential != "" {
			ops = append(ops, e.Operation)
		}
	}
	return ops
}

func byUserName(name string) string {
	return "/Users?filter=" + url.QueryEscape(fmt.Sprintf("userName eq %q", name))
}

func setActive(active bool) string {
	return bridgetest.PatchOp(fmt.Sprintf(`{"op":"replace","path":"active","value":%v}`, active))
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestCreatedPersonIsReadableAtOnce(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		made := s.Must(201, "POST", "/Users", bridgetest.User("Ana@example.com", `"externalId":"x1","title":"Dr"`))
		equal(t, "Location", made.Header.Get("Location"), s.Base+"/Users/"+made.ID())
		equal(t, "invites", strings.Join(operations(s), " "), "invite_users")
		equal(t, "mails", mails(s, "ana@example.com"), 1)
		for _, path := range []string{"/Users/" + made.ID(), byUserName("ANA@EXAMPLE.COM")} {
			r := s.Must(200, "GET", path, "")
			prefix := ""
			if strings.Contains(path, "filter") {
				prefix = "Resources.0."
			}
			equal(t, "id", r.JSON(prefix+"id"), any(made.ID()))
			equal(t, "userName", r.JSON(prefix+"userName"), any("Ana@example.com"))
			equal(t, "active", r.JSON(prefix+"active"), any(true))
			equal(t, "title", r.JSON(prefix+"title"), any("Dr"))
			equal(t, "version", r.JSON(prefix+"meta.version"), made.JSON("meta.version"))
			equal(t, "lastModified", r.JSON(prefix+"meta.lastModified"), made.JSON("meta.lastModified"))
		}
		dup := s.Must(409, "POST", "/Users", bridgetest.User("ana@EXAMPLE.com"))
		equal(t, "scimType", dup.JSON("scimType"), any("uniqueness"))
		equal(t, "mails after the repeated create", mails(s, "ana@example.com"), 1)
	})
}

func TestInactiveCreateWaitsForActivation(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		body := strings.Replace(bridgetest.User("ben@example.com"), `"active":true`, `"active":false`, 1)
		made := s.Must(201, "POST", "/Users", body)
		equal(t, "active", made.JSON("active"), any(false))
		equal(t, "upstream effects", len(operations(s)), 0)
		equal(t, "active of GET", s.Must(200, "GET", "/Users/"+made.ID(), "").JSON("active"), any(false))
		r := s.Must(200, "PATCH", "/Users/"+made.ID(), setActive(true))
		equal(t, "id", r.ID(), made.ID())
		equal(t, "active", r.JSON("active"), any(true))
		equal(t, "mails", mails(s, "ben@example.com"), 1)
	})
}

func TestDeactivationAndReturn(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		t.Run(fmt.Sprintf("accepted=%v", accepted), func(t *testing.T) {
			inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
				id := s.Must(201, "POST", "/Users", bridgetest.User("eve@example.com")).ID()
				if accepted {
					if err := s.Sandbox.Accept("eve@example.com"); err != nil {
						t.Fatal(err)
					}
					equal(t, "id after acceptance", s.Must(200, "GET", "/Users/"+id, "").ID(), id)
				}
				for range 2 { // a repeated deactivation changes nothing
					r := s.Must(200, "PATCH", "/Users/"+id, setActive(false))
					equal(t, "active", r.JSON("active"), any(false))
					equal(t, "organizations with access", len(access(s, "eve@example.com")), 0)
				}
				equal(t, "active of GET", s.Must(200, "GET", "/Users/"+id, "").JSON("active"), any(false))
				equal(t, "hits of the filter", s.Must(200, "GET", byUserName("eve@example.com"), "").JSON("totalResults"), any(1.0))

				r := s.Must(200, "PATCH", "/Users/"+id, setActive(true))
				equal(t, "active", r.JSON("active"), any(true))
				equal(t, "organizations with access", fmt.Sprint(access(s, "eve@example.com")), "[113 114]")
				want := 2
				if accepted {
					want = 1
				}
				equal(t, "mails", mails(s, "eve@example.com"), want)
			})
		})
	}
}

func TestRenameKeepsTheID(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		t.Run(fmt.Sprintf("accepted=%v", accepted), func(t *testing.T) {
			inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
				id := s.Must(201, "POST", "/Users", bridgetest.User("old@example.com")).ID()
				if accepted {
					if err := s.Sandbox.Accept("old@example.com"); err != nil {
						t.Fatal(err)
					}
				}
				put := s.Must(200, "PUT", "/Users/"+id, bridgetest.User("new@example.com"))
				equal(t, "id", put.ID(), id)
				equal(t, "access by the old address", len(access(s, "old@example.com")), 0)
				equal(t, "access by the new address", fmt.Sprint(access(s, "new@example.com")), "[113 114]")
				equal(t, "hits of the old name", s.Must(200, "GET", byUserName("old@example.com"), "").JSON("totalResults"), any(0.0))
				equal(t, "id by the new name", s.Must(200, "GET", byUserName("new@example.com"), "").JSON("Resources.0.id"), any(id))
				want := 1
				if accepted {
					want = 0
				}
				equal(t, "mails to the new address", mails(s, "new@example.com"), want)
				equal(t, "active", s.Must(200, "GET", "/Users/"+id, "").JSON("active"), any(true))
			})
		})
	}
}

func TestDeletedPersonMayComeBack(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		t.Run(fmt.Sprintf("accepted=%v", accepted), func(t *testing.T) {
			inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
				id := s.Must(201, "POST", "/Users", bridgetest.User("kim@example.com")).ID()
				if accepted {
					if err := s.Sandbox.Accept("kim@example.com"); err != nil {
						t.Fatal(err)
					}
				}
				s.Must(204, "DELETE", "/Users/"+id, "")
				s.Must(404, "DELETE", "/Users/"+id, "")
				s.Must(404, "GET", "/Users/"+id, "")
				equal(t, "access", len(access(s, "kim@example.com")), 0)
				equal(t, "hits", s.Must(200, "GET", byUserName("kim@example.com"), "").JSON("totalResults"), any(0.0))
				again := s.Must(201, "POST", "/Users", bridgetest.User("kim@example.com"))
				if again.ID() == id {
					t.Errorf("the id %s of the deleted person is used again", id)
				}
				equal(t, "access", fmt.Sprint(access(s, "kim@example.com")), "[113 114]")
			})
		})
	}
}

func TestEntraTombstoneNameIsNoAddress(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		made := s.Must(201, "POST", "/Users", `{"userName":"lee@example.com","name":{"givenName":"Lee"},"active":true}`)
		dead := "0a2169a3b9a64f8a8e0e0a2169a3b9a6lee@example.com"
		r := s.Must(200, "PATCH", "/Users/"+made.ID(), bridgetest.PatchOp(
			fmt.Sprintf(`{"op":"Replace","path":"userName","value":%q}`, dead), `{"op":"Replace","path":"active","value":"False"}`))
		equal(t, "userName", r.JSON("userName"), any(dead))
		equal(t, "active", r.JSON("active"), any(false))
		for _, e := range s.Sandbox.Ledger() {
			if strings.Contains(e.Email, dead) {
				t.Errorf("the tombstone name went upstream with %s", e.Operation)
			}
		}
		equal(t, "access", len(access(s, "lee@example.com")), 0)
		s.Must(200, "PATCH", "/Users/"+made.ID(), bridgetest.PatchOp(
			`{"op":"Replace","path":"userName","value":"lee@example.com"}`, `{"op":"Replace","path":"active","value":"True"}`))
		equal(t, "access after the restore", fmt.Sprint(access(s, "lee@example.com")), "[113 114]")
	})
}

func TestAccountsThatWereThere(t *testing.T) {
	start := func(t *testing.T, lines ...string) *bridgetest.Stack {
		s := bridgetest.Start(t, bridgetest.Config{Tenant: lines, NoScan: true})
		for _, email := range []string{"there@example.com", "there@elsewhere.test"} {
			if _, err := s.Sandbox.AddAccount(sandbox.NewAccount{
				Email: email, FirstName: "Old", LastName: "Hand", CountryID: "CA",
				Memberships: []sandbox.Membership{{OrganizationID: 113, RoleID: 4, State: "active"}},
			}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Bridge.Service.ScanNow(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Run("are readable and say that they are not managed", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		r := s.Must(200, "GET", byUserName("there@elsewhere.test"), "")
		u, _ := r.JSON("Resources.0").(map[string]any)
		equal(t, "userName", u["userName"], any("there@elsewhere.test"))
		equal(t, "managed", u[bridgetest.ExtensionURN].(map[string]any)["managed"], any(false))
		if _, ok := u["externalId"]; ok {
			t.Error("an unmanaged person has an externalId")
		}
	})
	t.Run("are adopted by a create in a verified domain, keeping role and address", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		r := s.Must(201, "POST", "/Users", bridgetest.User("there@example.com", `"externalId":"e1"`))
		equal(t, "ledger", strings.Join(operations(s), " "), "update_user")
		equal(t, "mails", mails(s, "there@example.com"), 0)
		if !strings.Contains(string(r.Body), `"Analyst"`) {
			t.Errorf("the role is not shown: %s", r.Body)
		}
	})
	t.Run("outside a verified domain are refused with the command to run", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		r := s.Must(409, "POST", "/Users", bridgetest.User("there@elsewhere.test"))
		id, _ := s.Must(200, "GET", byUserName("there@elsewhere.test"), "").JSON("Resources.0.id").(string)
		p := s.Must(403, "PATCH", "/Users/"+id, setActive(false))
		d := s.Must(403, "DELETE", "/Users/"+id, "")
		for _, r := range []bridgetest.Response{r, p, d} {
			if !strings.Contains(fmt.Sprint(r.JSON("detail")), "scim-bridge person adopt --tenant acme "+id) {
				t.Errorf("no command in %v", r.JSON("detail"))
			}
		}
		equal(t, "upstream effects", len(operations(s)), 0)
		if _, err := s.Bridge.Service.AdoptPerson(t.Context(), "acme", "there@elsewhere.test", "cli"); err != nil {
			t.Fatal(err)
		}
		s.Must(200, "PATCH", "/Users/"+id, setActive(false))
		equal(t, "access", len(access(s, "there@elsewhere.test")), 0)
	})
	t.Run("are left alone where the policy says so", func(t *testing.T) {
		t.Parallel()
		s := start(t, "adopt: never")
		s.Must(409, "POST", "/Users", bridgetest.User("there@example.com"))
		equal(t, "upstream effects", len(operations(s)), 0)
	})
	t.Run("do not have their address changed by the request that adopts them", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		id, _ := s.Must(200, "GET", byUserName("there@example.com"), "").JSON("Resources.0.id").(string)
		r := s.Must(200, "PUT", "/Users/"+id, bridgetest.User("mine@example.com"))
		ext := r.Extension()
		equal(t, "notApplied", fmt.Sprint(ext["notApplied"]), "[emails]")
		equal(t, "access by the old address", fmt.Sprint(access(s, "there@example.com")), "[113]")
		s.Must(200, "PUT", "/Users/"+id, bridgetest.User("mine@example.com"))
		equal(t, "access by the new address, at the second write", fmt.Sprint(access(s, "mine@example.com")), "[113]")
	})
}

func TestPersonsOfOtherOrganizations(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{})
	if _, err := s.Sandbox.AddAccount(sandbox.NewAccount{
		Email: "both@example.com", FirstName: "Given", LastName: "Elsewhere",
		Memberships: []sandbox.Membership{{OrganizationID: 200, RoleID: 3, State: "active"}},
	}); err != nil {
		t.Fatal(err)
	}
	made := s.Must(201, "POST", "/Users", bridgetest.User("both@example.com"))
	if err := s.Sandbox.Accept("both@example.com"); err != nil {
		t.Fatal(err)
	}
	r := s.Must(200, "PATCH", "/Users/"+made.ID(), bridgetest.PatchOp(`{"op":"replace","path":"name.givenName","value":"Changed"}`))
	ext := r.Extension()
	if got := fmt.Sprint(ext["notApplied"]); !strings.Contains(got, "name.givenName") {
		t.Errorf("notApplied is %s", got)
	}
	s.Must(200, "PATCH", "/Users/"+made.ID(), setActive(false))
	equal(t, "access", fmt.Sprint(access(s, "both@example.com")), "[200]")
	s.Must(204, "DELETE", "/Users/"+made.ID(), "")
	equal(t, "access", fmt.Sprint(access(s, "both@example.com")), "[200]")
	for _, a := range s.Sandbox.State().Accounts {
		if a.Email == "both@example.com" {
			equal(t, "first name upstream", a.FirstName, "Given")
		}
	}
}

func TestChangesUpstreamShow(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{})
	id := s.Must(201, "POST", "/Users", bridgetest.User("amy@example.com", `"nickName":"A"`)).ID()
	if err := s.Sandbox.Accept("amy@example.com"); err != nil {
		t.Fatal(err)
	}
	before := s.Must(200, "GET", "/Users/"+id, "").Header.Get("ETag")
	other := "Amelia"
	if _, err := s.Sandbox.Edit(sandbox.Edit{Email: "amy@example.com", FirstName: &other}); err != nil {
		t.Fatal(err)
	}
	r := s.Must(200, "GET", "/Users/"+id, "")
	equal(t, "givenName", r.JSON("name.givenName"), any("Amelia"))
	equal(t, "familyName", r.JSON("name.familyName"), any("Test"))
	equal(t, "nickName", r.JSON("nickName"), any("A"))
	if r.Header.Get("ETag") == before {
		t.Error("the entity tag did not change with what is shown")
	}
	s.Must(412, "PATCH", "/Users/"+id, setActive(false), "If-Match", before)
	// A request that does not mention the name leaves upstream's.
	s.Must(200, "PATCH", "/Users/"+id, bridgetest.PatchOp(`{"op":"replace","path":"name.familyName","value":"Poe"}`), "If-Match", r.Header.Get("ETag"))
	equal(t, "givenName", s.Must(200, "GET", "/Users/"+id, "").JSON("name.givenName"), any("Amelia"))
}

func TestPasswordIsPassedOnOnlyByPolicy(t *testing.T) {
	for _, on := range []bool{false, true} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			t.Parallel()
			s := bridgetest.Start(t, bridgetest.Config{Tenant: []string{fmt.Sprintf("reset_password: %v", on)}})
			r := s.Must(201, "POST", "/Users", bridgetest.User("pat@example.com", `"password":"s3cret-canary"`))
			s.Must(200, "PATCH", "/Users/"+r.ID(), bridgetest.PatchOp(`{"op":"replace","value":{"password":"s3cret-canary"}}`))
			equal(t, "resets before the invite is accepted", int(s.Sandbox.Stats().Calls["reset_password"]), 0)
			if err := s.Sandbox.Accept("pat@example.com"); err != nil {
				t.Fatal(err)
			}
			p := s.Must(200, "PATCH", "/Users/"+r.ID(), bridgetest.PatchOp(`{"op":"replace","value":{"password":"s3cret-canary"}}`))
			if strings.Contains(string(r.Body)+string(p.Body), "canary") {
				t.Error("the password is in an answer")
			}
			want := 0
			if on {
				want = 1
			}
			equal(t, "resets", int(s.Sandbox.Stats().Calls["reset_password"]), want)
		})
	}
}

func TestCreatePolicyMakesAccounts(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Tenant: []string{"provisioning: create"}})
	s.Must(201, "POST", "/Users", bridgetest.User("ada@example.com"))
	equal(t, "ledger", strings.Join(operations(s), " "), "create_user set_role set_role")
	equal(t, "access", fmt.Sprint(access(s, "ada@example.com")), "[113 114]")
	equal(t, "mails", mails(s, "ada@example.com"), 0)
}

func TestPersonWhoIsGoneUpstream(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Change: nil})
	if _, err := s.Sandbox.AddAccount(sandbox.NewAccount{
		Email: "gone@example.com", Memberships: []sandbox.Membership{{OrganizationID: 113, RoleID: 5, State: "active"}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Bridge.Service.ScanNow(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	id, _ := s.Must(200, "GET", byUserName("gone@example.com"), "").JSON("Resources.0.id").(string)
	if _, err := s.Sandbox.Edit(sandbox.Edit{Email: "gone@example.com", Delete: true}); err != nil {
		t.Fatal(err)
	}
	s.Must(404, "GET", "/Users/"+id, "")
	equal(t, "hits", s.Must(200, "GET", byUserName("gone@example.com"), "").JSON("totalResults"), any(0.0))
	if again := s.Must(201, "POST", "/Users", bridgetest.User("gone@example.com")); again.ID() == id {
		t.Error("the id is used again")
	}
}

// TestPersonHeldElsewhereIsShownAsSentAndNotApplied invites somebody whose
// account another organization had before.
func TestPersonHeldElsewhereIsShownAsSentAndNotApplied(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		body := `{"userName":"owner200@sharearefund.example","name":{"givenName":"Xe","familyName":"Ypsilon"}}`
		id := s.Must(201, "POST", "/Users", body).ID()
		for range 2 {
			r := s.Must(200, "GET", "/Users/"+id, "")
			equal(t, "givenName", r.JSON("name.givenName"), any("Xe"))
			equal(t, "notApplied", fmt.Sprint(r.Extension()["notApplied"]), "[name.givenName name.familyName]")
		}
		r := s.Must(200, "PATCH", "/Users/"+id, bridgetest.PatchOp(`{"op":"replace","path":"title","value":"Dr"}`))
		equal(t, "givenName", r.JSON("name.givenName"), any("Xe"))
	})
}
