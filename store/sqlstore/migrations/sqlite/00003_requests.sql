-- Times are microseconds since 1970 in UTC.

-- +goose Up
-- seq is drawn from requests_given, whose row stays locked until the rows are
-- committed: who sees a request sees all with a smaller seq.
CREATE TABLE requests (
    seq           INTEGER PRIMARY KEY,
    at            INTEGER NOT NULL,
    tenant        TEXT NOT NULL,
    credential    TEXT NOT NULL,
    dialect       TEXT NOT NULL,
    method        TEXT NOT NULL,
    route         TEXT NOT NULL,
    action        TEXT NOT NULL,
    bulk          INTEGER NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id   TEXT NOT NULL,
    names         TEXT NOT NULL,
    filter        TEXT NOT NULL,
    status        INTEGER NOT NULL,
    scim_type     TEXT NOT NULL,
    detail        TEXT NOT NULL,
    calls         INTEGER NOT NULL,
    duration      INTEGER NOT NULL,
    request_id    TEXT NOT NULL,
    entra_flag    INTEGER NOT NULL,
    aborted       INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_tenant ON requests (tenant, seq);
CREATE INDEX requests_request ON requests (request_id);

-- What a request is about: its resource_id and its names.
CREATE TABLE request_subjects (
    tenant  TEXT NOT NULL,
    subject TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (tenant, subject, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE requests_given (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO requests_given (id, seq) VALUES (1, 0);
