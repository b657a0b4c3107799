package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

func newService(t *testing.T, f *fakeStore, short bool) *Service {
	t.Helper()
	s, err := New(Options{Store: f, AllowShort: short})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(t *testing.T, s *Service, r Request) (string, *store.Credential) {
	t.Helper()
	if r.Tenant == "" {
		r.Tenant = "acme"
	}
	token, c, err := s.Create(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return string(token), c
}

func reason(t *testing.T, err error) Reason {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got error %v, want a *Error", err)
	}
	return e.Reason
}

func TestTokens(t *testing.T) {
	t.Run("it makes tokens that scanners know and nobody guesses", func(t *testing.T) {
		seen := map[string]bool{}
		for range 1000 {
			token := newToken()
			if err := CheckToken(token); err != nil || seen[token] {
				t.Fatalf("token of length %d, repeated %v: %v", len(token), seen[token], err)
			}
			seen[token] = true
		}
	})
	t.Run("it notices every single changed character", rapid.MakeCheck(func(t *rapid.T) {
		token := []byte(newToken())
		i := rapid.IntRange(0, len(token)-1).Draw(t, "position")
		c := rapid.Byte().Filter(func(b byte) bool { return b != token[i] }).Draw(t, "character")
		token[i] = c
		if CheckToken(string(token)) == nil {
			t.Fatalf("a changed token passes")
		}
	}))
	good := newToken()
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "begins with"},
		{"another prefix", "ghp_" + good[5:], "begins with"},
		{"cut off", good[:len(good)-1], "cut off"},
		{"too long", good + "0", "too long"},
		{"a character of no token", good[:20] + "-" + good[21:], "no token has"},
		{"a byte order mark", "\ufeff" + good, "begins with"},
	} {
		t.Run("it refuses "+tt.name, func(t *testing.T) {
			if err := CheckToken(tt.in); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), good[5:15]) {
				t.Errorf("got %v, want %q and not the token", err, tt.want)
			}
		})
	}
}

