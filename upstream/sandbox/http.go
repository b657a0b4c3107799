package sandbox

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// maxBody bounds a request's body in bytes; a hundred people to invite take about 40 KB.
const maxBody = 1 << 20

// operation is one row of the API.
type operation struct {
	name, method string
	path         []string // "{}" matches any one segment
	caller       caller
	handle       func(*Sandbox, *call) (answer, error)
}

// caller is who an operation is for.
type caller int

const (
	byClient caller = iota // a client credential
	byPerson               // a person's token
	byAnyone               // no bearer token
)

// call is one request on its way through an operation.
type call struct {
	request *http.Request
	op      *operation
	args    []string // what the "{}" of the path stand for
	query   url.Values
	body    []byte
	cred    *credential
	stale   time.Duration // read as of so long ago
	swap    bool          // answer a read of one record with another
}

type answer struct {
	status int
	body   any // nil: none
}

func ok(body any) (answer, error) { return answer{http.StatusOK, body}, nil }

// operations is the API. A literal path stands before the pattern that would match it too.
func operations() []*operation {
	rows := []struct {
		name, method, path string
		caller             caller
		handle             func(*Sandbox, *call) (answer, error)
	}{
		{"create_token", "POST", "/oauth/token", byAnyone, (*Sandbox).createToken},
		{"get_me", "GET", "/users/me", byPerson, (*Sandbox).getMe},
		{"update_me", "PUT", "/users/me", byPerson, (*Sandbox).updateMe},
		{"delete_me", "DELETE", "/users/me", byPerson, (*Sandbox).deleteMe},
		{"set_default_account", "PUT", "/users/me/default_account", byPerson, (*Sandbox).setDefaultAccount},
		{"find_user_by_email", "GET", "/users/email/{}", byClient, (*Sandbox).findUserByEmail},
		{"create_user", "POST", "/users", byClient, (*Sandbox).createUser},
		{"get_user", "GET", "/users/{}", byClient, (*Sandbox).getUser},
		{"update_user", "PUT", "/users/{}", byClient, (*Sandbox).updateUser},
		{"remove_user", "DELETE", "/users/{}", byClient, (*Sandbox).removeUser},
		{"set_role", "PUT", "/users/{}/role", byClient, (*Sandbox).setRole},
		{"reset_password", "POST", "/users/{}/password_reset", byClient, (*Sandbox).resetPassword},
		{"deactivate_user", "POST", "/users/{}/deactivate", byClient, (*Sandbox).deactivateUser},
		{"activate_user", "POST", "/users/{}/activate", byClient, (*Sandbox).activateUser},
		{"list_users", "GET", "/platform/users", byClient, (*Sandbox).listUsers},
		{"list_roles", "GET", "/platform/roles", byClient, (*Sandbox).listRoles},
		{"list_identity_providers", "GET", "/platform/identity_providers", byClient, (*Sandbox).listIdentityProviders},
		{"list_organizations", "GET", "/platform/organizations", byClient, (*Sandbox).listOrganizations},
		{"invite_users", "POST", "/platform/invites", byClient, (*Sandbox).inviteUsers},
		{"list_invites", "GET", "/platform/invites", byClient, (*Sandbox).listInvites},
		{"get_invite", "GET", "/platform/invites/{}", byClient, (*Sandbox).getInvite},
		{"update_invite", "PUT", "/platform/invites/{}", byClient, (*Sandbox).updateInvite},
		{"revoke_invite", "DELETE", "/platform/invites/{}", byClient, (*Sandbox).revokeInvite},
		{"resend_invite", "POST", "/platform/invites/{}/resend", byClient, (*Sandbox).resendInvite},
		{"accept_invite", "POST", "/platform/invites/{}/accept", byClient, (*Sandbox).acceptInvite},
	}
	out := make([]*operation, len(rows))
	for i, r := range rows {
		out[i] = &operation{r.name, r.method, strings.Split(r.path[1:], "/"), r.caller, r.handle}
	}
	return out
}

// Handler serves the API and, with Options.Control, the side door.
func (s *Sandbox) Handler() http.Handler {
	control := s.controlHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.opts.Control && strings.HasPrefix(r.URL.Path, "/_sandbox/") {
			control.ServeHTTP(w, r)
			return
		}
		s.serve(w, r)
	})
}

