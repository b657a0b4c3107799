-- Times are microseconds since 1970 in UTC; 0 is "never".

-- +goose Up
CREATE TABLE findings (
    tenant     TEXT NOT NULL,
    code       TEXT NOT NULL,
    credential TEXT NOT NULL,
    subject    TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    settled_at INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    PRIMARY KEY (tenant, code, credential, subject)
) STRICT, WITHOUT ROWID;