func TestAuthenticateHeader(t *testing.T) {
	f := newFake("acme")
	s := newService(t, f, false)
	token, c := create(t, s, Request{Client: "okta"})
	other := newToken()
	for _, tt := range []struct {
		name   string
		header []string
		want   Reason // 0: accepted
	}{
		{"the token", []string{"Bearer " + token}, 0},
		{"the scheme in lower case", []string{"bearer " + token}, 0},
		{"the scheme in capitals", []string{"BEARER " + token}, 0},
		{"two spaces", []string{"Bearer  " + token}, 0},
		{"no header", nil, Missing},
		{"an empty header", []string{""}, Malformed},
		{"an empty token", []string{"Bearer"}, Missing},
		{"an empty token with a space", []string{"Bearer "}, Missing},
		{"an empty token with two spaces", []string{"Bearer  "}, Missing},
		{"two headers", []string{"Bearer " + token, "Bearer " + token}, Malformed},
		{"joined headers", []string{"Bearer " + token + ", Bearer " + token}, Malformed},
		{"the bare token", []string{token}, Malformed},
		{"Basic", []string{"Basic " + token}, Malformed},
		{"a short token", []string{"Bearer secret"}, Malformed},
		{"the token cut off", []string{"Bearer " + token[:len(token)-1]}, Malformed},
		{"a megabyte", []string{"Bearer " + strings.Repeat("a", 1<<20)}, Malformed},
		{"another token", []string{"Bearer " + other}, Unknown},
		{"the hint", []string{"Bearer " + c.Hint}, Malformed},
		{"a JWT", []string{"Bearer eyJhbGciOiJub25lIn0.e30."}, Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Authenticate(t.Context(), tt.header...)
			if tt.want == 0 {
				if want := (Credential{ID: c.ID, Tenant: "acme", Client: "okta"}); err != nil || got != want {
					t.Errorf("got %+v, %v, want %+v", got, err, want)
				}
				return
			}
			if r := reason(t, err); r != tt.want || got != (Credential{}) {
				t.Errorf("got %+v for reason %d, want reason %d", got, r, tt.want)
			}
			if strings.Contains(err.Error(), token[5:15]) || strings.Contains(err.Error(), other[5:15]) {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}
	t.Run("it asks the store only about tokens that can be real", func(t *testing.T) {
		before := f.count("CredentialByHash")
		for range 100 {
			if r := reason(t, func() error { _, err := s.Authenticate(t.Context(), "Bearer sarb_guess"); return err }()); r != Malformed {
				t.Fatal(r)
			}
		}
		if n := f.count("CredentialByHash") - before; n != 0 {
			t.Errorf("%d look-ups", n)
		}
	})
}

func TestCreate(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name string
		in   Request
		want string
	}{
		{"an unknown tenant", Request{Tenant: "globex"}, `tenant "globex" does not exist`},
		{"an unknown client", Request{Tenant: "acme", Client: "octa"}, `unknown client kind "octa"`},
		{"an expiry that passed", Request{Tenant: "acme", Expires: now.Add(-time.Hour)}, "lies in the past"},
		{"a name with an escape", Request{Tenant: "acme", Name: "a\x1b[31m"}, `name "a\x1b[31m"`},
		{"a short token", Request{Tenant: "acme", Token: "demo"}, `a token begins with "sarb_"`},
	} {
		t.Run("it refuses "+tt.name, func(t *testing.T) {
			f := newFake("acme")
			_, _, err := newService(t, f, false).Create(t.Context(), tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if len(f.rows)+len(f.events) != 0 {
				t.Errorf("a refused request left %v, %v", f.rows, f.events)
			}
		})
	}
	t.Run("it keeps the token nowhere and records an event (I11, I14)", func(t *testing.T) {
		f := newFake("acme")
		s := newService(t, f, false)
		token, c := create(t, s, Request{Name: "Okta production", Actor: "cli"})
		if err := s.Revoke(t.Context(), "acme", c.ID, "cli"); err != nil {
			t.Fatal(err)
		}
		var actions []string
		for _, e := range f.events {
			actions = append(actions, e.Actor+" "+e.Action+" "+e.ResourceID)
		}
		if d := cmp.Diff([]string{"cli credential.create " + c.ID, "cli credential.revoke " + c.ID}, actions); d != "" {
			t.Error(d)
		}
		secret := strings.TrimPrefix(token, Prefix)
		if dump := fmt.Sprintf("%+v %+v", f.rows, f.events); strings.Contains(dump, secret[4:]) {
			t.Errorf("the token is in the store: %s", dump)
		}
	})
	t.Run("it takes any token where short ones are allowed", func(t *testing.T) {
		s := newService(t, newFake("acme"), true)
		create(t, s, Request{Token: upstream.Secret("demo")})
		if got, err := s.Authenticate(t.Context(), "Bearer demo"); err != nil || got.Tenant != "acme" {
			t.Errorf("got %+v, %v", got, err)
		}
		_, err := s.Authenticate(t.Context(), "Bearer demo,x")
		if reason(t, err) != Malformed {
			t.Error(err)
		}
	})
}

func TestRevoke(t *testing.T) {
	t.Run("it is refused within five seconds on another replica", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake("acme")
			here, there := newService(t, f, false), newService(t, f, false)
			token, c := create(t, here, Request{})
			if _, err := there.Authenticate(t.Context(), "Bearer "+token); err != nil {
				t.Fatal(err)
			}
			if err := here.Revoke(t.Context(), "acme", c.ID, "cli"); err != nil {
				t.Fatal(err)
			}
			if _, err := there.Authenticate(t.Context(), "Bearer "+token); err != nil {
				t.Fatalf("the cache was not used at all: %v", err)
			}
			time.Sleep(freshFor)
			_, err := there.Authenticate(t.Context(), "Bearer "+token)
			if reason(t, err) != Revoked {
				t.Error(err)
			}
		})
	})
	t.Run("it is refused when the revocation overtakes a look-up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake("acme")
			s := newService(t, f, false)
			token, c := create(t, s, Request{})
			f.hook = func() { // the row was read; before it is remembered …
				if err := s.Revoke(t.Context(), "acme", c.ID, "cli"); err != nil {
					t.Error(err)
				}
				time.Sleep(freshFor)
				_, _ = s.Authenticate(t.Context(), "Bearer "+newToken()) // … somebody looks at the generation
			}
			if _, err := s.Authenticate(t.Context(), "Bearer "+token); err != nil {
				t.Fatalf("it was good when it was read: %v", err)
			}
			_, err := s.Authenticate(t.Context(), "Bearer "+token)
			if reason(t, err) != Revoked {
				t.Error(err)
			}
		})
	})
	t.Run("it knows no token of another tenant (I5)", func(t *testing.T) {
		f := newFake("acme", "globex")
		s := newService(t, f, false)
		_, c := create(t, s, Request{})
		if err := s.Revoke(t.Context(), "globex", c.ID, "cli"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, newFake("acme"), false)
		token, c := create(t, s, Request{Expires: time.Now().Add(time.Second)})
		if _, err := s.Authenticate(t.Context(), "Bearer "+token); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_, err := s.Authenticate(t.Context(), "Bearer "+token)
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != Expired || e.Credential != c.ID {
			t.Errorf("got %v", err)
		}
	})
}

