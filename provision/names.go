package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// secure leases the names that the person is to have and writes the intent,
// in one transaction, and only when there is a need.
func (k *changing) secure(ctx context.Context, plan mapping.Plan) error {
	p := k.rec.row
	name, email := scim.Fold(k.after.UserName), scim.Fold(k.email())
	if k.roles {
		name, email = p.FoldedUserName, p.FoldedEmail // nobody says anything of them
	}
	var keys []string
	if name != p.FoldedUserName {
		keys = append(keys, userNameKey(name))
	}
	if email != "" && email != p.FoldedEmail {
		keys = append(keys, emailKey(email))
	}
	intent := k.needsIntent(plan)
	if len(keys) == 0 && !intent {
		return nil
	}
	if !k.named {
		if err := k.cl.lock(ctx, keys...); err != nil {
			return err
		}
		k.named = true
	}
	if intent {
		k.intend(plan)
	}
	slices.Sort(keys)
	return k.cl.update(ctx, keys, func(tx store.Tx) error {
		if err := k.free(ctx, tx, name, email); err != nil || k.intent == nil {
			return err
		}
		if err := dropIntents(ctx, tx, p.Tenant, p.ID, k.was); err != nil {
			return err
		}
		return k.intent.put(ctx, tx, p.Tenant, p.ID, k.begun())
	})
}

func (k *changing) needsIntent(plan mapping.Plan) bool {
	roles, granted := k.given().Beyond(k.want)
	unwritten := k.want.Withheld || len(roles)+len(granted) > 0 // upstream does not tell why it is so
	return len(plan.Steps) > 1 || unwritten && len(plan.Steps) > 0 || slices.ContainsFunc(plan.Steps, func(s mapping.Step) bool {
		return !s.Kind.Idempotent() || slices.Contains(s.Fields, "email")
	})
}

// free reports a 409 when another living person has one of the names.
func (k *changing) free(ctx context.Context, rd store.Reader, name, email string) error {
	k.rival = nil
	other, err := rd.PersonByUserName(ctx, k.c.Tenant, name)
	if err == nil && other.ID != k.rec.row.ID {
		k.rival = other
		return scim.Conflict("userName %q belongs to user %s: find it with filter=userName eq %q", k.after.UserName, other.ID, k.after.UserName)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if email == "" {
		return nil
	}
	other, err = rd.PersonByEmail(ctx, k.c.Tenant, email)
	if err == nil && other.ID != k.rec.row.ID {
		k.rival = other
		return scim.Conflict("the e-mail address %q belongs to user %s: find it with filter=emails.value eq %q", k.email(), other.ID, k.email())
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// email is the address that upstream will know the person by.
func (k *changing) email() string {
	cur := k.run.cur
	if k.run.situation.EmailFixed || cur.SharedBeyond(k.pol.Organizations) {
		return cur.Email
	}
	return k.want.Profile.Email
}

// belongs answers that the address that the person is to have is another
// one's.
func (k *changing) belongs(ctx context.Context, acc mapping.Account) error {
	other, err := k.s.meet(ctx, k.w, acc, k.s.now())
	if err != nil {
		return err
	}
	if other == nil {
		return scim.Unavailable(retrySoon, "the user that has this e-mail address is being changed at the same time: send the request again")
	}
	return scim.Conflict("the e-mail address %q belongs to user %s: find it with filter=emails.value eq %q", acc.Email, other.row.ID, acc.Email)
}

// secured is secure, where the names that the person is to have may belong to
// somebody whom upstream no longer has: then they are free.
func (k *changing) secured(ctx context.Context, plan mapping.Plan) error {
	for {
		err := k.secure(ctx, plan)
		rival := k.rival
		if rival == nil {
			return err
		}
		k.rival = nil
		r, readErr := readRecord(rival)
		if readErr != nil {
			return readErr
		}
		if rival.Managed && k.s.settling(r) {
			return err
		}
		_, gone := k.s.observe(ctx, k.w, r, nil)
		if gone == nil {
			return err
		}
		if !errors.Is(gone, errGone) {
			return gone
		}
		if err := k.s.clear(ctx, k.c, rival); !errors.Is(err, errGone) {
			return err
		}
	}
}

// vacant answers 409 when upstream has somebody else at the address for which
// the plan would give up what the person has.
func (k *changing) vacant(ctx context.Context, plan mapping.Plan) error {
	cur := k.run.cur
	if !cur.Exists() || len(plan.Steps) == 0 {
		return nil
	}
	last := plan.Steps[len(plan.Steps)-1]
	if last.Kind != mapping.StepInvite && last.Kind != mapping.StepCreate || scim.Fold(last.Email) == scim.Fold(cur.Email) {
		return nil
	}
	acc, err := k.s.traceOf(ctx, k.w, last.Email)
	if err != nil || !acc.Exists() {
		return err
	}
	return k.belongs(ctx, acc)
}
