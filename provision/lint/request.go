package lint

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// Request is what the linter looks at of an answered request, or of an
// operation of a bulk request. ID, Name, Filter, Detail and Notes may hold
// personal data: only what subject.go makes of them is kept.
type Request struct {
	// Tenant and Credential are empty when it was not authenticated.
	Tenant, Credential string
	Dialect            scim.Dialect
	// Method and Route are as the server names them: "PATCH",
	// "/scim/v2/Users/{id}".
	Method, Route string
	// ID is the id in the path, or that of what was created; Name the userName
	// or displayName of a POST or PUT.
	ID, Name string
	Filter   string
	// EntraFlag: the query string holds Entra's aadOptscim062020.
	EntraFlag bool
	Status    int
	// Type and Detail are those of a refusal.
	Type, Detail string
	Notes        []scim.Note
}

// Request looks at an answered request. It does not block, and costs well under
// a microsecond for one that shows nothing.
func (l *Linter) Request(r *Request) {
	if r.Tenant == "" {
		return
	}
	resource := resourceOf(r.Route)
	if resource == "" {
		return
	}
	m := l.mutationOf(r, resource)
	at, e := l.now(), l.seen
	e.mu.Lock()
	defer e.mu.Unlock()
	see := func(c code, subject string) { e.see(r.Tenant, key{r.Credential, c, subject}, at) }
	settle := func(subject string, codes mask) { e.settle(r.Tenant, subject, codes, at) }

	from := e.sender(r.Credential, r.Dialect, at)
	if from.several(at) {
		see(severalClients, "")
	}
	switch {
	case r.EntraFlag && r.Dialect != scim.DialectEntra:
		see(clientKind, "")
	case r.EntraFlag:
		if at.Sub(from.flagged) >= flagEvery {
			from.flagged = at
			e.settleKey(r.Tenant, key{r.Credential, entraFlag, ""}, at)
		}
	case r.Dialect == scim.DialectEntra:
		see(entraFlag, "")
	}
	for i := range r.Notes {
		if t := r.Notes[i].Tolerance; t == scim.UnknownAttributeDropped || t == scim.UnknownAttributeSkipped {
			see(attributeUnknown, shownName(r.Notes[i].Path))
		}
	}
	if r.Filter != "" {
		l.filter(r, see, settle)
	}
	if m != nil {
		m.look(see, settle)
	}
}

// filter looks at the filter of a query. What it is about is its first
// attribute, if that is one.
func (l *Linter) filter(r *Request, see func(code, string), settle func(string, mask)) {
	attribute, _, _ := strings.Cut(strings.TrimLeft(r.Filter, "( "), " ")
	attribute = shownName(attribute)
	switch {
	case r.Status == http.StatusOK:
		settle(attribute, maskOf(filterRefused, filterUnquoted))
	case r.Status != http.StatusBadRequest || r.Type != scim.TypeInvalidFilter:
	case unquoted(r.Filter):
		see(filterUnquoted, attribute)
	default:
		see(filterRefused, attribute)
	}
}

// comparison is the beginning of a filter that compares with something without
// quotes.
var comparison = regexp.MustCompile(`(?i)^\(*\S+ +(?:eq|ne|co|sw|ew|gt|ge|lt|le) +([^"\s)]+)`)

// unquoted reports whether a filter begins with a comparison with a text that
// has no quotes.
func unquoted(filter string) bool {
	m := comparison.FindStringSubmatch(filter)
	if m == nil {
		return false
	}
	switch strings.ToLower(m[1]) {
	case "true", "false", "null":
		return false
	}
	_, err := strconv.ParseFloat(m[1], 64)
	return err != nil
}

// mutation is what came of a change.
type mutation struct {
	*Request
	resource string
	// id and name are the subjects of the ID and, where something was to be
	// created, of the Name.
	id, name string
}

// mutationOf is nil for a request that changes nothing.
func (l *Linter) mutationOf(r *Request, resource string) *mutation {
	m := &mutation{Request: r, resource: resource}
	switch r.Method {
	case http.MethodPost:
		m.name = l.unnamed(r.Tenant, resource, r.Name)
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return nil
	}
	m.id = l.identified(r.Tenant, resource, r.ID)
	return m
}

// look says what it shows.
func (m *mutation) look(see func(code, string), settle func(string, mask)) {
	switch m.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusNotFound, http.StatusRequestEntityTooLarge:
	default:
		if m.Status/100 == 2 {
			settle(m.id, maskOf(refusedAgain, idUnknown, notAdopted))
			settle(m.name, maskOf(refusedAgain))
		}
		return
	}
	fresh := m.Method == http.MethodPost
	subject := m.id
	if fresh {
		subject = m.name
	}
	if m.Status == http.StatusBadRequest && m.resource == "Group" && strings.Contains(m.Detail, onlyUsers) {
		see(nested, subject)
	}
	switch {
	case subject == "":
	case m.Status == http.StatusNotFound:
		// Deleting what is not there is as it should be.
		if m.Method == http.MethodPut || m.Method == http.MethodPatch {
			see(idUnknown, subject)
		}
	case m.Status == http.StatusConflict && fresh:
		// The client looks who it is then; that it does not shows elsewhere.
	default:
		see(refusedAgain, subject)
	}
}

// onlyUsers is in the refusal of a member that calls itself a group.
const onlyUsers = "cannot be a member, only a User can"

// resourceOf is the resource type of a route, "" for others than users and
// groups.
func resourceOf(route string) string {
	switch {
	case strings.Contains(route, "/Users"):
		return "User"
	case strings.Contains(route, "/Groups"):
		return "Group"
	}
	return ""
}

// RateLimited notes a request that the bridge's own limit turned away. It does
// not block.
func (l *Linter) RateLimited(tenant, credential string) {
	at := l.now()
	l.seen.mu.Lock()
	defer l.seen.mu.Unlock()
	l.seen.see(tenant, key{credential, rateLimited, ""}, at)
}
