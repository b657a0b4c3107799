package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// leastFree is below which a database may stop at any time, scarceFree
	// below which that is days away. In bytes.
	leastFree  = 64 << 20
	scarceFree = 1 << 30
	// longWAL is far above where SQLite begins the log anew (4 MiB).
	longWAL = 64 << 20
	// slowCommit is far above what a disk that syncs takes.
	slowCommit = 500 * time.Millisecond
	// oldestPostgres has fixes until November 2027
	// (https://www.postgresql.org/support/versioning/).
	oldestPostgres = 15
)

// StoreOptions are what CheckStore looks at.
type StoreOptions struct {
	// Place is the database's address, without a password.
	Place string
	// Database is what Inspect found, Err why it found nothing.
	Database Database
	Err      error
	// Commit commits something that means nothing; it is not called unless the
	// schema is this program's.
	Commit func(context.Context) error
	// Free is the free space where a file is, in bytes, and the kind of the file
	// system when it is one of a network, else "". nil: as the system says.
	Free func(path string) (free int64, network string, err error)
}

// CheckStore checks the database: whether it answers, has the right schema and
// can commit, and what would stop it.
func CheckStore(o StoreOptions) Check {
	if o.Free == nil {
		o.Free = freeSpace
	}
	return Check{Name: Store, Look: func(ctx context.Context) []Finding {
		var f findings
		if o.Err != nil {
			f.add(Error, o.Place, storeRemedy(o), "cannot be read: %s", reason(o.Err))
			return f
		}
		f.schema(o)
		if o.Database.Current() {
			f.commit(ctx, o)
		}
		if s := o.Database.SQLite; s != nil {
			f.sqlite(s, o)
		}
		if p := o.Database.Postgres; p != nil {
			f.postgres(p, o)
		}
		return f
	}}
}

// storeRemedy is what to do about a database that cannot be read.
func storeRemedy(o StoreOptions) string {
	if o.Database.SQLite != nil {
		return sqliteRemedy(o.Err)
	}
	if e, ok := errors.AsType[*pgconn.PgError](o.Err); ok {
		switch e.Code {
		case "28P01", "28000":
			return "check the user in store.url, store.password_file and pg_hba.conf"
		case "3D000":
			return "create the database: createdb, owned by the user in store.url"
		case "42501":
			return "make the user in store.url the owner of the database's tables"
		case "53300":
			return "raise max_connections: each server takes up to 16"
		}
	}
	if _, ok := errors.AsType[*net.DNSError](o.Err); ok {
		return "correct the host in store.url"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](o.Err); ok {
		return "name the authority of the database's certificate: sslrootcert=FILE in store.url"
	}
	if _, ok := errors.AsType[x509.HostnameError](o.Err); ok {
		return "write the host in store.url as the certificate has it"
	}
	if errors.Is(o.Err, syscall.ECONNREFUSED) {
		return "start the database, or correct host and port in store.url"
	}
	return "check that the server runs, that it can be reached from here, and the user and password"
}

// sqliteRemedy goes by SQLite's result code (https://www.sqlite.org/rescode.html).
func sqliteRemedy(err error) string {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff { // the code without what extends it
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return "name another file in store.url, or restore the backup: docs/operating.md, \"Back up and restore\""
		case sqlite3.SQLITE_FULL:
			return "free space where it is, or move the database"
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
			return "let the user who runs scim-bridge read and write the file and its folder, and run doctor as that user"
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return "end what holds it, such as a forgotten sqlite3 or backup, and run doctor again"
		case sqlite3.SQLITE_IOERR:
			return "look at the disk and the file system that it is on; if it stays, restore the backup: docs/operating.md, \"Back up and restore\""
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return "let the user who runs scim-bridge read and write the file and its folder, and run doctor as that user"
	}
	return "create its folder, owned by the user who runs scim-bridge, and run doctor as that user"
}

func (f *findings) schema(o StoreOptions) {
	d := o.Database
	switch {
	case d.Empty:
		f.add(Notice, o.Place, "scim-bridge tenant apply -f tenant.yaml creates it, as does scim-bridge serve", "has no schema yet: nobody has used it")
	case d.Version > d.Known:
		f.add(Error, o.Place, "start a newer scim-bridge, or restore a backup from before the upgrade",
			"has schema version %d, this program knows up to %d", d.Version, d.Known)
	case d.Version < d.Known:
		f.add(Warning, o.Place, "take a backup first; the next scim-bridge serve or command brings it up to date",
			"has schema version %d, older than this program's %d: tenants are not looked at", d.Version, d.Known)
	default:
		f.ok(o.Place, "answers in %s, schema version %d, live servers: %d", span(d.Took), d.Version, d.Replicas)
	}
}

