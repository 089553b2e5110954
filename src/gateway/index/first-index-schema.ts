/** The tables of the first version: see index-schema.ts. */
export const FIRST_SCHEMA = `
  CREATE TABLE sessions (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('live', 'ended', 'uploaded', 'disputed')),
    target TEXT NOT NULL,
    kind TEXT NOT NULL,
    principal_kind TEXT NOT NULL,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    name TEXT NOT NULL,
    -- Login that opened it: revoking the login ends the session.
    family TEXT NOT NULL,
    reason TEXT,
    -- Named agent, and the run that opened it.
    agent TEXT,
    run TEXT,
    policy_commit TEXT NOT NULL,
    recording TEXT NOT NULL,
    client_version TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    end_reason TEXT,
    end_message TEXT,
    up_bytes INTEGER NOT NULL DEFAULT 0,
    down_bytes INTEGER NOT NULL DEFAULT 0,
    statements INTEGER NOT NULL DEFAULT 0,
    denied INTEGER NOT NULL DEFAULT 0,
    masked_values INTEGER NOT NULL DEFAULT 0,
    -- SHA-256 of the countersigned manifest, hex.
    manifest_sha256 TEXT
  ) STRICT;
  CREATE INDEX sessions_by_person ON sessions (issuer, sub, started_ms);
  CREATE INDEX sessions_by_target ON sessions (target, started_ms);
  CREATE INDEX sessions_by_time ON sessions (started_ms);
  CREATE INDEX sessions_by_state ON sessions (state) WHERE state = 'live';
  CREATE INDEX sessions_unsigned ON sessions (ended_ms) WHERE manifest_sha256 IS NULL;

  -- What statements touch. Most statements of a program touch the same, so each combination is kept
  -- once. Verbs, relations, masked (columns), rules (file:line in extra).
  CREATE TABLE touched (
    id INTEGER PRIMARY KEY,
    -- SHA-256 of all of it, base64url.
    digest TEXT NOT NULL UNIQUE
  ) STRICT;
  CREATE TABLE touched_facts (
    kind TEXT NOT NULL CHECK (kind IN ('verb', 'relation', 'masked', 'rule')),
    name TEXT NOT NULL,
    touched INTEGER NOT NULL REFERENCES touched (id) ON DELETE CASCADE,
    extra TEXT,
    PRIMARY KEY (kind, name, touched)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE statements (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
    stream INTEGER NOT NULL,
    statement INTEGER NOT NULL,
    -- Offset in the up stream of the message that was decided; with the statement's number it
    -- finds the text in the recording.
    at INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    effect TEXT NOT NULL,
    verb TEXT,
    code TEXT,
    policy_commit TEXT NOT NULL,
    touched INTEGER NOT NULL REFERENCES touched (id),
    rows INTEGER,
    masked_values INTEGER,
    tag TEXT,
    sql_state TEXT,
    -- The prompt in force, as a reference into the recording.
    prompt TEXT,
    UNIQUE (session, stream, statement)
  ) STRICT;
  CREATE INDEX statements_by_touched ON statements (touched, session);

  -- Detector hits in the rows that came back.
  CREATE TABLE statement_classes (
    class TEXT NOT NULL,
    statement INTEGER NOT NULL REFERENCES statements (id) ON DELETE CASCADE,
    count INTEGER NOT NULL,
    PRIMARY KEY (class, statement)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX statement_classes_by_statement ON statement_classes (statement);

  CREATE TABLE cuts (
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    tree_size INTEGER NOT NULL,
    root TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    PRIMARY KEY (session, epoch)
  ) STRICT, WITHOUT ROWID;

  -- Digests of ID tokens that must not be taken twice.
  CREATE TABLE spent (
    digest TEXT PRIMARY KEY,
    expires_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX spent_by_expiry ON spent (expires_ms);

  CREATE TABLE refresh_families (
    id TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    jkt TEXT NOT NULL,
    generation INTEGER NOT NULL,
    rotated_ms INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    claims TEXT NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX refresh_families_by_person ON refresh_families (issuer, sub);
  CREATE INDEX refresh_families_by_expiry ON refresh_families (expires_ms);

  -- Which policy was in force from when on.
  CREATE TABLE policy_history (
    commit_id TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    signer TEXT NOT NULL,
    PRIMARY KEY (since_ms, commit_id)
  ) STRICT, WITHOUT ROWID;
`;
