package lint

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// Request is what the linter looks at of an answered request, or of an
// operation of a bulk request. Name, Filter and Detail may hold personal data:
// nothing of them is kept.
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
	at, e := l.now(), l.seen
	e.mu.Lock()
	defer e.mu.Unlock()
	see := func(c code, subject string) { e.see(key{r.Tenant, r.Credential, c, subject}, at) }

	clients := e.client(r.Credential, r.Dialect) &^ (1 << mask(scim.DialectRFC))
	if clients&(clients-1) != 0 {
		see(severalClients, "")
	}
	switch {
	case r.EntraFlag && r.Dialect != scim.DialectEntra:
		see(clientKind, "")
	case r.EntraFlag:
		if at.Sub(e.flagged[r.Credential]) >= flagEvery {
			e.flagged[r.Credential] = at
			e.settleKey(key{r.Tenant, r.Credential, entraFlag, ""}, at)
		}
	case r.Dialect == scim.DialectEntra:
		see(entraFlag, "")
	}
	for i := range r.Notes {
		if t := r.Notes[i].Tolerance; t == scim.UnknownAttributeDropped || t == scim.UnknownAttributeSkipped {
			if name := shownName(r.Notes[i].Path); name != "" {
				see(attributeUnknown, name)
			}
		}
	}
	if r.Filter != "" {
		l.filter(r, see, func(subject string, codes mask) { e.settle(r.Tenant, subject, codes, at) })
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		l.mutation(r, resource, see, func(subject string, codes mask) { e.settle(r.Tenant, subject, codes, at) })
	}
}

// filter looks at the filter of a query. What it is about is its first
// attribute.
func (l *Linter) filter(r *Request, see func(code, string), settle func(string, mask)) {
	attribute, _, _ := strings.Cut(strings.TrimLeft(r.Filter, "( "), " ")
	if attribute = shownName(attribute); attribute == "" {
		return
	}
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

// mutation looks at what came of a change.
func (l *Linter) mutation(r *Request, resource string, see func(code, string), settle func(string, mask)) {
	fresh := r.Method == http.MethodPost
	switch r.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusNotFound, http.StatusRequestEntityTooLarge:
	default:
		if r.Status/100 == 2 {
			settle(r.ID, maskOf(refusedAgain, idUnknown, notAdopted))
			if fresh {
				settle(unnamed(r.Tenant, resource, r.Name), maskOf(refusedAgain))
			}
		}
		return
	}
	subject := r.ID
	if fresh {
		subject = unnamed(r.Tenant, resource, r.Name)
	}
	if r.Status == http.StatusBadRequest && resource == "Group" && strings.Contains(r.Detail, onlyUsers) {
		see(nested, subject)
	}
	switch {
	case subject == "":
	case r.Status == http.StatusNotFound:
		// Deleting what is not there is as it should be.
		if r.Method == http.MethodPut || r.Method == http.MethodPatch {
			see(idUnknown, subject)
		}
	case r.Status == http.StatusConflict && fresh:
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
	l.seen.see(key{tenant, credential, rateLimited, ""}, at)
}
