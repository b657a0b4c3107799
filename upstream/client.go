// Package upstream is the client of the Share A Refund API: tokens, retries, rate limit, circuit breaker, strict
// reading of answers, and the joining of concurrent invites into few calls.
//
// Every call returns *Error, whose Kind says what it means. A call is repeated only when that cannot cause a second
// effect; what may have taken effect without our knowing is Ambiguous and left to the caller to read back.
package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options configure a Client.
type Options struct {
	// BaseURL is "http[s]://host[:port][/prefix]", without user, query and fragment.
	BaseURL string
	// ClientID and ClientSecret fetch tokens (OAuth 2.0 client credentials). Exactly one of them and APIKey is given.
	ClientID     string
	ClientSecret Secret
	// APIKey is a static bearer token.
	APIKey Secret
	// Endpoints overrides rows of the endpoint table, operation: "METHOD /path/{id}". Operations lists the names.
	Endpoints map[string]string
	// Transport carries the requests. nil: one of the client's own with keep-alive for MaxConcurrent connections, and
	// without a proxy: the environment is not read.
	Transport http.RoundTripper
	// Limiter holds the credential's rate; share it among clients of one credential. nil: no limit of our own.
	Limiter *Limiter
	// AttemptTimeout bounds one attempt, from connecting to the answer's last byte. 0: 5 s.
	AttemptTimeout time.Duration
	// MaxAttempts bounds the attempts of one call, the first one included. 0: 3.
	MaxAttempts int
	// MaxBodyBytes bounds an answer after decompression. 0: 8 MiB.
	MaxBodyBytes int64
	// MaxConcurrent bounds the attempts under way at once. 0: 64.
	MaxConcurrent int
	// Breaker configures the circuit breaker; the zero value is a good one.
	Breaker BreakerOptions
	// Now is the clock for expiry and Retry-After dates. nil: time.Now.
	Now func() time.Time
	// Logger receives changes of the breaker's state and failing token renewals. nil: none.
	Logger *slog.Logger
	// UserAgent is sent with every request. "": "scim-bridge".
	UserAgent string
	// Observe is called after every attempt, concurrently; it must not block. nil: none.
	Observe func(Call)
}

// Call describes one attempt, for metrics.
type Call struct {
	Operation string
	Status    int // 0: no answer
	Duration  time.Duration
	Attempt   int // from 1
	Err       error
}

// Client calls the API with one credential. It is safe for concurrent use.
type Client struct {
	opts      Options // with the zero values replaced
	routes    map[string]*route
	tokens    *tokenSource
	breaker   *breaker
	budget    *retryBudget
	slots     chan struct{} // one for each attempt under way
	tooSlow   error         // why an attempt was given up
	buffers   *sync.Pool    // of *bytes.Buffer
	closeIdle func()
}

// New checks the options and makes a client; it calls nothing yet. All faults of the options come at once.
func New(opts Options) (*Client, error) {
	base, host, baseErr := parseBase(opts.BaseURL)
	table, endpointsErr := routes(base, opts.Endpoints)
	if err := errors.Join(baseErr, checkCredential(opts), endpointsErr); err != nil {
		return nil, err
	}
	opts = withDefaults(opts)
	c := &Client{
		opts:      opts,
		routes:    table,
		breaker:   newBreaker(opts.Breaker, opts.Logger, host),
		budget:    newRetryBudget(opts.Now),
		slots:     make(chan struct{}, opts.MaxConcurrent),
		buffers:   &sync.Pool{New: func() any { return new(bytes.Buffer) }},
		closeIdle: func() {},
		tooSlow:   fmt.Errorf("no complete answer within %s: %w", opts.AttemptTimeout, context.DeadlineExceeded),
	}
	if opts.Transport == nil {
		own := newTransport(opts.MaxConcurrent)
		c.opts.Transport, c.closeIdle = own, own.CloseIdleConnections
	}
	if opts.APIKey != "" {
		c.tokens = &tokenSource{static: opts.APIKey}
	} else {
		c.tokens = &tokenSource{now: opts.Now, log: opts.Logger, fetch: c.fetchToken}
	}
	return c, nil
}

// Close closes idle connections of the client's own transport. Calls under way are not interrupted, and the client
// stays usable.
func (c *Client) Close() { c.closeIdle() }

func withDefaults(o Options) Options {
	if o.AttemptTimeout <= 0 {
		o.AttemptTimeout = 5 * time.Second
	}
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = 3
	}
	if o.MaxBodyBytes <= 0 {
		o.MaxBodyBytes = 8 << 20
	}
	if o.MaxConcurrent <= 0 {
		o.MaxConcurrent = 64
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.UserAgent == "" {
		o.UserAgent = "scim-bridge"
	}
	if o.Observe == nil {
		o.Observe = func(Call) {}
	}
	return o
}

func parseBase(s string) (base, host string, err error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", "", errors.New("upstream.base_url: not a URL")
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.Opaque != "":
		return "", "", fmt.Errorf("upstream.base_url: %q: want http[s]://host[:port][/prefix]", u.Redacted())
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return "", "", fmt.Errorf("upstream.base_url: %q: must not contain a user, query or fragment", u.Redacted())
	}
	return strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), u.Host, nil
}

func checkCredential(o Options) error {
	client := o.ClientID != "" || o.ClientSecret != ""
	switch {
	case client && o.APIKey != "":
		return errors.New("upstream credential: give client id and secret, or an API key, not both")
	case !client && o.APIKey == "":
		return errors.New("upstream credential: missing; give client id and secret, or an API key")
	case client && (o.ClientID == "" || o.ClientSecret == ""):
		return errors.New("upstream credential: client id and client secret belong together, one of them is empty")
	case !isToken(string(o.APIKey)) && !client:
		return errors.New("upstream credential: the API key contains a space or a control character")
	}
	return nil
}

// newTransport is tuned for many concurrent requests to one host.
func newTransport(connections int) *http.Transport {
	dialer := &net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    3 * time.Second,
		MaxIdleConns:           connections,
		MaxIdleConnsPerHost:    connections,
		IdleConnTimeout:        30 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
