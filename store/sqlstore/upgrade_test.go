package sqlstore

import (
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/storetest/pgtest"
)

// migrateTo brings an empty database to an old version of the schema.
func migrateTo(t *testing.T, raw string, names ...string) {
	t.Helper()
	dir, dialect := "migrations/postgres/", goose.DialectPostgres
	if strings.HasPrefix(raw, "sqlite:") {
		dir, dialect = "migrations/sqlite/", goose.DialectSQLite3
	}
	files := make(fstest.MapFS)
	for _, name := range names {
		text, err := migrations.ReadFile(dir + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	versions, err := database.NewStore(dialect, versionTable)
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectCustom, migrationDB(t, raw), files,
		goose.WithStore(versions), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestUpgradeKeepsPersons(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		migrateTo(t, url, "00001_schema.sql")
		old := migrationDB(t, url)
		for id, deleted := range map[string]int64{"living": 0, "dead": 1_000_000} {
			statement(t, old, `INSERT INTO persons (revision, tenant, id, user_id, invite_ids, user_name, folded_user_name,
					email, folded_email, any_emails, external_id, managed, created, listed,
					last_written_at, last_seen_at, version, created_at, modified_at, deleted_at)
				VALUES (3, 't', $1, 0, '', $1, $1, '', '', '', '', TRUE, TRUE, TRUE, 0, 0, 2, 0, 0, $2)`, id, deleted)
			statement(t, old, `INSERT INTO person_ids (tenant, id, person_id) VALUES ('t', $1, $1)`, id)
		}
		s := openTest(t, Options{URL: url})
		for id, find := range map[string]func() (*store.Person, error){
			"living": func() (*store.Person, error) { return s.Person(t.Context(), "t", "living") },
			"dead":   func() (*store.Person, error) { return s.Tombstone(t.Context(), "t", "dead") },
		} {
			p, err := find()
			if err != nil {
				t.Fatal(err)
			}
			if p.ID != id || p.Version != 2 || p.Revision != 3 || p.Active != (id == "living") {
				t.Errorf("%s is %+v", id, p)
			}
		}
		if n, err := s.CountActive(t.Context(), "t"); err != nil || n != 1 {
			t.Errorf("%d active, %v", n, err)
		}
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			p, err := tx.Person(t.Context(), "t", "living")
			if err != nil {
				return err
			}
			return tx.UpdatePerson(p)
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestGuardsSurviveReopening(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		at := time.Unix(1e9, 0).UTC()
		take := func(s store.Store, subject string) (ok bool) {
			t.Helper()
			if err := s.Update(t.Context(), func(tx store.Tx) (err error) {
				ok, err = tx.TakeGuard("t", "g", []string{subject}, at, at, 1)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return ok
		}
		s := openTest(t, Options{URL: url})
		if !take(s, "a") {
			t.Fatal("the first is held")
		}
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			if err := tx.HoldGuard("t", "g", []string{"b"}, at); err != nil {
				return err
			}
			return tx.OpenGuard("t", "g", at)
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openTest(t, Options{URL: url})
		use, err := s.Guard(t.Context(), "t", "g", at)
		want := store.GuardUse{Used: 1, Held: 1, HeldSubjects: []string{"b"}, Oldest: at, OpenUntil: at}
		if diff := cmp.Diff(want, use); err != nil || diff != "" {
			t.Fatalf("%v (-want +got)\n%s", err, diff)
		}
		if take(s, "b") || !take(s, "a") {
			t.Fatal("it forgot who passed")
		}
	})
}

// TestPostgresOrdersMembersByBytes uses a database whose own order is that of a
// language, as most have.
func TestPostgresOrdersMembersByBytes(t *testing.T) {
	raw := pgtest.Database(t)
	admin := migrationDB(t, raw)
	var version int
	if err := admin.QueryRow(`SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	if version < 150000 {
		t.Skipf("PostgreSQL %d has no database with a language's order independent of the machine: install 15 or later", version/10000)
	}
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.Path += "_language"
	name := u.Path[1:]
	statement(t, admin, `CREATE DATABASE `+name+` TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'`)
	t.Cleanup(func() { statement(t, admin, `DROP DATABASE `+name+` WITH (FORCE)`) })

	s := openTest(t, Options{URL: u.String()})
	ids := []string{"-", "10", "9", "A", "B", "Z", "_", "a", "a-b", "ab", "b", "é"}
	var got []string
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		for _, id := range ids {
			if err := tx.InsertPerson(&store.Person{Tenant: "t", ID: id}); err != nil {
				return err
			}
		}
		if err := tx.InsertGroup(&store.Group{Tenant: "t", ID: "g"}); err != nil {
			return err
		}
		return tx.AddMembers("t", "g", ids)
	}); err != nil {
		t.Fatal(err)
	}
	for after := ""; ; {
		members, err := s.Members(t.Context(), "t", "g", after, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(members) == 0 {
			break
		}
		after = members[0].PersonID
		got = append(got, after)
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
