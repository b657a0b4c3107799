package lint

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/sqlstore"
)

// start is when every rig begins.
var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// A GUID as Entra has them.
const guid = "7f4bc1d2-0a55-4d8e-9f2b-6f8b1d7f4a10"

// rig is a linter over a SQLite file, between a test that plays the client and
// handlers that answer what it says.
type rig struct {
	*testing.T
	*Linter
	st     store.Store
	clock  time.Time
	guards []provision.GuardReport
	unfit  error // what ShowGuards answers instead

	users  scim.UserHandler
	groups scim.GroupHandler
	codec  *scim.Codec[scim.User]
	teams  *scim.GroupCodec

	// answer is what the next call of a handler returns.
	user *scim.User
	err  error
}

// newRig has the tenant acme with a credential of each kind of client, whose
// id is the kind. lines go into its document.
func newRig(t *testing.T, lines ...string) *rig {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	must(t, os.WriteFile(path, template(t), 0o600))
	st, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: path})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	r := &rig{T: t, st: st, clock: start}
	r.codec, err = mapping.NewUserCodec()
	must(t, err)
	r.teams, err = scim.NewGroupCodec()
	must(t, err)
	if len(lines) > 0 {
		r.configure(lines...)
	}
	r.Linter = r.linter()
	r.users, r.groups = r.Users(answering{r: r}), r.Groups(grouping{r: r})
	return r
}

// kinds are the kinds of client that acme has a credential of.
var kinds = []string{"entra", "okta", "onelogin", "jumpcloud", "rfc", "auto"}

// template is the file of a store with acme and its credentials: making one for
// each rig takes longer than most tests.
var template = func() func(t *testing.T) []byte {
	var once sync.Once
	var file []byte
	return func(t *testing.T) []byte {
		once.Do(func() {
			path := filepath.Join(t.TempDir(), "template.db")
			st, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: path})
			must(t, err)
			r := &rig{T: t, st: st}
			r.configure()
			for _, kind := range kinds {
				r.credential(store.Credential{ID: kind, Client: kind, CreatedAt: start, LastUsedAt: start})
			}
			must(t, st.Close())
			file, err = os.ReadFile(path)
			must(t, err)
		})
		return file
	}
}()

