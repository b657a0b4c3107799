package sandbox

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/time/rate"
)

const (
	tokenPrefix        = "sat_"
	grantCredentials   = "client_credentials"
	grantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeIDToken        = "urn:ietf:params:oauth:token-type:id_token"
	typeAccessToken    = "urn:ietf:params:oauth:token-type:access_token"
)

// Identity is who an ID token speaks of. Email is used for a sign-in that was never seen, and may be "".
type Identity struct {
	ProviderID int64  `json:"identity_provider_id"`
	Subject    string `json:"subject"`
	Email      string `json:"email"`
}

// tokenClaims are what a token carries; a client's has Client, a person's has User.
type tokenClaims struct {
	Client   string `json:"c,omitempty"`
	User     int64  `json:"u,omitempty"`
	Sessions int    `json:"s,omitempty"`
	Epoch    int64  `json:"e"`
	Seq      int64  `json:"n"`
	Expires  int64  `json:"x"` // Unix milliseconds
}

type tokenAnswer struct {
	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type,omitempty"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"`
}

// createToken answers POST /oauth/token: RFC 6749 §4.4 and RFC 8693.
func (s *Sandbox) createToken(c *call) (answer, error) {
	form, err := tokenForm(c)
	if err != nil {
		return answer{}, err
	}
	client, err := s.authenticateClient(c.request, form)
	if err != nil {
		return answer{}, err
	}
	switch form.Get("grant_type") {
	case grantCredentials:
		if client == nil {
			return answer{}, unauthorized("client_id and client_secret are required")
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return ok(s.issue(tokenClaims{Client: client.name}))
	case grantTokenExchange:
		return s.exchange(c, form, client)
	}
	return answer{}, invalidRequest("grant_type", "unsupported grant type %q: use %q or %q", form.Get("grant_type"), grantCredentials, grantTokenExchange)
}

func tokenForm(c *call) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(c.request.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("", "send the token request as application/x-www-form-urlencoded")
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return nil, invalidRequest("", "the form cannot be read: %v", err)
	}
	known := []string{"grant_type", "client_id", "client_secret", "scope", "subject_token", "subject_token_type", "requested_token_type"}
	for name, values := range form {
		if !slices.Contains(known, name) || len(values) != 1 {
			return nil, invalidRequest(name, "parameter %q is unknown or repeated", name)
		}
	}
	return form, nil
}

// authenticateClient returns the client that the form or HTTP Basic names, or nil when neither names one.
func (s *Sandbox) authenticateClient(r *http.Request, form url.Values) (*credential, error) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, basic := r.BasicAuth(); basic {
		var err1, err2 error
		id, err1 = url.QueryUnescape(user) // RFC 6749 §2.3.1
		secret, err2 = url.QueryUnescape(password)
		if err1 != nil || err2 != nil {
			return nil, unauthorized("the client credentials cannot be read")
		}
	}
	if id == "" && secret == "" {
		return nil, nil
	}
	want := s.catalogue.secrets[id]
	if want == "" || subtle.ConstantTimeCompare([]byte(want), []byte(secret)) != 1 {
		return nil, unauthorized("unknown client or wrong secret")
	}
	return s.catalogue.clients[id], nil
}

// exchange turns a person's ID token into a token that acts as that person.
func (s *Sandbox) exchange(c *call, form url.Values, client *credential) (answer, error) {
	if kind := form.Get("subject_token_type"); kind != typeIDToken {
		return answer{}, invalidRequest("subject_token_type", "unsupported subject token type %q: use %q", kind, typeIDToken)
	}
	verify := s.opts.VerifyIDToken
	if verify == nil {
		verify = s.verifyIDToken
	}
	who, err := verify(c.request.Context(), form.Get("subject_token"))
	if err != nil {
		return answer{}, invalidRequest("subject_token", "the subject token was refused: %v", err)
	}
	if p, _ := s.catalogue.identityProvider(who.ProviderID); !p.Enabled {
		return answer{}, forbidden("the identity provider of this sign-in is not enabled")
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		a := t.accounts[t.byIdentity[identity{who.ProviderID, who.Subject}]]
		if a == nil && who.Email != "" {
			a = t.accountByEmail(who.Email)
			if a != nil && a.IdentityProvider != 0 && a.IdentityProvider != who.ProviderID {
				a = nil
			}
		}
		if a == nil || !a.accessible() || client != nil && !a.in(client.organizations) {
			return answer{}, forbidden("this sign-in has no access")
		}
		n := a.clone()
		n.LastLoginAt = t.now
		if err := t.putAccount(n); err != nil {
			return answer{}, err
		}
		t.commit(n.organizationIDs())
		out := s.issue(tokenClaims{User: a.ID, Sessions: a.Sessions})
		out.IssuedTokenType = typeAccessToken
		return ok(out)
	})
}

// issue signs a token; s.mu is held.
func (s *Sandbox) issue(claims tokenClaims) tokenAnswer {
	s.tokenSeq++
	claims.Epoch, claims.Seq = s.tokenEpoch, s.tokenSeq
	claims.Expires = s.opts.Now().Add(s.opts.TokenTTL).UnixMilli()
	return tokenAnswer{
		AccessToken: tokenPrefix + s.sign("access", claims),
		TokenType:   "Bearer", ExpiresIn: int64(s.opts.TokenTTL / time.Second),
	}
}

func (s *Sandbox) sign(purpose string, claims any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err) // plain structs of strings and numbers
	}
	body := base64.RawURLEncoding.EncodeToString(payload)
	return body + "." + base64.RawURLEncoding.EncodeToString(s.mac(purpose, body))
}

func (s *Sandbox) mac(purpose, body string) []byte {
	h := hmac.New(sha256.New, s.secret)
	h.Write([]byte(purpose + "\x00" + body))
	return h.Sum(nil)
}

var errBadToken = errors.New("it was not issued here")

func (s *Sandbox) verify(purpose, token string, claims any) error {
	body, sig, _ := strings.Cut(token, ".")
	got, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil || !hmac.Equal(got, s.mac(purpose, body)) {
		return errBadToken
	}
	payload, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return errBadToken
	}
	return json.Unmarshal(payload, claims)
}

// IDToken makes an ID token of one of the identity providers, as its sign-in page would, for token exchange.
func (s *Sandbox) IDToken(who Identity) string { return s.sign("id", who) }

func (s *Sandbox) verifyIDToken(_ context.Context, raw string) (Identity, error) {
	var who Identity
	err := s.verify("id", raw, &who)
	return who, err
}

// RevokeTokens makes every bearer token issued so far invalid. API keys are not affected.
func (s *Sandbox) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenEpoch++
}

// authenticate sets the call's credential and refuses what its operation is not for. The credential is never nil:
// one with an empty name stands for nobody.
func (s *Sandbox) authenticate(c *call) error {
	c.cred = &credential{}
	if c.op.caller == byAnyone {
		c.cred.name = s.claimedClient(c)
		return nil
	}
	scheme, token, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return unauthorized("a bearer token is required: POST /oauth/token issues one")
	}
	cred, err := s.bearer(token)
	if err != nil {
		return err
	}
	c.cred = cred
	switch {
	case c.op.caller == byPerson && cred.user == 0:
		return forbidden("this token belongs to a client, not to a person: exchange an ID token for one")
	case c.op.caller == byClient && cred.user != 0:
		return forbidden("a person's token serves /users/me only")
	}
	return nil
}

// claimedClient is the client that a token request says it comes from, for fault rules and the ledger.
func (s *Sandbox) claimedClient(c *call) string {
	id := ""
	if form, err := url.ParseQuery(string(c.body)); err == nil {
		id = form.Get("client_id")
	}
	if user, _, basic := c.request.BasicAuth(); basic {
		id = user
	}
	if _, known := s.catalogue.clients[id]; !known {
		return ""
	}
	return id
}

func (s *Sandbox) bearer(token string) (*credential, error) {
	body, isToken := strings.CutPrefix(token, tokenPrefix)
	if !isToken {
		if cred := s.catalogue.apiKeys[digest(token)]; cred != nil {
			return cred, nil
		}
		return nil, unauthorized("the API key is unknown")
	}
	var claims tokenClaims
	if err := s.verify("access", body, &claims); err != nil {
		return nil, unauthorized("the token is not valid")
	}
	if s.opts.Now().UnixMilli() >= claims.Expires {
		return nil, unauthorized("the token has expired")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if claims.Epoch != s.tokenEpoch {
		return nil, unauthorized("the token was revoked")
	}
	if claims.User == 0 {
		if cred := s.catalogue.clients[claims.Client]; cred != nil {
			return cred, nil
		}
		return nil, unauthorized("the token's client is unknown")
	}
	a := s.state.account(claims.User)
	if a == nil || !a.accessible() || a.Sessions != claims.Sessions {
		return nil, unauthorized("the session has ended")
	}
	return &credential{name: fmt.Sprintf("user:%d", a.ID), user: a.ID}, nil
}

// admit takes one call from the credential's budget.
func (s *Sandbox) admit(c *call) error {
	if s.opts.Rate == 0 || c.op.caller == byAnyone {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limiters[c.cred.name]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(s.opts.Rate), max(1, int(math.Ceil(s.opts.Rate))))
		s.limiters[c.cred.name] = l
	}
	now := s.opts.Now()
	if l.AllowN(now, 1) {
		return nil
	}
	s.counters.rateLimited.Add(1)
	wait := (1 - l.TokensAt(now)) / s.opts.Rate
	return &apiError{
		status: http.StatusTooManyRequests, Code: "rate_limited", retryAfter: max(1, int(math.Ceil(wait))),
		Message: fmt.Sprintf("more than %g calls a second", s.opts.Rate),
	}
}

func digest(s string) [32]byte { return sha256.Sum256([]byte(s)) }
