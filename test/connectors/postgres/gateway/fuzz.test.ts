/** Mutated SQL in random messages: what the server runs has been read and allowed, byte for byte. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCorpus } from '../../../../conformance/fuzz/corpus.ts';
import { decidedText } from '../../../../conformance/fuzz/decided.ts';
import { type FuzzMessage, query, randomProgram } from '../../../../conformance/fuzz/programs.ts';
import { randomOf } from '../../../../conformance/fuzz/random.ts';
import {
  LOG_SETTINGS,
  type LoggedText,
  parseServerLog,
} from '../../../../conformance/fuzz/server-log.ts';
import { type DecidedText, unparsedTexts } from '../../../../conformance/fuzz/unparsed.ts';
import { connectTarget } from '../../../../src/connectors/postgres/gateway/target/target-connection.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import type { RecordingEvent } from '../../../../src/recording/formats/types.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { startBench } from './engine-bench.ts';
import { RawClient } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { targetOf } from './test-target.ts';

const SEED = 4;
const PROGRAMS = 250;
const grant = grantOf({ rules: ['allow *, do', 'allow calls of *.*'] });
const corpus = readCorpus();

let log = '';
let onLog = (): void => undefined;
let server: EmbeddedPostgres;

beforeAll(async () => {
  server = await startTestPostgres({
    settings: { ...LOG_SETTINGS, statement_timeout: '500' },
    onLog: (text) => {
      log += text;
      onLog();
    },
  });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const real = realEngine(() => targetOf(server));

test('nothing reaches the server that was not read and allowed', async () => {
  await using engine = await startBench({
    target: targetOf(server),
    ...real.parts(),
    grant: () => grant,
  });
  const sent: (FuzzMessage & { readonly stream: number; readonly at: number })[] = [];
  const random = randomOf(SEED);
  const processIds: number[] = [];
  let client: RawClient | undefined;
  let stream = 0;
  let at = 0;
  const play = async (messages: readonly FuzzMessage[]): Promise<void> => {
    if (client === undefined || client.isClosed) {
      client = await RawClient.open(engine.port);
      stream += 1;
      at = STARTUP_LENGTH;
      await play([query('SELECT pg_backend_pid()')]);
      const [row] = client.received.filter(({ type }) => type === 'D');
      processIds.push(Number(row?.body.subarray(6).toString()));
    }
    for (const message of messages) {
      sent.push({ ...message, stream, at });
      at += message.bytes.length;
    }
    const answers = await client.ask([messages.map(({ bytes }) => bytes)]);
    // In copy mode the client would be waited for.
    if (answers.some(({ type }) => type === 'G')) client.socket.destroy();
  };
  for (let program = 0; program < PROGRAMS; program += 1) {
    await play(randomProgram(corpus, random));
  }
  await client?.[Symbol.asyncDispose]();
  await engine.idle();
  await logged('the end');

  await using parser = SqlParser.create();
  const decided: DecidedText[] = [];
  for (const message of sent) {
    const effects = effectsOf(message, engine.events);
    decided.push(await decidedText(parser, { ...message, text: message.text ?? '' }, effects));
  }
  const ran = parseServerLog(log).filter(({ processId }) => processIds.includes(processId));
  expect(unparsedTexts(ran, decided)).toEqual([]);
  expect(engine.failures).toEqual([]);
  // And it is not because nothing was allowed, or everything.
  const texts = decided.filter(({ text }) => text !== '');
  expect(ran.length).toBeGreaterThan(PROGRAMS / 4);
  expect(texts.filter(({ isAllowed }) => !isAllowed).length).toBeGreaterThan(PROGRAMS / 10);
});

/** Of RawClient's StartupMessage. */
const STARTUP_LENGTH = Buffer.byteLength('....????user\0x\0database\0postgres\0\0');

function effectsOf(
  message: { readonly stream: number; readonly at: number },
  events: readonly RecordingEvent[],
): readonly string[] {
  return events.flatMap((event) =>
    event.type === 'decision' && event.stream === message.stream && event.at === message.at
      ? [event.effect]
      : [],
  );
}

/** The log comes through a pipe: what is asked last is seen last. */
async function logged(mark: string): Promise<void> {
  const seen = new Promise<void>((resolve) => {
    onLog = () => {
      if (log.includes(mark)) resolve();
    };
  });
  const { signal } = new AbortController();
  await using connection = await connectTarget({ target: targetOf(server), signal });
  await connection.query(`SELECT '${mark}'`);
  await seen;
}

describe('of a text whose statements are decided one by one', () => {
  const text = 'SELECT 1; SELECT 2;SELECT 3';
  const ran = (text: string, isSimple = false) =>
    ({ processId: 1, kind: 'statement', isSimple, isNamedProbe: false, text }) as const;
  const unparsed = async (effects: readonly string[], ...logged: LoggedText[]) => {
    await using parser = SqlParser.create();
    return unparsedTexts(logged, [await decidedText(parser, { text, isSimple: true }, effects)]);
  };

  test('those that were allowed may have been run', async () => {
    const logged = [ran('SELECT 1'), ran('SELECT 2')];
    expect(await unparsed(['allow', 'allow', 'refuse'], ...logged)).toEqual([]);
    expect(await unparsed(['allow', 'allow'], ...logged)).toEqual([]);
  });

  test('nothing else, not twice, and not as a Query', async () => {
    const [one, three] = [ran('SELECT 1'), ran('SELECT 3')];
    expect(await unparsed(['allow', 'refuse'], one, three)).toEqual(['SELECT 3']);
    expect(await unparsed(['refuse'], one)).toEqual(['SELECT 1']);
    expect(await unparsed(['allow', 'refuse', 'allow'], three)).toEqual(['SELECT 3']);
    expect(await unparsed(['allow', 'allow'], one, one)).toEqual(['SELECT 1']);
    expect(await unparsed(['allow', 'allow'], ran('SELECT 1', true))).toEqual(['SELECT 1']);
    expect(await unparsed(['allow', 'fail'], ran(text, true))).toEqual([text]);
  });
});
