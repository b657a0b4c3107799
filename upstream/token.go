package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/singleflight"
)

const (
	unstatedLifetime = 5 * time.Minute // of a token whose answer names none
	longestLifetime  = 24 * time.Hour  // a longer one is renewed after it all the same
	longestMargin    = time.Minute     // before expiry; a tenth of the lifetime when that is shorter
	fetchTimeout     = 20 * time.Second
	renewalPause     = 5 * time.Second // between renewals that fail while the old token still works
)

// grant is a token as the service gave it.
type grant struct {
	token   Secret
	expires time.Time
	renew   time.Time // from here on it is renewed in the background
}

// tokenSource keeps one token and renews it, with one fetch in flight. It is safe for concurrent use.
type tokenSource struct {
	static Secret // when set, the only token there is
	now    func() time.Time
	log    *slog.Logger
	fetch  func(context.Context) (grant, error)

	flight singleflight.Group
	mu     sync.Mutex
	cur    grant
}

func (s *tokenSource) renewable() bool { return s.static == "" }

// get gives a token that is valid now, fetching one when there is none. A token near its end is renewed in the
// background while it is still used.
func (s *tokenSource) get(ctx context.Context) (Secret, *Error) {
	if s.static != "" {
		return s.static, nil
	}
	now := s.now()
	s.mu.Lock()
	cur := s.cur
	s.mu.Unlock()
	if cur.token != "" && now.Before(cur.renew) && now.Before(cur.expires) {
		return cur.token, nil
	}
	// The fetch serves everybody who waits for it, so it outlives the caller who started it.
	done := s.flight.DoChan("", func() (any, error) { return s.renewal(context.WithoutCancel(ctx)) })
	if cur.token != "" && now.Before(cur.expires) {
		return cur.token, nil
	}
	select {
	case <-ctx.Done():
		return "", &Error{Operation: "create_token", Kind: Unavailable, Err: context.Cause(ctx)}
	case result := <-done:
		if result.Err != nil {
			e := &Error{Operation: "create_token", Kind: Unavailable, Err: result.Err}
			if shared, ok := errors.AsType[*Error](result.Err); ok {
				*e = *shared // a copy: settle may change it
			}
			return "", e
		}
		return result.Val.(Secret), nil
	}
}

func (s *tokenSource) renewal(ctx context.Context) (Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	g, err := s.fetch(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.cur.renew = s.now().Add(renewalPause) // has no meaning once the token has expired
		s.log.Warn("upstream token", "err", err)
		return "", err
	}
	s.cur = g
	return g.token, nil
}

// drop forgets token, which the service refused, unless another one has already taken its place.
func (s *tokenSource) drop(token Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur.token == token {
		s.cur = grant{}
	}
}

// fetchToken asks for a token with the client's own credential (RFC 6749 §4.4).
func (c *Client) fetchToken(ctx context.Context) (grant, error) {
	return c.grant(ctx, url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {c.opts.ClientID},
		"client_secret": {string(c.opts.ClientSecret)},
	}, "")
}

// Exchange trades a person's OIDC ID token for a client that acts as that person (RFC 8693). It shares this client's
// connections, limiter and breaker. Its token is not renewed: when it has expired calls answer Unauthorized.
func (c *Client) Exchange(ctx context.Context, idToken Secret) (*Client, error) {
	form := url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token":      {string(idToken)},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
	}
	if c.opts.APIKey == "" {
		form.Set("client_id", c.opts.ClientID)
		form.Set("client_secret", string(c.opts.ClientSecret))
	}
	g, err := c.grant(ctx, form, idToken)
	if err != nil {
		return nil, err
	}
	as := *c
	as.tokens = &tokenSource{static: g.token}
	as.closeIdle = func() {} // the connections belong to c
	return &as, nil
}

// grant asks for a token. The limiter applies to sign-ins only: a token of our own is needed to be limited at all.
// subject is the form's subject token, "" for none.
func (c *Client) grant(ctx context.Context, form url.Values, subject Secret) (grant, error) {
	var g grant
	err := c.do(ctx, request{
		operation: "create_token", form: form, secret: subject, unlimited: subject == "",
		decode: func(body []byte) (err error) {
			g, err = readGrant(body, c.opts.Now())
			return err
		},
	})
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Invalid {
		e.Kind = Unauthorized // RFC 6749 §5.2 answers 400 for a bad credential or grant
	}
	return g, err
}

func readGrant(body []byte, now time.Time) (grant, error) {
	var wire struct {
		AccessToken string   `json:"access_token"`
		TokenType   string   `json:"token_type"`
		ExpiresIn   *float64 `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		return grant{}, errors.New("the token answer cannot be read") // err might quote the token
	}
	if wire.AccessToken == "" || !isToken(wire.AccessToken) {
		return grant{}, errors.New("the token answer has no usable access_token")
	}
	if wire.TokenType != "" && !strings.EqualFold(wire.TokenType, "bearer") {
		return grant{}, fmt.Errorf("the token answer has the type %q, want Bearer", clean(wire.TokenType))
	}
	lifetime := unstatedLifetime
	if wire.ExpiresIn != nil {
		if *wire.ExpiresIn <= 0 {
			return grant{}, errors.New("the token answer is already expired (expires_in)")
		}
		lifetime = longestLifetime
		if *wire.ExpiresIn < longestLifetime.Seconds() {
			lifetime = time.Duration(*wire.ExpiresIn * float64(time.Second))
		}
	}
	return grant{
		token:   Secret(wire.AccessToken),
		expires: now.Add(lifetime),
		renew:   now.Add(lifetime - min(lifetime/10, longestMargin)),
	}, nil
}

// isToken tells that s can stand in an Authorization header.
func isToken(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}
