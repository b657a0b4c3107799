package sandbox

import (
	"net/http"
	"strconv"
)

// visible returns the account of that id when the credential may see it, else nil.
func (c *call) visible(a *account) *account {
	if a.in(c.cred.organizations) {
		return a
	}
	return nil
}

var errNoUser = notFound("no such user")

// user returns the account that the path names, or 404.
func (c *call) user(find func(int64) *account) (*account, error) {
	id, err := strconv.ParseInt(c.args[0], 10, 64)
	if err != nil {
		return nil, errNoUser
	}
	if a := c.visible(find(id)); a != nil {
		return a, nil
	}
	return nil, errNoUser
}

func (s *Sandbox) record(a *account) (answer, error) { return ok(a.record(s.catalogue)) }

func (s *Sandbox) getUser(c *call) (answer, error) {
	if err := c.parameters(); err != nil {
		return answer{}, err
	}
	return s.read(c, func(r reader) (answer, error) {
		a, err := c.user(r.account)
		if err != nil {
			return answer{}, err
		}
		return s.record(swapped(c, a, a.ID, r.accountList(c.cred.organizations)))
	})
}

func (s *Sandbox) findUserByEmail(c *call) (answer, error) {
	if err := c.parameters(); err != nil {
		return answer{}, err
	}
	return s.read(c, func(r reader) (answer, error) {
		a := c.visible(r.accountByEmail(c.args[0]))
		if a == nil {
			return answer{}, errNoUser
		}
		return s.record(swapped(c, a, a.ID, r.accountList(c.cred.organizations)))
	})
}

// swapped is the record itself, or, when a fault rule asks for it, another one that the credential may see.
func swapped[R any](c *call, record R, id int64, others list[R]) R {
	if !c.swap {
		return record
	}
	for _, other := range others.ids {
		if other != id {
			return others.get(other)
		}
	}
	return record
}

func (s *Sandbox) createUser(c *call) (answer, error) {
	var body userBody
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	p := body.profile()
	p.email.set = true
	if err := p.check(); err != nil {
		return answer{}, err
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		if t.taken(p.email.value, 0, t.now) {
			return answer{}, emailTaken("email", p.email.value)
		}
		a := &account{accountFields: accountFields{
			ID: t.nextAccountID, Email: p.email.value, State: StateActive, Accepted: true, CreatedBy: c.cred.name, CreatedAt: t.now,
		}}
		p.write(&a.FirstName, &a.LastName, &a.CountryID, &a.OtherID)
		if err := t.putAccount(a); err != nil {
			return answer{}, err
		}
		t.commit(nil)
		return answer{http.StatusCreated, a.record(s.catalogue)}, nil
	})
}

func (s *Sandbox) updateUser(c *call) (answer, error) {
	var body userBody
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	p := body.profile()
	if err := p.check(); err != nil {
		return answer{}, err
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		a, err := c.user(t.account)
		if err != nil {
			return answer{}, err
		}
		return s.updateProfile(t, a, p)
	})
}

// updateProfile writes what is set. A person who never accepted keeps the address, and the pending invite that the
// account came from keeps step with the rest.
func (s *Sandbox) updateProfile(t *tx, a *account, p *profile) (answer, error) {
	n := a.clone()
	if p.email.set && p.email.value != a.Email {
		switch {
		case fold(p.email.value) != fold(a.Email) && t.taken(p.email.value, a.ID, t.now):
			return answer{}, emailTaken("email", p.email.value)
		case !a.Accepted:
			return answer{}, stateConflict("the e-mail address of an invited person cannot be changed: revoke the invite and invite again")
		}
		n.Email = p.email.value
	}
	p.write(&n.FirstName, &n.LastName, &n.CountryID, &n.OtherID)
	if err := t.putAccount(n); err != nil {
		return answer{}, err
	}
	if !a.Accepted {
		for _, i := range t.pendingInvites(a, "", t.now) {
			m := i.clone()
			p.write(&m.FirstName, &m.LastName, &m.CountryID, &m.OtherID)
			t.putInvite(m)
		}
	}
	t.commit(n.organizationIDs())
	return s.record(t.account(a.ID))
}

func (s *Sandbox) resetPassword(c *call) (answer, error) {
	var body struct {
		Password *string `json:"password"`
	}
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	if body.Password != nil && *body.Password == "" {
		return answer{}, invalidField("password", "the password is empty: leave it out to mail a link")
	}
	return s.write(c.op.name, c.cred.name, func(t *tx) (answer, error) {
		a, err := c.user(t.account)
		if err != nil {
			return answer{}, err
		}
		if !a.Accepted {
			return answer{}, stateConflict("the person has not accepted the invite yet and has no password")
		}
		n := a.clone()
		if n.State == StateLocked {
			n.State = StateActive
		}
		if body.Password == nil {
			t.mail("password_reset", a.Email, nil)
		} else {
			n.Passwords++
			n.Sessions++
		}
		if err := t.putAccount(n); err != nil {
			return answer{}, err
		}
		t.commit(n.organizationIDs())
		return s.record(t.account(a.ID))
	})
}
