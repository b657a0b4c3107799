package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// tokenService issues tokens t1, t2, … and answers get_user for those that are still accepted.
type tokenService struct {
	mu       sync.Mutex
	issued   int
	lifetime string // "" leaves expires_in out
	latency  time.Duration
	broken   bool
	accepts  func(token string) bool // nil: the last one issued
	forms    []url.Values
	bearers  []string
}

func (s *tokenService) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/oauth/token" {
		if err := sleep(r.Context(), s.latency); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := r.ParseForm(); err != nil {
			return nil, err
		}
		s.forms = append(s.forms, r.PostForm)
		if s.broken {
			return nil, errors.New("down")
		}
		s.issued++
		expires := ""
		if s.lifetime != "" {
			expires = `,"expires_in":` + s.lifetime
		}
		return reply{status: 200, body: fmt.Sprintf(`{"access_token":"t%d","token_type":"Bearer"%s}`, s.issued, expires)}.response(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.bearers = append(s.bearers, token)
	ok := token == fmt.Sprintf("t%d", s.issued)
	if s.accepts != nil {
		ok = s.accepts(token)
	}
	if !ok {
		return reply{status: 401, body: errorJSON("unauthorized")}.response(r)
	}
	return reply{status: 200, body: accountJSON(7, "a@x.test", activeIn113)}.response(r)
}

func (s *tokenService) client(t *testing.T) *Client {
	return newTestClient(t, s, func(o *Options) { o.APIKey, o.ClientID, o.ClientSecret = "", "acme", "secret-canary" })
}

func TestTokenIsFetchedOnceForEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenService{lifetime: "3600", latency: time.Second}
		c := s.client(t)
		// The first caller starts the fetch and leaves; the others get their token all the same.
		leaving, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { _, err := c.GetUser(leaving, 7); left <- err }()
		synctest.Wait()
		errs := make(chan error, 50)
		for range 50 {
			go func() { _, err := c.GetUser(t.Context(), 7); errs <- err }()
		}
		synctest.Wait()
		cancel()
		if err := <-left; KindOf(err) != Unavailable {
			t.Errorf("the one who left: %v", err)
		}
		for range 50 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if s.issued != 1 {
			t.Errorf("%d tokens fetched, want 1", s.issued)
		}
		if got := s.forms[0].Get("grant_type") + " " + s.forms[0].Get("client_id") + " " + s.forms[0].Get("client_secret"); got != "client_credentials acme secret-canary" {
			t.Errorf("form = %s", got)
		}
	})
}

func TestTokenIsRenewedBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenService{lifetime: "3600"}
		c := s.client(t)
		call := func(wantToken string) {
			t.Helper()
			if _, err := c.GetUser(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := s.bearers[len(s.bearers)-1]; got != wantToken {
				t.Errorf("at %s used %s, want %s", time.Now().Format(time.TimeOnly), got, wantToken)
			}
		}
		call("t1")
		time.Sleep(3600*time.Second - longestMargin - time.Second)
		call("t1")
		time.Sleep(2 * time.Second)
		s.accepts = func(string) bool { return true }
		call("t1") // still valid: this call starts the renewal and does not wait for it
		call("t2")
		time.Sleep(2 * time.Hour)
		call("t3")
	})
}

func TestTokenThatStillWorksOutlivesATokenServiceThatDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenService{lifetime: "100"}
		c := s.client(t)
		call := func() error { _, err := c.GetUser(t.Context(), 7); synctest.Wait(); return err }
		if err := call(); err != nil {
			t.Fatal(err)
		}
		s.broken = true
		time.Sleep(91 * time.Second)
		fetches := len(s.forms)
		for range 10 { // within renewalPause, the attempts of the one renewal included
			if err := call(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(400 * time.Millisecond)
		}
		if got := len(s.forms) - fetches; got < 1 || got > 3 {
			t.Errorf("%d requests to the failing token service, want those of one renewal", got)
		}
		time.Sleep(10 * time.Second)
		if err := call(); KindOf(err) != Unavailable {
			t.Errorf("after expiry: %v, want unavailable", err)
		}
		s.broken = false
		time.Sleep(renewalPause)
		if err := call(); err != nil {
			t.Errorf("after recovery: %v", err)
		}
	})
}

func TestRevokedTokenIsRenewedExactlyOnce(t *testing.T) {
	tests := []struct {
		name       string
		accepts    func(string) bool
		want       Kind
		wantTokens int
		wantCalls  int
	}{
		{"the new one is good", func(token string) bool { return token != "t1" }, 0, 2, 2},
		{"the new one is refused too", func(string) bool { return false }, Unauthorized, 2, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &tokenService{accepts: tt.accepts}
			err := byEffect["get_user"](t.Context(), s.client(t))
			if KindOf(err) != tt.want || s.issued != tt.wantTokens || len(s.bearers) != tt.wantCalls {
				t.Errorf("error %v, %d tokens, %d calls; want %v, %d, %d", err, s.issued, len(s.bearers), tt.want, tt.wantTokens, tt.wantCalls)
			}
		})
	}
}

func TestLateRefusalDoesNotCostTheNewToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenService{}
		slow := transport(func(r *http.Request) (*http.Response, error) {
			resp, err := s.RoundTrip(r)
			if r.Method == "GET" && r.URL.Path == "/users/8" && resp.StatusCode == http.StatusUnauthorized {
				time.Sleep(time.Second) // this refusal arrives when the others have long got a new token
			}
			return resp, err
		})
		c := newTestClient(t, slow, func(o *Options) { o.APIKey, o.ClientID, o.ClientSecret = "", "acme", "s" })
		if _, err := c.GetUser(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		s.accepts = func(token string) bool { return token != "t1" }
		late := make(chan error)
		go func() { _, err := c.GetUser(t.Context(), 8); late <- err }()
		synctest.Wait()
		if _, err := c.GetUser(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		if err := <-late; KindOf(err) != Protocol { // it is account 7 that the service knows
			t.Error(err)
		}
		if s.issued != 2 {
			t.Errorf("%d tokens, want 2", s.issued)
		}
	})
}

func TestRevokedTokenIsRenewedForOnceOperationsToo(t *testing.T) {
	calls := 0
	c := newTestClient(t, transport(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/oauth/token" {
			return reply{status: 200, body: `{"access_token":"t","expires_in":3600}`}.response(r)
		}
		if calls++; calls == 1 {
			return reply{status: 401, body: errorJSON("unauthorized")}.response(r)
		}
		return reply{status: 200, body: `{"Results":[{"Email":"a@x.test","Status":"invited","InviteId":"inv_1","UserId":9}]}`}.response(r)
	}), func(o *Options) { o.APIKey, o.ClientID, o.ClientSecret = "", "acme", "s" })
	if err := byEffect["invite_users"](t.Context(), c); err != nil || calls != 2 {
		t.Errorf("%d calls, error %v", calls, err)
	}
}

func TestTokenAnswers(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name, body string
		lifetime   time.Duration
		wantErr    string
	}{
		{"plain", `{"access_token":"t","token_type":"bearer","expires_in":600}`, 10 * time.Minute, ""},
		{"no lifetime", `{"access_token":"t"}`, unstatedLifetime, ""},
		{"absurd lifetime", `{"access_token":"t","expires_in":1e300}`, longestLifetime, ""},
		{"expired", `{"access_token":"t","expires_in":0}`, 0, "already expired"},
		{"no token", `{}`, 0, "no usable access_token"},
		{"a header in the token", `{"access_token":"t\r\nX-Evil: 1"}`, 0, "no usable access_token"},
		{"another type", `{"access_token":"t","token_type":"mac"}`, 0, `type "mac"`},
		{"garbage", `{"access_token":"tok-canary`, 0, "cannot be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := readGrant([]byte(tt.body), now)
			switch {
			case tt.wantErr == "" && (err != nil || g.expires.Sub(now) != tt.lifetime || !g.renew.Before(g.expires)):
				t.Errorf("grant expires after %s, error %v", g.expires.Sub(now), err)
			case tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr) || strings.Contains(err.Error(), "canary")):
				t.Errorf("error = %v, want %q", err, tt.wantErr)
			}
		})
	}
}

func TestRefusedCredentialIsUnauthorized(t *testing.T) {
	for _, answer := range []reply{
		{status: 400, body: `{"error":"invalid_client","error_description":"no"}`},
		{status: 401, body: errorJSON("unauthorized")},
	} {
		s := &script{replies: []reply{answer}}
		c := newTestClient(t, s, func(o *Options) { o.APIKey, o.ClientID, o.ClientSecret = "", "acme", "s3cret" })
		_, err := c.GetUser(t.Context(), 7)
		if KindOf(err) != Unauthorized || len(s.seen()) != 1 || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%d: %v after %d calls", answer.status, err, len(s.seen()))
		}
	}
}

func TestExchangeActsAsThePerson(t *testing.T) {
	s := &tokenService{lifetime: "60", accepts: func(token string) bool { return token == "t1" }}
	c := s.client(t)
	me, err := c.Exchange(t.Context(), "id-token")
	if err != nil {
		t.Fatal(err)
	}
	form := s.forms[0]
	if form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange" || form.Get("subject_token") != "id-token" ||
		form.Get("subject_token_type") != "urn:ietf:params:oauth:token-type:id_token" || form.Get("client_id") != "acme" {
		t.Errorf("form = %v", form)
	}
	if a, err := me.GetMe(t.Context()); err != nil || a.ID != 7 {
		t.Errorf("account %v, error %v", a, err)
	}
	s.accepts = func(string) bool { return false }
	if _, err := me.GetMe(t.Context()); KindOf(err) != Unauthorized {
		t.Errorf("with an expired token: %v", err)
	}
	if s.issued != 1 {
		t.Errorf("%d tokens, want the person's alone", s.issued)
	}
}
