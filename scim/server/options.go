package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/schemas"
	"github.com/sharearefund/scim-bridge/scim"
)

// basePath is where SCIM lives below the public URL.
const basePath = "/scim/v2"

// Options configure New.
type Options struct {
	// PublicURL is the address that clients use: scheme, host and, behind a
	// proxy that adds one, a path prefix. PublicURL + "/scim/v2" is the SCIM
	// base URL. It is the only source of meta.location and Location; no
	// request header is. Requests are served with and without the prefix.
	// Required.
	PublicURL string
	// Users serves the User resources. Required.
	Users scim.UserHandler
	// UserCodec reads and writes them. Required.
	UserCodec *scim.Codec[scim.User]
	// Groups serves the Group resources. Required.
	Groups scim.GroupHandler
	// GroupCodec reads and writes them. Required.
	GroupCodec *scim.GroupCodec
	// Resources are the read-only resource types that are served besides, each
	// at most once. Only what is served is listed in /ResourceTypes and
	// /Schemas. nil: none.
	Resources []Resource
	// Authenticate says whose credential a request carries. It is called only
	// when there is exactly one well-formed Authorization header; the
	// request's context has the deadline of the work. A *scim.Error is
	// answered as it is; any other error is 503, never 401. Malformed
	// credentials are best refused without I/O: attempts are counted, not
	// prevented. Required.
	Authenticate func(*http.Request) (Identity, error)

	// ChangesPassword says whether the caller may change passwords, for the
	// ServiceProviderConfig (RFC 7643 §5). Errors are as in scim.UserHandler. nil:
	// nobody may.
	ChangesPassword func(ctx context.Context, c scim.Caller) (bool, error)

	// Evidence is called when an "auto" credential without remembered evidence
	// shows for the first time in this process which client uses it. It must
	// not block. nil: nobody is told.
	Evidence func(ctx context.Context, credential string, d scim.Dialect)
	// Begin may put something into the context of a request that Observe will
	// look at. It is called when the request was received, and for every
	// operation of a bulk request, and must not block. nil: the context is left as
	// it is.
	Begin func(context.Context) context.Context
	// Observe is called once for every request, after it was answered, and for
	// every operation of a bulk request; ctx is the request's, and may have
	// ended. It must not block. nil: nobody is told.
	Observe func(ctx context.Context, r Request)
	// Failed is called, before the answer is sent, for every mutation of an
	// authenticated caller that is refused or fails. The context outlives the
	// client's connection. It must not block. nil: nobody is told.
	Failed func(ctx context.Context, f FailedRequest)

	// Logger gets one line a request. nil: nothing is logged.
	Logger *slog.Logger
	// MaxBody is the largest accepted request body in bytes, and what the
	// ServiceProviderConfig announces for bulk requests. 0: 1 MiB.
	MaxBody int64
	// MaxGroupBody is the same for /Groups, whose bodies list members. 0: 8 MiB.
	MaxGroupBody int64
	// MaxResults is the largest page. It must equal filter.maxResults of the
	// embedded ServiceProviderConfig; 0 takes it from there.
	MaxResults int
	// DefaultCount is the page size when a client names none. 0: 100.
	DefaultCount int
	// CursorKey seals the cursors of lists: 32 bytes that all processes behind one
	// address share. nil: random, and no other process takes this one's cursors.
	CursorKey []byte
	// RequestTimeout is when a request is answered at the latest, counted from
	// the end of its headers. Handlers get a context that ends after five
	// sixths of it, and a body must have arrived after half of it. 0: 30 s.
	RequestTimeout time.Duration
	// FailedAuthPerMinute is how many failed authentications one client
	// address (one /64 for IPv6) may make in a minute before further ones are
	// answered 429. Good credentials from the same address are not affected.
	// 0: 1000.
	FailedAuthPerMinute int
	// TrustedProxies are the peers whose X-Forwarded-For and X-Request-Id are
	// believed. nil: nobody's.
	TrustedProxies []netip.Prefix
	// Now is the clock of durations and limits. nil: time.Now.
	Now func() time.Time
	// NewRequestID makes the id of a request, in the grammar of resource ids.
	// nil: 128 random bits.
	NewRequestID func() string
}

// Identity is what a credential proves.
type Identity struct {
	// Tenant is the slug of the credential's tenant. Never empty.
	Tenant string
	// Credential is the credential's id, never its secret. Never empty.
	Credential string
	// Client is the name of a dialect, or "auto" or "": recognised per request.
	Client string
	// Evidence is the dialect that an "auto" credential was recognised as
	// before; empty: not yet.
	Evidence string
}

