/** What the engine records of a real server is what the replay reads: frames, events and all. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeFrame } from '../../../../src/connectors/ssh/protocol/encode-frame.ts';
import { sshTrack } from '../../../../src/connectors/ssh/replay/connector.ts';
import { findSshd } from '../../../../src/demo/openssh-server.ts';
import type { RecordedItem } from '../../../../src/replay/build-timeline.ts';
import type { Statement } from '../../../../src/replay/timeline.ts';
import type { TrackPiece } from '../../../../src/replay/track.ts';
import { trackLines } from '../../../../src/ui/player/track-lines.ts';
import { buildTimeline } from '../../../replay/timeline.ts';
import {
  type SshStreamBench as Bench,
  SshStreamBench,
  type TestStream,
} from './ssh-stream-bench.ts';

let bench: Bench;

describe.skipIf(findSshd() === undefined)('a recording of the SSH engine', () => {
  beforeAll(async () => {
    bench = await SshStreamBench.start();
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  /** A connected stream, and what a recording of it holds so far. */
  async function recorded(): Promise<{ stream: TestStream; items: RecordedItem[] }> {
    const items: RecordedItem[] = [];
    const offsets: [number, number] = [0, 0];
    const now = () => Date.now();
    const stream = bench.stream({
      told: {
        event: (event) => items.push({ type: 'event', timeMs: now(), event }),
        evidence: (line) => items.push({ type: 'evidence', timeMs: now(), line }),
      },
    });
    const data = (direction: 0 | 1, bytes: Uint8Array): void => {
      const offset = offsets[direction];
      offsets[direction] += bytes.length;
      items.push({
        type: 'data',
        piece: { timeMs: now(), stream: number, direction, offset, bytes },
      });
    };
    const send = stream.send.bind(stream);
    stream.send = (...frames) => {
      for (const frame of frames) {
        data(0, Buffer.concat(encodeFrame(frame)));
      }
      send(...frames);
    };
    stream.client.on('data', (chunk: Buffer) => data(1, Uint8Array.from(chunk)));
    const number = stream.number;
    items.push({
      type: 'event',
      timeMs: now(),
      event: { type: 'stream.open', stream: number, kind: 'ssh' },
    });
    stream.send({ type: 'hello', from: 'client', user: '', software: 'test' });
    await stream.frame('hello');
    return { stream, items };
  }

  const acts = (items: readonly RecordedItem[]): Statement[] =>
    [...buildTimeline(items)].filter((entry) => entry.type === 'statement');

  test('has commands with their decisions, statuses and outputs, and can be played', async () => {
    const { stream, items } = await recorded();
    await stream.run(0, 'cat; echo problem >&2; exit 3', Buffer.from('input\n'));
    await stream.run(1, 'kill -9 $$');
    stream.client.end();
    await stream.done;
    expect(acts(items)).toMatchObject([
      {
        number: 1,
        protocol: 'exec',
        text: 'cat; echo problem >&2; exit 3',
        outcome: 'ok',
        decisions: [{ statement: 1, effect: 'allow', verbs: ['exec'] }],
        channel: {
          exit: { status: 3 },
          input: 6,
          output: 6,
          errors: 8,
          text: expect.stringContaining('input\n'),
        },
      },
      { number: 2, outcome: 'ok', channel: { exit: { signal: 'KILL' } } },
    ]);
    expect([...buildTimeline(items)]).toContainEqual(
      expect.objectContaining({ type: 'ssh.target', user: bench.server.user }),
    );
    const pieces = items.flatMap((item): TrackPiece[] =>
      item.type === 'data' ? [item.piece] : [],
    );
    const lines = [
      ...trackLines(
        sshTrack(() => pieces, 0),
        { startMs: 0, input: true },
      ),
    ];
    expect(lines.map(({ text }) => text.replace(/^\S* */, '').trim())).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/> input$/),
        expect.stringMatching(/│ input$/),
        expect.stringMatching(/! problem$/),
      ]),
    );
  });

  test('says which variables the server did not get', async () => {
    const { stream, items } = await recorded();
    stream.open(0);
    await stream.frame('opened', 0);
    stream.request(0, { kind: 'env', name: 'LD_PRELOAD', value: '/tmp/x.so' }, false);
    stream.exec(0, 'echo "[$LD_PRELOAD]"');
    await stream.frame('close', 0);
    stream.send({ type: 'close', channel: 0 });
    stream.client.end();
    await stream.done;
    expect(acts(items)).toMatchObject([
      {
        channel: {
          environment: [['LD_PRELOAD', '/tmp/x.so']],
          dropped: ['LD_PRELOAD'],
          text: '[]\n',
        },
      },
    ]);
  });
});
