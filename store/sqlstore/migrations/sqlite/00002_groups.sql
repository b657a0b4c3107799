-- Times are microseconds since 1970 in UTC; 0 is "never".

-- +goose Up
DROP TABLE guard_counters;

ALTER TABLE persons ADD COLUMN active INTEGER NOT NULL DEFAULT TRUE;
UPDATE persons SET active = FALSE WHERE deleted_at <> 0;
-- With active, which is counted without a look at the rows.
DROP INDEX persons_listed;
CREATE INDEX persons_listed ON persons (tenant, seq, revision, active)
    WHERE deleted_at = 0 AND listed;

CREATE TABLE groups (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant       TEXT NOT NULL,
    id           TEXT NOT NULL,
    display_name TEXT NOT NULL,
    folded_name  TEXT NOT NULL,
    external_id  TEXT NOT NULL,
    version      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    modified_at  INTEGER NOT NULL,
    deleted_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX groups_id ON groups (tenant, id);
CREATE UNIQUE INDEX groups_name ON groups (tenant, folded_name)
    WHERE deleted_at = 0;
CREATE INDEX groups_external_id ON groups (tenant, external_id)
    WHERE deleted_at = 0 AND external_id <> '';
CREATE INDEX groups_living ON groups (tenant, seq)
    WHERE deleted_at = 0;
CREATE INDEX groups_deleted ON groups (deleted_at)
    WHERE deleted_at <> 0;

CREATE TABLE group_members (
    tenant    TEXT NOT NULL,
    group_id  TEXT NOT NULL,
    person_id TEXT NOT NULL,
    PRIMARY KEY (tenant, group_id, person_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_members_person ON group_members (tenant, person_id, group_id);

-- seq is drawn from role_work_given, which never gives one again.
CREATE TABLE role_work (
    tenant     TEXT NOT NULL,
    group_id   TEXT NOT NULL,
    person_id  TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    removal    INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    error      TEXT NOT NULL,
    run_at     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, group_id, person_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX role_work_person ON role_work (tenant, person_id);
CREATE UNIQUE INDEX role_work_seq ON role_work (tenant, seq);

CREATE TABLE role_work_given (
    tenant TEXT PRIMARY KEY,
    seq    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE guards (
    tenant     TEXT NOT NULL,
    guard      TEXT NOT NULL,
    open_until INTEGER NOT NULL,
    PRIMARY KEY (tenant, guard)
) STRICT, WITHOUT ROWID;

-- passed_at is when the subject was last counted, held_at when it was last held
-- and has not passed since.
CREATE TABLE guard_entries (
    tenant    TEXT NOT NULL,
    guard     TEXT NOT NULL,
    subject   TEXT NOT NULL,
    passed_at INTEGER NOT NULL,
    held_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant, guard, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX guard_entries_passed ON guard_entries (tenant, guard, passed_at)
    WHERE passed_at <> 0;
CREATE INDEX guard_entries_held ON guard_entries (tenant, guard, held_at)
    WHERE held_at <> 0;

CREATE TABLE firsts (
    tenant TEXT NOT NULL,
    what   TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (tenant, what)
) STRICT, WITHOUT ROWID;
