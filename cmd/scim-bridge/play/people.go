package play

import "fmt"

// person is somebody in the provider's directory.
type person struct {
	given, family, mail, title, department, phone string
	// number makes the provider's own ids of the person.
	number int
}

func (p person) display() string { return p.given + " " + p.family }

// oktaID looks like the id of an Okta user: 20 characters that begin with 00u.
func (p person) oktaID() string { return fmt.Sprintf("00u1ab2cd3EfGhIjKl%02d", p.number) }

// nickname is Entra's mailNickname, its default source of externalId.
func (p person) nickname() string { return p.mail[:len(p.mail)-len("@example.com")] }

func people() []person {
	return []person{
		{"Ada", "Okafor", "ada.okafor@example.com", "Claims Analyst", "Finance", "+1 416 555 0101", 1},
		{"Bruno", "Silva", "bruno.silva@example.com", "Parcel Auditor", "Operations", "+1 416 555 0102", 2},
		{"Chiara", "Ricci", "chiara.ricci@example.com", "Refund Specialist", "Finance", "+1 416 555 0103", 3},
		{"Dmitri", "Volkov", "dmitri.volkov@example.com", "Warehouse Lead", "Operations", "+1 416 555 0104", 4},
		{"Élodie", "Martin", "elodie.martin@example.com", "Carrier Manager", "Operations", "+1 416 555 0105", 5},
		{"Farah", "Haddad", "farah.haddad@example.com", "Controller", "Finance", "+1 416 555 0106", 6},
		{"Goro", "Tanaka", "goro.tanaka@example.com", "Data Analyst", "IT", "+1 416 555 0107", 7},
		{"Hanna", "Nowak", "hanna.nowak@example.com", "Support Agent", "Service", "+1 416 555 0108", 8},
		{"Ivo", "Jansen", "ivo.jansen@example.com", "Support Agent", "Service", "+1 416 555 0109", 9},
		{"Jia", "Chen", "jia.chen@example.com", "IT Administrator", "IT", "+1 416 555 0110", 10},
	}
}

// group is one in the provider's directory, with the mail addresses of the
// people who are in it.
type group struct {
	name    string
	members []string
	// number makes the provider's own id of the group.
	number int
}

// objectID looks like the object id of an Entra group.
func (g group) objectID() string {
	return fmt.Sprintf("8aa1a0c0-c4c3-4bc0-b4a5-2ef676900%03d", g.number)
}

// groups has everybody in one group at most, and two people in none.
func groups() []group {
	return []group{
		{"Administrators", []string{"jia.chen@example.com"}, 1},
		{"Managers", []string{"dmitri.volkov@example.com", "elodie.martin@example.com", "farah.haddad@example.com"}, 2},
		{"Analysts", []string{"ada.okafor@example.com", "bruno.silva@example.com", "chiara.ricci@example.com", "goro.tanaka@example.com"}, 3},
	}
}

// member is a person as the bridge knows it: id is the SCIM id.
type member struct{ id, mail string }
