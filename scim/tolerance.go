package scim

import (
	"fmt"
	"math/bits"
	"strings"
)

// Tolerances is a set of departures from RFC 7643/7644 that are accepted.
type Tolerances uint64

// The tolerances, each declared with its public source in the file of the
// dialect that needs it: dialect_any.go, dialect_entra.go, dialect_okta.go,
// dialect_onelogin.go.
const (
	tolByteOrderMark Tolerances = 1 << iota
	tolSchemasAbsent
	tolForeignSchemas
	tolExtensionUnlisted
	tolUnknownDropped
	tolStringBooleans
	tolEmptyStringClears
	tolManagerString
	tolOpAnyCase
	tolEmptyOperations
	tolPathlessReadOnly
	tolPathlessKeys
	tolAddCreates
	tolRemoveNoMatch
	tolRemoveValue
	tolRemoveValueList
	tolFilterSubAttribute

	tolReplaceCreates
	tolExtensionNoURN
	tolManagerArray
	tolUnknownSkipped
	tolRolesJSON
	tolUnquotedFilter
	tolJunkPrimary

	tolOneLoginEmails
	tolOneLoginManager
	tolOneLoginSchemas
	tolOneLoginIntegers
)

// toleranceIDs is in the order of the constants.
var toleranceIDs = [...]string{
	ByteOrderMark, SchemasAbsent, ForeignSchemas, ExtensionUnlisted, UnknownAttributeDropped, StringBooleans,
	EmptyStringClears, ManagerString, OpAnyCase, EmptyOperations, PathlessReadOnlyIgnored,
	PathlessDottedKeys, AddNoMatchCreates, RemoveNoMatchSucceeds, RemoveValueIgnored, RemoveValueList, FilterSubAttribute,
	ReplaceNoMatchCreates, ExtensionAttributeWithoutURN, ManagerArray,
	UnknownAttributeSkipped, RolesJSONString, UnquotedFilterValue, JunkPrimaryDropped,
	OneLoginEmailsObject, OneLoginManagerID, OneLoginV1Schemas, OneLoginStringIntegers,
}

// ParseTolerances is the set of the tolerances with the given ids.
func ParseTolerances(ids ...string) (Tolerances, error) {
	var t Tolerances
	for _, id := range ids {
		i := 0
		for i < len(toleranceIDs) && toleranceIDs[i] != id {
			i++
		}
		if i == len(toleranceIDs) {
			return 0, fmt.Errorf("unknown tolerance %q: have %s", id, strings.Join(toleranceIDs[:], ", "))
		}
		t |= 1 << i
	}
	return t, nil
}

// Has reports whether t holds all of u.
func (t Tolerances) Has(u Tolerances) bool { return t&u == u }

// IDs lists the ids of t, those of every dialect first.
func (t Tolerances) IDs() []string {
	var ids []string
	for ; t != 0; t &= t - 1 {
		if i := bits.TrailingZeros64(uint64(t)); i < len(toleranceIDs) {
			ids = append(ids, toleranceIDs[i])
		}
	}
	return ids
}

func (t Tolerances) String() string { return strings.Join(t.IDs(), ",") }

// Tolerances is what d accepts.
func (d Dialect) Tolerances() Tolerances {
	switch d {
	case DialectEntra:
		return anyTolerances | entraTolerances
	case DialectOkta:
		return anyTolerances | oktaTolerances
	case DialectOneLogin:
		return anyTolerances | oneLoginTolerances
	}
	// JumpCloud and Ping send what every client may send.
	return anyTolerances
}
