package play

import "github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"

// people are those in the client's directory.
func people() []idp.Person {
	return []idp.Person{
		{Given: "Ada", Family: "Okafor", Mail: "ada.okafor@example.com", Title: "Claims Analyst", Department: "Finance", Phone: "+1 416 555 0101"},
		{Given: "Bruno", Family: "Silva", Mail: "bruno.silva@example.com", Title: "Parcel Auditor", Department: "Operations", Phone: "+1 416 555 0102"},
		{Given: "Chiara", Family: "Ricci", Mail: "chiara.ricci@example.com", Title: "Refund Specialist", Department: "Finance", Phone: "+1 416 555 0103"},
		{Given: "Dmitri", Family: "Volkov", Mail: "dmitri.volkov@example.com", Title: "Warehouse Lead", Department: "Operations", Phone: "+1 416 555 0104"},
		{Given: "Élodie", Family: "Martin", Mail: "elodie.martin@example.com", Title: "Carrier Manager", Department: "Operations", Phone: "+1 416 555 0105"},
		{Given: "Farah", Family: "Haddad", Mail: "farah.haddad@example.com", Title: "Controller", Department: "Finance", Phone: "+1 416 555 0106"},
		{Given: "Goro", Family: "Tanaka", Mail: "goro.tanaka@example.com", Title: "Data Analyst", Department: "IT", Phone: "+1 416 555 0107"},
		{Given: "Hanna", Family: "Nowak", Mail: "hanna.nowak@example.com", Title: "Support Agent", Department: "Service", Phone: "+1 416 555 0108"},
		{Given: "Ivo", Family: "Jansen", Mail: "ivo.jansen@example.com", Title: "Support Agent", Department: "Service", Phone: "+1 416 555 0109"},
		{Given: "Jia", Family: "Chen", Mail: "jia.chen@example.com", Title: "IT Administrator", Department: "IT", Phone: "+1 416 555 0110"},
	}
}

// group is one in the client's directory, with the mail addresses of the
// people who are in it.
type group struct {
	idp.Group
	members []string
}

// groups has everybody in one group at most, and two people in none.
func groups() []group {
	return []group{
		{idp.Group{Name: "Administrators"}, []string{"jia.chen@example.com"}},
		{idp.Group{Name: "Managers"}, []string{"dmitri.volkov@example.com", "elodie.martin@example.com", "farah.haddad@example.com"}},
		{idp.Group{Name: "Analysts"}, []string{"ada.okafor@example.com", "bruno.silva@example.com", "chiara.ricci@example.com", "goro.tanaka@example.com"}},
	}
}
