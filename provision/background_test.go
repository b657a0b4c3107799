package provision

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// downStore is a store that can stop to answer.
type downStore struct {
	store.Store
	down   atomic.Bool
	claims atomic.Int64
}

func (d *downStore) err() error {
	if d.down.Load() {
		return errors.New("connection refused")
	}
	return nil
}

func (d *downStore) Heartbeat(context.Context, string, time.Duration) (int, error) { return 1, d.err() }
func (d *downStore) Generation(context.Context) (int64, error)                     { return 1, d.err() }
func (d *downStore) Tenants(context.Context) ([]*store.Tenant, error)              { return nil, d.err() }
func (d *downStore) RemoveReplica(context.Context, string) error                   { return d.err() }

func (d *downStore) ClaimJob(context.Context, string, []string, time.Duration) (*store.Job, error) {
	d.claims.Add(1)
	if err := d.err(); err != nil {
		return nil, err
	}
	return nil, store.ErrNotFound
}

// An outage is two lines for each kind of work, however long it lasts, and the
// store is not pressed meanwhile.
func TestOutageIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		st := &downStore{}
		log := slog.New(slog.NewTextHandler(&text, nil))
		s := &Service{
			opts: Options{Replica: "r", DirectoryInterval: 5 * time.Minute}, store: st, log: log,
			spaces: NewWorkspaces(WorkspacesOptions{Store: st, Logger: log}), now: time.Now, wake: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if text.Len() > 0 {
			t.Errorf("logged while all was well:\n%s", &text)
		}

		for range 2 {
			text.Reset()
			st.down.Store(true)
			time.Sleep(10 * time.Second)
			before := st.claims.Load()
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := st.claims.Load() - before; n > workers*int64(len(jobSorts))*13 {
				t.Errorf("%d looks for jobs in a minute without a store", n)
			}
			st.down.Store(false)
			time.Sleep(time.Minute)
			synctest.Wait()
			for _, what := range []string{
				"cannot tell the other replicas that this one lives", "cannot see whether tenants changed",
				"cannot see which directories are due", "cannot look for jobs",
			} {
				began := strings.Count(text.String(), `level=ERROR msg="`+what+`" err="connection refused"`)
				ended := strings.Count(text.String(), `level=INFO msg="background work goes on" was="`+what+`" for=1m`)
				if began != 1 || ended != 1 {
					t.Errorf("%s: told %d times that it began, %d times that it ended", what, began, ended)
				}
			}
			if n := strings.Count(text.String(), "\n"); n != 8 {
				t.Errorf("%d lines:\n%s", n, &text)
			}
		}

		before := st.claims.Load()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := st.claims.Load() - before; n < workers*9 {
			t.Errorf("%d looks for jobs in 10 s afterwards", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
