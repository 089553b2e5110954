/**
 * Random sequences of messages, valid and not, from a seed. Names, portals and transactions collide
 * on purpose: what a sequence does is for the server to say, both sides only have to say the same.
 */
import {
  bind,
  bytes,
  close,
  copyData,
  copyDone,
  copyFail,
  describe,
  execute,
  flush,
  type Message,
  parse,
  query,
  run,
  sync,
} from './messages.ts';
import type { Script, Step } from './script.ts';

export interface GenerateOptions {
  readonly seed: number;
  /**
   * Only what a policy that reads statements lets through without a word: no names of SQL that are
   * perhaps unknown, no user's functions, and no Query within a pipeline (the gateway's questions to
   * the server count as a part of that pipeline, and so the server holds its transaction open).
   */
  readonly policed?: boolean;
  /** Stands for a statement that one side denies and the other cannot parse. */
  readonly denied?: string;
}

const STATEMENTS = [
  'SELECT id, v FROM t WHERE id < 4 ORDER BY id',
  'SELECT count(*) FROM t',
  "INSERT INTO t VALUES (900, 'r') ON CONFLICT DO NOTHING",
  "INSERT INTO t VALUES (1, 'r')",
  "UPDATE t SET v = v || 'u' WHERE id = 2 RETURNING id, v",
  'DELETE FROM t WHERE id > 30',
  'INSERT INTO parent VALUES (1)',
  'SELECT 1/0',
  'SELECT nothing',
  'SELEC 1',
  "SELECT noisy('x')",
  'SELECT failing()',
  'SHOW search_path',
  "SET application_name = 'g'",
  'SET search_path = public, pg_catalog',
  'RESET ALL',
  'COPY (SELECT id FROM t ORDER BY id LIMIT 2) TO STDOUT',
  'COPY t (id) FROM STDIN',
  'LISTEN a',
  "NOTIFY a, 'x'",
  'PREPARE a AS SELECT id FROM t WHERE id = $1',
  'EXECUTE a(3)',
  'DEALLOCATE a',
  'DEALLOCATE ALL',
  'DECLARE p CURSOR FOR SELECT id FROM t ORDER BY id',
  'DECLARE q CURSOR WITH HOLD FOR SELECT v FROM t ORDER BY id',
  'FETCH 2 FROM p',
  'FETCH 2 FROM q',
  'MOVE 1 IN p',
  'CLOSE p',
  'CLOSE ALL',
  'DISCARD ALL',
  '',
];
const UNPOLICED = /EXECUTE|FETCH|MOVE|DECLARE|noisy|failing/;
const POLICED = STATEMENTS.filter((sql) => !UNPOLICED.test(sql));
const IN_ONE_TEXT = POLICED.filter((sql) => !/nothing|PREPARE|SET|DISCARD/.test(sql));
const TRANSACTION = [
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'SAVEPOINT s',
  'ROLLBACK TO s',
  'RELEASE s',
  'BEGIN ISOLATION LEVEL SERIALIZABLE',
  'SET TRANSACTION READ ONLY',
];
const WITH_PARAMETERS = [
  'SELECT id, v FROM t WHERE id = $1',
  'SELECT id FROM t WHERE id > $1 ORDER BY id',
  'UPDATE t SET v = $2 WHERE id = $1',
];
const COPY_LINES = ['950\n', '951\n', 'x\n', '1\n', '9', '\\.\n'];
const MALFORMED: readonly Message[] = [
  bytes('Q', Buffer.from('SELECT 1')),
  bytes('P', Buffer.from('a\0SELECT 1\0')),
  bytes('B', Buffer.from('\0\0\0\0', 'latin1')),
  bytes('D', Buffer.from('X\0')),
  bytes('E', Buffer.from('\0')),
  bytes('S', Buffer.from('x')),
];

export function generate(options: GenerateOptions): Script {
  const random = new Random(options.seed);
  const steps: Step[] = [];
  for (let count = 1 + random.below(6); count > 0; count -= 1) {
    const send: Message[] = [];
    for (let left = 1 + random.below(8); left > 0; left -= 1) send.push(...some(random, options));
    if (random.below(2) === 0) send.push(sync);
    const after = random.below(4) === 0 ? 'go on' : 'pause';
    steps.push(
      random.below(12) === 0 ? { send, after, pieces: 1 + random.below(9) } : { send, after },
    );
  }
  steps.push({ send: [], after: 'settle' });
  return { title: `seed ${options.seed}`, steps: options.policed ? separate(steps) : steps };
}

/** Ends a pipeline before each Query. */
function separate(steps: readonly Step[]): readonly Step[] {
  let isOpen = false;
  return steps.map((step) => {
    const send = step.send.flatMap((message) => {
      const mustEnd = isOpen && message.kind === 'query';
      if (message.kind === 'sync' || message.kind === 'query') isOpen = false;
      else if (!message.kind.startsWith('copy')) isOpen = true;
      return mustEnd ? [sync, message] : [message];
    });
    return { ...step, send };
  });
}

function some(random: Random, options: GenerateOptions): readonly Message[] {
  const name = (): string => random.pick(['', '', 'a', 'b']);
  const portal = (): string => random.pick(['', '', 'p', 'q']);
  const what = (): 'statement' | 'portal' => random.pick(['statement', 'portal']);
  const statements = options.policed ? POLICED : STATEMENTS;
  const from = (list: readonly string[]): string => {
    if (options.denied !== undefined && random.below(8) === 0) return options.denied;
    return random.pick(random.below(3) === 0 ? TRANSACTION : list);
  };
  const sql = (): string => from(statements);
  const several = (): string => from(options.policed ? IN_ONE_TEXT : STATEMENTS);
  switch (random.below(18)) {
    case 0:
    case 1:
      return [query(sql())];
    case 2:
      return [query(Array.from({ length: 1 + random.below(3) }, several).join('; '))];
    case 3:
    case 4:
      return run(sql());
    case 5:
      return [parse(sql(), name())];
    case 6:
      return [parse(random.pick(WITH_PARAMETERS), name())];
    case 7:
    case 8: {
      const values = random.pick([[], ['3'], ['4', 'w'], ['x'], [null]]);
      return [
        bind({
          portal: portal(),
          statement: name(),
          values,
          formats: random.pick([[], [1], [0, 1]]),
        }),
      ];
    }
    case 9:
      return [describe(what(), random.pick([name(), portal()]))];
    case 10:
    case 11:
      return [execute(portal(), random.pick([0, 0, 1, 2, 100]))];
    case 12:
      return [close(what(), random.pick([name(), portal()]))];
    case 13:
      return [sync];
    case 14:
      return [flush];
    case 15:
      return [query('COPY t (id) FROM STDIN'), ...copying(random)];
    case 16:
      // The server drops a Sync in copy mode, and whoever sends COPY by a library sends one there.
      return [
        ...run('COPY t (id) FROM STDIN'),
        ...random.pick([[sync], []]),
        ...copying(random),
        sync,
      ];
    default:
      return random.below(3) === 0 ? [random.pick(MALFORMED)] : copying(random);
  }
}

function copying(random: Random): readonly Message[] {
  const data = Array.from({ length: random.below(3) }, () => copyData(random.pick(COPY_LINES)));
  return [...data, ...random.pick([[copyDone], [copyDone], [copyFail()], [flush, copyDone]])];
}

/** mulberry32: small, and the same everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  pick<T>(list: readonly T[]): T {
    const found = list[this.below(list.length)];
    if (found === undefined) throw new RangeError('nothing to pick from');
    return found;
  }
}
