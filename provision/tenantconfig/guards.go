package tenantconfig

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/sharearefund/scim-bridge/scim"
)

// Invites says how the bridge deals with invites that nobody accepted.
type Invites struct {
	// ResendExpired is how often an expired invite is sent again before the
	// person is activated anew; 0 is never.
	ResendExpired int `json:"resend_expired"`
}

// Guards bound what a provisioning client can do at once.
type Guards struct {
	// Deactivations bounds deactivations and removals of people.
	Deactivations Guard `json:"deactivations"`
	// RoleLosses bounds how many people a change of groups may leave with a
	// lesser role.
	RoleLosses Guard `json:"role_losses"`
	// Invites bounds invites once the initial load is over. It has no
	// Percent.
	Invites Guard `json:"invites"`
	// Addresses bounds how many people get another user name or address.
	Addresses Guard     `json:"addresses"`
	Protected Protected `json:"protected,omitzero"`
}

// Guard lets max(Limit, Percent of the active people) through in any Window.
type Guard struct {
	// Off lets everything through; the other fields are then zero.
	Off     bool
	Limit   int
	Percent int
	Window  time.Duration
}

// Protected are the accounts that no provisioning client may deactivate,
// remove or take a role from. The zero value protects none.
type Protected struct {
	// UserIDs are upstream's ids of accounts.
	UserIDs []int64 `json:"user_ids,omitempty"`
	// Emails are folded (scim.Fold).
	Emails []string `json:"emails,omitempty"`
	// Role protects the holders of this role and of any of greater weight;
	// "" protects nobody by role.
	Role string `json:"role,omitempty"`
}

const (
	maxResends   = 10
	maxLimit     = 1_000_000
	maxProtected = 1000
	minWindow    = time.Minute
	maxWindow    = 24 * time.Hour
)

// off is a Guard that is off, in the document and in JSON.
const off = "off"

func defaultGuards() Guards {
	return Guards{
		Deactivations: Guard{Limit: 10, Percent: 20, Window: time.Hour},
		RoleLosses:    Guard{Limit: 10, Percent: 20, Window: time.Hour},
		Invites:       Guard{Limit: 500, Window: time.Hour},
		Addresses:     Guard{Limit: 10, Percent: 10, Window: time.Hour},
	}
}

func (r *reader) guards(g *Guards) value {
	return r.object(map[string]value{
		"deactivations": r.guard(&g.Deactivations, true),
		"role_losses":   r.guard(&g.RoleLosses, true),
		"invites":       r.guard(&g.Invites, false),
		"addresses":     r.guard(&g.Addresses, true),
		"protected": r.object(map[string]value{
			"user_ids": r.integers(&g.Protected.UserIDs),
			"emails":   r.texts(&g.Protected.Emails),
			"role":     r.text(&g.Protected.Role),
		}),
	})
}

// guard reads the word off or a mapping; keys that are left out keep their
// defaults.
func (r *reader) guard(g *Guard, percent bool) value {
	fields := map[string]value{"limit": r.between(&g.Limit, 0, maxLimit), "window": r.window(&g.Window)}
	remedy := "write off, or limit and window"
	if percent {
		fields["percent"] = r.between(&g.Percent, 0, 100)
		remedy = "write off, or limit, percent and window"
	}
	return func(path string, n ast.Node) {
		if _, ok := pairs(n); ok {
			r.mapping(path, n, fields)
			return
		}
		if s, ok := n.(*ast.StringNode); ok && s.Value == off {
			*g = Guard{Off: true}
			return
		}
		r.fault(path, shown(n), remedy, "is neither off nor a mapping")
	}
}

// between reads a whole number of a range.
func (r *reader) between(into *int, least, most int64) value {
	return func(path string, n ast.Node) {
		before, i := len(r.faults), int64(0)
		if r.integer(&i)(path, n); len(r.faults) > before {
			return
		}
		if i < least || i > most {
			r.fault(path, strconv.FormatInt(i, 10), fmt.Sprintf("give a number from %d to %d", least, most), "out of range")
			return
		}
		*into = int(i)
	}
}

// window reads a duration that a guard looks back.
func (r *reader) window(into *time.Duration) value {
	return func(path string, n ast.Node) {
		before := len(r.faults)
		var text string
		if r.text(&text)(path, n); len(r.faults) > before {
			return
		}
		d, err := time.ParseDuration(text)
		switch {
		case err != nil:
			r.fault(path, text, "write a number with its unit, such as 90m or 1h", "not a duration")
		case d < minWindow || d > maxWindow:
			r.fault(path, text, "give a duration from 1m to 24h", "out of range")
		default:
			*into = d
		}
	}
}

// checkProtected folds the addresses in place.
func (r *reader) checkProtected(p *Protected) {
	const path = "guards.protected"
	if n := max(len(p.UserIDs), len(p.Emails)); n > maxProtected {
		r.fault(path, "", "protect a role instead", "a list of %d, more than %d", n, maxProtected)
	}
	for i, id := range p.UserIDs {
		at := fmt.Sprintf("%s.user_ids[%d]", path, i)
		switch {
		case r.hasFault(at):
		case id <= 0:
			r.fault(at, strconv.FormatInt(id, 10), "write the account's id as upstream shows it", "not a positive id")
		case slices.Index(p.UserIDs, id) < i:
			r.fault(at, strconv.FormatInt(id, 10), "list each account once", "repeated")
		}
	}
	for i, email := range p.Emails {
		at := fmt.Sprintf("%s.emails[%d]", path, i)
		p.Emails[i] = scim.Fold(email)
		switch {
		case r.hasFault(at):
		case !isAddress(email):
			r.fault(at, email, "write an address such as admin@example.com", "not an e-mail address")
		case slices.Index(p.Emails, p.Emails[i]) < i:
			r.fault(at, email, "list each address once", "repeated")
		}
	}
	p.Role = strings.TrimSpace(p.Role)
	r.checkName(path+".role", p.Role)
}

func isAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && isPlain(s)
}

// storedGuard is the JSON of a Guard that is not off.
type storedGuard struct {
	Limit   int    `json:"limit"`
	Percent int    `json:"percent,omitempty"`
	Window  string `json:"window"`
}

// MarshalJSON writes the guard as the document has it.
func (g Guard) MarshalJSON() ([]byte, error) {
	if g.Off {
		return json.Marshal(off)
	}
	return json.Marshal(storedGuard{g.Limit, g.Percent, g.Window.String()})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (g *Guard) UnmarshalJSON(data []byte) error {
	if string(data) == strconv.Quote(off) {
		*g = Guard{Off: true}
		return nil
	}
	var s storedGuard
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	window, err := time.ParseDuration(s.Window)
	if err != nil || window < minWindow || window > maxWindow || s.Limit < 0 || s.Percent < 0 || s.Percent > 100 || s.Limit > maxLimit {
		return fmt.Errorf("a guard of limit %d, percent %d, window %q is out of range", s.Limit, s.Percent, s.Window)
	}
	*g = Guard{Limit: s.Limit, Percent: s.Percent, Window: window}
	return nil
}
