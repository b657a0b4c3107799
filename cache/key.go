package cache

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"strconv"
	"sync"
)

// appendKey appends an encoding of k that no other Key shares: the tenant is
// preceded by its length, the kind has one byte, and the value is the rest.
func appendKey(b []byte, k Key) []byte {
	b = binary.AppendUvarint(b, uint64(len(k.Tenant)))
	b = append(b, k.Tenant...)
	b = append(b, byte(k.Kind))
	return append(b, k.Value...)
}

var kindNames = [...]string{
	KindID:         "id",
	KindUserName:   "user_name",
	KindEmail:      "email",
	KindExternalID: "external_id",
	KindUserID:     "user_id",
}

// String names the kind as it stands in Redis keys and logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "kind" + strconv.Itoa(int(k))
}

// digest identifies a Key without revealing its value.
type digest [sha256.Size]byte

// hasher computes keyed digests. It is safe for concurrent use.
type hasher struct{ pool sync.Pool }

type hashState struct {
	mac hash.Hash
	buf []byte
}

// unkeyed takes the place of the secret when there is none: digests then
// identify and detect damage, but can be computed by anybody.
const unkeyed = "sarb-cache"

func newHasher(secret []byte) *hasher {
	if len(secret) == 0 {
		secret = []byte(unkeyed)
	}
	return &hasher{pool: sync.Pool{New: func() any {
		return &hashState{mac: hmac.New(sha256.New, secret)}
	}}}
}

// One secret serves two purposes; the first byte keeps them apart.
const (
	purposeKey   = 'k'
	purposeValue = 'v'
)

func (h *hasher) key(k Key) digest {
	s := h.pool.Get().(*hashState)
	defer h.pool.Put(s)
	s.buf = appendKey(append(s.buf[:0], purposeKey), k)
	return s.sum()
}

func (h *hasher) value(body []byte) digest {
	s := h.pool.Get().(*hashState)
	defer h.pool.Put(s)
	s.buf = append(append(s.buf[:0], purposeValue), body...)
	return s.sum()
}

func (s *hashState) sum() digest {
	s.mac.Reset()
	s.mac.Write(s.buf)
	if cap(s.buf) > 1<<12 {
		s.buf = nil
	}
	var d digest
	s.mac.Sum(d[:0])
	return d
}

// tenantTag is the tenant's part of a Redis key, between braces, so that all
// keys of one tenant share one slot of a cluster: the tenant itself when it is
// a slug, else "~" and a hash, which no slug begins with.
func tenantTag(tenant string) string {
	if isSlug(tenant) {
		return tenant
	}
	sum := sha256.Sum256([]byte(tenant))
	return "~" + base64.RawURLEncoding.EncodeToString(sum[:])
}

func isSlug(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// redisKey is where a Key is kept:
//
//	<prefix>:1:{<tenant>}:<kind>:<digest of tenant, kind and value>
//
// User names and addresses never appear. The digest alone tells Keys apart;
// the rest is there for the slot and for whoever looks at the server.
func redisKey(prefix string, k Key, d digest) string {
	tag, kind := tenantTag(k.Tenant), k.Kind.String()
	b := make([]byte, 0, len(prefix)+len(tag)+len(kind)+7+base64.RawURLEncoding.EncodedLen(len(d)))
	b = append(b, prefix...)
	b = append(b, ":1:{"...)
	b = append(b, tag...)
	b = append(b, "}:"...)
	b = append(b, kind...)
	b = append(b, ':')
	return string(base64.RawURLEncoding.AppendEncode(b, d[:]))
}
