import { describe, expect, test } from 'vitest';
import { COPY_RESPONSE } from '../../src/connectors/postgres/protocol/backend-messages.ts';
import {
  encodeEmptyBackend,
  encodeEmptyFrontend,
} from '../../src/connectors/postgres/protocol/empty-messages.ts';
import { encodeCopyData } from '../../src/connectors/postgres/protocol/frontend-messages.ts';
import type { RecordedItem } from '../../src/replay/build-timeline.ts';
import { REPLAY_LIMITS } from '../../src/replay/replay-limits.ts';
import type { Statement, TimelineEntry } from '../../src/replay/timeline.ts';
import { answerLines } from '../../src/ui/replay/statement-lines.ts';
import { styleFor } from '../../src/ui/text/style.ts';
import {
  bind,
  bindComplete,
  columns,
  complete,
  describePortal,
  describeStatement,
  error,
  execute,
  noData,
  notice,
  parse,
  parseComplete,
  query,
  RecordedStream,
  ready,
  row,
  suspended,
  sync,
  utf8,
} from './recorded-stream.ts';
import { buildTimeline } from './timeline.ts';

const TEXT = 25;
const INT4 = 23;

function timeline(items: Iterable<RecordedItem>): TimelineEntry[] {
  return [...buildTimeline(items)];
}

function statements(items: Iterable<RecordedItem>): Statement[] {
  return timeline(items).filter((entry) => entry.type === 'statement');
}

