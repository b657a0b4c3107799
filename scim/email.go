package scim

import (
	"fmt"
	"strings"
)

// ValidEmail reports why s cannot serve as a person's e-mail address, or nil.
//
// It accepts local@domain with at most 254 bytes in all and 64 in the local
// part, where the local part is a dot-atom (RFC 5321 §4.1.2) that may hold
// letters beyond ASCII (RFC 6531), and the domain is at least two labels of
// ASCII letters, digits and hyphens. Quoted local parts, address literals and
// domains that are not in their ASCII form are refused: mail systems disagree
// on them, and look-alikes hide in them.
func ValidEmail(s string) error {
	if len(s) > 254 {
		return fmt.Errorf("an e-mail address of %d bytes is too long, at most 254 are allowed", len(s))
	}
	if err := checkVisible(s); err != nil {
		return err
	}
	local, domain, ok := strings.Cut(s, "@")
	if !ok {
		return fmt.Errorf("%q is not an e-mail address: it has no @", s)
	}
	if strings.Contains(domain, "@") {
		return fmt.Errorf("%q is not an e-mail address: it has more than one @", s)
	}
	if local == "" || len(local) > 64 {
		return fmt.Errorf("%q is not an e-mail address: the part before the @ has %d bytes, 1 to 64 are allowed", s, len(local))
	}
	if local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return fmt.Errorf("%q is not an e-mail address: the part before the @ has a misplaced dot", s)
	}
	for i := range len(local) {
		if c := local[i]; c < 0x80 && !isAtomByte(c) {
			return fmt.Errorf("%q is not an e-mail address: %q cannot stand before the @", s, c)
		}
	}
	return validDomain(s, domain)
}

func isAtomByte(c byte) bool {
	return lowerASCII(c) >= 'a' && lowerASCII(c) <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", c) >= 0
}

func validDomain(address, domain string) error {
	labels := 0
	for label := range strings.SplitSeq(domain, ".") {
		labels++
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("%q is not an e-mail address: %q is not a domain", address, domain)
		}
		for i := range len(label) {
			switch c := lowerASCII(label[i]); {
			case c >= 0x80:
				return fmt.Errorf("%q has a domain that is not in its ASCII form; write it as xn--…", address)
			case (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-':
				return fmt.Errorf("%q is not an e-mail address: %q cannot stand in a domain", address, label[i])
			}
		}
	}
	if labels < 2 {
		return fmt.Errorf("%q is not an e-mail address: %q is not a full domain", address, domain)
	}
	return nil
}
