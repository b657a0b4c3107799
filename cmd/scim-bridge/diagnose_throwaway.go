package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/store"
)

const (
	// throwAwayName is the name of every throw-away tenant, by which, with its
	// slug and address, it is told from a customer's.
	throwAwayName = "throw-away tenant of scim-bridge doctor"
	// throwAwayClient is its credential's name in its sandbox.
	throwAwayClient = "doctor"
	// throwAwayLease says that the run that made a tenant still lives.
	throwAwayLease = "doctor"
	throwAwayTTL   = 30 * time.Second
)

var throwAwaySlug = regexp.MustCompile(`^doctor-[a-z2-7]{16}$`)

// isThrowAway says that a tenant was made by a run of doctor.
func isThrowAway(t *store.Tenant) bool {
	return throwAwaySlug.MatchString(t.Slug) && t.Name == throwAwayName && strings.HasPrefix(t.BaseURL, "http://127.0.0.1:")
}

// throwAway is a tenant over a sandbox of this process.
type throwAway struct {
	office *office
	slug   string
	holder string
}

// newThrowAway makes a tenant whose upstream is at sandboxURL, with a lease
// that keep holds. The credential is of use at that sandbox alone: what else
// listens on that port of another machine refuses it.
func newThrowAway(ctx context.Context, o *office, sandboxURL, secret string) (*throwAway, error) {
	t := &throwAway{office: o, slug: "doctor-" + strings.ToLower(rand.Text()[:16]), holder: rand.Text()}
	config, err := tenantconfig.Parse(fmt.Appendf(nil, `
slug: %s
name: %s
upstream: {base_url: %q, client_id: %s, client_secret_env: SECRET}
organizations: [113, 114]
domains: [example.com]
default_role: Viewer
rules: [{match: {glob: "*"}, role: Manager}]
guards: {deactivations: off, role_losses: off, invites: off, addresses: off}
`, t.slug, throwAwayName, sandboxURL, throwAwayClient), func(string) (string, bool) { return secret, true }, os.ReadFile)
	if err != nil {
		return nil, err
	}
	return t, o.store.Update(ctx, func(tx store.Tx) error {
		if _, err := o.putTenant(ctx, tx, config, actorCLI, false); err != nil {
			return err
		}
		_, err := tx.AcquireLease(t.slug, throwAwayLease, t.holder, throwAwayTTL)
		return err
	})
}

// keep holds the lease until ctx is done. While the database does not answer,
// the lease may run out; then another run of doctor may remove the tenant, and
// this one finds it gone.
func (t *throwAway) keep(ctx context.Context) {
	tick := time.NewTicker(throwAwayTTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := t.office.store.Update(ctx, func(tx store.Tx) error {
			_, err := tx.AcquireLease(t.slug, throwAwayLease, t.holder, throwAwayTTL)
			return err
		})
		if err != nil && ctx.Err() == nil {
			t.office.log.Warn("the lease of the throw-away tenant is not renewed", "tenant", t.slug, "err", err)
		}
	}
}

// remove takes the tenant away, also after ctx was done.
func (t *throwAway) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	err := t.office.store.Update(ctx, func(tx store.Tx) error { return deleteThrowAway(tx, t.slug) })
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("the throw-away tenant %s is left: %w; the next run of doctor --simulate removes it, or scim-bridge tenant delete %s --yes", t.slug, err, t.slug)
}

func deleteThrowAway(tx store.Tx, slug string) error {
	if err := tx.DeleteTenant(slug); err != nil {
		return err
	}
	return tx.AppendEvent(&store.Event{
		At: time.Now(), Tenant: slug, Actor: actorCLI, Action: "tenant.delete", ResourceType: "Tenant", ResourceID: slug,
		Outcome: store.OutcomeOK,
	})
}

// removeLeftovers removes the throw-away tenants of runs that were killed, and
// returns how many. One whose run may still live is left alone.
func removeLeftovers(ctx context.Context, o *office, tenants []*store.Tenant) (removed int, err error) {
	holder := rand.Text()
	for _, t := range tenants {
		if !isThrowAway(t) {
			continue
		}
		err := o.store.Update(ctx, func(tx store.Tx) error {
			if _, err := tx.AcquireLease(t.Slug, throwAwayLease, holder, throwAwayTTL); err != nil {
				return err
			}
			return deleteThrowAway(tx, t.Slug)
		})
		if _, lives := errors.AsType[*store.LeaseHeldError](err); lives || errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return removed, fmt.Errorf("removing the throw-away tenant %s of an earlier run: %w", t.Slug, err)
		}
		removed++
	}
	return removed, nil
}
