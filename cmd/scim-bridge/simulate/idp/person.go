package idp

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"strings"
)

// Person is somebody in the client's directory. Mail is the user name and the
// work address.
type Person struct {
	Given, Family, Mail      string
	Title, Department, Phone string
}

// Display is the person's name in one piece.
func (p Person) Display() string { return p.Given + " " + p.Family }

// nickname is the part of the address before the @.
func (p Person) nickname() string {
	local, _, _ := strings.Cut(p.Mail, "@")
	return local
}

// Group is one in the client's directory.
type Group struct {
	Name string
	// Key makes the client's own id of the group, which outlives its name. "":
	// Name.
	Key string
}

func (g Group) key() string {
	if g.Key != "" {
		return g.Key
	}
	return g.Name
}

// Member is a person as the server knows it: ID is the SCIM id.
type Member struct{ ID, Mail string }

// letters makes n letters and digits of a text, the same for the same text.
func letters(text string, n int) string {
	sum := sha256.Sum256([]byte(text))
	s := new(big.Int).SetBytes(sum[:]).Text(62)
	return strings.Repeat("0", max(0, n-len(s))) + s[:min(n, len(s))]
}

// guid makes a GUID of a text, the same for the same text.
func guid(text string) string {
	b := sha256.Sum256([]byte(text))
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // looks like a random one, RFC 9562 §5.4
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
