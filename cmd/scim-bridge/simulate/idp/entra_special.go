package idp

import "net/http"

// FindOtherwise is looking a user up by what administrators mark as matching:
// the default mappings of externalId and mail.
func (e entra) FindOtherwise(p Person) []Request {
	return []Request{
		e.lookUp("/Users", equals("externalId", p.nickname())),
		e.lookUp("/Users", equals(workEmail, p.Mail)),
	}
}

// IsMember asks whether a user is in a group, as before a change of members.
func (e entra) IsMember(group, user string) Request {
	return e.lookUp("/Groups", equals("id", group)+" and "+equals("members", user), "attributes=id")
}

// SetManager sends the manager as a plain text
// (AzureAD/SCIMReferenceCode, "Manager").
func (e entra) SetManager(id, manager string) (Request, error) {
	return patch(e.At(userPath(id)), op{e.op("Add"), enterpriseURN + ":manager", manager})
}

// SetMobile addresses an entry that may not be there: the default mapping of
// mobile.
func (e entra) SetMobile(id, number string) (Request, error) {
	return patch(e.At(userPath(id)), op{e.op("Add"), `phoneNumbers[type eq "mobile"].value`, number})
}

// ChangeNothing is a PATCH with no operations, which Microsoft's validator
// sends (scimmyjs/scimmy#59).
func (e entra) ChangeNothing(id string) (Request, error) {
	return send(http.MethodPatch, e.At(userPath(id)), "no operations", struct {
		Schemas    []string `json:"schemas"`
		Operations []op     `json:"Operations"`
	}{[]string{patchURN}, []op{}})
}
