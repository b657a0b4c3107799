package lint

import (
	"slices"
	"time"

	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
)

// Severity says how urgent a finding is.
type Severity string

const (
	// Error: people or groups are not provisioned, or soon will not be.
	Error Severity = "error"
	// Warning: it works, and something will go wrong or is not as meant.
	Warning Severity = "warning"
	// Notice: it works; it could be simpler or more exact.
	Notice Severity = "notice"
)

// rank orders severities, the most urgent first.
func (s Severity) rank() int {
	switch s {
	case Error:
		return 0
	case Warning:
		return 1
	}
	return 2
}

// Rule is one thing that is looked for.
type Rule struct {
	// Code names it for ever, in the store, in metrics and for scripts.
	Code string
	Severity
	// Title says what was found, Why what follows from it.
	Title, Why string
	// Remedy says what to do; Where says it for some clients, by the name of
	// their dialect, with the place to click.
	Remedy string
	Where  map[string]string
	// Source is the documentation that Title, Why and Where rest on; "" where
	// it is the bridge's own.
	Source string
	// about is what the subjects of its findings are.
	about about
	// keep is how long it is shown after it was last seen, 0 for what is found
	// in the store when it is shown.
	keep time.Duration
	// grace is how long after the contrary was seen it is not believed.
	grace time.Duration
	// least is how often a subject must have shown it. 0: once.
	least int64
	// applies leaves it out where the tenant's configuration makes it no
	// finding. nil: it always is one.
	applies func(*tenantconfig.Config) bool
}

// about is what a subject is.
type about string

const (
	// theTraffic: the subject says nothing to people, or is empty.
	theTraffic about = ""
	aPerson    about = "person"
	aGroup     about = "group"
	anObject   about = "object"
	aName      about = "name"
)

// code is a rule about traffic: an index of trafficRules.
type code uint8

const (
	entraFlag code = iota
	clientKind
	severalClients
	externalID
	noEmail
	userName
	tombstone
	nameMissing
	emailType
	rolesUnread
	rolesStay
	passwordUnused
	attributeUnknown
	filterRefused
	filterUnquoted
	recreated
	notAdopted
	memberUnknown
	nested
	idUnknown
	refusedAgain
	rateLimited

	codes
)

// mask is a set of codes.
type mask uint32

func maskOf(all ...code) (m mask) {
	for _, c := range all {
		m |= 1 << c
	}
	return m
}

func (m mask) has(c code) bool { return m&(1<<c) != 0 }

// codesAbout picks the codes whose subjects are one of the given.
func codesAbout(subjects ...about) (m mask) {
	for c, r := range trafficRules {
		if slices.Contains(subjects, r.about) {
			m |= 1 << c
		}
	}
	return m
}

var (
	// ofUser are the codes that are over when a person is deleted, ofGroup when
	// a group is.
	ofUser, ofGroup = codesAbout(aPerson, anObject), codesAbout(aGroup, anObject)
	// byCode finds a code by its name.
	byCode = func() map[string]code {
		m := make(map[string]code, codes)
		for c, r := range trafficRules {
			m[r.Code] = code(c)
		}
		return m
	}()
)
