package scim_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/scim/server"
)

// wireMutation changes the server so that it lacks what a rule of
// tolerances.txt says. Each part may be nil.
type wireMutation struct {
	// write sees what a POST, a PUT or a PATCH is about to write, and may
	// change or refuse it.
	write func(ctx context.Context, s *changedUsers, c scim.Caller, method string, u *scim.User) error
	// groups stands before the service of groups.
	groups func(scim.GroupHandler) scim.GroupHandler
	// handler stands before the server.
	handler func(http.Handler) http.Handler
}

// wireMutations has one for every rule of tolerances.txt, by its id.
var wireMutations = map[string]wireMutation{
	"external-id-not-unique":   {write: wireUniqueExternalID},
	"manager-unknown-kept":     {write: wireKnownManager},
	"media-type-optional":      {handler: wireMediaTypeRequired},
	"member-added-again":       {groups: func(h scim.GroupHandler) scim.GroupHandler { return strictMembers{h, scim.MemberAdd} }},
	"member-removed-again":     {groups: func(h scim.GroupHandler) scim.GroupHandler { return strictMembers{h, scim.MemberRemove} }},
	"put-keeps-active":         {write: wirePutActivates},
	"put-keeps-external-id":    {groups: func(h scim.GroupHandler) scim.GroupHandler { return clearedExternalID{h} }},
	"put-keeps-members":        {groups: func(h scim.GroupHandler) scim.GroupHandler { return clearedMembers{h} }},
	"put-keeps-roles":          {write: wirePutClearsRoles},
	"removal-of-nobody":        {handler: wireRemovalOfAll},
	"same-type-twice":          {write: wireOneOfAType},
	"tombstone-name-not-email": {handler: wireTombstoneUnknown},
}

func wireUniqueExternalID(ctx context.Context, s *changedUsers, c scim.Caller, method string, u *scim.User) error {
	if method != http.MethodPost || u.ExternalID == "" {
		return nil
	}
	f, err := s.codec.ParseFilter(fmt.Sprintf("externalId eq %q", u.ExternalID), c.Dialect)
	if err != nil {
		return err
	}
	page, err := s.ListUsers(ctx, c, scim.Query{Filter: f, StartIndex: 1, Count: 1})
	if err == nil && page.Total > 0 {
		err = &scim.Error{Status: http.StatusConflict, Type: scim.TypeUniqueness, Detail: "externalId is taken"}
	}
	return err
}

func wireKnownManager(ctx context.Context, s *changedUsers, c scim.Caller, _ string, u *scim.User) error {
	if u.Enterprise == nil || u.Enterprise.Manager == nil {
		return nil
	}
	if _, err := s.GetUser(ctx, c, u.Enterprise.Manager.Value); err != nil {
		return scim.BadRequest(scim.TypeInvalidValue, "unknown manager").Because(err)
	}
	return nil
}

func wirePutActivates(_ context.Context, _ *changedUsers, _ scim.Caller, method string, u *scim.User) error {
	if active := true; method == http.MethodPut && u.Active == nil {
		u.Active = &active
	}
	return nil
}

func wirePutClearsRoles(_ context.Context, _ *changedUsers, _ scim.Caller, method string, u *scim.User) error {
	if method == http.MethodPut && u.Roles == nil {
		u.Roles = []scim.MultiValue{}
	}
	return nil
}

func wireOneOfAType(_ context.Context, _ *changedUsers, _ scim.Caller, _ string, u *scim.User) error {
	seen := map[string]bool{}
	for _, e := range u.Emails {
		if seen[e.Type] {
			return scim.BadRequest(scim.TypeInvalidValue, "two e-mails of one type")
		}
		seen[e.Type] = true
	}
	return nil
}

