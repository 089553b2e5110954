/** What had changed in the tables until a store could be in PostgreSQL, whose first migration is all of it. */

/** In the words of SQLite; postgres-schema.ts makes those of PostgreSQL of them. */
export interface SchemaChange {
  readonly both: string;
  /** Run behind the other: what only SQLite needs, or PostgreSQL spells or does otherwise. */
  readonly sqlite?: string;
  readonly postgres?: string;
}

export const FIRST_CHANGES: readonly (string | SchemaChange)[] = [
  `
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
  `,
  `
  -- Requestable policies that were given for a while; the id is that of the approved request.
  CREATE TABLE temporary_grants (
    id TEXT PRIMARY KEY,
    policy TEXT NOT NULL,
    -- Digest of what the policy gave when it was approved.
    definition TEXT NOT NULL,
    target TEXT NOT NULL,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    -- JSON: name, email and groups as they were when it was asked for.
    holder TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- JSON: names.
    approved_by TEXT NOT NULL,
    policy_commit TEXT NOT NULL,
    granted_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    ended_how TEXT CHECK (ended_how IN ('expired', 'revoked', 'policy')),
    ended_by TEXT
  ) STRICT;
  CREATE INDEX temporary_grants_by_person ON temporary_grants (issuer, sub, granted_ms);
  CREATE INDEX temporary_grants_live ON temporary_grants (expires_ms) WHERE ended_ms IS NULL;

  -- Sessions that had a temporary grant, from when on.
  CREATE TABLE session_grants (
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    temporary_grant TEXT NOT NULL REFERENCES temporary_grants (id),
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (session, temporary_grant)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX session_grants_by_grant ON session_grants (temporary_grant);
  `,
  `
  -- Requests that wait for a person: held statements, temporary access.
  CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('statement', 'access')),
    state TEXT NOT NULL,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    name TEXT NOT NULL,
    agent TEXT,
    target TEXT NOT NULL,
    reason TEXT,
    session TEXT,
    -- A held statement: when the gateway starts again its connection is gone.
    dies_with_connection INTEGER NOT NULL,
    needs TEXT NOT NULL,
    policy_commit TEXT NOT NULL,
    -- Digest of what it is bound to.
    binding TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    waits_until_ms INTEGER NOT NULL,
    usable_seconds INTEGER NOT NULL,
    usable_until_ms INTEGER,
    ended_ms INTEGER,
    outcome TEXT,
    -- Statement, parameters and the like, encrypted.
    details BLOB NOT NULL
  ) STRICT;
  CREATE INDEX approvals_open ON approvals (created_ms) WHERE state IN ('waiting', 'approved');
  CREATE INDEX approvals_by_time ON approvals (created_ms);
  CREATE INDEX approvals_by_end ON approvals (ended_ms);
  CREATE INDEX approvals_by_binding ON approvals (issuer, sub, binding);

  CREATE TABLE approval_votes (
    approval TEXT NOT NULL REFERENCES approvals (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    name TEXT NOT NULL,
    -- JSON: the groups that the voter was in.
    voter_groups TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('approve', 'deny')),
    reason TEXT,
    time_ms INTEGER NOT NULL,
    UNIQUE (approval, issuer, sub, decision)
  ) STRICT;
  `,
  `
  -- Logins of runs: made from another login, which they end with. run is JSON.
  ALTER TABLE refresh_families ADD COLUMN parent TEXT;
  ALTER TABLE refresh_families ADD COLUMN run TEXT;
  CREATE INDEX refresh_families_by_parent ON refresh_families (parent) WHERE parent IS NOT NULL;
  `,
  `
  -- The session was opened by a login of the agent's own.
  ALTER TABLE sessions ADD COLUMN agent_itself INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- Digests of workload tokens, and the key that each came with first.
  CREATE TABLE bound_tokens (
    digest TEXT PRIMARY KEY,
    jkt TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX bound_tokens_by_expiry ON bound_tokens (expires_ms);
  CREATE INDEX refresh_families_by_principal ON refresh_families (issuer, sub);
  `,
  {
    both: `
  -- Whose token it is, and whether a revocation has ended it with its login.
  ALTER TABLE bound_tokens ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
  ALTER TABLE bound_tokens ADD COLUMN sub TEXT NOT NULL DEFAULT '';
  ALTER TABLE bound_tokens ADD COLUMN revoked INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX bound_tokens_by_principal ON bound_tokens (issuer, sub);
  `,
    // SQLite cannot.
    postgres: `ALTER TABLE bound_tokens ALTER COLUMN issuer DROP DEFAULT;
      ALTER TABLE bound_tokens ALTER COLUMN sub DROP DEFAULT;`,
  },
  `
  -- The run whose statement waits: all runs of somebody have a share of their requests.
  ALTER TABLE approvals ADD COLUMN run TEXT;
  `,
  `
  -- Searches go back in time by the end of sessions.
  CREATE INDEX sessions_by_end ON sessions (ended_ms, id) WHERE ended_ms IS NOT NULL;
  `,
  `
  -- For whom a workload works, as its issuer says.
  ALTER TABLE sessions ADD COLUMN requester TEXT;
  ALTER TABLE approvals ADD COLUMN requested_for TEXT;
  `,
  {
    both: '',
    sqlite: `
  -- Another kind: what is done on a server. SQLite cannot change a CHECK, so the table is made anew,
  -- without one (approval-store.ts parses it); the votes are put aside, or they would go with it.
  CREATE TABLE kept_votes AS SELECT * FROM approval_votes;
  DROP TABLE approval_votes;
  CREATE TABLE next_approvals (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    name TEXT NOT NULL,
    agent TEXT,
    target TEXT NOT NULL,
    reason TEXT,
    session TEXT,
    dies_with_connection INTEGER NOT NULL,
    needs TEXT NOT NULL,
    policy_commit TEXT NOT NULL,
    binding TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    waits_until_ms INTEGER NOT NULL,
    usable_seconds INTEGER NOT NULL,
    usable_until_ms INTEGER,
    ended_ms INTEGER,
    outcome TEXT,
    details BLOB NOT NULL,
    run TEXT,
    requested_for TEXT
  ) STRICT;
  INSERT INTO next_approvals SELECT id, kind, state, issuer, sub, name, agent, target, reason, session,
    dies_with_connection, needs, policy_commit, binding, created_ms, waits_until_ms, usable_seconds,
    usable_until_ms, ended_ms, outcome, details, run, requested_for FROM approvals;
  DROP TABLE approvals;
  ALTER TABLE next_approvals RENAME TO approvals;
  CREATE INDEX approvals_open ON approvals (created_ms) WHERE state IN ('waiting', 'approved');
  CREATE INDEX approvals_by_time ON approvals (created_ms);
  CREATE INDEX approvals_by_end ON approvals (ended_ms);
  CREATE INDEX approvals_by_binding ON approvals (issuer, sub, binding);
  CREATE TABLE approval_votes (
    approval TEXT NOT NULL REFERENCES approvals (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    name TEXT NOT NULL,
    voter_groups TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('approve', 'deny')),
    reason TEXT,
    time_ms INTEGER NOT NULL,
    UNIQUE (approval, issuer, sub, decision)
  ) STRICT;
  INSERT INTO approval_votes SELECT approval, issuer, sub, name, voter_groups, decision, reason,
    time_ms FROM kept_votes;
  DROP TABLE kept_votes;
  `,
    postgres: 'ALTER TABLE approvals DROP CONSTRAINT approvals_kind_check;',
  },
  `
  -- Something of a terminal of hoop run is in the recording.
  ALTER TABLE sessions ADD COLUMN terminal INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- Name of the run's program, as the client says it.
  ALTER TABLE sessions ADD COLUMN program TEXT;
  `,
  `
  -- Id of the run that the session's run was started in.
  ALTER TABLE sessions ADD COLUMN parent_run TEXT;
  `,
  `
  -- 1: the second decision about the statement before it, which was held, or whose result was
  -- withheld. The two are one statement.
  ALTER TABLE statements ADD COLUMN of_the_last INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- Values of masked columns that somebody has looked up. day: since 1970, UTC.
  CREATE TABLE lookups (
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    target TEXT NOT NULL,
    day INTEGER NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (issuer, sub, target, day)
  ) STRICT, WITHOUT ROWID;
  ALTER TABLE sessions ADD COLUMN lookups INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- Rows that somebody has changed, where a policy limits them. day: since 1970, UTC.
  CREATE TABLE changed_rows (
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    target TEXT NOT NULL,
    day INTEGER NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (issuer, sub, target, day)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- Who is kept out by an approver's word. No target: of everything.
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
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    lifted_ms INTEGER,
    lifted_by TEXT
  ) STRICT;
  CREATE INDEX blocks_by_time ON blocks (created_ms);
  `,
  `
  -- What else tells a person from others: two accounts may be those of one human.
  ALTER TABLE approvals ADD COLUMN subject TEXT;
  ALTER TABLE approvals ADD COLUMN verified_email TEXT;
  ALTER TABLE approvals ADD COLUMN login_key TEXT;
  ALTER TABLE approval_votes ADD COLUMN subject TEXT;
  ALTER TABLE approval_votes ADD COLUMN verified_email TEXT;
  ALTER TABLE approval_votes ADD COLUMN login_key TEXT;
  ALTER TABLE sessions ADD COLUMN subject TEXT;
  ALTER TABLE sessions ADD COLUMN verified_email TEXT;
  `,
  `
  -- Who was logged out at their identity provider lately; without sid all of their sessions there.
  CREATE TABLE provider_logouts (
    issuer TEXT NOT NULL,
    sub TEXT,
    sid TEXT,
    -- Seconds since 1970.
    issued_s REAL NOT NULL,
    expires_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX provider_logouts_by_issuer ON provider_logouts (issuer, expires_ms);
  `,
  `
  -- Why a login was ended: its holder is told with each refusal.
  ALTER TABLE refresh_families ADD COLUMN revoked_because TEXT;
  `,
  `
  -- Nobody reads them here: they are in the recordings.
  DROP TABLE cuts;
  -- The same as refresh_families_by_person.
  DROP INDEX refresh_families_by_principal;
  `,
];
