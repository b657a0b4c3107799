package scim

import (
	"fmt"
	"strings"
)

// Dialect is a provisioning client whose departures from RFC 7643/7644 are
// tolerated. It belongs to a credential, never to the process.
type Dialect uint8

const (
	// DialectRFC tolerates only what is tolerated everywhere.
	DialectRFC Dialect = iota
	DialectEntra
	DialectOkta
	DialectOneLogin
	DialectJumpCloud
	DialectPing
)

var dialectNames = [...]string{"rfc", "entra", "okta", "onelogin", "jumpcloud", "ping"}

func (d Dialect) String() string {
	if int(d) < len(dialectNames) {
		return dialectNames[d]
	}
	return fmt.Sprintf("Dialect(%d)", uint8(d))
}

// ParseDialect reads a dialect's name. "auto" is not a dialect: it is
// recognised per request by the server.
func ParseDialect(name string) (Dialect, error) {
	for i, n := range dialectNames {
		if n == name {
			return Dialect(i), nil
		}
	}
	return 0, fmt.Errorf("unknown client kind %q: have auto, %s", name, strings.Join(dialectNames[:], ", "))
}
