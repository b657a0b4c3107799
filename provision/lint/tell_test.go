package lint

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/store"
)

// burdened is a store with two tenants that cannot be read, between others: one
// is damaged, of the other one nothing comes.
type burdened struct {
	store.Store
	members int // look-ups
}

func (s *burdened) Tenants(ctx context.Context) ([]*store.Tenant, error) {
	all, err := s.Store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	stuck := *all[0]
	stuck.Slug = "stuck"
	return append([]*store.Tenant{{Slug: "damaged", Spec: []byte(`{"slug": 5}`)}, &stuck}, all...), nil
}

func (s *burdened) Credentials(ctx context.Context, tenant string) ([]*store.Credential, error) {
	if tenant == "stuck" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Credentials(ctx, tenant)
}

func (s *burdened) Members(ctx context.Context, tenant, group, after string, limit int) ([]store.Member, error) {
	s.members++
	return s.Store.Members(ctx, tenant, group, after, limit)
}

func TestATenantThatCannotBeReadTakesNobodysMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for n := range 20 { // which nobody counts every minute
			r.group(fmt.Sprint("g", n), fmt.Sprint("G", n))
		}
		var log bytes.Buffer
		var told []string
		st := &burdened{Store: r.st}
		l, err := New(Options{
			Store: st, Guards: r, UserCodec: r.codec, Now: func() time.Time { return r.clock }, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Report: func(all map[string][]Report) { told = slices.Sorted(maps.Keys(all)) },
		})
		must(t, err)
		for range 3 {
			l.tell(t.Context())
			l.try(t.Context(), flushEvery, l.Flush)
		}
		if diff := cmp.Diff([]string{"acme"}, told); diff != "" {
			t.Error(diff)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "metrics lack") || !strings.Contains(log.String(), "damaged") {
			t.Errorf("%d lines are logged: %s", n, log.String())
		}
		if st.members != 0 {
			t.Errorf("the members of %d groups were looked up", st.members)
		}
	})
}
