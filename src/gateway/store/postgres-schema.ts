/**
 * The tables of a PostgreSQL store: those of index-schema.ts, in their present form. Texts have the
 * collation "C", so that they are ordered, compared and lowered as SQLite does it, whatever the
 * database has. Never change a migration that was released.
 */
import type { Migration } from './postgres-migrations.ts';

const FIRST = `
  CREATE TABLE sessions (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('live', 'ended', 'uploaded', 'disputed')),
    target TEXT NOT NULL,
    kind TEXT NOT NULL,
    principal_kind TEXT NOT NULL,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    name TEXT NOT NULL,
    subject TEXT,
    verified_email TEXT,
    family TEXT NOT NULL,
    reason TEXT,
    agent TEXT,
    agent_itself bigint NOT NULL DEFAULT 0,
    requester TEXT,
    run TEXT,
    parent_run TEXT,
    program TEXT,
    policy_commit TEXT NOT NULL,
    recording TEXT NOT NULL,
    client_version TEXT NOT NULL,
    started_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    ended_ms bigint,
    end_reason TEXT,
    end_message TEXT,
    up_bytes bigint NOT NULL DEFAULT 0,
    down_bytes bigint NOT NULL DEFAULT 0,
    statements bigint NOT NULL DEFAULT 0,
    denied bigint NOT NULL DEFAULT 0,
    masked_values bigint NOT NULL DEFAULT 0,
    lookups bigint NOT NULL DEFAULT 0,
    terminal bigint NOT NULL DEFAULT 0,
    manifest_sha256 TEXT
  );
  CREATE INDEX sessions_by_person ON sessions (issuer, sub, started_ms);
  CREATE INDEX sessions_by_target ON sessions (target, started_ms);
  CREATE INDEX sessions_by_time ON sessions (started_ms);
  CREATE INDEX sessions_by_state ON sessions (state) WHERE state = 'live';
  CREATE INDEX sessions_unsigned ON sessions (ended_ms) WHERE manifest_sha256 IS NULL;
  CREATE INDEX sessions_by_end ON sessions (ended_ms, id) WHERE ended_ms IS NOT NULL;

  CREATE TABLE touched (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE
  );
  CREATE TABLE touched_facts (
    kind TEXT NOT NULL CHECK (kind IN ('verb', 'relation', 'masked', 'rule')),
    name TEXT NOT NULL,
    touched bigint NOT NULL REFERENCES touched (id) ON DELETE CASCADE,
    extra TEXT,
    PRIMARY KEY (kind, name, touched)
  );
  CREATE INDEX touched_facts_by_touched ON touched_facts (touched);

  CREATE TABLE statements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session bigint NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
    stream bigint NOT NULL,
    statement bigint NOT NULL,
    at bigint NOT NULL,
    time_ms bigint NOT NULL,
    effect TEXT NOT NULL,
    verb TEXT,
    code TEXT,
    policy_commit TEXT NOT NULL,
    touched bigint NOT NULL REFERENCES touched (id),
    rows bigint,
    masked_values bigint,
    tag TEXT,
    sql_state TEXT,
    prompt TEXT,
    of_the_last bigint NOT NULL DEFAULT 0,
    UNIQUE (session, stream, statement)
  );
  CREATE INDEX statements_by_touched ON statements (touched, session);

  CREATE TABLE statement_classes (
    class TEXT NOT NULL,
    statement bigint NOT NULL REFERENCES statements (id) ON DELETE CASCADE,
    count bigint NOT NULL,
    PRIMARY KEY (class, statement)
  );
  CREATE INDEX statement_classes_by_statement ON statement_classes (statement);

  CREATE TABLE spent (
    digest TEXT PRIMARY KEY,
    expires_ms bigint NOT NULL
  );
  CREATE INDEX spent_by_expiry ON spent (expires_ms);

  CREATE TABLE bound_tokens (
    digest TEXT PRIMARY KEY,
    jkt TEXT NOT NULL,
    expires_ms bigint NOT NULL,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    revoked bigint NOT NULL DEFAULT 0
  );
  CREATE INDEX bound_tokens_by_expiry ON bound_tokens (expires_ms);
  CREATE INDEX bound_tokens_by_principal ON bound_tokens (issuer, sub);

  CREATE TABLE refresh_families (
    rowid bigint GENERATED ALWAYS AS IDENTITY,
    id TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    jkt TEXT NOT NULL,
    generation bigint NOT NULL,
    rotated_ms bigint NOT NULL,
    created_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    claims TEXT NOT NULL,
    revoked bigint NOT NULL DEFAULT 0,
    revoked_because TEXT,
    parent TEXT,
    run TEXT
  );
  CREATE INDEX refresh_families_by_person ON refresh_families (issuer, sub);
  CREATE INDEX refresh_families_by_expiry ON refresh_families (expires_ms);
  CREATE INDEX refresh_families_by_parent ON refresh_families (parent) WHERE parent IS NOT NULL;

  CREATE TABLE provider_logouts (
    issuer TEXT NOT NULL,
    sub TEXT,
    sid TEXT,
    issued_s double precision NOT NULL,
    expires_ms bigint NOT NULL
  );
  CREATE INDEX provider_logouts_by_issuer ON provider_logouts (issuer, expires_ms);

  CREATE TABLE policy_history (
    commit_id TEXT NOT NULL,
    since_ms bigint NOT NULL,
    signer TEXT NOT NULL,
    PRIMARY KEY (since_ms, commit_id)
  );

  CREATE TABLE temporary_grants (
    id TEXT PRIMARY KEY,
    policy TEXT NOT NULL,
    definition TEXT NOT NULL,
    target TEXT NOT NULL,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    holder TEXT NOT NULL,
    reason TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    policy_commit TEXT NOT NULL,
    granted_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    ended_ms bigint,
    ended_how TEXT CHECK (ended_how IN ('expired', 'revoked', 'policy')),
    ended_by TEXT
  );
  CREATE INDEX temporary_grants_by_person ON temporary_grants (issuer, sub, granted_ms);
  CREATE INDEX temporary_grants_live ON temporary_grants (expires_ms) WHERE ended_ms IS NULL;
  CREATE TABLE session_grants (
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    temporary_grant TEXT NOT NULL REFERENCES temporary_grants (id),
    since_ms bigint NOT NULL,
    PRIMARY KEY (session, temporary_grant)
  );
  CREATE INDEX session_grants_by_grant ON session_grants (temporary_grant);

  CREATE TABLE approvals (
    rowid bigint GENERATED ALWAYS AS IDENTITY,
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    name TEXT NOT NULL,
    subject TEXT,
    verified_email TEXT,
    login_key TEXT,
    agent TEXT,
    requested_for TEXT,
    target TEXT NOT NULL,
    reason TEXT,
    session TEXT,
    run TEXT,
    dies_with_connection bigint NOT NULL,
    needs TEXT NOT NULL,
    policy_commit TEXT NOT NULL,
    binding TEXT NOT NULL,
    created_ms bigint NOT NULL,
    waits_until_ms bigint NOT NULL,
    usable_seconds bigint NOT NULL,
    usable_until_ms bigint,
    ended_ms bigint,
    outcome TEXT,
    details bytea NOT NULL
  );
  CREATE INDEX approvals_open ON approvals (created_ms) WHERE state IN ('waiting', 'approved');
  CREATE INDEX approvals_by_time ON approvals (created_ms);
  CREATE INDEX approvals_by_end ON approvals (ended_ms);
  CREATE INDEX approvals_by_binding ON approvals (issuer, sub, binding);
  CREATE TABLE approval_votes (
    rowid bigint GENERATED ALWAYS AS IDENTITY,
    approval TEXT NOT NULL REFERENCES approvals (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    name TEXT NOT NULL,
    subject TEXT,
    verified_email TEXT,
    login_key TEXT,
    voter_groups TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('approve', 'deny')),
    reason TEXT,
    time_ms bigint NOT NULL,
    UNIQUE (approval, issuer, sub, decision)
  );

  CREATE TABLE lookups (
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    target TEXT NOT NULL,
    day bigint NOT NULL,
    used bigint NOT NULL,
    PRIMARY KEY (issuer, sub, target, day)
  );
  CREATE TABLE changed_rows (
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    target TEXT NOT NULL,
    day bigint NOT NULL,
    used bigint NOT NULL,
    PRIMARY KEY (issuer, sub, target, day)
  );

  CREATE TABLE blocks (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('login', 'agent')),
    who TEXT NOT NULL,
    subjects TEXT NOT NULL,
    target TEXT,
    reason TEXT NOT NULL,
    by_issuer TEXT NOT NULL,
    by_sub TEXT NOT NULL,
    by_name TEXT NOT NULL,
    created_ms bigint NOT NULL,
    expires_ms bigint,
    lifted_ms bigint,
    lifted_by TEXT
  );
  CREATE INDEX blocks_by_time ON blocks (created_ms);
`;

