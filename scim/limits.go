package scim

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sharearefund/scim-bridge/schemas"
)

// What a body may not exceed. The size of the whole body is the server's to
// limit.
const (
	maxDepth      = 32   // nested objects and arrays
	maxMembers    = 1000 // members of one object
	maxEntries    = 200  // values of one multi-valued attribute
	maxOperations = 1000 // operations of one PATCH
)

// The longest string values, in characters; addresses of pages and pictures
// and certificates are longer than names are.
const (
	maxString = 1024
	maxURL    = 2048
	maxBinary = 16384
)

// limits holds what a value must satisfy where the type alone is not enough,
// by path, or by resource type and path where types differ.
var limits = map[string]struct {
	max   int
	check func(string) error
}{
	"userName":     {256, checkUserName},
	"displayName":  {256, nil},
	"externalId":   {255, nil},
	"emails.value": {254, ValidEmail},

	"Group:displayName":   {256, checkGroupName},
	"Group:members.value": {256, nil},
	"Group:members.type":  {256, checkMemberType},
}

// sticky names the attributes that null and remove leave as they are.
var sticky = map[string]bool{"active": true}

// limit sets what values of a must satisfy.
func (a *attribute) limit(resourceType string) {
	a.max = maxString
	switch a.Type {
	case schemas.Reference:
		a.max = maxURL
	case schemas.Binary:
		a.max, a.check = maxBinary, checkBinary
	}
	l, ok := limits[resourceType+":"+a.path]
	if !ok {
		l, ok = limits[a.path]
	}
	if ok {
		a.max, a.check = l.max, l.check
	}
	a.sticky = sticky[a.path]
}

// checkString checks a value that is not empty.
func (a *attribute) checkString(s string) error {
	if len(s) > a.max {
		if n := utf8.RuneCountInString(s); n > a.max {
			return fmt.Errorf("%d characters are too long, at most %d are kept", n, a.max)
		}
	}
	if strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("the character U+0000 cannot be kept; remove it in the identity provider")
	}
	if a.check != nil {
		return a.check(s)
	}
	return nil
}

// checkUserName refuses what people cannot see: two names that look the same
// must be the same.
func checkUserName(s string) error {
	if err := checkEnds(s); err != nil {
		return err
	}
	return checkVisible(s)
}

// checkGroupName refuses what would break a line or a path where the name is
// shown. Other characters that people cannot see are part of pictograms.
func checkGroupName(s string) error {
	if err := checkEnds(s); err != nil {
		return err
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) {
			return fmt.Errorf("%q contains the control character U+%04X; remove it in the identity provider", s, r)
		}
	}
	if strings.Contains(s, "../") || s == ".." {
		return fmt.Errorf("%q looks like a path; rename the group in the identity provider", s)
	}
	return nil
}

// checkMemberType refuses everything but people.
func checkMemberType(s string) error {
	if equalASCII(s, "User") {
		return nil
	}
	return fmt.Errorf("%q cannot be a member, only a User can: nested groups are not supported; assign their people directly", shorten(s))
}

func checkEnds(s string) error {
	if first, _ := utf8.DecodeRuneInString(s); unicode.IsSpace(first) {
		return fmt.Errorf("%q begins with a space; remove it in the identity provider", s)
	}
	if last, _ := utf8.DecodeLastRuneInString(s); unicode.IsSpace(last) {
		return fmt.Errorf("%q ends with a space; remove it in the identity provider", s)
	}
	return nil
}

// checkVisible refuses control characters (C0, DEL, C1), line and paragraph
// separators, format characters such as zero-width spaces and bidirectional
// overrides, and the fillers and variation selectors that Unicode lets every
// program leave out.
func checkVisible(s string) error {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return checkRunes(s)
		}
	}
	return nil
}

func checkRunes(s string) error {
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return fmt.Errorf("%q contains the invisible character U+%04X; remove it in the identity provider", s, r)
		}
	}
	return nil
}

func checkBinary(s string) error {
	if _, err := base64.StdEncoding.DecodeString(s); err != nil {
		return fmt.Errorf("must be base64: %w", err)
	}
	return nil
}
