package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// The guards of a tenant.
const (
	// GuardDeactivations limits deactivations and removals of people.
	GuardDeactivations = "deactivations"
	// GuardRoleLosses limits how many members of mapped groups lose a role, or
	// access, because of changes of groups.
	GuardRoleLosses = "role_losses"
	// GuardInvites limits invites once the initial load is over.
	GuardInvites = "invites"
	// GuardAddresses limits how many people get another user name or address.
	GuardAddresses = "addresses"
)

// Guards lists them in the order in which they are shown.
var Guards = []string{GuardDeactivations, GuardRoleLosses, GuardInvites, GuardAddresses}

// initialLoad is how long after a tenant's first create invites are not
// limited.
const initialLoad = 24 * time.Hour

// firstCreate is what store.NoteFirst keeps of a tenant's first create.
const firstCreate = "user.create"

// activeFresh is how long a count of the active people is used.
const activeFresh = 30 * time.Second

// guardOf is how a tenant set a guard.
func (w *workspace) guardOf(guard string) tenantconfig.Guard {
	g := w.config.Guards
	return map[string]tenantconfig.Guard{
		GuardDeactivations: g.Deactivations, GuardRoleLosses: g.RoleLosses, GuardInvites: g.Invites,
		GuardAddresses: g.Addresses,
	}[guard]
}

// activeCount remembers how many of a tenant's people are active.
type activeCount struct {
	mu sync.Mutex
	n  int
	at time.Time
}

func (w *workspace) active(ctx context.Context, st store.Reader) (int, error) {
	c := &w.actives
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := w.now(); c.at.IsZero() || now.Sub(c.at) >= activeFresh || now.Before(c.at) {
		n, err := st.CountActive(ctx, w.slug)
		if err != nil {
			return 0, err
		}
		c.n, c.at = n, now
	}
	return c.n, nil
}

// allowance is what a guard lets pass in its window. The zero value lets
// everything pass.
type allowance struct {
	guard string
	tenantconfig.Guard
	// most is max(Limit, Percent of the active people).
	most, active int
}

// allowance says what a guard lets pass now.
func (s *Service) allowance(ctx context.Context, w *workspace, guard string) (allowance, error) {
	g := w.guardOf(guard)
	if g.Off {
		return allowance{}, nil
	}
	if guard == GuardInvites {
		if loading, err := s.loading(ctx, w); loading || err != nil {
			return allowance{}, err
		}
	}
	a := allowance{guard: guard, Guard: g, most: g.Limit}
	if g.Percent > 0 {
		var err error
		if a.active, err = w.active(ctx, s.store); err != nil {
			return a, err
		}
		a.most = max(g.Limit, a.active*g.Percent/100)
	}
	return a, nil
}

// heldError ends a transaction in which a guard let nobody pass.
type heldError struct {
	allowance
	subjects []string
}

func (e *heldError) Error() string {
	return fmt.Sprintf("provision: the guard %s holds %d subjects", e.guard, len(e.subjects))
}

// shortly is a duration without the units that are zero: "1h", "90m".
func shortly(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-len(zero)+1]
		}
	}
	return text
}

func isHeld(err error) bool {
	_, ok := errors.AsType[*heldError](err)
	return ok
}

// pass lets subjects pass a guard inside a transaction, or returns a
// *heldError.
func (s *Service) pass(tx store.Tx, w *workspace, a allowance, subjects []string) error {
	if a.guard == "" || len(subjects) == 0 {
		return nil
	}
	now := s.now()
	ok, err := tx.TakeGuard(w.slug, a.guard, subjects, now, now.Add(-a.Window), a.most)
	if err != nil || ok {
		return err
	}
	return &heldError{a, subjects}
}

// take lets one subject pass a guard, or answers 429.
func (s *Service) take(ctx context.Context, w *workspace, guard, subject string) error {
	a, err := s.allowance(ctx, w, guard)
	if err != nil || a.guard == "" {
		return err
	}
	err = s.store.Update(ctx, func(tx store.Tx) error { return s.pass(tx, w, a, []string{subject}) })
	return s.held(ctx, w, err)
}

