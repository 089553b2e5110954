import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { type CastItem, CastReader } from '../../../src/recording/formats/asciicast.ts';
import {
  KEPT_BYTES,
  SESSION_BYTES,
  TerminalRecording,
  WAITING_BYTES,
} from '../../../src/run/terminal/terminal-recording.ts';

/** A stream of a session; `takes: false`: its connection stands still. */
class Session extends Duplex {
  readonly items: CastItem[] = [];
  bytes = 0;
  readonly #reader = new CastReader();
  #waiting: (() => void) | undefined;
  #takes: boolean;

  constructor({ takes = true } = {}) {
    super({ read: () => undefined });
    this.#takes = takes;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.bytes += chunk.length;
    this.items.push(...this.#reader.push(chunk));
    if (this.#takes) {
      done();
    } else {
      this.#waiting = done;
    }
  }

  override _final(done: () => void): void {
    this.push(null);
    done();
  }

  goOn(): void {
    this.#takes = true;
    this.#waiting?.();
  }

  get text(): string {
    return this.items
      .map((item) => (item.type === 'event' && item.code === 'o' ? item.text : ''))
      .join('');
  }

  get notes(): string[] {
    return this.items.flatMap((item) =>
      item.type === 'event' && item.code === 'm' ? [item.text] : [],
    );
  }
}

function recording(): { recording: TerminalRecording; at: (ms: number) => void } {
  let nowMs = 1_000_000;
  const made = new TerminalRecording({ size: { columns: 80, rows: 24 }, clock: () => nowMs });
  return {
    recording: made,
    at: (ms) => {
      nowMs = 1_000_000 + ms;
    },
  };
}

test('a session has what was shown before it was opened, with its times and sizes', async () => {
  const { recording: made, at } = recording();
  at(100);
  made.shown(Buffer.from('before'));
  at(200);
  made.resized({ columns: 100, rows: 30 });
  const session = new Session();
  at(5000);
  made.record(session);
  made.shown(Buffer.from('after'));
  await made.end();
  expect(session.items).toEqual([
    { type: 'header', columns: 80, rows: 24, startedMs: 1_000_000 },
    { type: 'event', atMs: 100, code: 'o', text: 'before' },
    { type: 'event', atMs: 200, code: 'r', text: '100x30' },
    { type: 'event', atMs: 5000, code: 'o', text: 'after' },
  ]);
});

test('a character that comes in pieces is one, and what is no text is said to be none', async () => {
  const { recording: made } = recording();
  const session = new Session();
  made.record(session);
  for (const byte of [...Buffer.from('é日'), 0xff]) {
    made.shown(Uint8Array.of(byte));
  }
  await made.end();
  expect(session.text).toBe('é日\ufffd');
});

test('a later session has the last of what was shown, the size of then, and how much is missing', async () => {
  const { recording: made } = recording();
  made.resized({ columns: 132, rows: 43 });
  for (let line = 0; line < 40; line += 1) {
    made.shown(Buffer.from(`${line}${'x'.repeat(10_000)}\n`));
  }
  const session = new Session();
  made.record(session);
  await made.end();
  expect(session.bytes).toBeLessThan(KEPT_BYTES + 1000);
  expect(session.text).toMatch(/39x+\n$/);
  expect(session.text).not.toMatch(/^0x/);
  expect(session.items[0]).toMatchObject({ type: 'header', columns: 132, rows: 43 });
  expect(session.notes[0]).toMatch(
    /^hoop: \d+ bytes that were shown earlier are not recorded here$/,
  );
});

test('a session that stands still loses what comes too fast, says so, and keeps nobody waiting', async () => {
  const { recording: made } = recording();
  const slow = new Session({ takes: false });
  const other = new Session();
  made.record(slow);
  made.record(other);
  const flood = Buffer.from('y\n'.repeat(WAITING_BYTES));
  made.shown(flood);
  expect(slow.writableLength).toBeLessThanOrEqual(WAITING_BYTES);
  slow.goOn();
  await new Promise((resolve) => setImmediate(resolve));
  made.shown(Buffer.from('end'));
  await made.end();
  expect(slow.text.length).toBeLessThan(flood.length);
  expect(slow.text).toMatch(/end$/);
  expect(slow.notes).toEqual([expect.stringMatching(/^hoop: \d+ bytes came too fast/)]);
  expect(other.text).toHaveLength(flood.length + 3);
});

test('a session takes so much and ends there, and the others go on', async () => {
  const { recording: made } = recording();
  const full = new Session();
  made.record(full);
  const piece = Buffer.alloc(1 << 20, 'z');
  for (let count = 0; count < (SESSION_BYTES >> 20) + 1; count += 1) {
    made.shown(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const late = new Session();
  made.record(late);
  made.shown(Buffer.from('still here'));
  await made.end();
  expect(full.bytes).toBeLessThanOrEqual(SESSION_BYTES + 200);
  expect(full.notes.at(-1)).toBe('hoop: the recording of the terminal ends here, at 64 MiB');
  expect(full.text).not.toContain('still here');
  expect(late.text).toContain('still here');
});

test('a session that breaks off ends nothing', async () => {
  const { recording: made } = recording();
  const session = new Session();
  made.record(session);
  session.destroy(new Error('the connection was lost'));
  made.shown(Buffer.from('more'));
  await made.end();
  expect(session.text).toBe('');
});