describe('the simple protocol', () => {
  test('a query has its text, decision, rows and times', () => {
    const stream = new RecordedStream().start();
    const at = stream.upOffset;
    stream
      .wait(100)
      .up(query('select id, email from users'))
      .decision(at, { columnsMasked: ['public.users.email'], outputsMasked: [1] })
      .wait(12)
      .down(columns(['id', INT4], ['email', TEXT]), row('1', 'a***'), row('2', null))
      .down(complete('SELECT 2'), ready())
      .result(at, { rows: 2, maskedValues: 1, tag: 'SELECT 2' });
    const [statement] = statements(stream.items);
    expect(statement).toMatchObject({
      number: 1,
      stream: 1,
      at,
      protocol: 'simple',
      text: 'select id, email from users',
      outcome: 'ok',
      error: undefined,
      results: [
        {
          columns: [
            { name: 'id', type: 'int4', numeric: true, masked: false },
            { name: 'email', type: 'text', numeric: false, masked: true },
          ],
          rows: [
            ['1', 'a***'],
            ['2', null],
          ],
          rowCount: 2,
          tag: 'SELECT 2',
          facts: { rows: 2, maskedValues: 1 },
        },
      ],
    });
    expect(statement?.decisions[0]?.rules[0]?.id).toBe('engineers/read');
    expect((statement?.endMs ?? 0) - (statement?.startMs ?? 0)).toBe(12);
  });

  test('what a query looked up of masked columns is told with it', () => {
    const stream = new RecordedStream().start();
    const at = stream.upOffset;
    stream.up(query("select id from users where email = 'x'")).decision(at);
    const event = { type: 'lookups', stream: 1, at, statement: undefined } as const;
    stream.event({ ...event, candidates: 1, left: 99 });
    stream.down(columns(['id', INT4]), complete('SELECT 0'), ready()).result(at, { rows: 0 });
    const [statement] = statements(stream.items);
    expect(statement?.lookups).toEqual({ candidates: 1, left: 99 });
    const lines = answerLines(statement ?? expect.fail(), { style: styleFor(false), width: 80 });
    expect(lines).toContain('looked up: 1 value of masked columns, 99 left today');
  });

  test('without indexes in the decision a column under its own name is marked as masked', () => {
    const stream = new RecordedStream().start();
    const at = stream.upOffset;
    stream
      .up(query('select * from users'))
      .decision(at, { columnsMasked: ['public.users.email'] })
      .down(columns(['id', INT4], ['email', TEXT]), row('1', 'a'), complete('SELECT 1'), ready());
    expect(statements(stream.items)[0]?.results[0]?.columns.map(({ masked }) => masked)).toEqual([
      false,
      true,
    ]);
  });

  test('several statements in one Query have a result each', () => {
    const stream = new RecordedStream()
      .start()
      .up(query('begin; select 1; commit'))
      .down(complete('BEGIN'), columns(['?column?', INT4]), row('1'), complete('SELECT 1'))
      .down(complete('COMMIT'), ready());
    const [statement] = statements(stream.items);
    expect(statement?.results.map(({ tag, rowCount }) => [tag, rowCount])).toEqual([
      ['BEGIN', 0],
      ['SELECT 1', 1],
      ['COMMIT', 0],
    ]);
  });

  test('a refused query is denied, with the text that the client was given', () => {
    const stream = new RecordedStream().start();
    const at = stream.upOffset;
    stream
      .up(query('drop table users'))
      .decision(at, { effect: 'refuse', code: 'HOOP_NOT_ALLOWED', message: 'drop is not allowed' })
      .down(error('42501', 'drop is not allowed', { hint: 'Ask.' }), ready());
    expect(statements(stream.items)).toMatchObject([
      {
        outcome: 'denied',
        error: { sqlState: '42501', message: 'drop is not allowed', hint: 'Ask.' },
        decisions: [{ effect: 'refuse', code: 'HOOP_NOT_ALLOWED' }],
      },
    ]);
  });

  test('a typing mistake that the gateway answers itself is a failure, not a denial', () => {
    const stream = new RecordedStream().start();
    const at = stream.upOffset;
    stream
      .up(query('selec 1'))
      .decision(at, { effect: 'fail', code: 'HOOP_UNPARSED', message: 'syntax error' })
      .down(error('42601', 'syntax error', { position: 1 }), ready());
    expect(statements(stream.items)).toMatchObject([
      { outcome: 'failed', decisions: [{ effect: 'fail', code: 'HOOP_UNPARSED' }] },
    ]);
  });

  test('an error of the server is a failure, not a denial', () => {
    const stream = new RecordedStream().start();
    const at = stream.upOffset;
    stream
      .up(query('select 1/0'))
      .decision(at)
      .down(error('22012', 'division by zero', { position: 8 }), ready());
    expect(statements(stream.items)).toMatchObject([
      { outcome: 'failed', error: { sqlState: '22012', position: 8, severity: 'ERROR' } },
    ]);
  });

  test('an empty query ends', () => {
    const stream = new RecordedStream()
      .start()
      .up(query(''))
      .down(encodeEmptyBackend('EmptyQueryResponse'), ready());
    expect(statements(stream.items)).toMatchObject([{ outcome: 'ok', text: '' }]);
  });

  test('notices during a statement belong to it, others stand alone', () => {
    const stream = new RecordedStream()
      .start()
      .up(query('do $$ … $$'))
      .down(notice('inside'), complete('DO'), ready(), notice('outside'));
    const entries = timeline(stream.items);
    expect(entries.find(({ type }) => type === 'statement')).toMatchObject({
      notices: [{ severity: 'NOTICE', message: 'inside' }],
    });
    expect(entries.find(({ type }) => type === 'notice')).toMatchObject({
      message: { message: 'outside' },
    });
  });

  test('a statement whose answer never came is unanswered', () => {
    const stream = new RecordedStream()
      .start()
      .up(query('select pg_sleep(60)'))
      .down(columns(['pg_sleep', 2278]));
    expect(statements(stream.items)).toMatchObject([{ outcome: 'unanswered', endMs: undefined }]);
  });
});