// loading reports whether the tenant's initial load goes on.
func (s *Service) loading(ctx context.Context, w *workspace) (bool, error) {
	at := w.first.Load()
	if at == 0 {
		first, err := s.store.First(ctx, w.slug, firstCreate)
		if err != nil || first.IsZero() {
			return true, err
		}
		at = first.UnixMilli()
		w.first.Store(at)
	}
	return s.now().Sub(time.UnixMilli(at)) < initialLoad, nil
}

// guardWords say what each guard counts.
var guardWords = map[string]string{
	GuardDeactivations: "deactivations and removals",
	GuardRoleLosses:    "people who lose a role through groups",
	GuardInvites:       "invites",
	GuardAddresses:     "people with another user name or address",
}

// held turns a *heldError into the answer for it: nothing was changed, and the
// client is to come back.
func (s *Service) held(ctx context.Context, w *workspace, err error) error {
	h, ok := errors.AsType[*heldError](err)
	if !ok {
		return err
	}
	now := s.now()
	noted, cancel := commitContext(ctx)
	defer cancel()
	if err := s.store.Update(noted, func(tx store.Tx) error { return tx.HoldGuard(w.slug, h.guard, h.subjects, now) }); err != nil {
		return err
	}
	use, err := s.store.Guard(noted, w.slug, h.guard, now.Add(-h.Window))
	if err != nil {
		return err
	}
	after := h.Window
	if !use.Oldest.IsZero() && len(h.subjects) <= h.most {
		after = use.Oldest.Add(h.Window).Sub(now)
	}
	allowed := fmt.Sprint(h.most)
	if h.most > h.Limit {
		allowed = fmt.Sprintf("%d (%d %% of %d active people)", h.most, h.Percent, h.active)
	}
	s.log.WarnContext(ctx, "a guard holds changes", "tenant", w.slug, "guard", h.guard, "held", len(h.subjects), "used", use.Used, "limit", h.most)
	return scim.TooManyRequests(min(max(after, time.Minute), time.Hour),
		"held, nothing was changed: this tenant allows %s %s within %s, %d passed and this would be %d more; if they are meant, an operator lets them pass with: scim-bridge tenant guard release --tenant %s %s",
		allowed, guardWords[h.guard], shortly(h.Window), use.Used, len(h.subjects), w.slug, h.guard).Because(h)
}

// mayTouch refuses what would touch a protected account and holds what goes
// beyond the tenant's limits, before anything is done.
func (k *changing) mayTouch(ctx context.Context) error {
	steps := k.plan().Steps
	if k.leaving {
		steps = k.pol.PlanRemoval(k.run.cur).Steps
	}
	if protected, why := k.pol.Protects(k.run.cur); protected && (len(steps) > 0 || k.leaving || k.adopting && !k.force) {
		return scim.Forbidden("%s, and is changed at Share A Refund alone: unassign it in the identity provider, or have an operator take it out of guards.protected in tenant.yaml", why)
	}
	if k.roles {
		return nil // the change of the group was judged
	}
	for _, guard := range k.guards(steps) {
		if err := k.s.take(ctx, k.w, guard, k.rec.row.ID); err != nil {
			return err
		}
	}
	return nil
}

// guards are those that the change has to pass. Who loses access has no need to
// be counted twice: Entra renames whoever it deletes.
func (k *changing) guards(steps []mapping.Step) []string {
	if k.leavesOrganizations() {
		return []string{GuardDeactivations}
	}
	var guards []string
	if k.rec.row.Managed && k.want.Active && k.readdressed(steps) {
		guards = append(guards, GuardAddresses)
	}
	if invites(steps) {
		guards = append(guards, GuardInvites)
	}
	return guards
}

// leavesOrganizations reports whether somebody who has access somewhere is not
// to have it there.
func (k *changing) leavesOrganizations() bool {
	access := k.run.cur.AccessIn(k.pol.Organizations)
	if k.leaving || !k.want.Active {
		return len(access) > 0
	}
	return slices.ContainsFunc(access, func(org int64) bool {
		return !slices.Contains(k.want.Organizations, org) && !slices.Contains(k.want.Untouched, org)
	})
}