// linter is one more replica.
func (r *rig) linter() *Linter {
	r.Helper()
	l, err := New(Options{Store: r.st, Guards: r, UserCodec: r.codec, Now: func() time.Time { return r.clock }})
	must(r, err)
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// configure applies acme's document.
func (r *rig) configure(lines ...string) {
	r.Helper()
	doc := "slug: acme\nname: Acme\nupstream: {base_url: 'https://api.example.com', client_id: a, client_secret_env: S}\n" +
		"organizations: [113]\ndefault_role: Viewer\n" + strings.Join(lines, "\n")
	c, err := tenantconfig.Parse([]byte(doc), func(string) (string, bool) { return "secret", true }, nil)
	must(r, err)
	row, err := c.ToStore(func(plain, _ []byte) ([]byte, error) { return plain, nil })
	must(r, err)
	r.update(func(tx store.Tx) error {
		if old, err := tx.Tenant(r.Context(), "acme"); err == nil {
			row.Version = old.Version
		}
		return tx.PutTenant(row)
	})
}

func (r *rig) update(fn func(tx store.Tx) error) {
	r.Helper()
	must(r, r.st.Update(r.Context(), fn))
}

// credential stores a credential of acme.
func (r *rig) credential(c store.Credential) {
	r.Helper()
	c.Tenant, c.Kind, c.Hash = "acme", "bearer", []byte(c.ID)
	r.update(func(tx store.Tx) error { return tx.PutCredential(&c) })
}

// person stores a person of acme.
func (r *rig) person(p store.Person) {
	r.Helper()
	p.Tenant, p.Listed = "acme", true
	if p.UserName != "" {
		p.FoldedUserName = scim.Fold(p.UserName)
	}
	r.update(func(tx store.Tx) error { return tx.InsertPerson(&p) })
}

// group stores a group of acme.
func (r *rig) group(id, name string, members ...string) {
	r.Helper()
	r.update(func(tx store.Tx) error {
		if err := tx.InsertGroup(&store.Group{Tenant: "acme", ID: id, DisplayName: name, FoldedName: scim.Fold(name)}); err != nil {
			return err
		}
		return tx.AddMembers("acme", id, members)
	})
}

func (r *rig) ShowGuards(context.Context, string) ([]provision.GuardReport, error) {
	return r.guards, r.unfit
}

// caller is who sends with the credential of a kind.
func caller(kind string) scim.Caller {
	d, _ := scim.ParseDialect(kind) // "auto" is RFC until it is recognised
	return scim.Caller{Tenant: "acme", Credential: kind, Dialect: d}
}

// post creates a user, as a kind of client sends it; id "" lets err answer.
func (r *rig) post(kind, id, body string) {
	r.Helper()
	u, _, err := r.codec.Decode([]byte(body), caller(kind).Dialect)
	must(r, err)
	if id != "" {
		r.user = &scim.User{ID: id, UserName: u.UserName}
	}
	_, _ = r.users.CreateUser(r.Context(), caller(kind), u)
}

func (r *rig) put(kind, id, body string) {
	r.Helper()
	u, _, err := r.codec.Decode([]byte(body), caller(kind).Dialect)
	must(r, err)
	r.user = r.codec.Clone(u)
	_, _ = r.users.ReplaceUser(r.Context(), caller(kind), id, u, scim.Preconditions{})
}

// patch applies operations to what the user is, which is then answered.
func (r *rig) patch(kind, id, is string, ops string) {
	r.Helper()
	u, _, err := r.codec.Decode([]byte(is), caller(kind).Dialect)
	must(r, err)
	p, err := r.codec.DecodePatch([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+ops+`]}`), caller(kind).Dialect)
	must(r, err)
	r.user, _, err = r.codec.Apply(p, u)
	must(r, err)
	_, _ = r.users.PatchUser(r.Context(), caller(kind), id, p, scim.Preconditions{})
}

func (r *rig) postGroup(kind, body string) {
	r.Helper()
	g, _, err := r.teams.Decode([]byte(body), caller(kind).Dialect)
	must(r, err)
	_, _ = r.groups.CreateGroup(r.Context(), caller(kind), g, true)
}

func (r *rig) patchGroup(kind, id, ops string) {
	r.Helper()
	p, err := r.teams.DecodePatch([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+ops+`]}`), caller(kind).Dialect)
	must(r, err)
	_, _ = r.groups.PatchGroup(r.Context(), caller(kind), id, p, scim.Preconditions{}, false)
}

// request tells of an answered request of a kind of client.
func (r *rig) request(kind string, q Request) {
	q.Tenant, q.Credential = "acme", kind
	if q.Dialect == 0 {
		q.Dialect = caller(kind).Dialect
	}
	r.Request(&q)
}

// after lets time pass.
func (r *rig) after(d time.Duration) { r.clock = r.clock.Add(d) }

// found writes what was seen and lists all that is found.
func (r *rig) found() []Report {
	r.Helper()
	must(r, r.Flush(r.Context()))
	all, err := r.Reports(r.Context(), "acme")
	must(r, err)
	return all
}

// codes are the codes of findings.
func (r *rig) codes() []string {
	r.Helper()
	list := []string{}
	for _, f := range r.found() {
		list = append(list, f.Code)
	}
	return list
}

// has reports whether a code is found.
func (r *rig) has(code string) bool {
	r.Helper()
	return slices.Contains(r.codes(), code)
}

// the returns the finding of a code.
func (r *rig) the(code string) Report {
	r.Helper()
	all := r.found()
	i := slices.IndexFunc(all, func(f Report) bool { return f.Code == code })
	if i < 0 {
		r.Fatalf("no %s among %+v", code, all)
	}
	return all[i]
}

// answering answers what the rig says.
type answering struct {
	scim.UserHandler
	r *rig
}

func (a answering) say() (*scim.User, error) {
	if a.r.err != nil {
		return nil, a.r.err
	}
	return a.r.user, nil
}

func (a answering) CreateUser(context.Context, scim.Caller, *scim.User) (*scim.User, error) {
	return a.say()
}

func (a answering) ReplaceUser(context.Context, scim.Caller, string, *scim.User, scim.Preconditions) (*scim.User, error) {
	return a.say()
}

func (a answering) PatchUser(context.Context, scim.Caller, string, *scim.Patch, scim.Preconditions) (*scim.User, error) {
	return a.say()
}

func (a answering) DeleteUser(context.Context, scim.Caller, string, scim.Preconditions) error {
	return a.r.err
}

type grouping struct {
	scim.GroupHandler
	r *rig
}

func (g grouping) say() (*scim.GroupView, error) {
	if g.r.err != nil {
		return nil, g.r.err
	}
	return &scim.GroupView{}, nil
}

func (g grouping) CreateGroup(context.Context, scim.Caller, *scim.Group, bool) (*scim.GroupView, error) {
	return g.say()
}

func (g grouping) ReplaceGroup(context.Context, scim.Caller, string, *scim.Group, scim.Preconditions, bool) (*scim.GroupView, error) {
	return g.say()
}

func (g grouping) PatchGroup(context.Context, scim.Caller, string, *scim.GroupPatch, scim.Preconditions, bool) (*scim.GroupView, error) {
	return g.say()
}

func (g grouping) DeleteGroup(context.Context, scim.Caller, string, scim.Preconditions) error {
	return g.r.err
}
