package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations
var migrations embed.FS

const versionTable = "schema_version"

// migrate brings the schema up to date. db must allow at least two connections.
func migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, logger *slog.Logger, options ...goose.ProviderOption) error {
	dir := "migrations/postgres"
	if dialect == goose.DialectSQLite3 {
		dir = "migrations/sqlite"
	}
	files, err := fs.Sub(migrations, dir)
	if err != nil {
		return wrap(err, "reading the embedded migrations")
	}
	versions, err := database.NewStore(dialect, versionTable)
	if err != nil {
		return wrap(err, "preparing the schema's version table")
	}
	options = append(options, goose.WithStore(onceStore{versions}), goose.WithDisableGlobalRegistry(true))
	for {
		p, err := goose.NewProvider(goose.DialectCustom, db, files, options...)
		if err != nil {
			return wrap(err, "reading the migrations")
		}
		overtaken, err := upgrade(ctx, p, logger)
		if !overtaken {
			return err
		}
	}
}

// upgrade applies what is missing. overtaken says that it failed because another
// process applied a step first, so that there is to look again.
func upgrade(ctx context.Context, p *goose.Provider, logger *slog.Logger) (overtaken bool, err error) {
	before, target, err := p.GetVersions(ctx)
	if err != nil {
		return false, wrap(err, "reading the schema's version")
	}
	if before > target {
		return false, fmt.Errorf("sqlstore: the database has schema version %d, this program knows up to %d: start a newer scim-bridge, or restore a backup from before the upgrade", before, target)
	}
	if before == target {
		return false, nil
	}
	applied, err := p.Up(ctx)
	for _, m := range applied {
		logger.Info("database schema changed", "version", m.Source.Version, "duration", m.Duration)
	}
	if err == nil {
		return false, nil
	}
	after, verr := p.GetDBVersion(ctx)
	return verr == nil && after > before+int64(len(applied)), wrap(err, "changing the schema")
}

// errApplied says that another process applied a migration first.
var errApplied = errors.New("another process applied the migration")

// onceStore refuses to note a version twice, in the transaction of its
// migration: SQLite has no lock that spans transactions, so this is what keeps
// two processes from applying the same step.
type onceStore struct{ database.Store }

func (s onceStore) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	switch _, err := s.GetMigration(ctx, db, req.Version); {
	case err == nil:
		return errApplied
	case !errors.Is(err, database.ErrVersionNotFound):
		return err
	}
	return s.Store.Insert(ctx, db, req)
}
