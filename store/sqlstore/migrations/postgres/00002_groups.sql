-- Times are microseconds since 1970 in UTC; 0 is "never".

-- +goose Up
DROP TABLE guard_counters;

ALTER TABLE persons ADD COLUMN active BOOLEAN NOT NULL DEFAULT TRUE;
UPDATE persons SET active = FALSE WHERE deleted_at <> 0;
-- With active, which is counted without a look at the rows.
DROP INDEX persons_listed;
CREATE INDEX persons_listed ON persons (tenant, seq, revision, active)
    WHERE deleted_at = 0 AND listed;
-- Members are listed in the byte order of their ids, and one collation on both
-- sides lets the index serve whoever looks for a member's person.
ALTER TABLE persons ALTER COLUMN id TYPE TEXT COLLATE "C";

CREATE TABLE groups (
    seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       TEXT NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    display_name TEXT NOT NULL,
    folded_name  TEXT NOT NULL,
    external_id  TEXT NOT NULL,
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    modified_at  BIGINT NOT NULL,
    deleted_at   BIGINT NOT NULL
);
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
    group_id  TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, group_id, person_id)
);
CREATE INDEX group_members_person ON group_members (tenant, person_id, group_id);

-- seq is drawn from role_work_given, whose row stays locked until the work is
-- committed: who sees a tenant's work sees all with a smaller seq.
CREATE TABLE role_work (
    tenant     TEXT NOT NULL,
    group_id   TEXT COLLATE "C" NOT NULL,
    person_id  TEXT COLLATE "C" NOT NULL,
    seq        BIGINT NOT NULL,
    removal    BOOLEAN NOT NULL,
    attempts   BIGINT NOT NULL,
    error      TEXT NOT NULL,
    run_at     BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, group_id, person_id)
);
CREATE INDEX role_work_person ON role_work (tenant, person_id);
CREATE UNIQUE INDEX role_work_seq ON role_work (tenant, seq);

CREATE TABLE role_work_given (
    tenant TEXT PRIMARY KEY,
    seq    BIGINT NOT NULL
);

CREATE TABLE guards (
    tenant     TEXT NOT NULL,
    guard      TEXT NOT NULL,
    open_until BIGINT NOT NULL,
    PRIMARY KEY (tenant, guard)
);

-- passed_at is when the subject was last counted, held_at when it was last held
-- and has not passed since.
CREATE TABLE guard_entries (
    tenant    TEXT NOT NULL,
    guard     TEXT NOT NULL,
    subject   TEXT NOT NULL,
    passed_at BIGINT NOT NULL,
    held_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant, guard, subject)
);
CREATE INDEX guard_entries_passed ON guard_entries (tenant, guard, passed_at)
    WHERE passed_at <> 0;
CREATE INDEX guard_entries_held ON guard_entries (tenant, guard, held_at)
    WHERE held_at <> 0;

CREATE TABLE firsts (
    tenant TEXT NOT NULL,
    what   TEXT NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (tenant, what)
);
