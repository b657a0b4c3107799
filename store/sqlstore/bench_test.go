package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/storetest/pgtest"
)

// benchPerson is a person of the usual size.
func benchPerson(n int64) *store.Person {
	address := fmt.Sprintf("person.number.%d@example.com", n)
	return &store.Person{
		Tenant: "acme", ID: fmt.Sprintf("0b9f7c1e-1111-4222-8333-%012d", n), UserID: n, InviteIDs: []string{fmt.Sprint("inv_", n)},
		UserName: address, FoldedUserName: address, Email: address, FoldedEmail: address, AnyEmails: []string{address},
		ExternalID: fmt.Sprint("00u", n), Managed: true, Created: true, Listed: true, Active: true,
		Desired: make([]byte, 700), LastWritten: make([]byte, 200), LastSeen: make([]byte, 500),
		CreatedAt: time.Unix(1e9, 0), ModifiedAt: time.Unix(1e9, 0), LastSeenAt: time.Unix(1e9, 0),
	}
}

func benchEvent(id string) *store.Event {
	return &store.Event{At: time.Unix(1e9, 0), Tenant: "acme", Actor: "credential-1", RequestID: "req-" + id, Action: "user.update",
		ResourceType: "User", ResourceID: id, Outcome: store.OutcomeOK, Status: 200, Detail: "changed name", Data: make([]byte, 300)}
}

// eachDatabaseFilled runs benchmarks on both databases, with n persons in them.
func eachDatabaseFilled(b *testing.B, n int64, run func(b *testing.B, s *sqlStore)) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			url := filepath.Join(b.TempDir(), "bridge.db")
			if kind == "postgres" {
				url = pgtest.Database(b)
			}
			s := openTest(b, Options{URL: url})
			for from := int64(1); from <= n; from += 1000 {
				if err := s.Update(context.Background(), func(tx store.Tx) error {
					for i := from; i < from+1000 && i <= n; i++ {
						if err := tx.InsertPerson(benchPerson(i)); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}
			if kind == "postgres" {
				if _, err := s.b.(*postgresBackend).db.Exec(`VACUUM ANALYZE`); err != nil {
					b.Fatal(err)
				}
			}
			run(b, s)
		})
	}
}

// measured runs the b.N operations of a benchmark. Processor time is the
// steadier figure on a busy machine.
func measured(b *testing.B, run func()) {
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	run()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// BenchmarkCommit is the durable end of a request: a person's row changed and
// its event, by one and by 32 at a time.
func BenchmarkCommit(b *testing.B) {
	const persons = 5000
	eachDatabaseFilled(b, persons, func(b *testing.B, s *sqlStore) {
		var next atomic.Int64
		inParallel(b, func() error {
			id := benchPerson(next.Add(1)%persons + 1).ID
			return s.Update(context.Background(), func(tx store.Tx) error {
				p, err := tx.Person(context.Background(), "acme", id)
				if err != nil {
					return err
				}
				p.UserName += "x"
				if err := tx.UpdatePerson(p); err != nil {
					return err
				}
				return tx.AppendEvent(benchEvent(id))
			})
		})
	})
}

// BenchmarkInsert is the same for a new person.
func BenchmarkInsert(b *testing.B) {
	eachDatabaseFilled(b, 0, func(b *testing.B, s *sqlStore) {
		var next atomic.Int64
		inParallel(b, func() error {
			p := benchPerson(next.Add(1))
			return s.Update(context.Background(), func(tx store.Tx) error {
				if err := tx.InsertPerson(p); err != nil {
					return err
				}
				return tx.AppendEvent(benchEvent(p.ID))
			})
		})
	})
}

// inParallel measures fn on one goroutine and on 32.
func inParallel(b *testing.B, fn func() error) {
	for _, n := range []int{1, 32} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			measured(b, func() {
				var left atomic.Int64
				left.Store(int64(b.N))
				if err := errors.Join(together(n, func(int) error {
					for left.Add(-1) >= 0 {
						if err := fn(); err != nil {
							return err
						}
					}
					return nil
				})...); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// together runs n functions at once and returns their errors.
func together(n int, fn func(i int) error) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = fn(i) })
	}
	all.Wait()
	return errs
}