describe('the extended protocol', () => {
  test('Parse, Bind, Describe and Execute are one entry with its parameters', () => {
    const stream = new RecordedStream().start();
    const at = stream.upOffset;
    stream
      .up(parse('select email from users where id = $1', '', [INT4]))
      .up(bind([Uint8Array.of(0, 0, 0, 42)], { parameterFormats: [1], resultFormats: [1] }))
      .up(describePortal(), execute(), sync())
      .decision(at)
      .down(parseComplete(), bindComplete(), columns(['n', INT4, 1]))
      .down(row(Uint8Array.of(0, 0, 1, 0)), complete('SELECT 1'), ready());
    expect(statements(stream.items)).toMatchObject([
      {
        protocol: 'extended',
        text: 'select email from users where id = $1',
        parameters: [{ type: 'int4', value: '42' }],
        decisions: [{ effect: 'allow' }],
        results: [{ rows: [['256']], tag: 'SELECT 1' }],
        outcome: 'ok',
      },
    ]);
  });

  test('each run of a prepared statement carries the decision of its Parse', () => {
    const stream = new RecordedStream().start();
    const at = stream.upOffset;
    stream
      .up(parse('select $1::text', 's1', [TEXT]), describeStatement('s1'), sync())
      .decision(at)
      .down(parseComplete())
      .down(Uint8Array.of(0x74, 0, 0, 0, 10, 0, 1, 0, 0, 0, 25), columns(['text', TEXT]), ready());
    for (const value of ['a', 'b']) {
      stream
        .up(bind([value], { statement: 's1' }), execute(), sync())
        .down(bindComplete(), row(value), complete('SELECT 1'), ready());
    }
    const found = statements(stream.items);
    expect(found.map(({ outcome, name }) => [outcome, name])).toEqual([
      ['prepared', 's1'],
      ['ok', 's1'],
      ['ok', 's1'],
    ]);
    expect(found.map(({ decisions }) => decisions.length)).toEqual([1, 1, 1]);
    expect(found[2]).toMatchObject({
      parameters: [{ type: 'text', value: 'b' }],
      results: [{ columns: [{ name: 'text' }], rows: [['b']] }],
    });
  });

  test('a decision at Bind takes the place of the one at Parse', () => {
    const stream = new RecordedStream().start();
    const atParse = stream.upOffset;
    stream.up(parse('select 1', 's1'), sync()).decision(atParse).down(parseComplete(), ready());
    const atBind = stream.upOffset;
    stream
      .up(bind([], { statement: 's1' }), execute(), sync())
      .decision(atBind, { effect: 'refuse', code: 'HOOP_DENIED', message: 'no longer' })
      .down(bindComplete(), error('42501', 'no longer'), ready());
    expect(statements(stream.items)[1]).toMatchObject({
      outcome: 'denied',
      decisions: [{ effect: 'refuse', code: 'HOOP_DENIED' }],
    });
  });

  test('a refused Parse is one denied entry, and what is behind it in the pipeline is skipped', () => {
    const stream = new RecordedStream().start();
    const at = stream.upOffset;
    stream
      .up(parse('delete from users'), bind(), describePortal(), execute())
      .up(parse('select 2'), bind(), execute(), sync())
      .decision(at, { effect: 'refuse', code: 'HOOP_DENIED', message: 'no' })
      .down(error('42501', 'no'), ready())
      .up(query('select 3'))
      .down(columns(['n', INT4]), row('3'), complete('SELECT 1'), ready());
    expect(statements(stream.items).map(({ text, outcome }) => [text, outcome])).toEqual([
      ['delete from users', 'denied'],
      ['select 2', 'skipped'],
      ['select 3', 'ok'],
    ]);
  });

  test('messages after an error are skipped until Sync, even when they come later', () => {
    const stream = new RecordedStream()
      .start()
      .up(parse('selec 1'))
      .down(error('42601', 'syntax error'))
      .up(bind(), execute(), parse('select 2'), query('select 3'), sync())
      .down(ready())
      .up(query('select 4'))
      .down(complete('SELECT 0'), ready());
    expect(statements(stream.items).map(({ text, outcome }) => [text, outcome])).toEqual([
      ['selec 1', 'failed'],
      ['select 2', 'skipped'],
      ['select 3', 'skipped'],
      ['select 4', 'ok'],
    ]);
  });

  test('an Execute with a row limit is suspended and goes on in the next', () => {
    const stream = new RecordedStream()
      .start()
      .up(parse('select n'), bind(), describePortal(), execute('', 1), execute('', 1), sync())
      .down(parseComplete(), bindComplete(), columns(['n', INT4]), row('1'), suspended())
      .down(row('2'), complete('SELECT 1'), ready());
    expect(statements(stream.items)).toMatchObject([
      { results: [{ rows: [['1']], suspended: true, tag: undefined }] },
      { results: [{ rows: [['2']], suspended: false, tag: 'SELECT 1' }] },
    ]);
  });

  test('rows that nobody had described are shown under numbers', () => {
    const stream = new RecordedStream()
      .start()
      .up(parse('select'), bind([], { resultFormats: [0] }), execute(), sync())
      .down(parseComplete(), bindComplete(), row('x', 'y'), complete('SELECT 1'), ready());
    expect(statements(stream.items)[0]?.results[0]).toMatchObject({
      columns: [{ name: 'column 1' }, { name: 'column 2' }],
      rows: [['x', 'y']],
    });
  });

  test('a command without rows answers Describe with NoData', () => {
    const stream = new RecordedStream()
      .start()
      .up(parse('update t set a=1'), bind(), describePortal(), execute(), sync())
      .down(parseComplete(), bindComplete(), noData(), complete('UPDATE 3'), ready());
    expect(statements(stream.items)[0]).toMatchObject({
      outcome: 'ok',
      results: [{ columns: [], tag: 'UPDATE 3' }],
    });
  });
});

