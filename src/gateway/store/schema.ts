/**
 * Tables of the gateway's store: who did what, when, where, to which relations, with which masks
 * and detector classes. It holds no SQL, no values and no prompts' text: those are in the encrypted
 * recordings, which are the evidence; the index only finds them. Each migration runs once, in order: all
 * that a start lacks, in one transaction. SQLite counts them by PRAGMA user_version; for PostgreSQL
 * postgres-schema.ts makes its own of these. Never change one that was released.
 */
import { FIRST_CHANGES, type SchemaChange } from './first-schema.ts';

/** Since a store can be in PostgreSQL. */
export const CHANGES: readonly (string | SchemaChange)[] = [
  {
    both: `
  -- Keyed digest of the statement without its constants.
  ALTER TABLE statements ADD COLUMN fingerprint TEXT;
  -- Of what was returned; NULL: no end of it is known.
  ALTER TABLE statements ADD COLUMN bytes INTEGER;
  -- Microseconds, of all its results together; how many there were; when the last one ended that came
  -- of another message than the decision: a prepared statement runs for as long as its session.
  ALTER TABLE statements ADD COLUMN us INTEGER;
  ALTER TABLE statements ADD COLUMN results INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE statements ADD COLUMN last_ms INTEGER;
  -- The request that it waited for.
  ALTER TABLE statements ADD COLUMN approval TEXT;
  CREATE INDEX statements_by_what ON statements (touched, time_ms, session);
  -- Values of the class that went to the client; count has those that were taken out.
  ALTER TABLE statement_classes ADD COLUMN clear INTEGER NOT NULL DEFAULT 0;

  -- Kept until then (NULL: as long as the recording), held beyond that for this reason, keys erased.
  ALTER TABLE sessions ADD COLUMN keep_until_ms INTEGER;
  ALTER TABLE sessions ADD COLUMN hold TEXT;
  ALTER TABLE sessions ADD COLUMN erased_ms INTEGER;
  -- What belongs to a session: its login, and the requests that were made in it.
  CREATE INDEX sessions_by_login ON sessions (family);
  CREATE INDEX approvals_by_session ON approvals (session) WHERE session IS NOT NULL;
  `,
    sqlite: `  -- What statements showed, used and wrote, by column. SQLite cannot change a CHECK, so the table is made
  -- anew, without one (touched-lists.ts has the kinds).
  CREATE TABLE next_touched_facts (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    touched INTEGER NOT NULL REFERENCES touched (id) ON DELETE CASCADE,
    extra TEXT,
    PRIMARY KEY (kind, name, touched)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO next_touched_facts SELECT kind, name, touched, extra FROM touched_facts;
  DROP TABLE touched_facts;
  ALTER TABLE next_touched_facts RENAME TO touched_facts;
  CREATE INDEX touched_facts_by_touched ON touched_facts (touched);
  `,
    postgres: `ALTER TABLE touched_facts DROP CONSTRAINT touched_facts_kind_check;
      CREATE INDEX IF NOT EXISTS touched_facts_by_touched ON touched_facts (touched);`,
  },
  `
  -- Nobody asks for it since there is statements_by_what.
  DROP INDEX statements_by_touched;
  `,
  {
    both: `
  -- Who a session or a request belongs to: the id of a data directory, and its term, which rises with
  -- each start. '': from before there were nodes.
  CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    term INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'stopped', 'taken over')),
    -- By the store's clock.
    lease_until_ms INTEGER NOT NULL,
    place TEXT NOT NULL,
    url TEXT,
    version TEXT NOT NULL,
    taken_by TEXT
  ) STRICT;
  ALTER TABLE sessions ADD COLUMN node TEXT NOT NULL DEFAULT '';
  ALTER TABLE sessions ADD COLUMN term INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE approvals ADD COLUMN node TEXT NOT NULL DEFAULT '';
  -- What a node asks another one to do.
  CREATE TABLE node_commands (
    session TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    end_reason TEXT NOT NULL,
    end_message TEXT NOT NULL,
    created_ms INTEGER NOT NULL
  ) STRICT;
  -- The newest commit of each policy branch that a node has verified: it only moves forward.
  CREATE TABLE policy_heads (
    branch TEXT PRIMARY KEY,
    commit_id TEXT NOT NULL,
    since_ms INTEGER NOT NULL
  ) STRICT;
  -- How often each kind of thing was changed, for other nodes; a store in one file has none.
  CREATE TABLE change_counts (
    topic TEXT PRIMARY KEY,
    count INTEGER NOT NULL
  ) STRICT;
  `,
    postgres: `INSERT INTO change_counts VALUES ('approvals', 0), ('blocks', 0), ('commands', 0),
      ('grants', 0), ('logins', 0), ('policy', 0);`,
  },
  `
  -- What was done to files of servers. at: that of the statement (act) that began it.
  CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
    stream INTEGER NOT NULL,
    channel INTEGER NOT NULL,
    at INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    operation TEXT NOT NULL,
    path TEXT NOT NULL,
    to_path TEXT,
    status INTEGER,
    read_bytes INTEGER,
    read_sha256 TEXT,
    written_bytes INTEGER,
    written_sha256 TEXT
  ) STRICT;
  CREATE INDEX files_by_path ON files (path, time_ms);
  CREATE INDEX files_by_session ON files (session, stream, at);
  -- Of an act: bytes of the client's that it took.
  ALTER TABLE statements ADD COLUMN up_bytes INTEGER;
  `,
  {
    both: `
  CREATE TABLE audit_state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- Of this store, in each cursor.
    id TEXT NOT NULL,
    base INTEGER NOT NULL DEFAULT 0,
    -- The last event that was forgotten.
    cut_position INTEGER NOT NULL DEFAULT 0,
    cut_number INTEGER NOT NULL DEFAULT 0,
    cut_ms INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  `,
    sqlite: `  -- What happened, for readers that follow it: docs/events.md. A number is never used again, and what
  -- was forgotten is known.
  CREATE TABLE audit_events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Of PostgreSQL, whose numbers are no order: event-sql.ts.
    position INTEGER NOT NULL DEFAULT 0,
    time_ms INTEGER NOT NULL,
    type TEXT NOT NULL,
    session TEXT,
    -- Lower-case names and subs of whom it is about and who did it, each between line feeds.
    names TEXT NOT NULL,
    -- JSON, as readers get it.
    event TEXT NOT NULL
  ) STRICT;
  CREATE INDEX audit_events_by_time ON audit_events (time_ms);
  `,
    postgres: `
  CREATE TABLE audit_events (
    -- The transaction that wrote it: event-sql.ts.
    position INTEGER NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    time_ms INTEGER NOT NULL,
    type TEXT NOT NULL,
    session TEXT,
    names TEXT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (position, number)
  );
  CREATE INDEX audit_events_by_time ON audit_events (time_ms);
  CREATE INDEX audit_events_by_number ON audit_events (number);
  `,
  },
  `
  -- When there were hits, as time_ms and last_ms of their statement say it, so that those of a class are
  -- found by their time. NULL: written by the version before.
  ALTER TABLE statement_classes ADD COLUMN session INTEGER;
  ALTER TABLE statement_classes ADD COLUMN time_ms INTEGER;
  ALTER TABLE statement_classes ADD COLUMN last_ms INTEGER;
  UPDATE statement_classes SET session = s.session, time_ms = s.time_ms, last_ms = s.last_ms
    FROM statements s WHERE s.id = statement_classes.statement;
  CREATE INDEX statement_classes_by_time
    ON statement_classes (class, time_ms, last_ms, session, clear);
  `,
  `
  -- Who asked for it, as events name them: JSON. NULL: written by the version before.
  ALTER TABLE node_commands ADD COLUMN ended_by TEXT;
  `,
  `
  -- What the disk lost of its recording and the client has sent back.
  ALTER TABLE sessions ADD COLUMN lost_bytes INTEGER NOT NULL DEFAULT 0;
  `,
];

export const MIGRATIONS: readonly string[] = [...FIRST_CHANGES, ...CHANGES].map((change) =>
  typeof change === 'string' ? change : `${change.both}${change.sqlite ?? ''}`,
);