// Request is what Observe learns about a request. Tenant, Method and Route are
// bounded in number: they can be metric labels. ID, Name, Filter and Detail are
// what a client sent, or quote it: they can hold personal data.
type Request struct {
	// Start is when the request was received.
	Start time.Time
	// RequestID is the id that answers, logs and events share.
	RequestID string
	// Tenant and Credential are empty when the request was not authenticated.
	Tenant, Credential string
	// Method is a method of RFC 9110 or RFC 5789, or "other".
	Method string
	// Route is the pattern of the route, or "unmatched".
	Route string
	// Operation is 0 for a request, and counts the operations of a bulk request
	// from 1, each of which has the Method and Route of the request that it
	// stands for.
	Operation int
	// ID is the id in the path, or that of the resource that was created.
	ID string
	// Name is the userName or displayName in the body of a POST or PUT.
	Name string
	// Filter is the filter of a query, "" when there is none.
	Filter string
	// EntraFlag: the query string holds Entra's aadOptscim062020.
	EntraFlag bool
	Status    int
	// Type and Detail are the scimType and the detail of a refusal.
	Type, Detail string
	Duration     time.Duration
	Dialect      scim.Dialect
	// Notes lists what was tolerated in, or left out of, the body.
	Notes []scim.Note
	// Panicked reports a defect that was answered 500, unless Aborted.
	Panicked bool
	// Aborted reports an answer that was begun, with Status, and could not be
	// finished: the connection was closed in the middle of it.
	Aborted bool
}

// FailedRequest is what Failed learns about a mutation that did not succeed.
type FailedRequest struct {
	Caller scim.Caller
	Method string
	// Route is the pattern of the route, or "unmatched": "/scim/v2/Users/{id}",
	// "/scim/v2/Groups". It tells the resource type.
	Route string
	// ID is the id in the path; empty for a create.
	ID string
	// Status, Type and Detail are those of the answer.
	Status int
	Type   string
	Detail string
	Notes  []scim.Note
}

// New returns the handler of every SCIM request. It serves the whole path
// space that it is given, and must be reached without a router that cleans or
// redirects paths (http.ServeMux does). It is safe for concurrent use.
//
// The http.Server around it is expected to set ReadHeaderTimeout,
// MaxHeaderBytes of at least 256 KiB, so that oversized headers and filters
// are refused here and in JSON, and a WriteTimeout above RequestTimeout.
func New(o Options) (http.Handler, error) {
	base, prefix, urlErr := publicURL(o.PublicURL)
	set, setErr := schemas.Load()
	faults := []error{urlErr, setErr}
	require := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	require(o.Users != nil, "Users is required")
	require(o.UserCodec != nil, "UserCodec is required")
	require(o.Authenticate != nil, "Authenticate is required")
	require(o.Groups != nil, "Groups is required")
	require(o.GroupCodec != nil, "GroupCodec is required")
	require(o.MaxBody >= 0, "MaxBody %d is negative", o.MaxBody)
	require(o.MaxGroupBody >= 0, "MaxGroupBody %d is negative", o.MaxGroupBody)
	require(o.CursorKey == nil || len(o.CursorKey) == cursorKeySize, "CursorKey has %d bytes, want %d", len(o.CursorKey), cursorKeySize)
	require(o.RequestTimeout >= 0, "RequestTimeout %v is negative", o.RequestTimeout)
	require(o.FailedAuthPerMinute >= 0, "FailedAuthPerMinute %d is negative", o.FailedAuthPerMinute)
	if setErr == nil {
		o.MaxResults = cmp.Or(o.MaxResults, set.MaxResults())
		require(o.MaxResults == set.MaxResults(),
			"MaxResults %d differs from the ServiceProviderConfig's filter.maxResults %d: leave it 0", o.MaxResults, set.MaxResults())
		checkResources(o.Resources, set, require)
	}
	o.DefaultCount = cmp.Or(o.DefaultCount, min(100, o.MaxResults))
	require(o.DefaultCount > 0 && o.DefaultCount <= o.MaxResults, "DefaultCount %d is not between 1 and %d", o.DefaultCount, o.MaxResults)
	err := errors.Join(faults...)
	if err != nil {
		return nil, fmt.Errorf("server options: %w", err)
	}

	s := &server{
		Options:  o,
		base:     base,
		prefix:   prefix,
		attempts: newAttempts(cmp.Or(o.FailedAuthPerMinute, 1000)),
	}
	s.MaxBody = cmp.Or(o.MaxBody, 1<<20)
	s.MaxGroupBody = cmp.Or(o.MaxGroupBody, 8<<20)
	s.RequestTimeout = cmp.Or(o.RequestTimeout, 30*time.Second)
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.NewRequestID == nil {
		s.NewRequestID = rand.Text
	}
	if s.cursors, err = sealing(o.CursorKey); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s.routes, err = newRoutes(s, set)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	return s, nil
}

// publicURL returns the SCIM base URL and the path prefix of a public URL.
func publicURL(raw string) (base, prefix string, err error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("PublicURL: %w", err)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.User != nil, u.RawQuery != "", u.Fragment != "", u.Opaque != "":
		return "", "", fmt.Errorf("PublicURL %q: want scheme, host and at most a path, as in https://bridge.example.com", u.Redacted())
	}
	prefix = strings.TrimRight(u.EscapedPath(), "/")
	if prefix != "" {
		if clean, ok := cleanPath(prefix); !ok || clean != prefix {
			return "", "", fmt.Errorf("PublicURL %q: the path has characters other than letters, digits, '-', '_', '.' and '/'", raw)
		}
	}
	if strings.HasSuffix(prefix, basePath) {
		return "", "", fmt.Errorf("PublicURL %q: leave out %s, it is appended", raw, basePath)
	}
	return u.Scheme + "://" + u.Host + prefix + basePath, prefix, nil
}