// The store's failure is never an answer about the token.
func TestI8StoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("acme")
		s := newService(t, f, false)
		token, _ := create(t, s, Request{})
		unseen, _ := create(t, s, Request{})
		if _, err := s.Authenticate(t.Context(), "Bearer "+token); err != nil {
			t.Fatal(err)
		}
		f.setDown(true)
		if _, err := s.Authenticate(t.Context(), "Bearer "+unseen); !isUnavailable(err) {
			t.Errorf("a token that was not seen before: %v, want unavailable", err)
		}
		for _, tt := range []struct {
			after time.Duration
			good  bool
		}{{time.Second, true}, {2 * time.Second, true}, {4900 * time.Millisecond, true}, {5 * time.Second, false}, {time.Minute, false}} {
			time.Sleep(time.Until(s.checkedAt.Add(tt.after)))
			_, err := s.Authenticate(t.Context(), "Bearer "+token)
			if tt.good && err != nil || !tt.good && !isUnavailable(err) {
				t.Errorf("%v after the store answered last: %v", tt.after, err)
			}
		}
		if _, err := s.Authenticate(t.Context(), "Bearer sarb_x"); reason(t, err) != Malformed {
			t.Error(err)
		}
		f.setDown(false)
		if _, err := s.Authenticate(t.Context(), "Bearer "+token); err != nil {
			t.Errorf("it does not recover: %v", err)
		}
	})
	t.Run("it never answers from before it was asked", func(t *testing.T) {
		f := newFake("acme")
		s := newService(t, f, false)
		f.setDown(true)
		if _, err := s.Authenticate(t.Context(), "Bearer "+newToken()); !isUnavailable(err) {
			t.Error(err)
		}
	})
}

func isUnavailable(err error) bool {
	_, ok := errors.AsType[*UnavailableError](err)
	return ok
}

func TestUse(t *testing.T) {
	t.Run("it costs the store one look in two seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake("acme")
			s := newService(t, f, false)
			token, _ := create(t, s, Request{})
			for range 1000 {
				if _, err := s.Authenticate(t.Context(), "Bearer "+token); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if g, h := f.count("Generation"), f.count("CredentialByHash"); g > 6 || h != 1 {
				t.Errorf("%d looks at the generation and %d look-ups in 10 s", g, h)
			}
		})
	})
	t.Run("it writes the last use once a minute, and the evidence", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake("acme")
			s := newService(t, f, false)
			token, c := create(t, s, Request{})
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { s.Run(ctx) })
			for i := range 180 {
				if _, err := s.Authenticate(t.Context(), "Bearer "+token); err != nil {
					t.Fatal(err)
				}
				if i == 100 {
					s.Remember(c.ID, "entra")
					if got, err := s.Authenticate(t.Context(), "Bearer "+token); err != nil || got.Evidence != "entra" {
						t.Errorf("the evidence is not seen at once: %+v, %v", got, err)
					}
				}
				time.Sleep(time.Second)
			}
			cancel()
			wg.Wait()
			row := f.rows[c.ID]
			if row.Evidence != "entra" || time.Since(row.LastUsedAt) > touchEvery {
				t.Errorf("the row has evidence %q and was last used at %v", row.Evidence, row.LastUsedAt)
			}
			if n := f.count("TouchCredential"); n < 3 || n > 5 {
				t.Errorf("%d writes in three minutes", n)
			}
		})
	})
	t.Run("it keeps what could not be written", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake("acme")
			s := newService(t, f, false)
			_, c := create(t, s, Request{})
			s.Remember(c.ID, "okta")
			f.setDown(true)
			s.flush(t.Context())
			f.setDown(false)
			s.flush(t.Context())
			if got := f.rows[c.ID].Evidence; got != "okta" {
				t.Errorf("the evidence is %q", got)
			}
		})
	})
	t.Run("it serves many at once", func(t *testing.T) {
		f := newFake("acme")
		s := newService(t, f, false)
		token, _ := create(t, s, Request{})
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				if _, err := s.Authenticate(t.Context(), "Bearer "+token); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := f.count("Generation"); n != 1 {
			t.Errorf("%d looks at the generation", n)
		}
	})
}

func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, newFake("acme", "globex"), false)
		var want []string
		for i := range 5 {
			_, c := create(t, s, Request{Name: fmt.Sprint(i)})
			want = append(want, c.ID)
			create(t, s, Request{Tenant: "globex"})
			time.Sleep(time.Second)
		}
		list, err := s.List(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range list {
			got = append(got, c.ID)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	f := newFake("acme")
	s, err := New(Options{Store: f})
	if err != nil {
		b.Fatal(err)
	}
	token, _, err := s.Create(b.Context(), Request{Tenant: "acme"})
	if err != nil {
		b.Fatal(err)
	}
	header := "Bearer " + string(token)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Authenticate(b.Context(), header); err != nil {
			b.Fatal(err)
		}
	}
}
