package provision

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/store"
)

const (
	// maxDifferences bounds the list of a ReconcileReport.
	maxDifferences = 10_000
	// reconcileChunk is how many people are compared, and restored, before that
	// is noted: after an interruption at most so many are looked at again.
	reconcileChunk = 100
	// eventChunk is how many events are read at a time.
	eventChunk = 1000
)

// reconcileFix is the key of a job that restores what the client said.
const reconcileFix = "fix"

// ReconcileReport says where upstream differs from what the client said.
type ReconcileReport struct {
	Tenant string `json:"tenant"`
	Fix    bool   `json:"fix"`
	// People counts the managed people who were compared, Differing those of
	// them of whom anything differs.
	People    int `json:"people"`
	Differing int `json:"differing"`
	// Recent counts those whom we wrote less than a minute before upstream was
	// read: what it shows of them may be older, so they were not compared.
	Recent int `json:"recent"`
	// Found counts the differences, Restored those that are none any more, and
	// Left the others.
	Found    int `json:"found"`
	Restored int `json:"restored"`
	Left     int `json:"left"`
	// List are the first of them, by person; Omitted counts those beyond it.
	List    []Difference `json:"list"`
	Omitted int          `json:"omitted"`
}

// Reconcile reads a tenant from upstream and compares, for every managed
// person, what the client said last, what we wrote last and what is there now.
// With fix it restores what the client said, as any request would: guards hold
// and protected accounts stay. People who are gone upstream are invited anew
// under the id that they had. It is a job: this process carries it out, or
// another one does while this one watches; an interrupted one is carried on.
func (s *Service) Reconcile(ctx context.Context, tenant string, fix bool, progress func(done, total int)) (ReconcileReport, error) {
	var report ReconcileReport
	if _, _, err := s.enter(ctx, tenant); err != nil {
		return report, err
	}
	j := store.Job{Tenant: tenant, Kind: jobReconcile}
	if fix {
		j.Key = reconcileFix
	}
	err := s.followed(ctx, j, &report, progress)
	return report, err
}

// reconcileCheckpoint is the checkpoint of a job of kind reconcile. Its slices
// only grow: a copy of it stays what it was.
type reconcileCheckpoint struct {
	ScannedAt time.Time `json:"scanned_at"`
	// After is the Seq of the last person of the list who is settled; Listed
	// says that all are.
	After  int64 `json:"after"`
	Listed bool  `json:"listed"`
	// Done counts who was looked at.
	Done int `json:"done"`
	// Events is the Seq of the last event whose person is settled, Gone who of
	// them was found to be gone.
	Events int64           `json:"events"`
	Gone   []string        `json:"gone"`
	Report ReconcileReport `json:"report"`
}

// reconciling is a reconciliation under way.
type reconciling struct {
	s     *Service
	w     *workspace
	pol   *mapping.Policy
	at    reconcileCheckpoint
	total int
	tell  func(standing)
	// unanswered counts the people for whom upstream did not answer.
	unanswered int
}

func (s *Service) reconcile(ctx context.Context, w *workspace, j *store.Job, tell func(standing)) (ReconcileReport, error) {
	k := &reconciling{s: s, w: w, tell: tell}
	var p Progress
	if len(j.Progress) > 0 {
		if err := json.Unmarshal(j.Progress, &p); err != nil {
			return ReconcileReport{}, err
		}
	}
	if len(p.Checkpoint) > 0 {
		if err := json.Unmarshal(p.Checkpoint, &k.at); err != nil {
			return ReconcileReport{}, err
		}
	}
	k.at.Report.Tenant, k.at.Report.Fix = w.slug, j.Key == reconcileFix
	err := k.run(ctx)
	return k.at.Report, err
}

func (k *reconciling) run(ctx context.Context) error {
	var err error
	if k.pol, err = k.w.policy(ctx); err != nil {
		return err
	}
	if age := k.s.now().Sub(k.at.ScannedAt); age < 0 || age >= 2*k.s.opts.DirectoryInterval {
		d, err := k.s.runScan(ctx, k.w, nil, func(people int) { k.tell(standing{done: people, checkpoint: k.at}) })
		if err != nil {
			return err
		}
		k.at.ScannedAt = d.StartedAt
		if _, err := k.s.store.EnqueueJob(ctx, store.Job{Tenant: k.w.slug, Kind: jobInvites}); err != nil {
			return err
		}
	}
	if k.total, err = k.s.store.CountPersons(ctx, k.w.slug); err != nil {
		return err
	}
	k.note()
	if err := k.listed(ctx); err != nil {
		return err
	}
	return k.gone(ctx)
}

