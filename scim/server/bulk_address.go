package server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// address finds out where the path of an operation leads: to a resource type
// or to a resource. It is relative to the SCIM base URL, which may stand before
// it.
func (s *server) address(o *bulkOperation) {
	if o.refusal != nil {
		return
	}
	path := o.path
	if rest, ok := strings.CutPrefix(path, s.base); ok && strings.HasPrefix(rest, "/") {
		path = rest
	}
	if strings.Contains(path, "://") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "?#") {
		o.refuse(scim.BadRequest(scim.TypeInvalidValue, "path is %q: send it relative to %s and without a query, such as \"/Users/{id}\"", clip(o.path), s.base))
		return
	}
	path = "/" + strings.TrimPrefix(path, "/")
	if collection, bulkID, ok := strings.Cut(path, "/"+referencePrefix); ok {
		if path, o.target = collection+"/x", strings.TrimSuffix(bulkID, "/"); o.target == "" {
			o.refuse(scim.BadRequest(scim.TypeInvalidValue, "path is %q: a bulkId is missing behind %q", clip(o.path), referencePrefix))
			return
		}
	}
	path, ok := cleanPath(basePath + path)
	if !ok {
		o.refuse(&scim.Error{Status: http.StatusNotFound, Detail: "no resource has this path: paths below " + s.base +
			" have letters, digits, '-' and '_' only, nothing percent-encoded and no empty segment"})
		return
	}
	o.endpoint, o.id = s.routes.match(&http.Request{Method: o.method, URL: &url.URL{Path: path}}, path)
	switch {
	case o.endpoint == nil:
		o.refuse(s.noSuchPath(path))
	case !s.holdsResources(o.endpoint):
		o.refuse(scim.BadRequest(scim.TypeInvalidValue, "path is %q: an operation is one on a resource; send this as a request of its own", clip(o.path)))
	case o.target != "":
		o.id = ""
	}
}

// holdsResources reports whether e is the endpoint of a resource type, or that
// of its resources.
func (s *server) holdsResources(e *endpoint) bool {
	if e.resource != "" {
		return true
	}
	of := s.routes.byName[e.pattern+"/{id}"]
	return of != nil && of.resource != ""
}

// location is the address of the resource that the operation is on, "" while
// there is none.
func (s *server) location(o *bulkOperation) string {
	if o.endpoint == nil || o.endpoint.resource == "" || !validID(o.id) {
		return ""
	}
	return s.base + strings.TrimPrefix(o.route(), basePath)
}

// route is the path of the operation as a request of its own has it.
func (o *bulkOperation) route() string {
	return strings.Replace(o.endpoint.pattern, "{id}", o.id, 1)
}