describe('COPY', () => {
  test('COPY OUT is counted, not kept', () => {
    const stream = new RecordedStream()
      .start()
      .up(query('copy t to stdout'))
      .down(COPY_RESPONSE.CopyOutResponse.encode({ format: 0, columnFormats: [0] }))
      .down(encodeCopyData({ data: utf8('1\n') }), encodeCopyData({ data: utf8('22\n') }))
      .down(encodeEmptyBackend('CopyDone'), complete('COPY 2'), ready());
    expect(statements(stream.items)[0]?.results).toMatchObject([
      { copy: { direction: 'out', format: 'text', bytes: 5 }, tag: 'COPY 2' },
    ]);
  });

  test('COPY IN through Execute ignores the Sync that came too early', () => {
    const stream = new RecordedStream()
      .start()
      .up(parse('copy t from stdin'), bind(), execute(), sync())
      .down(parseComplete(), bindComplete())
      .down(COPY_RESPONSE.CopyInResponse.encode({ format: 1, columnFormats: [1] }))
      .up(encodeCopyData({ data: utf8('abc') }), encodeEmptyFrontend('CopyDone'), sync())
      .down(complete('COPY 1'), ready())
      .up(query('select 1'))
      .down(complete('SELECT 0'), ready());
    expect(statements(stream.items)).toMatchObject([
      { results: [{ copy: { direction: 'in', format: 'binary', bytes: 3 }, tag: 'COPY 1' }] },
      { text: 'select 1', outcome: 'ok' },
    ]);
  });
});

