package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gorilla/mux"
	"github.com/sharearefund/scim-bridge/schemas"
	"github.com/sharearefund/scim-bridge/scim"
)

// endpoint is what one route pattern serves.
type endpoint struct {
	pattern string
	// resource is the resource type whose id the path's variable is, or "".
	resource string
	// reads: a POST changes nothing.
	reads bool
	// methods is empty for what RFC 7644 defines and this version lacks.
	methods map[string]prepareFunc
	// allow is the value of Allow: the keys of methods, and HEAD with GET.
	allow string
	// missing is the detail of the 501 of an endpoint without methods.
	missing string
}

// routes finds endpoints by path.
type routes struct {
	router *mux.Router
	byName map[string]*endpoint
}

func newRoutes(s *server, set *schemas.Set) (*routes, error) {
	d, err := newDiscovery(s, set, s.servedTypes(set))
	if err != nil {
		return nil, err
	}
	rs := &routes{
		// The router is to take paths as they come. cleanPath leaves nothing
		// that it could read in another way; this holds without it, too.
		router: mux.NewRouter().UseEncodedPath().SkipClean(true),
		byName: map[string]*endpoint{},
	}
	for _, e := range s.endpoints(set, d) {
		for m := range e.methods {
			e.allow += ", " + m
			if m == http.MethodGet {
				e.allow += ", " + http.MethodHead
			}
		}
		if e.allow != "" {
			allow := strings.Split(e.allow[2:], ", ")
			slices.Sort(allow)
			e.allow = strings.Join(allow, ", ")
		}
		rs.byName[e.pattern] = e
		rs.router.Path(e.pattern).Name(e.pattern)
	}
	return rs, nil
}

// endpoints lists every route, the busiest first: the router tries them in
// order.
func (s *server) endpoints(set *schemas.Set, d *discovery) []*endpoint {
	const (
		noMe = "/Me is the person who signed in, and this credential belongs to a provisioning client: find people with /Users?filter=userName eq \"name\" and address them as /Users/{id}"
	)
	get := func(p prepareFunc) map[string]prepareFunc { return map[string]prepareFunc{http.MethodGet: p} }
	root := s.searchRoot(s.searchables(set))
	list := []*endpoint{
		s.searchEndpoint(basePath+"/Users", s.listUsers),
		{pattern: basePath + "/Users/{id}", resource: "User", methods: map[string]prepareFunc{
			http.MethodGet:    s.getUser,
			http.MethodPut:    s.replaceUser,
			http.MethodPatch:  s.patchUser,
			http.MethodDelete: s.deleteUser,
		}},
		{pattern: basePath + "/Users", methods: map[string]prepareFunc{
			http.MethodGet:  s.listUsers,
			http.MethodPost: s.createUser,
		}},
		s.searchEndpoint(basePath+"/Groups", s.listGroups),
		{pattern: basePath + "/Groups/{id}", resource: "Group", methods: map[string]prepareFunc{
			http.MethodGet:    s.getGroup,
			http.MethodPut:    s.replaceGroup,
			http.MethodPatch:  s.patchGroup,
			http.MethodDelete: s.deleteGroup,
		}},
		{pattern: basePath + "/Groups", methods: map[string]prepareFunc{
			http.MethodGet:  s.listGroups,
			http.MethodPost: s.createGroup,
		}},
		{pattern: basePath + "/ServiceProviderConfig", methods: get(d.config)},
		{pattern: basePath + "/ResourceTypes", methods: get(d.listTypes)},
		{pattern: basePath + "/ResourceTypes/{id}", methods: get(d.getType)},
		{pattern: basePath + "/Schemas", methods: get(d.listSchemas)},
		{pattern: basePath + "/Schemas/{id}", methods: get(d.getSchema)},
		s.bulkEndpoint(),
		s.searchEndpoint(basePath, root),
		{pattern: basePath, methods: get(root)},
		{pattern: basePath + "/Me", missing: noMe},
	}
	for _, r := range s.Resources {
		t, _ := set.ResourceType(r.resourceType)
		list = append(list, r.endpoints(s, t)...)
	}
	return list
}

// match finds the endpoint of a clean path and the value of its variable.
func (rs *routes) match(r *http.Request, path string) (*endpoint, string) {
	if r.URL.RawPath != "" || r.URL.Path != path {
		r = &http.Request{Method: r.Method, URL: &url.URL{Path: path}}
	}
	var m mux.RouteMatch
	if !rs.router.Match(r, &m) {
		return nil, ""
	}
	return rs.byName[m.Route.GetName()], m.Vars["id"]
}

// prepareOf is the function that serves the request, or 404, 405 or 501.
func (s *server) prepareOf(x *exchange, path string) (prepareFunc, error) {
	e := x.endpoint
	if e == nil {
		return nil, s.noSuchPath(path)
	}
	if len(e.methods) == 0 {
		return nil, &scim.Error{Status: 501, Detail: e.missing}
	}
	if e.resource != "" && !validID(x.id) {
		return nil, scim.NotFound(e.resource, x.id)
	}
	method := x.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if p := e.methods[method]; p != nil {
		return p, nil
	}
	return nil, &scim.Error{Status: 405, Detail: e.pattern + " does not take this method: it takes " + e.allow}
}

func (s *server) noSuchPath(path string) error {
	if path == "/scim/v1" || strings.HasPrefix(path, "/scim/v1/") {
		return &scim.Error{Status: 404, Detail: "SCIM 1 is not served: set the client to SCIM 2.0 and its base URL to " + s.base}
	}
	return &scim.Error{Status: 404, Detail: "nothing is served at " + path + ": the SCIM base URL is " + s.base}
}