// readdressed reports whether the person gets another user name, or another
// address upstream.
func (k *changing) readdressed(steps []mapping.Step) bool {
	if scim.Fold(k.before.UserName) != scim.Fold(k.after.UserName) {
		return true
	}
	address := scim.Fold(k.run.cur.Email)
	return slices.ContainsFunc(steps, func(s mapping.Step) bool {
		return slices.Contains(s.Fields, "email") || s.Email != "" && address != "" && scim.Fold(s.Email) != address
	})
}

func invites(steps []mapping.Step) bool {
	return slices.ContainsFunc(steps, func(s mapping.Step) bool {
		return s.Kind == mapping.StepInvite || s.Kind == mapping.StepResendInvite
	})
}

// GuardReport says how one guard of a tenant stands.
type GuardReport struct {
	Guard string `json:"guard"`
	Off   bool   `json:"off,omitempty"`
	// Limit is how many may pass in a Window; Percent and Active say where it
	// comes from when it is above the least.
	Limit   int    `json:"limit,omitempty"`
	Percent int    `json:"percent,omitempty"`
	Active  int    `json:"active,omitempty"`
	Window  string `json:"window,omitempty"`
	Used    int    `json:"used"`
	// Held counts what was held in the window and has not passed since.
	Held      int       `json:"held"`
	Subjects  []string  `json:"held_subjects,omitempty"`
	OpenUntil time.Time `json:"open_until,omitzero"`
	// Loading says that invites are not limited yet; LoadedAt is when they will
	// be, zero while nobody was created.
	Loading  bool      `json:"initial_load,omitempty"`
	LoadedAt time.Time `json:"initial_load_until,omitzero"`
}

// ShowGuards reports on every guard of a tenant.
func (s *Service) ShowGuards(ctx context.Context, tenant string) ([]GuardReport, error) {
	w, err := s.spaces.get(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var all []GuardReport
	for _, guard := range Guards {
		g := w.guardOf(guard)
		r := GuardReport{Guard: guard, Off: g.Off}
		if !g.Off {
			a := allowance{most: g.Limit}
			if g.Percent > 0 {
				if a, err = s.allowance(ctx, w, guard); err != nil {
					return nil, err
				}
			}
			r.Limit, r.Active, r.Percent, r.Window = a.most, a.active, g.Percent, g.Window.String()
			use, err := s.store.Guard(ctx, tenant, guard, s.now().Add(-g.Window))
			if err != nil {
				return nil, err
			}
			r.Used, r.Held, r.Subjects = use.Used, use.Held, use.HeldSubjects
			if use.OpenUntil.After(s.now()) {
				r.OpenUntil = use.OpenUntil
			}
		}
		if guard == GuardInvites {
			first, err := s.store.First(ctx, tenant, firstCreate)
			if err != nil {
				return nil, err
			}
			if until := first.Add(initialLoad); first.IsZero() || until.After(s.now()) {
				r.Loading = true
				if !first.IsZero() {
					r.LoadedAt = until
				}
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// ReleaseGuard lifts a guard's limit for a time; what was held passes when its
// client comes back. For 0 the limit is put back.
func (s *Service) ReleaseGuard(ctx context.Context, tenant, guard string, d time.Duration, actor string) error {
	if !slices.Contains(Guards, guard) {
		return fmt.Errorf("unknown guard %q (have %v)", guard, Guards)
	}
	w, err := s.spaces.get(ctx, tenant)
	if err != nil {
		return err
	}
	var until time.Time
	if d > 0 {
		until = s.now().Add(d)
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		if err := tx.OpenGuard(w.slug, guard, until); err != nil {
			return err
		}
		e, err := s.event(scim.Caller{Tenant: tenant, Credential: actor}, "guard.release", "", 0, eventData{Guard: guard})
		if err != nil {
			return err
		}
		e.ResourceType = ""
		e.Detail = fmt.Sprintf("the guard %s is open for %s", guard, d)
		return tx.AppendEvent(e)
	})
}