/** As in index-schema.ts: columns, and what belongs to a session. */
const FACTS_OF_STATEMENTS = `
  ALTER TABLE touched_facts DROP CONSTRAINT touched_facts_kind_check;
  ALTER TABLE statements
    ADD COLUMN fingerprint TEXT,
    ADD COLUMN bytes bigint,
    ADD COLUMN us bigint,
    ADD COLUMN results bigint NOT NULL DEFAULT 0,
    ADD COLUMN last_ms bigint,
    ADD COLUMN approval TEXT;
  CREATE INDEX statements_by_what ON statements (touched, time_ms, session);
  ALTER TABLE statement_classes ADD COLUMN clear bigint NOT NULL DEFAULT 0;
  ALTER TABLE sessions
    ADD COLUMN keep_until_ms bigint,
    ADD COLUMN hold TEXT,
    ADD COLUMN erased_ms bigint;
  CREATE INDEX sessions_by_login ON sessions (family);
  CREATE INDEX approvals_by_session ON approvals (session) WHERE session IS NOT NULL;
`;

/** As in index-schema.ts; besides, how often each kind of thing was changed, for other nodes. */
const NODES = `
  CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    term bigint NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'stopped', 'taken over')),
    lease_until_ms bigint NOT NULL,
    place TEXT NOT NULL,
    url TEXT,
    version TEXT NOT NULL,
    taken_by TEXT
  );
  ALTER TABLE sessions ADD COLUMN node TEXT NOT NULL DEFAULT '';
  ALTER TABLE sessions ADD COLUMN term bigint NOT NULL DEFAULT 0;
  ALTER TABLE approvals ADD COLUMN node TEXT NOT NULL DEFAULT '';
  CREATE TABLE node_commands (
    session TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    end_reason TEXT NOT NULL,
    end_message TEXT NOT NULL,
    created_ms bigint NOT NULL
  );
  CREATE TABLE policy_heads (
    branch TEXT PRIMARY KEY,
    commit_id TEXT NOT NULL,
    since_ms bigint NOT NULL
  );
  CREATE TABLE change_counts (
    topic TEXT PRIMARY KEY,
    count bigint NOT NULL
  );
  INSERT INTO change_counts VALUES
    ('approvals', 0), ('blocks', 0), ('commands', 0), ('grants', 0), ('logins', 0), ('policy', 0);
`;

