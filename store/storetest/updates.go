package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

var updateCases = []testCase{
	{"returns an error of the function as it is and undoes the rest", func(h *suite) {
		want := errors.New("mine")
		err := h.s.Update(h.ctx, func(tx store.Tx) error {
			if err := tx.InsertPerson(person("t", 1)); err != nil {
				return err
			}
			return want
		})
		if err != want {
			h.Fatalf("error is %v", err)
		}
		notFound[store.Person](h)(h.s.Person(h.ctx, "t", "id-1"))
		equal(h, 0)(h.s.CountPersons(h.ctx, "t"))
	}},
	{"shows a transaction its own changes and others none before the commit", func(h *suite) {
		h.insert(person("t", 1))
		h.update(func(tx store.Tx) error {
			p, err := tx.Person(h.ctx, "t", "id-1")
			h.must(err)
			p.UserName = "changed"
			h.must(tx.UpdatePerson(p))
			h.must(tx.InsertPerson(person("t", 2)))
			h.must(tx.AppendEvent(&store.Event{Tenant: "t", Action: "x", Outcome: store.OutcomeOK}))
			equal(h, copyOf(p))(tx.Person(h.ctx, "t", "id-1"))
			equal(h, 2)(tx.CountPersons(h.ctx, "t"))
			equal(h, 1)(h.s.CountPersons(h.ctx, "t"))
			events, err := tx.Events(h.ctx, store.EventQuery{})
			if err != nil || len(events) != 1 {
				h.Fatalf("%d events, %v", len(events), err)
			}
			outside, err := h.s.Person(h.ctx, "t", "id-1")
			h.must(err)
			if outside.UserName == "changed" {
				h.Fatal("others see what is not committed")
			}
			notFound[store.Person](h)(h.s.Person(h.ctx, "t", "id-2"))
			return nil
		})
	}},
	{"passes a panic on to its caller and undoes the rest", func(h *suite) {
		func() {
			defer func() {
				if v := recover(); v != "my panic" {
					h.Fatalf("recovered %v", v)
				}
			}()
			_ = h.s.Update(h.ctx, func(tx store.Tx) error {
				h.must(tx.InsertPerson(person("t", 1)))
				panic("my panic")
			})
		}()
		notFound[store.Person](h)(h.s.Person(h.ctx, "t", "id-1"))
		h.insert(person("t", 1))
	}},
	{"outlives a function that ends its goroutine", func(h *suite) {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = h.s.Update(h.ctx, func(tx store.Tx) error {
				if err := tx.InsertPerson(person("t", 1)); err != nil {
					return err
				}
				runtime.Goexit()
				return nil
			})
		}()
		<-ended
		h.insert(person("t", 1))
	}},
	{"lets a caller that has left change nothing", func(h *suite) {
		ctx, cancel := context.WithCancel(h.ctx)
		cancel()
		err := h.s.Update(ctx, func(tx store.Tx) error { return tx.InsertPerson(person("t", 1)) })
		h.is(err, context.Canceled)
		notFound[store.Person](h)(h.s.Person(h.ctx, "t", "id-1"))
	}},
	{"commits what began before its caller left", func(h *suite) {
		ctx, cancel := context.WithCancel(h.ctx)
		err := h.s.Update(ctx, func(tx store.Tx) error {
			cancel()
			return tx.InsertPerson(person("t", 1))
		})
		h.must(err)
		_, err = h.s.Person(h.ctx, "t", "id-1")
		h.must(err)
	}},
	{"does not roll back the neighbours of what fails", func(h *suite) {
		failure := errors.New("every third")
		errs := together(90, func(i int) (err error) {
			defer func() {
				if v := recover(); v != nil {
					err = failure
				}
			}()
			return h.s.Update(h.ctx, func(tx store.Tx) error {
				if err := tx.InsertPerson(person("t", i)); err != nil {
					return err
				}
				if i%3 == 0 {
					if i%2 == 0 {
						panic("every sixth")
					}
					return failure
				}
				return tx.AppendEvent(&store.Event{Tenant: "t", ResourceID: strconv.Itoa(i), Outcome: store.OutcomeOK})
			})
		})
		for i, err := range errs {
			if i%3 == 0 {
				h.is(err, failure)
				notFound[store.Person](h)(h.s.Person(h.ctx, "t", fmt.Sprintf("id-%d", i)))
				continue
			}
			h.must(err)
			_, err := h.s.Person(h.ctx, "t", fmt.Sprintf("id-%d", i))
			h.must(err)
		}
		equal(h, 60)(h.s.CountPersons(h.ctx, "t"))
		events, err := h.s.Events(h.ctx, store.EventQuery{Limit: 1000})
		if err != nil || len(events) != 60 {
			h.Fatalf("%d events, %v", len(events), err)
		}
	}},
	{"loses no compare-and-set, I13", func(h *suite) {
		p := person("t", 1)
		p.LastSeen = []byte("0")
		h.insert(p)
		errs := together(32, func(int) error {
			for done := 0; done < 10; {
				err := h.s.Update(h.ctx, func(tx store.Tx) error {
					p, err := tx.Person(h.ctx, "t", "id-1")
					if err != nil {
						return err
					}
					n, err := strconv.Atoi(string(p.LastSeen))
					if err != nil {
						return err
					}
					p.LastSeen = []byte(strconv.Itoa(n + 1))
					return tx.UpdatePerson(p)
				})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, store.ErrStale):
					return err
				}
			}
			return nil
		})
		h.must(errors.Join(errs...))
		got, err := h.s.Person(h.ctx, "t", "id-1")
		h.must(err)
		if string(got.LastSeen) != "320" || got.Version != 321 {
			h.Fatalf("counted to %s, version %d", got.LastSeen, got.Version)
		}
	}},
	{"survives transactions that touch the same rows in different orders", func(h *suite) {
		h.insert(person("t", 0), person("t", 1), person("t", 2))
		errs := together(12, func(i int) error {
			for round := range 10 {
				err := h.s.Update(h.ctx, func(tx store.Tx) error {
					for k := range 3 {
						n := (i + k*(1+i%2)) % 3
						ok, err := tx.TakeGuard("t", fmt.Sprint("guard", n), []string{fmt.Sprint(i, round)}, base, base, 120)
						if err != nil {
							return err
						}
						if !ok {
							return errStop
						}
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		h.must(errors.Join(errs...))
		for n := range 3 {
			use, err := h.s.Guard(h.ctx, "t", fmt.Sprint("guard", n), base)
			h.must(err)
			if use.Used != 120 {
				h.Fatalf("%d passed guard %d", use.Used, n)
			}
		}
	}},
	{"refuses a transaction after its function returned", func(h *suite) {
		var kept store.Tx
		h.update(func(tx store.Tx) error { kept = tx; return nil })
		if err := kept.InsertPerson(person("t", 1)); err == nil {
			h.Error("inserted")
		}
		if _, err := kept.Person(h.ctx, "t", "id-1"); err == nil || errors.Is(err, store.ErrNotFound) {
			h.Errorf("read: %v", err)
		}
		notFound[store.Person](h)(h.s.Person(h.ctx, "t", "id-1"))
	}},
	{"answers while open and refuses when closed", func(h *suite) {
		h.must(h.s.Ping(h.ctx))
		h.insert(person("t", 1))
		h.must(h.s.Close())
		if err := h.s.Ping(h.ctx); err == nil {
			h.Error("Ping answers")
		}
		if err := h.s.Update(h.ctx, func(store.Tx) error { return nil }); err == nil {
			h.Error("Update succeeds")
		}
		if _, err := h.s.Person(h.ctx, "t", "id-1"); err == nil || errors.Is(err, store.ErrNotFound) {
			h.Errorf("Person: %v, which must not read as not found, I8", err)
		}
	}},
	{"waits for running updates when it closes", func(h *suite) {
		inside, leave, closed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		result := make(chan error, 1)
		go func() {
			result <- h.s.Update(h.ctx, func(tx store.Tx) error {
				close(inside)
				<-leave
				return tx.InsertPerson(person("t", 1))
			})
		}()
		<-inside
		go func() { closed <- h.s.Close() }()
		select {
		case <-closed:
			h.Error("closed under a running update")
		case <-time.After(20 * time.Millisecond):
		}
		close(leave)
		h.must(<-result)
		h.must(<-closed)
	}},
	{"copies itself or says how", func(h *suite) {
		h.insert(person("t", 1))
		path := filepath.Join(h.TempDir(), "copy")
		err := h.s.Backup(h.ctx, path)
		if !h.Backup {
			if err == nil {
				h.Fatal("a backup that nobody can open")
			}
			return
		}
		h.must(err)
		if err := h.s.Backup(h.ctx, path); err == nil {
			h.Fatal("overwrote a backup")
		}
		info, err := os.Stat(path)
		h.must(err)
		if info.Mode().Perm() != 0o600 {
			h.Errorf("the copy's mode is %v", info.Mode())
		}
		h.insert(person("t", 2))
		s := h.Reopen(h.T, path)
		defer s.Close()
		equal(h, 1)(s.CountPersons(h.ctx, "t"))
		p, err := s.Person(h.ctx, "t", "id-1")
		h.must(err)
		h.must(s.Update(h.ctx, func(tx store.Tx) error { return tx.UpdatePerson(p) }))
	}},
}
