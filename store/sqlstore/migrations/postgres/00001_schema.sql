-- Times are microseconds since 1970 in UTC; 0 is "never".

-- +goose Up
CREATE TABLE generation (
    id    BIGINT PRIMARY KEY CHECK (id = 1),
    value BIGINT NOT NULL
);
INSERT INTO generation (id, value) VALUES (1, 1);

-- One row that Ping writes: only a commit proves that the database can commit.
CREATE TABLE pulse (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    at BIGINT NOT NULL
);
INSERT INTO pulse (id, at) VALUES (1, 0);

-- When rows that time has made useless were last removed.
CREATE TABLE housekeeping (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    at BIGINT NOT NULL
);
INSERT INTO housekeeping (id, at) VALUES (1, 0);

CREATE TABLE tenants (
    slug       TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    base_url   TEXT NOT NULL,
    spec       BYTEA,
    secrets    BYTEA,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- claim is the upstream's base URL in one canonical form.
CREATE TABLE tenant_organizations (
    claim           TEXT NOT NULL,
    organization_id BIGINT NOT NULL,
    tenant          TEXT NOT NULL,
    position        BIGINT NOT NULL,
    PRIMARY KEY (claim, organization_id)
);
CREATE INDEX tenant_organizations_tenant ON tenant_organizations (tenant, position);

CREATE TABLE credentials (
    id           TEXT PRIMARY KEY,
    tenant       TEXT NOT NULL,
    name         TEXT NOT NULL,
    kind         TEXT NOT NULL,
    client       TEXT NOT NULL,
    evidence     TEXT NOT NULL,
    hash         BYTEA NOT NULL UNIQUE,
    hint         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    revoked_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL
);
CREATE INDEX credentials_tenant ON credentials (tenant, created_at, id);

-- invite_ids and any_emails are JSON lists, so that a person is one row to
-- read; person_invites and person_emails hold the same to be found by.
CREATE TABLE persons (
    seq              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision         BIGINT NOT NULL,
    tenant           TEXT NOT NULL,
    id               TEXT NOT NULL,
    user_id          BIGINT NOT NULL,
    invite_ids       TEXT NOT NULL,
    user_name        TEXT NOT NULL,
    folded_user_name TEXT NOT NULL,
    email            TEXT NOT NULL,
    folded_email     TEXT NOT NULL,
    any_emails       TEXT NOT NULL,
    external_id      TEXT NOT NULL,
    managed          BOOLEAN NOT NULL,
    created          BOOLEAN NOT NULL,
    listed           BOOLEAN NOT NULL,
    desired          BYTEA,
    last_written     BYTEA,
    last_seen        BYTEA,
    last_written_at  BIGINT NOT NULL,
    last_seen_at     BIGINT NOT NULL,
    version          BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    modified_at      BIGINT NOT NULL,
    deleted_at       BIGINT NOT NULL
);
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
);

CREATE TABLE person_emails (
    tenant    TEXT NOT NULL,
    email     TEXT NOT NULL,
    person_id TEXT NOT NULL,
    PRIMARY KEY (tenant, email, person_id)
);

CREATE TABLE person_invites (
    tenant    TEXT NOT NULL,
    invite_id TEXT NOT NULL,
    person_id TEXT NOT NULL,
    PRIMARY KEY (tenant, invite_id, person_id)
);

-- The listed, living persons of a tenant number sum(n).
CREATE TABLE person_counts (
    tenant TEXT NOT NULL,
    slot   BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (tenant, slot)
);

CREATE TABLE intents (
    tenant     TEXT NOT NULL,
    key        TEXT NOT NULL,
    kind       TEXT NOT NULL,
    person_id  TEXT NOT NULL,
    payload    BYTEA,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX intents_created_at ON intents (tenant, created_at, key);

CREATE TABLE leases (
    tenant TEXT NOT NULL,
    key    TEXT NOT NULL,
    holder TEXT NOT NULL,
    token  BIGINT NOT NULL,
    until  BIGINT NOT NULL,
    PRIMARY KEY (tenant, key)
);

CREATE TABLE jobs (
    id               BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant           TEXT NOT NULL,
    kind             TEXT NOT NULL,
    key              TEXT NOT NULL,
    args             BYTEA,
    state            TEXT NOT NULL,
    progress         BYTEA,
    result           BYTEA,
    error            TEXT NOT NULL,
    attempts         BIGINT NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    run_at           BIGINT NOT NULL,
    holder           TEXT NOT NULL,
    lease_until      BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);
CREATE UNIQUE INDEX jobs_active ON jobs (tenant, kind, key)
    WHERE state IN ('queued', 'running');
CREATE INDEX jobs_due ON jobs (run_at, id)
    WHERE state IN ('queued', 'running');
CREATE INDEX jobs_tenant ON jobs (tenant, id);

CREATE TABLE directories (
    tenant       TEXT PRIMARY KEY,
    started_at   BIGINT NOT NULL,
    completed_at BIGINT NOT NULL,
    people       BIGINT NOT NULL
);

CREATE TABLE guard_counters (
    tenant TEXT NOT NULL,
    guard  TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (tenant, guard, bucket)
);

-- Sequence values are given before they are committed, so a later value may be
-- readable before an earlier one. Whoever follows the events must not step over
-- one that is still to come: a transaction that appends holds, until it ends, a
-- shared advisory lock whose key is a lower bound of every value it will get,
-- and events_settled() answers the last value before the lowest such key.
-- A key is 0x5CE7 in its upper 16 bits and the bound in the other 48.
CREATE SEQUENCE events_seq;

-- +goose StatementBegin
CREATE FUNCTION events_begin() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    -- The bound is read before the lock is taken and the value drawn after:
    -- that order is what makes it a bound.
    PERFORM pg_advisory_xact_lock_shared(
        (x'5CE7000000000000'::bit(64)::bigint) | (SELECT last_value - 1 FROM events_seq));
    RETURN nextval('events_seq');
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION events_settled() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    given bigint;
    bound bigint;
BEGIN
    -- A transaction that takes its lock after the second statement draws its
    -- values after the first, so they are above "given". The caller reads the
    -- events in a later statement, whose snapshot sees all that ended by now.
    SELECT last_value INTO given FROM events_seq;
    SELECT min(((classid::bigint & x'FFFF'::bigint) << 32) | objid::bigint) INTO bound
        FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = x'5CE7'::bigint
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    RETURN least(given, bound);
END $$;
-- +goose StatementEnd

CREATE TABLE events (
    seq           BIGINT PRIMARY KEY,
    at            BIGINT NOT NULL,
    tenant        TEXT NOT NULL,
    actor         TEXT NOT NULL,
    request_id    TEXT NOT NULL,
    action        TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id   TEXT NOT NULL,
    outcome       TEXT NOT NULL,
    status        BIGINT NOT NULL,
    detail        TEXT NOT NULL,
    data          BYTEA
);
CREATE INDEX events_tenant ON events (tenant, seq);
CREATE INDEX events_resource ON events (resource_id, seq) WHERE resource_id <> '';
CREATE INDEX events_request ON events (request_id, seq) WHERE request_id <> '';
CREATE INDEX events_failed ON events (seq) WHERE outcome = 'failed';

-- +goose StatementBegin
CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_append_only();

CREATE TABLE replicas (
    id    TEXT PRIMARY KEY,
    until BIGINT NOT NULL
);
