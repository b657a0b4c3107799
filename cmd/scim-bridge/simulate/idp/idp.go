package idp

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Client makes the requests of one provisioning client.
type Client interface {
	// Name is as people write it: "Okta".
	Name() string
	// Header sets what the client sends with every request, the credential
	// left out. A request without a body has no Content-Type.
	Header(http.Header)
	// At is the address of a path below the SCIM base URL, such as "/Users/4",
	// with encoded query parts such as "count=2".
	At(path string, query ...string) string
	// Test is what is read when an administrator tests the connection.
	Test() []Request
	// Find looks a user up by userName.
	Find(userName string) Request
	// Create makes a user. Update makes was what p is; current is the body that
	// was read before, where Traits.ReadsBeforeUpdate says so, else nil.
	Create(p Person) (Request, error)
	Update(id string, current []byte, was, p Person) (Request, error)
	// SetActive disables or enables p; current as for Update, where
	// Traits.ReadsBeforeStatus says so.
	SetActive(id string, current []byte, p Person, active bool) (Request, error)
	// FindGroup looks a group up by displayName.
	FindGroup(name string) Request
	CreateGroup(g Group) (Request, error)
	// RenameGroup gives a group g's name; members are all who are in it.
	RenameGroup(id string, g Group, members []Member) (Request, error)
	// AddMembers and RemoveMembers are the requests, in their order, that a
	// change of the members takes; members are all who are in it afterwards.
	AddMembers(id string, g Group, added, members []Member) ([]Request, error)
	RemoveMembers(id string, g Group, removed, members []Member) ([]Request, error)
	Traits() Traits
}

// Traits say how a client goes about its work.
type Traits struct {
	// ReadsBeforeUpdate and ReadsBeforeStatus: it reads a user before Update
	// and SetActive and sends back what it read.
	ReadsBeforeUpdate, ReadsBeforeStatus bool
	// WholeMembers: a group's members always travel as the whole list.
	WholeMembers bool
	// DeletesUsers: it deletes users in the end. Others only disable them.
	DeletesUsers bool
	// TestCreates: testing the connection makes a user and a group and deletes
	// them again.
	TestCreates bool
	// PageSize is how many resources it asks for at a time when it reads all.
	// 0: it never does.
	PageSize int
	Retry    Retry
}

// Retry says what a client does with an answer that asks it to come later.
type Retry struct {
	// Times is how often a request is sent in all. 0: once.
	Times int
	// Unasked is the wait where a 429 has no Retry-After that the client
	// understands, which is whole seconds.
	Unasked time.Duration
	// Doubles: every further wait is at least twice the one before.
	Doubles bool
	// NextCycle is when the client's next run comes: whatever failed, 5xx and
	// no answer too, waits for it and is sent once more then. 0: there are no
	// cycles, a request that is answered 429 is repeated by itself.
	NextCycle time.Duration
	// Source is where this is said.
	Source string
}

// Request is one request.
type Request struct {
	Method string
	// Path is below the SCIM base URL, encoded, with the query.
	Path string
	// Shown is how the path is printed. "": Path.
	Shown string
	// Body is nil for none.
	Body []byte
}

// Label is the request's first line as it is printed.
func (r Request) Label() string {
	if r.Shown != "" {
		return r.Method + " " + r.Shown
	}
	return r.Method + " " + r.Path
}

// The clients, as New takes them.
const (
	Okta      = "okta"
	Entra     = "entra"
	OneLogin  = "onelogin"
	JumpCloud = "jumpcloud"
)

// The modes, as New takes them.
const (
	// Catalogue is an application of Okta's catalogue, Wizard one of its App
	// Integration Wizard.
	Catalogue = "catalogue"
	Wizard    = "wizard"
	// Flag is Entra with ?aadOptscim062020 in the tenant URL.
	Flag = "flag"
)

// Names lists the clients.
func Names() []string { return []string{Okta, Entra, OneLogin, JumpCloud} }

// Modes lists the modes of a client, the default one first; a client with one
// way alone has the mode "".
func Modes(name string) []string {
	switch name {
	case Okta:
		return []string{Catalogue, Wizard}
	case Entra:
		return []string{"", Flag}
	}
	return []string{""}
}

// New is the client with the name in the mode; "" is its default mode.
func New(name, mode string) (Client, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("unknown client %q: use %s", name, strings.Join(Names(), ", "))
	}
	if modes := Modes(name); mode != "" && !slices.Contains(modes, mode) {
		if len(modes) == 1 {
			return nil, fmt.Errorf("client %s has no modes: leave %q out", name, mode)
		}
		known := slices.DeleteFunc(modes, func(m string) bool { return m == "" })
		return nil, fmt.Errorf("client %s has no mode %q: use %s", name, mode, strings.Join(known, ", "))
	}
	switch name {
	case Okta:
		return okta{wizard: mode == Wizard}, nil
	case Entra:
		return entra{flag: mode == Flag}, nil
	case OneLogin:
		return oneLogin{}, nil
	}
	return jumpCloud{}, nil
}