describe('the session around the statements', () => {
  test('connections, cancel requests and the end are entries of their own', () => {
    const stream = new RecordedStream(3).start();
    stream
      .event({ type: 'stream.open', stream: 4, kind: 'cancel' })
      .event({ type: 'cancel', stream: 4, forStream: 3 })
      .event({ type: 'stream.close', stream: 3, up: 10, down: 20, reason: 'client closed' })
      .event({ type: 'session.close', reason: 'closed', message: undefined });
    const types = timeline([
      ...stream.items,
      {
        type: 'data',
        piece: { timeMs: 0, stream: 4, direction: 0, offset: 0, bytes: new Uint8Array(16) },
      },
    ]).map(({ type }) => type);
    expect(types).toEqual(['connection.open', 'cancel', 'connection.close', 'session.close']);
  });

  test('a cancel key never appears', () => {
    const stream = new RecordedStream().start();
    expect(JSON.stringify(timeline(stream.items))).not.toContain('KEY!');
  });

  test('a FATAL error between statements stands alone', () => {
    const stream = new RecordedStream()
      .start()
      .down(error('57P01', 'session has expired', { severity: 'FATAL' }));
    expect(timeline(stream.items).at(-1)).toMatchObject({
      type: 'notice',
      message: { severity: 'FATAL', sqlState: '57P01' },
    });
  });

  test('text is read in the encoding of the connection', () => {
    const stream = new RecordedStream().start({ client_encoding: 'LATIN1' });
    stream.down(Uint8Array.from([0x53, 0, 0, 0, 27, ...utf8('client_encoding\0LATIN1\0')]));
    stream.up(Uint8Array.of(0x51, 0, 0, 0, 6, 0xe9, 0)).down(complete('x'), ready());
    expect(statements(stream.items)[0]?.text).toBe('é');
  });

  test('two connections keep their statements apart', () => {
    const one = new RecordedStream(1).start();
    const two = new RecordedStream(2).start();
    one.up(query('select 1'));
    two.up(query('select 2')).down(complete('SELECT 0'), ready());
    one.down(complete('SELECT 0'), ready());
    const found = statements([...one.items.slice(0, 4), ...two.items, ...one.items.slice(4)]);
    expect(found.map(({ stream, number, text }) => [stream, number, text])).toEqual([
      [1, 1, 'select 1'],
      [2, 2, 'select 2'],
    ]);
  });
});

describe('limits', () => {
  test('rows beyond the limit are counted and not kept', () => {
    const stream = new RecordedStream().start().up(query('select n'));
    stream.down(columns(['n', INT4]), ...Array.from({ length: 1284 }, (_, n) => row(String(n))));
    stream.down(complete('SELECT 1284'), ready());
    const result = statements(stream.items)[0]?.results[0];
    expect(result?.rows.length).toBe(REPLAY_LIMITS.rows);
    expect(result?.rowCount).toBe(1284);
  });

  test('long values and long statements are cut, and say how long they were', () => {
    const long = 'x'.repeat(100_000);
    const stream = new RecordedStream()
      .start()
      .up(query(`select '${long}'`))
      .down(columns(['x', TEXT]), row(long), complete('SELECT 1'), ready());
    const [statement] = statements(stream.items);
    expect(statement?.text.length).toBe(REPLAY_LIMITS.statementLength);
    expect(statement?.textLength).toBe(100_009);
    expect(statement?.results[0]?.rows[0]?.[0]).toMatch(/^x{2000}… \(100000 bytes\)$/);
  });

  test('a row of several MiB is counted by its header', () => {
    const huge = new Uint8Array(3 * 1024 * 1024).fill(0x61);
    const stream = new RecordedStream()
      .start()
      .up(query('select x'))
      .down(columns(['x', TEXT]), row(huge), row('small'), complete('SELECT 2'), ready());
    expect(statements(stream.items)[0]?.results[0]).toMatchObject({ rows: [], rowCount: 2 });
  });

  test('when the whole session has kept enough, rows are only counted', () => {
    const stream = new RecordedStream().start();
    for (let index = 0; index < 3; index++) {
      stream
        .up(query('select x'))
        .down(columns(['x', TEXT]), row('0123456789'), complete('SELECT 1'), ready());
    }
    const kept = [...buildTimeline(stream.items, { ...REPLAY_LIMITS, keptLength: 15 })]
      .filter((entry) => entry.type === 'statement')
      .map(({ results }) => [results[0]?.rows.length, results[0]?.rowCount]);
    expect(kept).toEqual([
      [1, 1],
      [1, 1],
      [0, 1],
    ]);
  });
});

