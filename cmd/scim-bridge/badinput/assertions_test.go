package badinput

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// claimSet is a header or the claims of a JWT.
type claimSet map[string]any

// signer makes JWTs as somebody would who has a key of his own, and whose key
// set is at trap.
type signer struct {
	t    *testing.T
	key  *rsa.PrivateKey
	trap string
}

// assertion is a JWT that is no token of the bridge, whatever it claims.
type assertion struct {
	row  string
	make func(signer) string
}

// claims are good ones, but for what change says; nil takes a claim away.
func (s signer) claims(change claimSet) claimSet {
	now := time.Now().Unix()
	all := claimSet{
		"iss": s.trap, "aud": s.trap + "/scim/v2", "sub": "acme", "client_id": "acme", "tenant": "acme", "tid": "acme",
		"roles": []string{"Administrator"}, "scope": "scim", "iat": now - 60, "nbf": now - 60, "exp": now + 3600, "jti": "one",
	}
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

func part(v any) string {
	text, _ := json.Marshal(v) // of strings and numbers
	return base64.RawURLEncoding.EncodeToString(text)
}

// signed is a JWT with the signature of RS256.
func (s signer) signed(header, claims claimSet) string {
	s.t.Helper()
	all := claimSet{"alg": "RS256", "typ": "JWT", "kid": "1"}
	maps.Copy(all, header)
	text := part(all) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		s.t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// confused is signed by HS256 with the public key as the secret.
func (s signer) confused() string {
	s.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		s.t.Fatal(err)
	}
	text := part(claimSet{"alg": "HS256", "typ": "JWT"}) + "." + part(s.claims(nil))
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// publicKey is the key as a JWK.
func (s signer) publicKey() claimSet {
	return claimSet{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
		"n": base64.RawURLEncoding.EncodeToString(s.key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(s.key.E)).Bytes()),
	}
}

// assertions is row 119.
func assertions() []assertion {
	const hour = 3600
	all := []assertion{
		{"good claims and a signature of somebody's", func(s signer) string { return s.signed(nil, s.claims(nil)) }},
		{"HS256 with the RSA public key", signer.confused},
		{"jwk", func(s signer) string { return s.signed(claimSet{"jwk": s.publicKey()}, s.claims(nil)) }},
		{"two signatures", func(s signer) string { return s.signed(nil, s.claims(nil)) + "." + part("x") }},
		{"two signatures as JSON", func(s signer) string {
			head, rest, _ := strings.Cut(s.signed(nil, s.claims(nil)), ".")
			claims, signature, _ := strings.Cut(rest, ".")
			one := claimSet{"protected": head, "signature": signature}
			text, _ := json.Marshal(claimSet{"payload": claims, "signatures": []claimSet{one, one}})
			return string(text)
		}},
		{"an empty signature", func(s signer) string {
			token := s.signed(nil, s.claims(nil))
			return token[:strings.LastIndex(token, ".")+1]
		}},
		{"no signature", func(s signer) string {
			token := s.signed(nil, s.claims(nil))
			return token[:strings.LastIndex(token, ".")]
		}},
		{"a JWE", func(signer) string {
			return part(claimSet{"alg": "RSA-OAEP-256", "enc": "A256GCM"}) + "." + part("key") + "." + part("iv") + "." + part("text") + "." + part("tag")
		}},
		{"no base64", func(signer) string { return "{}.{}.{}" }},
		{"dots alone", func(signer) string { return ".." }},
		{"behind the prefix of a token", func(s signer) string { return "sarb_" + s.signed(nil, s.claims(nil)) }},
	}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", ""} {
		all = append(all, assertion{"alg " + alg, func(s signer) string {
			return part(claimSet{"alg": alg, "typ": "JWT"}) + "." + part(s.claims(nil)) + "."
		}})
	}
	for _, kid := range []string{"../../x", "/dev/null", "' OR 1=1 --", "a\x00b"} {
		all = append(all, assertion{fmt.Sprintf("kid %q", kid), func(s signer) string { return s.signed(claimSet{"kid": kid}, s.claims(nil)) }})
	}
	for _, name := range []string{"jku", "x5u", "kid", "iss"} {
		all = append(all, assertion{name + " with an address", func(s signer) string {
			return s.signed(claimSet{name: s.trap + "/keys.json"}, s.claims(claimSet{"iss": s.trap + "/" + name}))
		}})
	}
	now := time.Now().Unix()
	for _, c := range []struct {
		row    string
		change claimSet
	}{
		{"no exp", claimSet{"exp": nil}}, {"exp past", claimSet{"exp": now - hour}}, {"exp as a string", claimSet{"exp": "never"}}, {"exp far in the future", claimSet{"exp": int64(1) << 60}},
		{"nbf in ten minutes", claimSet{"nbf": now + 600}}, {"iat in an hour", claimSet{"iat": now + hour}},
		{"aud of another", claimSet{"aud": "https://other.example.com"}}, {"aud without us", claimSet{"aud": []string{"a", "b"}}}, {"aud empty", claimSet{"aud": []string{}}}, {"no aud", claimSet{"aud": nil}},
		{"iss of another", claimSet{"iss": "https://issuer.example.com"}}, {"iss with a slash at the end", claimSet{"iss": "https://issuer.example.com/"}}, {"no iss", claimSet{"iss": nil}},
		{"of 2 KB", claimSet{"x": long(2_000)}}, {"of 12 KB", claimSet{"x": long(12_000)}}, {"of 20 KB", claimSet{"x": long(20_000)}},
	} {
		all = append(all, assertion{c.row, func(s signer) string { return s.signed(nil, s.claims(c.change)) }})
	}
	return all
}

