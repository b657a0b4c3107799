package sandbox

import (
	"mime"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// decode reads the call's JSON body; unknown and repeated members, other types and other casing are refused.
func decode(c *call, into any) error {
	if kind := c.request.Header.Get("Content-Type"); kind != "" {
		media, _, err := mime.ParseMediaType(kind)
		if err != nil || media != "application/json" {
			return invalidRequest("", "the body is %q: send application/json", kind)
		}
	}
	return decodeJSON(c.body, into)
}

func decodeJSON(body []byte, into any) error {
	if jsontext.Value(body).Kind() != '{' {
		return invalidRequest("", "the body must be a JSON object")
	}
	if err := json.Unmarshal(body, into, json.RejectUnknownMembers(true)); err != nil {
		return invalidRequest("", "the body cannot be read: %v", err)
	}
	return nil
}

// text is a string member that may be absent; null is the empty string.
type text struct {
	set   bool
	value string
}

// UnmarshalJSONFrom implements the decoder's interface.
func (t *text) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	t.set, t.value = true, ""
	return json.UnmarshalDecode(dec, &t.value)
}

// profile is the fields of a person that a caller may write.
type profile struct {
	email, firstName, lastName, countryID, otherID text
	pascal                                         bool // errors name the fields as the User Management API does
}

func (p *profile) field(snake, pascal string) string {
	if p.pascal {
		return pascal
	}
	return snake
}

// check refuses values that no record may hold.
func (p *profile) check() error {
	if p.email.set {
		if err := checkEmail(p.email.value, p.field("email", "Email")); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		value text
		name  string
	}{
		{p.firstName, p.field("first_name", "FirstName")}, {p.lastName, p.field("last_name", "LastName")},
		{p.otherID, p.field("other_id", "OtherId")},
	} {
		switch {
		case utf8.RuneCountInString(f.value.value) > 255:
			return invalidField(f.name, "longer than 255 characters")
		case strings.ContainsFunc(f.value.value, unicode.IsControl):
			return invalidField(f.name, "%q has control characters", f.value.value)
		}
	}
	if v := p.countryID.value; v != "" && !isCountry(v) {
		return invalidField(p.field("country_id", "CountryId"), "%q is not an ISO 3166-1 alpha-2 code in capitals", v)
	}
	return nil
}

func checkEmail(v, field string) error {
	if v == "" {
		return invalidField(field, "an e-mail address is required")
	}
	parsed, err := mail.ParseAddress(v)
	if err != nil || parsed.Address != v || len(v) > 254 || strings.ContainsFunc(v, unicode.IsControl) {
		return invalidField(field, "%q is not an e-mail address", v)
	}
	return nil
}

// write puts what is set into the fields; the e-mail address is the caller's business.
func (p *profile) write(firstName, lastName, countryID, otherID *string) {
	for _, f := range []struct {
		from text
		to   *string
	}{{p.firstName, firstName}, {p.lastName, lastName}, {p.countryID, countryID}, {p.otherID, otherID}} {
		if f.from.set {
			*f.to = f.from.value
		}
	}
}

// userBody is a profile in the form of the Users API.
type userBody struct {
	CountryID text `json:"country_id"`
	Email     text `json:"email"`
	FirstName text `json:"first_name"`
	LastName  text `json:"last_name"`
	OtherID   text `json:"other_id"`
}

func (b *userBody) profile() *profile {
	return &profile{b.Email, b.FirstName, b.LastName, b.CountryID, b.OtherID, false}
}

// parameters refuses query parameters that the operation does not have.
func (c *call) parameters(known ...string) error {
	for name := range c.query {
		if !slices.Contains(known, name) {
			return invalidRequest(name, "unknown query parameter %q", name)
		}
	}
	return nil
}

// one returns a query parameter that may be given once; "" when it is not.
func (c *call) one(name string) (string, error) {
	values := c.query[name]
	if len(values) > 1 {
		return "", invalidRequest(name, "query parameter %q is repeated", name)
	}
	if len(values) == 0 {
		return "", nil
	}
	return values[0], nil
}

// organizations returns the organization_id parameters, which the credential must manage; without any, all it manages.
func (c *call) organizations() ([]int64, error) {
	values := c.query["organization_id"]
	if len(values) == 0 {
		return c.cred.organizations, nil
	}
	ids := make([]int64, len(values))
	for i, v := range values {
		id, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return nil, invalidRequest("organization_id", "%q is not an organization's id", v)
		}
		ids[i] = id
	}
	return distinct(ids), c.cred.managed(ids)
}

// countries are the officially assigned codes of ISO 3166-1 alpha-2.
const countries = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ " +
	"CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR " +
	"GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP " +
	"KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ " +
	"NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW " +
	"SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ " +
	"UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"

func isCountry(v string) bool {
	return len(v) == 2 && v[0] >= 'A' && v[0] <= 'Z' && v[1] >= 'A' && v[1] <= 'Z' && strings.Contains(countries, v)
}
