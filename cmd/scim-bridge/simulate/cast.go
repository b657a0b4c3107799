package simulate

import (
	"fmt"
	"strings"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// maxID is the longest id that is used, in characters.
const maxID = 1024

// given and family are the names that people get, in turn.
var (
	given  = []string{"Ada", "Bruno", "Chiara", "Dmitri", "Élodie", "Farah", "Goro", "Hanna", "Ivo", "Jia"}
	family = []string{"Okafor", "Silva", "Ricci", "Volkov", "Martin", "Haddad", "Tanaka", "Nowak", "Jansen", "Chen"}
)

// cast makes the run's people and groups.
func (s *simulation) cast() {
	for n := 1; n <= s.Users; n++ {
		s.people = append(s.people, &person{Person: s.person(n)})
	}
	for n := 1; n <= s.Groups; n++ {
		key := fmt.Sprintf("simulate-%s-group-%02d", s.Name, n)
		s.groups = append(s.groups, &group{Group: idp.Group{Name: key, Key: key}, members: map[string]bool{}})
	}
}

// person is the n-th of the run's people.
func (s *simulation) person(n int) idp.Person {
	return idp.Person{
		Given: given[n%len(given)], Family: family[n/len(given)%len(family)], Mail: s.mail(fmt.Sprintf("%02d", n)),
		Title: "Analyst", Department: "Finance", Phone: fmt.Sprintf("+1 416 555 %04d", n),
	}
}

// mail is an address that shows where it comes from.
func (s *simulation) mail(which string) string {
	return fmt.Sprintf("simulate-%s-%s@%s", s.Name, which, strings.ToLower(s.Domain))
}

// created are those of the cast who are at the server, in their order.
func (s *simulation) created() []*person {
	var out []*person
	for _, p := range s.people[:s.Users] {
		if p.id != "" && !p.gone {
			out = append(out, p)
		}
	}
	return out
}

// pushed are the groups that are at the server.
func (s *simulation) pushed() []*group {
	var out []*group
	for _, g := range s.groups[:s.Groups] {
		if g.id != "" && !g.gone {
			out = append(out, g)
		}
	}
	return out
}

// member is a person as one of a group.
func (p *person) member() idp.Member { return idp.Member{ID: p.id, Mail: p.Mail} }

// claim reads the id of what a create made, when it is one that can be used and
// that nobody else of the run has. "": there is none.
func (s *simulation) claim(kind string, a *answer) string {
	id, isText := a.object["id"].(string)
	usable := isText && s.usable(id) && (s.Client != idp.Okta || !strings.Contains(strings.ToLower(id), "bulkid"))
	s.mu.Lock()
	taken := s.ids[kind+" "+id]
	s.ids[kind+" "+id] = true
	s.mu.Unlock()
	if taken {
		s.expect(isID, false, a, "the id %s, which another one of the run has already", shape(a.object["id"]))
		return ""
	}
	if !s.expect(isID, usable, a, "id %s", shape(a.object["id"])) {
		return ""
	}
	return id
}

// usable reports whether an id can stand in a path and in a report.
func (s *simulation) usable(id string) bool {
	return id != "" && len(id) <= maxID && id != "." && id != ".." && s.clean(id) == id
}
