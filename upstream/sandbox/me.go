package sandbox

import "net/http"

// me returns the account that the call's token belongs to.
func (c *call) me(find func(int64) *account) (*account, error) {
	if a := find(c.cred.user); a != nil {
		return a, nil
	}
	return nil, unauthorized("the session has ended")
}

func (s *Sandbox) getMe(c *call) (answer, error) {
	return s.read(c, func(r reader) (answer, error) {
		a, err := c.me(r.account)
		if err != nil {
			return answer{}, err
		}
		return s.record(a)
	})
}

func (s *Sandbox) updateMe(c *call) (answer, error) {
	var body userBody
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	for _, required := range []struct {
		name  string
		value text
	}{{"country_id", body.CountryID}, {"email", body.Email}, {"first_name", body.FirstName}} {
		if required.value.value == "" {
			return answer{}, invalidField(required.name, "%s is required", required.name)
		}
	}
	p := body.profile()
	if err := p.check(); err != nil {
		return answer{}, err
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		a, err := c.me(t.account)
		if err != nil {
			return answer{}, err
		}
		return s.updateProfile(t, a, p)
	})
}

func (s *Sandbox) deleteMe(c *call) (answer, error) {
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		a, err := c.me(t.account)
		if err != nil {
			return answer{}, err
		}
		if err := t.removeAccount(a); err != nil {
			return answer{}, err
		}
		t.commit(a.organizationIDs())
		return answer{status: http.StatusNoContent}, nil
	})
}

func (s *Sandbox) setDefaultAccount(c *call) (answer, error) {
	var body struct {
		OrganizationID *int64 `json:"organization_id"`
	}
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	if body.OrganizationID == nil {
		return answer{}, invalidField("organization_id", "organization_id is required")
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		a, err := c.me(t.account)
		if err != nil {
			return answer{}, err
		}
		if a.membership(*body.OrganizationID) == nil {
			return answer{}, invalidField("organization_id", "not a member of organization %d", *body.OrganizationID)
		}
		n := a.clone()
		n.DefaultOrganization = *body.OrganizationID
		if err := t.putAccount(n); err != nil {
			return answer{}, err
		}
		t.commit([]int64{*body.OrganizationID})
		return s.record(t.account(a.ID))
	})
}
