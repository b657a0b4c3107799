package credentials

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"
)

// A token is "sarb_", 43 digits of base 62 that hold 256 random bits, and 6
// digits of base 62 that hold the CRC-32 of everything before. The prefix
// lets secret scanners find one that leaked; the checksum lets them, and us,
// tell a real one from a mistyped or invented one without asking the store.
const (
	// Prefix begins every token.
	Prefix = "sarb_"

	randomDigits   = 43
	checksumDigits = 6
	tokenLen       = len(Prefix) + randomDigits + checksumDigits

	alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newToken makes a token from 256 bits of the system's random source.
func newToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	body := Prefix + base62(new(big.Int).SetBytes(b[:]), randomDigits)
	return body + checksum(body)
}

// newID makes the public id of a credential, which is no secret.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return "tok_" + base62(new(big.Int).SetUint64(binary.BigEndian.Uint64(b[:])), 11)
}

func base62(n *big.Int, digits int) string {
	out := make([]byte, digits)
	base, digit := big.NewInt(int64(len(alphabet))), new(big.Int)
	for i := digits - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		out[i] = alphabet[digit.Int64()]
	}
	return string(out)
}

func checksum(body string) string {
	var out [checksumDigits]byte
	n := crc32.ChecksumIEEE([]byte(body))
	for i := range out {
		out[checksumDigits-1-i] = alphabet[n%uint32(len(alphabet))]
		n /= uint32(len(alphabet))
	}
	return string(out[:])
}

// CheckToken reports why s cannot be a token that Create made, or nil. The
// error never shows s.
func CheckToken(s string) error {
	body, ok := strings.CutPrefix(s, Prefix)
	switch {
	case !ok:
		return fmt.Errorf("a token begins with %q", Prefix)
	case len(s) < tokenLen:
		return fmt.Errorf("the token is cut off: it has %d characters instead of %d", len(s), tokenLen)
	case len(s) > tokenLen:
		return fmt.Errorf("the token is too long: it has %d characters instead of %d", len(s), tokenLen)
	case strings.ContainsFunc(body, func(c rune) bool { return !strings.ContainsRune(alphabet, c) }):
		return fmt.Errorf("the token has a character that no token has")
	case s[tokenLen-checksumDigits:] != checksum(s[:tokenLen-checksumDigits]):
		return fmt.Errorf("the token is mistyped: its checksum does not match")
	}
	return nil
}

// hashOf is what the store keeps of a token. A plain hash is enough: there is
// no guessing 256 random bits.
func hashOf(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// hintOf is the part of a token that lists show, too little to guess the rest
// by. A short token, of a demo, shows nothing.
func hintOf(token string) string {
	if len(token) < tokenLen {
		return ""
	}
	return token[:len(Prefix)+4] + "…"
}