// BenchmarkRead reads one person, a page of 100 and the number of 100,000.
func BenchmarkRead(b *testing.B) {
	const persons = 100_000
	ctx := context.Background()
	eachDatabaseFilled(b, persons, func(b *testing.B, s *sqlStore) {
		for _, c := range []struct {
			name string
			read func(i int64) error
		}{
			{"Person", func(i int64) error {
				_, err := s.Person(ctx, "acme", benchPerson(i%persons+1).ID)
				return err
			}},
			{"PersonByUserName", func(i int64) error {
				_, err := s.PersonByUserName(ctx, "acme", benchPerson(i%persons+1).FoldedUserName)
				return err
			}},
			{"Persons100", func(i int64) error {
				_, err := s.Persons(ctx, "acme", store.Window{After: i * 100 % persons, Limit: 100})
				return err
			}},
			{"Persons100Offset90000", func(int64) error {
				_, err := s.Persons(ctx, "acme", store.Window{Offset: 90_000, Limit: 100})
				return err
			}},
			{"CountPersons", func(int64) error {
				n, err := s.CountPersons(ctx, "acme")
				if err == nil && n != persons {
					err = fmt.Errorf("counted %d", n)
				}
				return err
			}},
			{"CountActive", func(int64) error {
				n, err := s.CountActive(ctx, "acme")
				if err == nil && n != persons {
					err = fmt.Errorf("counted %d", n)
				}
				return err
			}},
		} {
			b.Run(c.name, func(b *testing.B) {
				measured(b, func() {
					for i := int64(0); b.Loop(); i++ {
						if err := c.read(i); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	})
}

// BenchmarkMembers adds and removes one member of groups of 1,000, 10,000 and
// 100,000, adds 10,000 at once, and reads the groups of a page of 100 persons.
func BenchmarkMembers(b *testing.B) {
	const persons = 100_001
	ctx := context.Background()
	eachDatabaseFilled(b, persons, func(b *testing.B, s *sqlStore) {
		everybody := make([]string, persons)
		for i := range everybody {
			everybody[i] = benchPerson(int64(i) + 1).ID
		}
		last := everybody[persons-1:]
		for _, size := range []int{1000, 10_000, 100_000} {
			id := fmt.Sprint("group-", size)
			benchGroup(b, s, id, everybody[:size])
			b.Run(fmt.Sprint("One/", size), func(b *testing.B) {
				measured(b, func() {
					for b.Loop() {
						for _, change := range []func(tx store.Tx) error{
							func(tx store.Tx) error { return tx.AddMembers("acme", id, last) },
							func(tx store.Tx) error { return tx.RemoveMembers("acme", id, last) },
						} {
							if err := changeMembers(s, id, change); err != nil {
								b.Fatal(err)
							}
						}
					}
				})
			})
		}
		benchGroup(b, s, "filling", nil)
		b.Run("Add10000", func(b *testing.B) {
			many := everybody[50_000:60_000]
			b.ReportAllocs()
			for b.Loop() {
				if err := changeMembers(s, "filling", func(tx store.Tx) error { return tx.AddMembers("acme", "filling", many) }); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := changeMembers(s, "filling", func(tx store.Tx) error { return tx.RemoveMembers("acme", "filling", many) }); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
		b.Run("GroupsOf100", func(b *testing.B) {
			measured(b, func() {
				for b.Loop() {
					if groups, err := s.GroupsOf(ctx, "acme", everybody[500:600]); err != nil || len(groups) != 100 {
						b.Fatalf("%d persons, %v", len(groups), err)
					}
				}
			})
		})
	})
}

func benchGroup(b *testing.B, s *sqlStore, id string, members []string) {
	b.Helper()
	if err := s.Update(context.Background(), func(tx store.Tx) error {
		if err := tx.InsertGroup(&store.Group{Tenant: "acme", ID: id, DisplayName: id, FoldedName: id, ExternalID: id}); err != nil {
			return err
		}
		return tx.AddMembers("acme", id, members)
	}); err != nil {
		b.Fatal(err)
	}
	if p, ok := s.b.(*postgresBackend); ok {
		if _, err := p.db.Exec(`VACUUM ANALYZE group_members`); err != nil {
			b.Fatal(err)
		}
	}
}

// changeMembers is the durable end of a request that changes a group's members.
func changeMembers(s *sqlStore, id string, change func(tx store.Tx) error) error {
	return s.Update(context.Background(), func(tx store.Tx) error {
		g, err := tx.LockGroup("acme", id)
		if err != nil {
			return err
		}
		return errors.Join(change(tx), tx.UpdateGroup(g), tx.AppendEvent(benchEvent(id)))
	})
}
