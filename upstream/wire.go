package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The records as they travel: the Users API writes snake_case, the User Management API PascalCase. Unknown fields are
// allowed; a missing id, state or list is not, since an empty record must never pass for an answer.

type snakeAccount struct {
	ID        int64  `json:"id"`
	Email     string `json:"email"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	CountryID string `json:"country_id"`
	OtherID   string `json:"other_id"`
	Role      *struct {
		ID     int64  `json:"id"`
		Name   string `json:"name"`
		Weight int    `json:"weight"`
	} `json:"role"`
	Memberships []struct {
		OrganizationID int64  `json:"organization_id"`
		RoleID         int64  `json:"role_id"`
		State          string `json:"state"`
	} `json:"memberships"`
	DefaultOrganizationID int64     `json:"default_organization_id"`
	IdentityProviderID    int64     `json:"identity_provider_id"`
	AccountState          string    `json:"account_state"`
	Accessible            bool      `json:"accessible"`
	InviteID              string    `json:"invite_id"`
	CreatedAt             time.Time `json:"created_at"`
	UpdatedAt             time.Time `json:"updated_at"`
	LastLoginAt           time.Time `json:"last_login_at"`
}

func (w *snakeAccount) account() (*Account, error) {
	a := &Account{
		ID: w.ID, Email: w.Email, FirstName: w.FirstName, LastName: w.LastName, CountryID: w.CountryID, OtherID: w.OtherID,
		DefaultOrganizationID: w.DefaultOrganizationID, IdentityProviderID: w.IdentityProviderID,
		AccountState: w.AccountState, Accessible: w.Accessible, InviteID: w.InviteID,
		CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt, LastLoginAt: w.LastLoginAt,
	}
	if w.Role != nil {
		a.Role = &Role{ID: w.Role.ID, Name: w.Role.Name, Weight: w.Role.Weight}
	}
	if w.Memberships != nil {
		a.Memberships = make([]Membership, len(w.Memberships))
		for i, m := range w.Memberships {
			a.Memberships[i] = Membership(m)
		}
	}
	return a, a.check()
}

type pascalAccount struct {
	ID          int64  `json:"Id"`
	Email       string `json:"Email"`
	FirstName   string `json:"FirstName"`
	LastName    string `json:"LastName"`
	CountryID   string `json:"CountryId"`
	OtherID     string `json:"OtherId"`
	Memberships []struct {
		OrganizationID int64  `json:"OrganizationId"`
		RoleID         int64  `json:"RoleId"`
		State          string `json:"State"`
	} `json:"Memberships"`
	DefaultOrganizationID int64     `json:"DefaultOrganizationId"`
	IdentityProviderID    int64     `json:"IdentityProviderId"`
	AccountState          string    `json:"AccountState"`
	Accessible            bool      `json:"IsAccessible"`
	InviteID              string    `json:"InviteId"`
	CreatedAt             time.Time `json:"CreatedAt"`
	UpdatedAt             time.Time `json:"UpdatedAt"`
	LastLoginAt           time.Time `json:"LastLoginAt"`
}

func (w *pascalAccount) account() (*Account, error) {
	a := &Account{
		ID: w.ID, Email: w.Email, FirstName: w.FirstName, LastName: w.LastName, CountryID: w.CountryID, OtherID: w.OtherID,
		DefaultOrganizationID: w.DefaultOrganizationID, IdentityProviderID: w.IdentityProviderID,
		AccountState: w.AccountState, Accessible: w.Accessible, InviteID: w.InviteID,
		CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt, LastLoginAt: w.LastLoginAt,
	}
	if w.Memberships != nil {
		a.Memberships = make([]Membership, len(w.Memberships))
		for i, m := range w.Memberships {
			a.Memberships[i] = Membership(m)
		}
	}
	return a, a.check()
}

// check refuses a record that lacks what decisions are made from.
func (a *Account) check() error {
	switch {
	case a.ID <= 0:
		return errors.New("the account has no id")
	case a.Email == "":
		return fmt.Errorf("account %d has no e-mail", a.ID)
	case a.AccountState == "":
		return fmt.Errorf("account %d has no state", a.ID)
	case a.Memberships == nil:
		return fmt.Errorf("account %d has no list of memberships", a.ID)
	}
	for _, m := range a.Memberships {
		if m.OrganizationID <= 0 || m.State == "" {
			return fmt.Errorf("account %d has a membership without organization or state", a.ID)
		}
	}
	return nil
}

type pascalInvite struct {
	ID                 string    `json:"Id"`
	Email              string    `json:"Email"`
	FirstName          string    `json:"FirstName"`
	LastName           string    `json:"LastName"`
	CountryID          string    `json:"CountryId"`
	OtherID            string    `json:"OtherId"`
	RoleID             int64     `json:"RoleId"`
	OrganizationIDs    []int64   `json:"OrganizationIds"`
	IdentityProviderID int64     `json:"IdentityProviderId"`
	State              string    `json:"State"`
	UserID             int64     `json:"UserId"`
	CreatedAt          time.Time `json:"CreatedAt"`
	ExpiresAt          time.Time `json:"ExpiresAt"`
}

func (w *pascalInvite) invite() (*Invite, error) {
	i := Invite(*w)
	switch {
	case !isInviteID(i.ID):
		return nil, errors.New("the invite has no usable id")
	case i.Email == "":
		return nil, fmt.Errorf("invite %s has no e-mail", i.ID)
	case i.State == "":
		return nil, fmt.Errorf("invite %s has no state", i.ID)
	case i.OrganizationIDs == nil:
		return nil, fmt.Errorf("invite %s has no list of organizations", i.ID)
	}
	return &i, nil
}

// isInviteID guards what is put into URLs, cache keys and stored rows. The id is opaque: any printable ASCII will do.
func isInviteID(s string) bool {
	if s == "" || len(s) > 128 || s == "." || s == ".." {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

type pascalResult struct {
	Email    string         `json:"Email"`
	Status   InviteStatus   `json:"Status"`
	InviteID string         `json:"InviteId"`
	UserID   int64          `json:"UserId"`
	Error    jsontext.Value `json:"Error"`
}

// result checks one person's outcome against the person that was asked for.
func (w *pascalResult) result(asked InviteUser) (InviteResult, error) {
	r := InviteResult{Email: w.Email, Status: w.Status, InviteID: w.InviteID, UserID: w.UserID}
	if !strings.EqualFold(w.Email, asked.Email) {
		return r, errors.New("the results are for other people than asked, or in another order")
	}
	if r.InviteID != "" && !isInviteID(r.InviteID) {
		return r, errors.New("a result has an unusable invite id")
	}
	switch w.Status {
	case Invited:
		if r.InviteID == "" {
			return r, errors.New("a result says invited and names no invite")
		}
	case AlreadyInvited, AlreadyMember:
	case Rejected:
		c := readReason(w.Error)
		r.Error = &Error{
			Operation: "invite_users", Status: 200, Kind: kindOfCode(c.Code),
			Code: clean(c.Code), Message: clean(c.Message), Field: clean(c.Field),
		}
	default:
		return r, fmt.Errorf("a result has the unknown status %q", clean(string(w.Status)))
	}
	return r, nil
}

// readReason reads a rejected person's Error, an object in either casing or a plain code. An unreadable one is empty:
// the rejection itself is clear.
func readReason(v jsontext.Value) (c complaint) {
	if bytes.HasPrefix(v, []byte(`"`)) {
		_ = json.Unmarshal(v, &c.Code)
		return c
	}
	_ = json.Unmarshal(v, &c, json.MatchCaseInsensitiveNames(true))
	return c
}

// decodeError keeps the decoder's position and drops the text that it quotes, which may be personal.
func decodeError(err error) error {
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("the answer is not valid JSON at byte %d", syntactic.ByteOffset)
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return fmt.Errorf("the answer has an unexpected value at %q", clean(string(semantic.JSONPointer)))
	}
	return errors.New("the answer is not valid JSON")
}

// decoded reads body into a W.
func decoded[W any](body []byte) (*W, error) {
	w := new(W)
	if err := json.Unmarshal(body, w); err != nil {
		return nil, decodeError(err)
	}
	return w, nil
}