// serve takes one API call through authentication, the fault rules, the rate limit and its operation.
func (s *Sandbox) serve(w http.ResponseWriter, r *http.Request) {
	op, args, err := s.route(r)
	if err != nil {
		writeError(w, err)
		return
	}
	c := &call{request: r, op: op, args: args}
	if c.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		writeError(w, invalidRequest("", "the query cannot be read: %v", err))
		return
	}
	if c.body, err = readBody(w, r); err != nil {
		writeError(w, err)
		return
	}
	select {
	case <-s.closed:
		writeError(w, unavailable("the sandbox is closed"))
		return
	default:
	}
	refused := s.authenticate(c)
	s.counters.call(op.name)
	f := s.faults.fire(op.name, c.cred.name)
	if !f.before(r.Context()) || !s.sleep(r.Context(), s.opts.Latency) {
		drop(w)
		return
	}
	if f.refuses() {
		f.refuse(w)
		return
	}
	if refused == nil {
		refused = s.admit(c)
	}
	c.stale, c.swap = f.stale(), f.swaps()
	out, err := answer{}, refused
	if err == nil {
		out, err = op.handle(s, c)
	}
	if !f.after(r.Context()) {
		drop(w)
		return
	}
	status, header, body := encode(out, err)
	if status == http.StatusInternalServerError {
		s.log.Error("sandbox call failed", "operation", op.name, "err", err)
	}
	s.log.Debug("sandbox call", "operation", op.name, "credential", c.cred.name, "status", status)
	f.write(w, status, header, body)
}

// route finds the operation of a request, or says 404 or 405.
func (s *Sandbox) route(r *http.Request) (*operation, []string, error) {
	segments := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	var allowed []string
	for _, op := range s.routes {
		args, matches := op.match(segments)
		if !matches {
			continue
		}
		if op.method == r.Method {
			return op, args, nil
		}
		if !slices.Contains(allowed, op.method) {
			allowed = append(allowed, op.method)
		}
	}
	if allowed != nil {
		return nil, nil, &apiError{
			status: http.StatusMethodNotAllowed, Code: "invalid_request", allow: strings.Join(allowed, ", "),
			Message: "this path answers " + strings.Join(allowed, ", ") + " only",
		}
	}
	return nil, nil, notFound("no such path")
}

func (op *operation) match(segments []string) (args []string, matches bool) {
	if len(segments) != len(op.path) {
		return nil, false
	}
	for i, want := range op.path {
		switch {
		case want != "{}":
			if segments[i] != want {
				return nil, false
			}
		default:
			arg, err := url.PathUnescape(segments[i])
			if err != nil || arg == "" {
				return nil, false
			}
			args = append(args, arg)
		}
	}
	return args, true
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, invalidRequest("", "the body is larger than %d bytes", maxBody)
	case err != nil:
		return nil, invalidRequest("", "the body cannot be read")
	}
	return body, nil
}

// encode turns the outcome of a call into an answer on the wire.
func encode(out answer, failed error) (status int, header http.Header, body []byte) {
	header = http.Header{}
	if failed != nil {
		e := asAPIError(failed)
		out = answer{e.status, errorBody{e}}
		if e.retryAfter > 0 {
			header.Set("Retry-After", strconv.Itoa(e.retryAfter))
		}
		if e.allow != "" {
			header.Set("Allow", e.allow)
		}
		if e.status == http.StatusUnauthorized {
			header.Set("WWW-Authenticate", `Bearer realm="sharearefund"`)
		}
	}
	if out.body == nil {
		return out.status, header, nil
	}
	body, err := json.Marshal(out.body)
	if err != nil {
		return http.StatusInternalServerError, header, []byte(`{"error":{"code":"internal_error","message":"internal error"}}`)
	}
	header.Set("Content-Type", "application/json")
	return out.status, header, body
}

func writeError(w http.ResponseWriter, err error) {
	status, header, body := encode(answer{}, err)
	send(w, status, header, body)
}

func send(w http.ResponseWriter, status int, header http.Header, body []byte) {
	maps.Copy(w.Header(), header)
	if status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone is no concern of the call, which has taken effect
}

// drop ends the connection without a byte of answer.
func drop(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2, or a test's recorder
	}
	_ = conn.Close()
}
