package server

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/sharearefund/scim-bridge/scim"
)

// entraFlag is the query parameter by which Entra is switched to the PATCH of
// RFC 7644 (Microsoft Entra documentation: "Known issues and resolutions with
// SCIM 2.0 protocol compliance"). Administrators append it to the base URL.
const entraFlag = "aadOptscim062020"

// userAgents are the parts of a User-Agent, in lower case, by which a client
// is recognised.
var userAgents = [...]struct {
	part    string
	dialect scim.Dialect
}{
	{"okta scim client", scim.DialectOkta},
	{"microsoft azure ad", scim.DialectEntra},
	{"microsoft entra", scim.DialectEntra},
	{"azuread", scim.DialectEntra},
}

// setDialect decides which client's tolerances apply. It is called when the
// caller is known and, for a PATCH, again with the body.
func (s *server) setDialect(x *exchange, body []byte) error {
	id := x.identity
	if id.Client != "" && id.Client != "auto" {
		d, err := scim.ParseDialect(id.Client)
		if err != nil {
			return fmt.Errorf("credential %s: %w", id.Credential, err)
		}
		x.caller.Dialect = d
		return nil
	}
	remembered, known := s.seen.of(id)
	if !known && id.Evidence != "" {
		d, err := scim.ParseDialect(id.Evidence)
		if err != nil {
			return fmt.Errorf("evidence of credential %s: %w", id.Credential, err)
		}
		remembered, known = d, true
	}
	d, ok := recognise(x.r.Header, x.query, body)
	switch {
	case !ok:
		x.caller.Dialect = remembered
		return nil
	case !known && s.seen.add(id, d) && s.Evidence != nil:
		s.Evidence(x.r.Context(), id.Credential, d)
	}
	x.caller.Dialect = d
	return nil
}

// recognise reports which client sent a request, if the request shows it.
func recognise(h http.Header, q query, body []byte) (scim.Dialect, bool) {
	if q.entra {
		return scim.DialectEntra, true
	}
	if agent := h.Get("User-Agent"); agent != "" {
		agent = strings.ToLower(agent[:min(len(agent), 256)])
		for _, u := range userAgents {
			if strings.Contains(agent, u.part) {
				return u.dialect, true
			}
		}
	}
	if capitalisedOp(body) {
		return scim.DialectEntra, true
	}
	return scim.DialectRFC, false
}

// capitalisedOp reports whether a PATCH body has an operation named "Add",
// "Replace" or "Remove", as Entra writes them unless told otherwise. It looks
// at the bytes only: inside a JSON string the quotes would be escaped.
func capitalisedOp(body []byte) bool {
	const key = `"op"`
	for {
		i := bytes.Index(body, []byte(key))
		if i < 0 {
			return false
		}
		body = body[i+len(key):]
		rest, ok := bytes.CutPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte(":"))
		if !ok {
			continue
		}
		rest = bytes.TrimLeft(rest, " \t\r\n")
		for _, op := range [...]string{`"Add"`, `"Replace"`, `"Remove"`} {
			if bytes.HasPrefix(rest, []byte(op)) {
				return true
			}
		}
	}
}

// maxRecognised bounds how many credentials are remembered; beyond it
// everything is forgotten, which costs a repeated Evidence.
const maxRecognised = 10_000

// recognised remembers which client uses a credential. The zero value
// remembers nothing.
type recognised struct {
	mu       sync.RWMutex
	dialects map[credentialKey]scim.Dialect
}

type credentialKey struct{ tenant, credential string }

func (k *recognised) of(id Identity) (scim.Dialect, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	d, ok := k.dialects[credentialKey{id.Tenant, id.Credential}]
	return d, ok
}

// add reports whether the credential was not known yet.
func (k *recognised) add(id Identity, d scim.Dialect) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := credentialKey{id.Tenant, id.Credential}
	if _, ok := k.dialects[key]; ok {
		return false
	}
	if k.dialects == nil || len(k.dialects) >= maxRecognised {
		k.dialects = map[credentialKey]scim.Dialect{}
	}
	k.dialects[key] = d
	return true
}