describe('bytes that are not what they should be', () => {
  test('one unreadable connection is reported, and the others go on', () => {
    const bad = new RecordedStream(1)
      .start()
      .up(query('select 1'))
      .down(Uint8Array.of(0x48 + 1 + 50, 0, 0, 0, 4));
    const good = new RecordedStream(2)
      .start()
      .up(query('select 2'))
      .down(complete('SELECT 0'), ready());
    const entries = timeline([...bad.items, ...good.items]);
    expect(entries.find(({ type }) => type === 'unreadable')).toMatchObject({
      stream: 1,
      direction: 'down',
      message: expect.stringContaining('unknown message type'),
    });
    expect(entries.filter((entry) => entry.type === 'statement')).toMatchObject([
      { text: 'select 1', outcome: 'unanswered' },
      { text: 'select 2', outcome: 'ok' },
    ]);
  });

  test('an answer that nobody asked for makes the connection unreadable', () => {
    for (const message of [ready(), parseComplete(), row('x'), complete('X'), columns()]) {
      const stream = new RecordedStream().start().down(message);
      expect(timeline(stream.items).at(-1)).toMatchObject({ type: 'unreadable' });
    }
  });

  test('the timeline is the same however the bytes are split', () => {
    const whole = conversation();
    const expected = statements(whole);
    expect(expected.length).toBe(4);
    for (const size of [1, 2, 3, 5, 7, 11, 64]) {
      expect(statements(split(whole, size))).toEqual(expected);
    }
  });

  test('flipped and cut bytes end in entries, never in another error', () => {
    const random = randomNumbers(0xbadc0de);
    for (let round = 0; round < 400; round++) {
      const damaged = conversation().map((item): RecordedItem => {
        if (item.type !== 'data' || random() < 0.5) {
          return item;
        }
        const bytes = item.piece.bytes.slice(0, Math.ceil(random() * item.piece.bytes.length));
        for (let flips = 0; flips < 3; flips++) {
          bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
        }
        return { type: 'data', piece: { ...item.piece, bytes } };
      });
      expect(() => timeline(damaged)).not.toThrow();
    }
  });

  test('random bytes in both directions end in entries, never in another error', () => {
    const random = randomNumbers(0xfeed);
    for (let round = 0; round < 400; round++) {
      const stream = random() < 0.5 ? new RecordedStream().start() : new RecordedStream();
      for (let part = 0; part < 6; part++) {
        const bytes = Uint8Array.from({ length: Math.floor(random() * 40) }, () =>
          Math.floor(random() * (random() < 0.5 ? 256 : 4)),
        );
        random() < 0.5 ? stream.up(bytes) : stream.down(bytes);
      }
      expect(() => timeline(stream.items)).not.toThrow();
    }
  });
});

function conversation(): RecordedItem[] {
  const stream = new RecordedStream().start();
  const at = stream.upOffset;
  return stream
    .up(query('select id from users; select 2'))
    .decision(at)
    .down(notice('n'), columns(['id', INT4]), row('1'), row(null), complete('SELECT 2'))
    .down(columns(['?column?', INT4]), row('2'), complete('SELECT 1'), ready())
    .result(at, { rows: 2 })
    .result(at, { rows: 1 })
    .up(parse('select $1', 's', [INT4]), bind(['7'], { statement: 's' }))
    .up(describePortal(), execute(), sync())
    .down(parseComplete(), bindComplete(), columns(['x', INT4, 1]))
    .down(row(Uint8Array.of(0, 0, 0, 7)), complete('SELECT 1'), ready())
    .up(query('bad'))
    .down(error('42601', 'syntax error'), ready())
    .up(query('copy t to stdout'))
    .down(COPY_RESPONSE.CopyOutResponse.encode({ format: 0, columnFormats: [] }))
    .down(encodeCopyData({ data: utf8('x') }), encodeEmptyBackend('CopyDone'))
    .down(complete('COPY 1'), ready()).items;
}

function split(items: readonly RecordedItem[], size: number): RecordedItem[] {
  return items.flatMap((item): RecordedItem[] => {
    if (item.type !== 'data') {
      return [item];
    }
    const parts: RecordedItem[] = [];
    for (let at = 0; at < item.piece.bytes.length; at += size) {
      const bytes = item.piece.bytes.subarray(at, at + size);
      parts.push({ type: 'data', piece: { ...item.piece, bytes } });
    }
    return parts;
  });
}

/** mulberry32: the same numbers in every run. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
