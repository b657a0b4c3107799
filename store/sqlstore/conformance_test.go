package sqlstore

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/storetest"
	"github.com/sharearefund/scim-bridge/store/storetest/pgtest"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(runChild(role))
	}
	os.Exit(pgtest.Run(m))
}

func TestSQLite(t *testing.T) {
	var skew atomic.Int64
	reopen := func(t *testing.T, path string) store.Store {
		return openTest(t, Options{URL: path, Now: func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }})
	}
	storetest.Run(t, storetest.Opts{
		New: func(t *testing.T) store.Store { return reopen(t, filepath.Join(t.TempDir(), "bridge.db")) },
		FastForward: func(_ *testing.T, _ store.Store, d time.Duration) {
			skew.Add(int64(d))
		},
		Backup: true, Reopen: reopen,
	})
}

func TestPostgres(t *testing.T) {
	storetest.Run(t, storetest.Opts{
		New: func(t *testing.T) store.Store { return openTest(t, Options{URL: pgtest.Database(t)}) },
		FastForward: func(t *testing.T, s store.Store, d time.Duration) {
			// The server's clock stands; all that it is compared with moves back.
			db := s.(*sqlStore).b.(*postgresBackend).db
			for table, column := range map[string]string{"leases": "until", "jobs": "lease_until", "replicas": "until", "housekeeping": "at"} {
				statement(t, db, `UPDATE `+table+` SET `+column+` = `+column+` - $1`, d.Microseconds())
			}
			statement(t, db, `UPDATE jobs SET run_at = run_at - $1`, d.Microseconds())
			statement(t, db, `UPDATE groups SET deleted_at = deleted_at - $1 WHERE deleted_at <> 0`, d.Microseconds())
		},
	})
}

// openTest opens a store and closes it when the test ends, if it has not.
func openTest(t testing.TB, o Options) *sqlStore {
	t.Helper()
	s, err := open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