func wireMediaTypeRequired(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 && r.Header.Get("Content-Type") == "" {
			http.Error(w, "a body without a media type", http.StatusUnsupportedMediaType)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// wireTombstoneUnknown hides from the server that a name is that of a deleted
// person: it sees the object id one digit too short.
func wireTombstoneUnknown(next http.Handler) http.Handler {
	const objectID = "0a21f0f2bf304a32b1d0b84a8a0eb4d2"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = bytes.ReplaceAll(body, []byte(objectID), []byte(objectID[1:]))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		maps.Copy(w.Header(), rec.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(rec.Code)
		_, _ = w.Write(bytes.ReplaceAll(rec.Body.Bytes(), []byte(objectID[1:]), []byte(objectID)))
	})
}

// changedUsers is the service of a stack with another opinion of what may be
// written.
type changedUsers struct {
	scim.UserHandler
	codec *scim.Codec[scim.User]
	write func(ctx context.Context, s *changedUsers, c scim.Caller, method string, u *scim.User) error
}

func (s *changedUsers) CreateUser(ctx context.Context, c scim.Caller, u *scim.User) (*scim.User, error) {
	if err := s.write(ctx, s, c, http.MethodPost, u); err != nil {
		return nil, err
	}
	return s.UserHandler.CreateUser(ctx, c, u)
}

func (s *changedUsers) ReplaceUser(ctx context.Context, c scim.Caller, id string, u *scim.User, pre scim.Preconditions) (*scim.User, error) {
	if err := s.write(ctx, s, c, http.MethodPut, u); err != nil {
		return nil, err
	}
	return s.UserHandler.ReplaceUser(ctx, c, id, u, pre)
}

func (s *changedUsers) PatchUser(ctx context.Context, c scim.Caller, id string, p *scim.Patch, pre scim.Preconditions) (*scim.User, error) {
	cur, err := s.GetUser(ctx, c, id)
	if err != nil {
		return nil, err
	}
	next, _, err := s.codec.Apply(p, cur)
	if err != nil {
		return nil, err
	}
	if err := s.write(ctx, s, c, http.MethodPatch, next); err != nil {
		return nil, err
	}
	return s.UserHandler.PatchUser(ctx, c, id, p, pre)
}

// changedStack is a stack whose clients meet another server before the same
// service.
type changedStack struct {
	realStack
	host string
}

func (s changedStack) Do(req *http.Request) *http.Response {
	req.URL.Host = s.host
	return s.realStack.Do(req)
}

// newStackWithout is a stack that lacks a tolerance of the engine, or a rule.
func newStackWithout(t *testing.T, cfg wireConfig, id string) wireStack {
	t.Helper()
	s := newWireStack(t, cfg).(realStack)
	codec, err := mapping.NewUserCodec()
	if err != nil {
		t.Fatal(err)
	}
	groupCodec, err := scim.NewGroupCodec()
	if err != nil {
		t.Fatal(err)
	}
	users, groups := scim.UserHandler(s.s.Bridge.Service), scim.GroupHandler(s.s.Bridge.Service)
	change, isRule := wireMutations[id]
	if !isRule {
		codec, groupCodec = codec.Without(id), groupCodec.Without(id)
	}
	if change.groups != nil {
		groups = change.groups(groups)
	}
	if change.write != nil {
		users = &changedUsers{UserHandler: users, codec: codec, write: change.write}
	}
	h, err := server.New(server.Options{
		PublicURL: strings.TrimSuffix(s.s.Base, "/scim/v2"), Users: users, UserCodec: codec, Groups: groups, GroupCodec: groupCodec,
		Authenticate: func(*http.Request) (server.Identity, error) {
			return server.Identity{Tenant: "acme", Credential: "proof", Client: cfg.Client}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if change.handler != nil {
		h = change.handler(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return changedStack{s, srv.Listener.Addr().String()}
}

// TestWireToleranceProof plays every fixture of a tolerance on a stack that
// lacks this one and nothing else: it must fail, and exactly as the fixture
// says. Otherwise the tolerance is not what makes it pass.
func TestWireToleranceProof(t *testing.T) {
	all, n := loadWire(t), 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		if f.Tolerance == "" {
			continue
		}
		if n++; raced && n%5 != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mode := f.Invites[0]
			s := newStackWithout(t, wireConfig{Client: f.Clients[0], Invites: mode, Policy: f.Policy}, f.Tolerance)
			out, err := runWire(s, f, mode)
			if err != nil {
				t.Fatal(err)
			}
			w := *f.Without
			switch {
			case len(out.Diffs) == 0:
				t.Errorf("it holds without %s: nothing proves the tolerance", f.Tolerance)
			case w.Step == 0 && out.Step != 0:
				t.Errorf("without %s only the calls upstream were to differ, but %s", f.Tolerance, out)
			case out.Step != w.Step:
				t.Errorf("without %s response %d was to differ, but %s", f.Tolerance, w.Step, out)
			case out.Status != w.Status || out.ScimType != w.ScimType:
				t.Errorf("without %s response %d is %d %s, the fixture says %d %s\n%s", f.Tolerance, w.Step, out.Status, out.ScimType, w.Status, w.ScimType, out)
			}
		})
	}
}

// engineTolerances are the ids of package scim with the kinds of credential
// that have them beyond everybody; nil: everybody.
func engineTolerances(t *testing.T) map[string][]string {
	t.Helper()
	ids := map[string][]string{}
	for _, id := range scim.DialectRFC.Tolerances().IDs() {
		ids[id] = nil
	}
	for _, client := range wireClients[1:] {
		d, err := scim.ParseDialect(client)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range (d.Tolerances() &^ scim.DialectRFC.Tolerances()).IDs() {
			ids[id] = append(ids[id], client)
		}
	}
	return ids
}

// TestWireCatalogue keeps fixtures, tolerances.txt, the engine and the
// mutations in step.
func TestWireCatalogue(t *testing.T) {
	all, listed, engine := loadWire(t), loadTolerances(t), engineTolerances(t)
	proven := map[string]bool{}
	for name, f := range all {
		if f.Tolerance == "" {
			continue
		}
		proven[f.Tolerance] = true
		tol, ok := listed[f.Tolerance]
		if !ok {
			t.Errorf("%s: tolerance %q is not in tolerances.txt", name, f.Tolerance)
			continue
		}
		for _, client := range f.Clients {
			if tol.Where != nil && client != "auto" && !slices.Contains(tol.Where, client) {
				t.Errorf("%s: runs as %s, but %s is tolerated for %v", name, client, f.Tolerance, tol.Where)
			}
		}
	}
	for id, tol := range listed {
		where, ok := engine[id]
		_, mutated := wireMutations[id]
		switch {
		case !proven[id]:
			t.Errorf("tolerances.txt: no fixture proves %s", id)
		case tol.Rule != mutated:
			t.Errorf("tolerances.txt: %s is a rule: %v, has a mutation: %v", id, tol.Rule, mutated)
		case tol.Rule == ok:
			t.Errorf("tolerances.txt: %s is a rule: %v, a switch of the engine: %v", id, tol.Rule, ok)
		case !tol.Rule && !slices.Equal(slices.Sorted(slices.Values(where)), slices.Sorted(slices.Values(tol.Where))):
			t.Errorf("tolerances.txt: %s is for %v, the engine has it for %v", id, tol.Where, where)
		}
	}
	for id := range engine {
		if _, ok := listed[id]; !ok {
			t.Errorf("tolerances.txt: %s of the engine is missing", id)
		}
	}
	for id := range wireMutations {
		if !listed[id].Rule {
			t.Errorf("the mutation %s is of no rule in tolerances.txt", id)
		}
	}
}