// commit tries what every acknowledged change needs.
func (f *findings) commit(ctx context.Context, o StoreOptions) {
	start := time.Now()
	err := o.Commit(ctx)
	took := time.Since(start)
	switch {
	case err != nil:
		f.add(Error, o.Place, "see that it is writable, has free space and is no standby", "cannot commit: %s", reason(err))
	case took > slowCommit:
		f.add(Warning, o.Place, "look at the load of its disk, and at the way there", "takes %s to commit: every change waits that long", span(took))
	}
}

func (f *findings) sqlite(s *SQLite, o StoreOptions) {
	if runtime.GOOS != "windows" {
		for _, path := range slices.Sorted(maps.Keys(s.Modes)) {
			if mode := s.Modes[path]; mode&0o077 != 0 {
				f.add(Warning, path, "chmod 600 "+path, "is open to other users of this machine (mode %04o): it holds people's data", mode)
			}
		}
	}
	if s.Journal != "" && s.Journal != "wal" && !o.Database.Empty {
		f.add(Warning, s.Path, "stop the servers and start them again", "is in journal mode %q, not wal: reading and writing wait for each other", s.Journal)
	}
	if s.WALSize > max(longWAL, s.Size) {
		f.add(Warning, s.Path+"-wal", "end what holds the database open, such as a forgotten sqlite3 or backup; then restart the server",
			"has grown to %s: something keeps it from being written back", size(s.WALSize))
	}
	if n := o.Database.Replicas; n > 1 {
		f.add(Warning, s.Path, "use PostgreSQL for several servers, or stop all but one", "is used by %d servers; SQLite is for one", n)
	}
	free, network, err := o.Free(filepath.Dir(s.Path))
	switch {
	case err != nil:
		f.add(Notice, filepath.Dir(s.Path), "", "free space is not known: %s", reason(err))
		return
	case free < leastFree:
		f.add(Error, filepath.Dir(s.Path), "free space there, or move the database", "%s are free: soon nothing can be committed", size(free))
	case free < max(scarceFree, 2*s.Size):
		f.add(Warning, filepath.Dir(s.Path), "free space there, or move the database", "%s are free, for a database of %s and its backup", size(free), size(s.Size))
	default:
		f.ok(filepath.Dir(s.Path), "%s are free, the database has %s", size(free), size(s.Size))
	}
	if network != "" {
		f.add(Warning, s.Path, "move it to a disk of this machine, or use PostgreSQL", "lies on a %s file system, whose locks SQLite cannot rely on", network)
	}
}

func (f *findings) postgres(p *Postgres, o StoreOptions) {
	major := p.Version / 10000
	if major < oldestPostgres {
		f.add(Warning, o.Place, "upgrade the database server", "PostgreSQL %d has no fixes any more", major)
	} else {
		f.ok(o.Place, "PostgreSQL %d.%d, connections: %d of %d", major, p.Version%10000, p.Connections, p.MaxConnections)
	}
	if p.Recovery || p.ReadOnly {
		f.add(Error, o.Place, "name the primary in store.url, with target_session_attrs=read-write for a list of hosts", "is read-only: nothing can be committed")
	}
	for _, s := range []struct{ name, value string }{{"fsync", p.Fsync}, {"synchronous_commit", p.SynchronousCommit}} {
		if s.value == "off" {
			f.add(Warning, fmt.Sprintf("%s: %s = off", o.Place, s.name), "set "+s.name+" = on", "a loss of power loses changes that were acknowledged to identity providers")
		}
	}
	if p.Encoding != "UTF8" {
		f.add(Warning, o.Place, "move to a database created with --encoding=UTF8", "has the encoding %s, in which not every name can be stored", p.Encoding)
	}
	if p.MaxConnections > 0 && p.Connections*10 >= p.MaxConnections*9 {
		f.add(Warning, o.Place, "raise max_connections, or put fewer servers on it: each takes up to 16", "%d of %d connections are in use", p.Connections, p.MaxConnections)
	}
	if p.Superuser {
		f.add(Notice, o.Place, "give it a role that owns this database and nothing else", "the user in store.url is a superuser")
	}
}
