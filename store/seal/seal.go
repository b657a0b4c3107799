// Package seal encrypts secrets at rest with AES-256-GCM.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// A sealed value is the version, the key's name, a random nonce, and the
// ciphertext with its tag.
const (
	version   = "sbs1"
	nameSize  = 4
	nonceSize = 12
	tagSize   = 16
	overhead  = len(version) + nameSize + nonceSize + tagSize
)

var (
	// ErrUnknownKey means that the value was sealed with a key that is not
	// among those given.
	ErrUnknownKey = errors.New("seal: the value was sealed with a key that is not configured: add the old key behind the new one")
	// ErrCorrupt means that the value is no sealed value, was changed, or
	// belongs to another place than the one it was found in.
	ErrCorrupt = errors.New("seal: the value is damaged or was sealed for another place")
)

// Sealer seals with its first key and opens with all of them. It is safe for
// concurrent use. However it is printed, it shows no key.
type Sealer struct {
	keys []key
}

type key struct {
	// name tells the keys apart; it says nothing about the key.
	name [nameSize]byte
	gcm  cipher.AEAD
}

// New makes a Sealer. Each key is KeySize random bytes, which are not kept. To
// rotate, put the new key in front and keep the old one until everything was
// sealed anew.
func New(keys ...[]byte) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("seal: no key is given")
	}
	s := new(Sealer)
	for i, k := range keys {
		if len(k) != KeySize {
			return nil, fmt.Errorf("seal: key %d has %d bytes, need %d", i+1, len(k), KeySize)
		}
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, fmt.Errorf("seal: key %d: %w", i+1, err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("seal: key %d: %w", i+1, err)
		}
		sum := sha256.Sum256(append([]byte("scim-bridge seal key name\x00"), k...))
		for j, other := range s.keys {
			if other.name == [nameSize]byte(sum[:nameSize]) {
				return nil, fmt.Errorf("seal: keys %d and %d are the same", j+1, i+1)
			}
		}
		s.keys = append(s.keys, key{name: [nameSize]byte(sum[:nameSize]), gcm: gcm})
	}
	return s, nil
}

// Seal encrypts plain. The same aad, which is not secret and not kept, is needed
// to open it: it names the place that the value belongs to, so that a value
// moved elsewhere does not open.
func (s *Sealer) Seal(plain, aad []byte) []byte {
	k := s.keys[0]
	out := make([]byte, 0, overhead+len(plain))
	out = append(out, version...)
	out = append(out, k.name[:]...)
	out = out[:len(out)+nonceSize]
	nonce := out[len(out)-nonceSize:]
	rand.Read(nonce)
	return k.gcm.Seal(out, nonce, plain, bound(out[:len(version)+nameSize], aad))
}

// Open decrypts what Seal returned. ErrUnknownKey, ErrCorrupt.
func (s *Sealer) Open(sealed, aad []byte) ([]byte, error) {
	if len(sealed) < overhead || string(sealed[:len(version)]) != version {
		return nil, ErrCorrupt
	}
	header, rest := sealed[:len(version)+nameSize], sealed[len(version)+nameSize:]
	for _, k := range s.keys {
		if string(k.name[:]) != string(header[len(version):]) {
			continue
		}
		plain, err := k.gcm.Open(nil, rest[:nonceSize], rest[nonceSize:], bound(header, aad))
		if err != nil {
			return nil, ErrCorrupt
		}
		return plain, nil
	}
	return nil, ErrUnknownKey
}

// Stale says that a value was sealed with another key than the first, and so is
// to be sealed anew before that key is taken away.
func (s *Sealer) Stale(sealed []byte) bool {
	return !strings.HasPrefix(string(sealed), version+string(s.keys[0].name[:]))
}

// Format implements fmt.Formatter for every verb, so that nothing prints a key.
func (s Sealer) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "seal.Sealer with %d keys", len(s.keys))
}

// bound is what is authenticated beside the plaintext.
func bound(header, aad []byte) []byte {
	return append(append(make([]byte, 0, len(header)+len(aad)), header...), aad...)
}

// ParseKey reads a key from text: 64 hexadecimal digits, or base64 of either
// alphabet with or without padding, with space around it. Its errors do not
// show the text.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, errors.New("seal: the key is empty: make one with: openssl rand -hex 32")
	}
	if len(text) == hex.EncodedLen(KeySize) {
		if k, err := hex.DecodeString(text); err == nil {
			return k, nil
		}
	}
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	k, err := base64.RawStdEncoding.Strict().DecodeString(standard)
	if err != nil {
		return nil, errors.New("seal: the key is neither hexadecimal nor base64: make one with: openssl rand -hex 32")
	}
	if len(k) != KeySize {
		return nil, fmt.Errorf("seal: the key has %d bytes, need %d: make one with: openssl rand -hex 32", len(k), KeySize)
	}
	return k, nil
}