// note tells how far the job is.
func (k *reconciling) note() {
	k.tell(standing{done: k.at.Done, total: max(k.total, k.at.Done), checkpoint: k.at})
}

// listed judges the managed people whom upstream shows.
func (k *reconciling) listed(ctx context.Context) error {
	for !k.at.Listed {
		rows, err := k.s.store.Persons(ctx, k.w.slug, store.Window{After: k.at.After, Limit: reconcileChunk})
		if err != nil {
			return err
		}
		managed := slices.DeleteFunc(slices.Clone(rows), func(p *store.Person) bool { return !p.Managed })
		if err := k.judge(ctx, managed); err != nil {
			return err
		}
		k.at.Done += len(rows)
		if k.at.Listed = len(rows) < reconcileChunk; !k.at.Listed {
			k.at.After = rows[len(rows)-1].Seq
		}
		k.note()
	}
	return nil
}

// gone judges the managed people whom upstream does not show any more. No list
// has them, but everybody who was ever managed has an event.
func (k *reconciling) gone(ctx context.Context) error {
	for more := true; more; {
		events, err := k.s.store.Events(ctx, store.EventQuery{Tenant: k.w.slug, After: k.at.Events, Limit: eventChunk})
		if err != nil || len(events) == 0 {
			return err
		}
		more = len(events) == eventChunk
		lost, err := k.lost(ctx, events)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(lost, reconcileChunk) {
			if err := k.judge(ctx, part); err != nil {
				return err
			}
			for _, p := range part {
				k.at.Gone = append(k.at.Gone, p.ID)
			}
			k.note()
		}
		k.at.Events = events[len(events)-1].Seq
		k.note()
	}
	return nil
}

// lost are the persons of the events who are managed and whom upstream does not
// show, unless they were judged already.
func (k *reconciling) lost(ctx context.Context, events []*store.Event) ([]*store.Person, error) {
	named := map[string]bool{}
	for _, e := range events {
		if e.ResourceType == "User" && e.ResourceID != "" {
			named[e.ResourceID] = true
		}
	}
	people, err := k.s.store.PersonsByID(ctx, k.w.slug, sortedKeys(named))
	if err != nil {
		return nil, err
	}
	var lost []*store.Person
	for id, p := range people {
		if id == p.ID && p.Managed && !p.Listed && !slices.Contains(k.at.Gone, p.ID) {
			lost = append(lost, p)
		}
	}
	slices.SortFunc(lost, func(a, b *store.Person) int { return cmp.Compare(a.Seq, b.Seq) })
	return lost, nil
}

// judge compares persons and, where that is meant, restores what the client
// said. When it fails it comes again for the same persons: then only what was
// restored is noted.
func (k *reconciling) judge(ctx context.Context, rows []*store.Person) error {
	found, err := k.compare(ctx, rows)
	if err != nil {
		return err
	}
	if k.at.Report.Fix {
		err = k.restore(ctx, found)
	}
	for _, c := range found {
		if err != nil {
			c.all = slices.DeleteFunc(c.all, func(d Difference) bool { return !d.Restored })
		}
		k.add(c.all)
	}
	if err != nil {
		k.note()
		return err
	}
	for _, p := range rows {
		if k.recent(p) {
			k.at.Report.Recent++
		} else {
			k.at.Report.People++
		}
	}
	return nil
}

// recent reports whether a person was written so shortly before upstream was
// read that what it showed may be older.
func (k *reconciling) recent(p *store.Person) bool {
	before := k.at.ScannedAt.Sub(p.LastWrittenAt)
	return !p.LastWrittenAt.IsZero() && before >= 0 && before < k.s.opts.Settle
}

// compare finds those of the persons of whom anything differs.
func (k *reconciling) compare(ctx context.Context, rows []*store.Person) ([]*comparison, error) {
	part, err := k.s.records(ctx, k.w.slug, rows)
	if err != nil {
		return nil, err
	}
	part = slices.DeleteFunc(part, func(r *record) bool { return k.recent(r.row) })
	var found []*comparison
	for _, r := range part {
		c, err := k.s.compare(k.pol, r)
		if err != nil {
			return nil, err
		}
		if c != nil && len(c.all) > 0 {
			found = append(found, c)
		}
	}
	return found, k.s.explain(ctx, k.w.slug, found)
}

func (k *reconciling) add(all []Difference) {
	r := &k.at.Report
	if len(all) > 0 {
		r.Differing++
	}
	for _, d := range all {
		r.Found++
		if d.Restored {
			r.Restored++
		} else {
			r.Left++
		}
		if len(r.List) < maxDifferences {
			r.List = append(r.List, d)
		} else {
			r.Omitted++
		}
	}
}
