package upstream

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// profileBody is Profile in the Users API's casing: nil fields are left out.
type profileBody struct {
	Email     *string `json:"email,omitzero"`
	FirstName *string `json:"first_name,omitzero"`
	LastName  *string `json:"last_name,omitzero"`
	CountryID *string `json:"country_id,omitzero"`
	OtherID   *string `json:"other_id,omitzero"`
}

type organizationsBody struct {
	OrganizationIDs []int64 `json:"organization_ids"`
}

// GetMe reads the account that the token belongs to.
func (c *Client) GetMe(ctx context.Context) (*Account, error) {
	return c.account(ctx, request{operation: "get_me"}, nil)
}

// UpdateMe changes the profile of the account that the token belongs to. The service requires CountryID, Email and
// FirstName.
func (c *Client) UpdateMe(ctx context.Context, p Profile) (*Account, error) {
	return c.account(ctx, request{operation: "update_me", payload: profileBody(p)}, nil)
}

// DeleteMe deletes the account that the token belongs to.
func (c *Client) DeleteMe(ctx context.Context) error {
	return c.do(ctx, request{operation: "delete_me", mayLack: true})
}

// SetDefaultAccount makes orgID the default organization of the account that the token belongs to.
func (c *Client) SetDefaultAccount(ctx context.Context, orgID int64) (*Account, error) {
	payload := struct {
		OrganizationID int64 `json:"organization_id"`
	}{orgID}
	return c.account(ctx, request{operation: "set_default_account", payload: payload}, func(a *Account) error {
		if a.DefaultOrganizationID != orgID {
			return fmt.Errorf("the default organization is %d, not %d as asked", a.DefaultOrganizationID, orgID)
		}
		return nil
	})
}

// CreateUser makes an active account without memberships; no mail is sent. It is never repeated.
func (c *Client) CreateUser(ctx context.Context, p Profile) (*Account, error) {
	return c.account(ctx, request{operation: "create_user", payload: profileBody(p)}, func(a *Account) error {
		if p.Email != nil && !strings.EqualFold(a.Email, *p.Email) {
			return fmt.Errorf("account %d has another e-mail than asked", a.ID)
		}
		return nil
	})
}

// FindUserByEmail reads the account with that e-mail, compared without case; NotFound when there is none that the
// credential may see.
func (c *Client) FindUserByEmail(ctx context.Context, email string) (*Account, error) {
	const operation = "find_user_by_email"
	if !strings.Contains(email, "@") || len(email) > 512 {
		return nil, misuse(operation, "email", "not an e-mail address")
	}
	return c.account(ctx, request{operation: operation, argument: email}, func(a *Account) error {
		if !strings.EqualFold(a.Email, email) {
			return fmt.Errorf("account %d has another e-mail than asked", a.ID)
		}
		return nil
	})
}

// GetUser reads one account.
func (c *Client) GetUser(ctx context.Context, id int64) (*Account, error) {
	return c.user(ctx, request{operation: "get_user"}, id, nil)
}

// UpdateUser changes profile fields of an account.
func (c *Client) UpdateUser(ctx context.Context, id int64, p Profile) (*Account, error) {
	return c.user(ctx, request{operation: "update_user", payload: profileBody(p)}, id, nil)
}

// SetRole gives the account a role in one organization, making the membership where it is missing. A suspended or
// invited membership stays so.
func (c *Client) SetRole(ctx context.Context, userID, orgID, roleID int64) (*Account, error) {
	payload := struct {
		OrganizationID int64 `json:"organization_id"`
		RoleID         int64 `json:"role_id"`
	}{orgID, roleID}
	return c.user(ctx, request{operation: "set_role", payload: payload}, userID, func(a *Account) error {
		if !slices.ContainsFunc(a.Memberships, func(m Membership) bool { return m.OrganizationID == orgID && m.RoleID == roleID }) {
			return fmt.Errorf("account %d does not hold role %d in organization %d afterwards", a.ID, roleID, orgID)
		}
		return nil
	})
}

// ResetPassword sets a new password and unlocks the account; with password "" the service mails a link. It is never
// repeated.
func (c *Client) ResetPassword(ctx context.Context, id int64, password Secret) error {
	const operation = "reset_password"
	if id <= 0 {
		return misuse(operation, "id", "not an account id")
	}
	payload := struct {
		Password string `json:"password,omitzero"`
	}{string(password)}
	return c.do(ctx, request{operation: operation, argument: strconv.FormatInt(id, 10), payload: payload, secret: password, mayLack: true})
}

// DeactivateUser suspends the account's memberships in the organizations and withdraws its pending invites to them.
// Success means that the service's answer shows no active membership in any of them.
func (c *Client) DeactivateUser(ctx context.Context, id int64, orgIDs []int64) (*Account, error) {
	const operation = "deactivate_user"
	if len(orgIDs) == 0 {
		return nil, misuse(operation, "organization_ids", "no organization given")
	}
	return c.user(ctx, request{operation: operation, payload: organizationsBody{orgIDs}}, id, func(a *Account) error {
		for _, m := range a.Memberships {
			if m.State == MembershipActive && slices.Contains(orgIDs, m.OrganizationID) {
				return fmt.Errorf("account %d is still active in organization %d afterwards", a.ID, m.OrganizationID)
			}
		}
		return nil
	})
}

// ActivateUser gives the account's memberships in the organizations back, with the role that they had.
func (c *Client) ActivateUser(ctx context.Context, id int64, orgIDs []int64) (*Account, error) {
	const operation = "activate_user"
	if len(orgIDs) == 0 {
		return nil, misuse(operation, "organization_ids", "no organization given")
	}
	return c.user(ctx, request{operation: operation, payload: organizationsBody{orgIDs}}, id, nil)
}

// RemoveUser removes the account's membership in one organization; with its last one the account goes. Conflict with
// state_conflict while that membership is active. When an attempt's answer was lost and the next one finds nothing
// left to remove, that is success.
func (c *Client) RemoveUser(ctx context.Context, id, orgID int64) error {
	const operation = "remove_user"
	if id <= 0 || orgID <= 0 {
		return misuse(operation, "id", "not an account or organization id")
	}
	return c.do(ctx, request{
		operation: operation, argument: strconv.FormatInt(id, 10), mayLack: true,
		query: url.Values{"organization_id": {strconv.FormatInt(orgID, 10)}},
	})
}

// user carries out a call on the account id, and refuses an answer about another one.
func (c *Client) user(ctx context.Context, req request, id int64, check func(*Account) error) (*Account, error) {
	if id <= 0 {
		return nil, misuse(req.operation, "id", "not an account id")
	}
	req.argument = strconv.FormatInt(id, 10)
	return c.account(ctx, req, func(a *Account) error {
		if a.ID != id {
			return fmt.Errorf("the answer is about account %d, asked was %d", a.ID, id)
		}
		if check == nil {
			return nil
		}
		return check(a)
	})
}

// account carries out a call that answers a snake_case account; check may refuse the answer.
func (c *Client) account(ctx context.Context, req request, check func(*Account) error) (*Account, error) {
	var out *Account
	req.decode = func(body []byte) error {
		wire, err := decoded[snakeAccount](body)
		if err != nil {
			return err
		}
		a, err := wire.account()
		if err == nil && check != nil {
			err = check(a)
		}
		if err != nil {
			return err
		}
		out = a
		return nil
	}
	if err := c.do(ctx, req); err != nil {
		return nil, err
	}
	return out, nil
}
