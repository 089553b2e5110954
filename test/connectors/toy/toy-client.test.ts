/** A connector that hoop does not have: what it gets of the client and of replay for nothing. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { CONNECTORS } from '../../../src/connectors/registry.ts';
import { buildTimeline, type RecordedItem } from '../../../src/replay/build-timeline.ts';
import { loadReplays } from '../../../src/replay/connector.ts';
import { findStatements, parseStatementId } from '../../../src/replay/find-statements.ts';
import { searchable } from '../../../src/replay/searchable.ts';
import { briefing } from '../../../src/run/briefing.ts';
import { clientConnector } from '../../../src/tunnel/connector.ts';
import { LocalListener } from '../../../src/tunnel/local-listener.ts';
import { briefingText } from '../../../src/ui/briefing-text.ts';
import { transcriptLines } from '../../../src/ui/replay/transcript.ts';
import { styleFor } from '../../../src/ui/text/style.ts';
import { TOY_CLIENT } from './toy-client.ts';

const toy = await clientConnector([TOY_CLIENT], { kind: 'toy', name: 'toy-1' });

test('a port of its own is open to who has its password, and others are refused and counted', async () => {
  const listener = await LocalListener.open({ type: 'tcp', port: 0 });
  const offer = toy.open({ directory: '/nowhere', env: {}, self: [] });
  const kinds: string[] = [];
  const port = await offer.serve({
    target: { name: 'toy-1' },
    listener,
    openTunnel: async (kind) => {
      kinds.push(kind);
      return new PassThrough();
    },
  });
  const url = offer.endpoint(true).urls.get('toy-1') ?? '';
  expect(offer.told('url')).toMatchObject({ line: url });
  const password = new URL(url).username;
  const say = async (words: string): Promise<string> => {
    const socket = connect(listener.port, listener.host);
    await once(socket, 'connect');
    socket.end(words);
    return text(socket);
  };
  expect(await say(`${password}\nGET a\n`)).toBe('GET a\n');
  expect(await say(`${'0'.repeat(password.length)}\nGET a\n`)).toBe('');
  expect(kinds).toEqual(['toy']);
  expect([...port.refused]).toEqual([['wrong password', 1]]);
  await port.close();
});

const RULE = { id: 'toys/read', file: 'toys.yaml', line: 4 };
const DECISION = { verbs: ['GET'], relations: [], columnsMasked: [], rules: [RULE] } as const;
const DECIDED = {
  type: 'decision',
  stream: 1,
  policyCommit: 'c0',
  message: undefined,
  code: undefined,
} as const;
const RESULT = {
  type: 'result',
  stream: 1,
  rows: 0,
  maskedValues: 0,
  detected: {},
  sqlState: undefined,
} as const;

const ITEMS: readonly RecordedItem[] = [
  { type: 'event', timeMs: 1, event: { type: 'stream.open', stream: 1, kind: 'toy' } },
  data(0, 'GET a\nSET '),
  event({ ...DECIDED, ...DECISION, ...says('GET a'), at: 0, statement: 1, effect: 'allow' }),
  event({ ...RESULT, at: 0, statement: 1, tag: 'OK' }),
  data(1, 'OK GET a\n'),
  data(0, 'secret 1\n'),
  event({
    ...{ ...DECIDED, ...DECISION, ...says('SET secret 1'), at: 6, statement: 2 },
    effect: 'refuse',
    code: 'HOOP_DENIED',
  }),
  data(1, 'ERR HOOP_DENIED denied\n'),
];

function says(text: string) {
  return { view: [{ type: 'code' as const, language: 'toy', text }] };
}

function data(direction: 0 | 1, words: string): RecordedItem {
  const piece = { timeMs: 2, stream: 1, direction, offset: 0, bytes: Buffer.from(words) };
  return { type: 'data', piece };
}

function event(about: Extract<RecordedItem, { type: 'event' }>['event']): RecordedItem {
  return { type: 'event', timeMs: 2, event: about };
}

test('what was recorded is shown, found by its id and by its words', async () => {
  const entries = [...buildTimeline(ITEMS, await loadReplays([]))];
  expect(entries).toMatchObject([
    { type: 'statement', number: 1, text: 'GET a', outcome: 'ok', decisions: [{ statement: 1 }] },
    { type: 'statement', number: 2, at: 6, text: 'SET secret 1', outcome: 'denied' },
  ]);
  expect(entries.map(searchable)).toMatchObject([
    { id: '1.1', text: 'GET a', isDenied: false },
    { id: '1.2', text: 'SET secret 1', isDenied: true },
  ]);
  const id = parseStatementId('1.2');
  expect(id && findStatements(entries, id).found).toMatchObject([{ statement: { number: 2 } }]);
  const style = styleFor(false);
  const lines = entries.flatMap((entry) =>
    transcriptLines(entry, { style, width: undefined, startMs: 0 }),
  );
  expect(lines.join('\n')).toContain('SET secret 1');
});

test('an agent is told of it in its own words, also beside others', () => {
  const facts = {
    who: 'devin',
    commit: 'c0',
    main: undefined,
    variables: new Map([['toy-1', 'HOOP_TOY_1_URL']]),
    requestable: [],
    targets: [
      { name: 'toy-1', kind: 'toy', labels: {}, rules: [], masked: [], requireReason: false },
    ],
  };
  const told = briefingText(briefing(facts), new Map([['toy', toy.briefing]]));
  expect(told).toContain('# Toys through hoop');
  expect(told).toContain('Every line is recorded and signed');
  expect(told).toContain('Connect with the URL in `HOOP_TOY_1_URL`.');
});

test('where nobody knows its kind it is an error and an unreadable stream, and never PostgreSQL', async () => {
  await expect(clientConnector(CONNECTORS, { kind: 'toy', name: 'toy-1' })).rejects.toMatchObject({
    code: 'HOOP_USAGE',
    message: '"toy-1" is of kind "toy", which this hoop cannot connect to',
  });
  const recorded = { ...TOY_CLIENT, client: undefined };
  await expect(
    clientConnector([...CONNECTORS, recorded], { kind: 'toy', name: 'toy-1' }),
  ).rejects.toMatchObject({
    detail: 'This version connects to targets of kind postgres, ssh.',
  });
  // Nothing said what was asked for, and nobody else's words are guessed.
  const untold = ITEMS.map((item) =>
    item.type === 'event' && item.event.type === 'decision'
      ? { ...item, event: { ...item.event, view: undefined } }
      : item,
  );
  expect([...buildTimeline(untold, await loadReplays(CONNECTORS))]).toMatchObject([
    { type: 'unreadable', stream: 1, offset: 0, message: 'hoop cannot read "toy"' },
  ]);
});
