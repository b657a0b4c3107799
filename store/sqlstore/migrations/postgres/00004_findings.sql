-- Times are microseconds since 1970 in UTC; 0 is "never".

-- +goose Up
CREATE TABLE findings (
    tenant     TEXT NOT NULL,
    code       TEXT COLLATE "C" NOT NULL,
    credential TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    settled_at BIGINT NOT NULL,
    count      BIGINT NOT NULL,
    PRIMARY KEY (tenant, code, credential, subject)
);