const FILES = `
  CREATE TABLE files (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session bigint NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
    stream bigint NOT NULL,
    channel bigint NOT NULL,
    at bigint NOT NULL,
    time_ms bigint NOT NULL,
    operation TEXT NOT NULL,
    path TEXT NOT NULL,
    to_path TEXT,
    status bigint,
    read_bytes bigint,
    read_sha256 TEXT,
    written_bytes bigint,
    written_sha256 TEXT
  );
  CREATE INDEX files_by_path ON files (path, time_ms);
  CREATE INDEX files_by_session ON files (session, stream, at);
  ALTER TABLE statements ADD COLUMN up_bytes bigint;
`;

const EVENTS = `
  CREATE TABLE audit_events (
    -- The transaction that wrote it: event-sql.ts.
    position bigint NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    time_ms bigint NOT NULL,
    type TEXT NOT NULL,
    session TEXT,
    names TEXT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (position, number)
  );
  CREATE INDEX audit_events_by_time ON audit_events (time_ms);
  CREATE INDEX audit_events_by_number ON audit_events (number);
  CREATE TABLE audit_state (
    one bigint PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    base bigint NOT NULL DEFAULT 0,
    cut_position bigint NOT NULL DEFAULT 0,
    cut_number bigint NOT NULL DEFAULT 0,
    cut_ms bigint NOT NULL DEFAULT 0
  );
`;

/** As in index-schema.ts. */
const TIMES_OF_CLASSES = `
  ALTER TABLE statement_classes
    ADD COLUMN session bigint,
    ADD COLUMN time_ms bigint,
    ADD COLUMN last_ms bigint;
  UPDATE statement_classes SET session = s.session, time_ms = s.time_ms, last_ms = s.last_ms
    FROM statements s WHERE s.id = statement_classes.statement;
  CREATE INDEX statement_classes_by_time
    ON statement_classes (class, time_ms, last_ms, session, clear);
`;

const collated = (sql: string): string => sql.replace(/\bTEXT\b/g, 'text COLLATE "C"');

export const POSTGRES_MIGRATIONS: readonly Migration[] = [
  { sql: collated(FIRST) },
  { sql: collated(FACTS_OF_STATEMENTS) },
  // The version before asks for it, and finds what it wants without.
  { sql: 'DROP INDEX statements_by_touched' },
  { sql: collated(NODES) },
  { sql: collated(FILES) },
  { sql: collated(EVENTS) },
  { sql: collated(TIMES_OF_CLASSES) },
  // As in index-schema.ts.
  { sql: collated('ALTER TABLE node_commands ADD COLUMN ended_by TEXT') },
  { sql: 'ALTER TABLE sessions ADD COLUMN lost_bytes bigint NOT NULL DEFAULT 0' },
];