// assertionRig is a rig that knows those JWTs. Their issuer and every key set
// that they name is an address that nobody may call.
func assertionRig(t *testing.T) *rig {
	t.Helper()
	r := startRig(t, bridgetest.Config{Tenant: []string{unguarded}, Idle: true})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := signer{t, key, r.trap}
	for i, a := range assertions() {
		token := a.make(s)
		r.more = append(r.more, fmt.Sprintf("{jwt%d}", i), token)
		if len(token) > 40 {
			r.secret = append(r.secret, token, token[len(token)-40:])
		}
	}
	big := s.signed(nil, s.claims(claimSet{"x": long(1 << 20)}))
	r.more = append(r.more, "{jwt}", s.signed(nil, s.claims(claimSet{"x": long(60_000)})), "{bigjwt}", big)
	return r
}

// assertionRows is row 119: a JWT is no token of the bridge.
func assertionRows() []attempt {
	var all []attempt
	for i, a := range assertions() {
		for _, target := range []struct{ method, path, body string }{{"GET", "/Users/{id}", ""}, {"PATCH", "/Users/{id}", bridgetest.PatchOp(off)}, {"POST", "/Users", user()}} {
			all = append(all, attempt{row: "I119 a JWT, " + a.row + ": " + target.method, method: target.method, path: target.path, body: target.body,
				header: []string{"Authorization", fmt.Sprintf("Bearer {jwt%d}", i)}, status: 401, detail: []string{"token"}, check: challenged})
		}
	}
	return append(all,
		attempt{row: "I119 a JWT of 80 KB", method: "GET", path: "/Users/{id}", header: []string{"Authorization", "Bearer {jwt}"}, status: 431, detail: []string{"65536"}},
		attempt{row: "I119 a JWT of 1 MB", status: 431, wire: true, closes: true, raw: "GET /scim/v2/Users HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {bigjwt}\r\n\r\n"},
		attempt{row: "I119 a JWT as a client's assertion", path: "/Users", body: user(), status: 401, detail: []string{"no Authorization header"}, check: challenged,
			header: []string{"-Authorization", "", "Client-Assertion", "{jwt0}", "X-Jwt-Assertion", "{jwt0}", "Cookie", "jwt={jwt0}"}},
	)
}

// challenged checks that a refusal asks for a bearer token, and shows no part of
// a JWT.
func challenged(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	if got := res.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer ") {
		t.Errorf("WWW-Authenticate %q", got)
	}
	if bytes.Contains(res.Body, []byte("eyJ")) || strings.Contains(fmt.Sprint(res.Header), "eyJ") {
		t.Errorf("the answer shows a part of the JWT: %v %s", res.Header, excerpt(res.Body))
	}
}
