package cache

import (
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A value in Redis describes itself:
//
//	"s1"       schema of the value
//	20 digits  the version, shifted so that digits sort as versions do
//	32 bytes   digest of the Key it was stored under
//	 8 bytes   UserID, big-endian
//	 4 bytes   length of ID, big-endian, then ID
//	 4 bytes   length of InviteID, big-endian, then InviteID
//	16 bytes   keyed sum of everything before
//
// The first two stand in front and in digits for the script that stores values:
// Lua has no 64-bit integers, and it compares strings by the locale, in which
// digits sort alike everywhere.
const (
	valueSchema   = "s1"
	versionDigits = 20
	headLen       = len(valueSchema) + versionDigits
	sumLen        = 16
	minValueLen   = headLen + len(digest{}) + 8 + 4 + 4 + sumLen
)

var (
	errForeignValue = errors.New("the entry was stored under another key")
	errSchema       = errors.New("the entry has another schema")
	errDamaged      = errors.New("the entry is damaged")
)

func appendHead(b []byte, version int64) []byte {
	return fmt.Appendf(append(b, valueSchema...), "%0*d", versionDigits, uint64(version)^(1<<63))
}

// encodeValue returns the value of m under the key of digest d.
func (h *hasher) encodeValue(d digest, m Mapping) []byte {
	b := make([]byte, 0, minValueLen+len(m.ID)+len(m.InviteID))
	b = appendHead(b, m.Version)
	b = append(b, d[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.UserID))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.ID)))
	b = append(b, m.ID...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.InviteID)))
	b = append(b, m.InviteID...)
	sum := h.value(b)
	return append(b, sum[:sumLen]...)
}

// decodeValue is the reverse of encodeValue for whatever bytes were found. It
// accepts nothing that encodeValue would not have written for d.
func (h *hasher) decodeValue(b []byte, d digest) (Mapping, error) {
	if len(b) < len(valueSchema) || string(b[:len(valueSchema)]) != valueSchema {
		return Mapping{}, errSchema
	}
	if len(b) < minValueLen {
		return Mapping{}, errDamaged
	}
	body, sum := b[:len(b)-sumLen], b[len(b)-sumLen:]
	if want := h.value(body); !hmac.Equal(sum, want[:sumLen]) {
		return Mapping{}, errDamaged
	}
	return decodeBody(body, d)
}

func decodeBody(body []byte, d digest) (Mapping, error) {
	version, ok := parseVersion(body[len(valueSchema):headLen])
	if !ok {
		return Mapping{}, errDamaged
	}
	rest := body[headLen:]
	if digest(rest[:len(d)]) != d {
		return Mapping{}, errForeignValue
	}
	rest = rest[len(d):]
	m := Mapping{Version: version, UserID: int64(binary.BigEndian.Uint64(rest))}
	var okID, okInvite bool
	m.ID, rest, okID = cutString(rest[8:])
	m.InviteID, rest, okInvite = cutString(rest)
	if !okID || !okInvite || len(rest) != 0 {
		return Mapping{}, errDamaged
	}
	return m, nil
}

func parseVersion(digits []byte) (int64, bool) {
	var n uint64
	for _, c := range digits {
		v := uint64(c - '0')
		if c < '0' || c > '9' || n > (math.MaxUint64-v)/10 {
			return 0, false
		}
		n = n*10 + v
	}
	return int64(n ^ (1 << 63)), true
}

func cutString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) < 4 {
		return "", nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if b = b[4:]; uint64(n) > uint64(len(b)) {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}
