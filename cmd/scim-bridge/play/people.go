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
