-- Times are microseconds since 1970 in UTC; 0 is "never".

-- +goose Up
CREATE TABLE generation (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO generation (id, value) VALUES (1, 1);

-- One row that Ping writes: only a commit proves that the database can commit.
CREATE TABLE pulse (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
INSERT INTO pulse (id, at) VALUES (1, 0);

-- When rows that time has made useless were last removed.
CREATE TABLE housekeeping (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
INSERT INTO housekeeping (id, at) VALUES (1, 0);

CREATE TABLE tenants (
    slug       TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    base_url   TEXT NOT NULL,
    spec       BLOB,
    secrets    BLOB,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- claim is the upstream's base URL in one canonical form.
CREATE TABLE tenant_organizations (
    claim           TEXT NOT NULL,
    organization_id INTEGER NOT NULL,
    tenant          TEXT NOT NULL,
    position        INTEGER NOT NULL,
    PRIMARY KEY (claim, organization_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tenant_organizations_tenant ON tenant_organizations (tenant, position);

CREATE TABLE credentials (
    id           TEXT PRIMARY KEY,
    tenant       TEXT NOT NULL,
    name         TEXT NOT NULL,
    kind         TEXT NOT NULL,
    client       TEXT NOT NULL,
    evidence     TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    hint         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL
) STRICT;
CREATE INDEX credentials_tenant ON credentials (tenant, created_at, id);

-- invite_ids and any_emails are JSON lists, so that a person is one row to
-- read; person_invites and person_emails hold the same to be found by.
CREATE TABLE persons (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    revision         INTEGER NOT NULL,
    tenant           TEXT NOT NULL,
    id               TEXT NOT NULL,
    user_id          INTEGER NOT NULL,
    invite_ids       TEXT NOT NULL,
    user_name        TEXT NOT NULL,
    folded_user_name TEXT NOT NULL,
    email            TEXT NOT NULL,
    folded_email     TEXT NOT NULL,
    any_emails       TEXT NOT NULL,
    external_id      TEXT NOT NULL,
    managed          INTEGER NOT NULL,
    created          INTEGER NOT NULL,
    listed           INTEGER NOT NULL,
    desired          BLOB,
    last_written     BLOB,
    last_seen        BLOB,
    last_written_at  INTEGER NOT NULL,
    last_seen_at     INTEGER NOT NULL,
    version          INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    modified_at      INTEGER NOT NULL,
    deleted_at       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX persons_id ON persons (tenant, id);
CREATE UNIQUE INDEX persons_user_name ON persons (tenant, folded_user_name)
    WHERE deleted_at = 0 AND folded_user_name <> '';
CREATE UNIQUE INDEX persons_email ON persons (tenant, folded_email)
    WHERE deleted_at = 0 AND folded_email <> '';
CREATE UNIQUE INDEX persons_user_id ON persons (tenant, user_id)
    WHERE deleted_at = 0 AND user_id <> 0;
CREATE INDEX persons_external_id ON persons (tenant, external_id)
    WHERE deleted_at = 0 AND external_id <> '';
CREATE INDEX persons_listed ON persons (tenant, seq, revision)
    WHERE deleted_at = 0 AND listed;
CREATE INDEX tombstones_user_id ON persons (tenant, user_id)
    WHERE deleted_at <> 0 AND user_id <> 0;

-- Every SCIM id ever given, aliases included: the one place where an id is
-- taken, so that it means the same person for ever.
CREATE TABLE person_ids (
    tenant    TEXT NOT NULL,
    id        TEXT NOT NULL,
    person_id TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE person_emails (
    tenant    TEXT NOT NULL,
    email     TEXT NOT NULL,
    person_id TEXT NOT NULL,
    PRIMARY KEY (tenant, email, person_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE person_invites (
    tenant    TEXT NOT NULL,
    invite_id TEXT NOT NULL,
    person_id TEXT NOT NULL,
    PRIMARY KEY (tenant, invite_id, person_id)
) STRICT, WITHOUT ROWID;

-- The listed, living persons of a tenant number sum(n).
CREATE TABLE person_counts (
    tenant TEXT NOT NULL,
    slot   INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (tenant, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE intents (
    tenant     TEXT NOT NULL,
    key        TEXT NOT NULL,
    kind       TEXT NOT NULL,
    person_id  TEXT NOT NULL,
    payload    BLOB,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX intents_created_at ON intents (tenant, created_at, key);

CREATE TABLE leases (
    tenant TEXT NOT NULL,
    key    TEXT NOT NULL,
    holder TEXT NOT NULL,
    token  INTEGER NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant           TEXT NOT NULL,
    kind             TEXT NOT NULL,
    key              TEXT NOT NULL,
    args             BLOB,
    state            TEXT NOT NULL,
    progress         BLOB,
    result           BLOB,
    error            TEXT NOT NULL,
    attempts         INTEGER NOT NULL,
    cancel_requested INTEGER NOT NULL,
    run_at           INTEGER NOT NULL,
    holder           TEXT NOT NULL,
    lease_until      INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX jobs_active ON jobs (tenant, kind, key)
    WHERE state IN ('queued', 'running');
CREATE INDEX jobs_due ON jobs (run_at, id)
    WHERE state IN ('queued', 'running');
CREATE INDEX jobs_tenant ON jobs (tenant, id);

CREATE TABLE directories (
    tenant       TEXT PRIMARY KEY,
    started_at   INTEGER NOT NULL,
    completed_at INTEGER NOT NULL,
    people       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE guard_counters (
    tenant TEXT NOT NULL,
    guard  TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (tenant, guard, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    at            INTEGER NOT NULL,
    tenant        TEXT NOT NULL,
    actor         TEXT NOT NULL,
    request_id    TEXT NOT NULL,
    action        TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id   TEXT NOT NULL,
    outcome       TEXT NOT NULL,
    status        INTEGER NOT NULL,
    detail        TEXT NOT NULL,
    data          BLOB
) STRICT;
CREATE INDEX events_tenant ON events (tenant, seq);
CREATE INDEX events_resource ON events (resource_id, seq) WHERE resource_id <> '';
CREATE INDEX events_request ON events (request_id, seq) WHERE request_id <> '';
CREATE INDEX events_failed ON events (seq) WHERE outcome = 'failed';

-- +goose StatementBegin
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only');
END;
-- +goose StatementEnd

CREATE TABLE replicas (
    id    TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
