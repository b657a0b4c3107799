package requestlog

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/sharearefund/scim-bridge/scim"
)

const (
	// pseudonymPrefix begins every pseudonym.
	pseudonymPrefix = "p-"
	// pseudonymLength is how many letters of five bits follow: among a million
	// people, two share a pseudonym once in two million tenants.
	pseudonymLength = 12
)

// readable has no letters that are taken for others (as Crockford's base 32).
var readable = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// Pseudonyms replace values by names that are always the same for a value and
// a tenant, whatever its spelling as scim.Fold sees it, and that say nothing to
// whoever has not the operator's key. They are safe for concurrent use.
type Pseudonyms struct {
	keys [][]byte

	mu      sync.Mutex
	derived map[string][][]byte // by tenant, in the order of keys
}

// NewPseudonyms makes pseudonyms from the operator's sealing keys, the one in
// use first. They are derived from, and say nothing about, the keys.
func NewPseudonyms(keys ...[]byte) (*Pseudonyms, error) {
	if len(keys) == 0 {
		return nil, errors.New("requestlog: pseudonyms need a key")
	}
	for i, k := range keys {
		if len(k) < 16 {
			return nil, fmt.Errorf("requestlog: key %d has %d bytes, pseudonyms need 16 or more", i+1, len(k))
		}
	}
	return &Pseudonyms{keys: keys, derived: map[string][][]byte{}}, nil
}

// Of is a value's pseudonym by the key in use; "" for the empty value.
func (p *Pseudonyms) Of(tenant, value string) string {
	if value == "" {
		return ""
	}
	return pseudonym(p.of(tenant)[0], value)
}

// All are a value's pseudonyms by every key, the one in use first: what was
// logged before a rotation is found by those after.
func (p *Pseudonyms) All(tenant, value string) []string {
	if value == "" {
		return nil
	}
	var all []string
	for _, k := range p.of(tenant) {
		all = append(all, pseudonym(k, value))
	}
	return all
}

// of are the tenant's keys.
func (p *Pseudonyms) of(tenant string) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if keys, ok := p.derived[tenant]; ok {
		return keys
	}
	keys := make([][]byte, len(p.keys))
	for i, k := range p.keys {
		// The error is about lengths, which are right.
		keys[i], _ = hkdf.Key(sha256.New, k, nil, "scim-bridge request log of tenant "+tenant, sha256.Size)
	}
	p.derived[tenant] = keys
	return keys
}

func pseudonym(key []byte, value string) string {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(scim.Fold(value))) // a hash takes everything
	return pseudonymPrefix + readable.EncodeToString(h.Sum(nil))[:pseudonymLength]
}

// isPseudonym reports whether s looks like one.
func isPseudonym(s string) bool {
	rest, ok := strings.CutPrefix(s, pseudonymPrefix)
	return ok && len(rest) == pseudonymLength && strings.Trim(rest, "0123456789abcdefghjkmnpqrstvwxyz") == ""
}
