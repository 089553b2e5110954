/** What a crash may take, and what it may not. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { spoolDirectory } from '../../src/recording/client/spool.ts';
import { uploadSession } from '../../src/recording/client/upload-session.ts';
import { EndedRecording } from '../../src/recording/ended/ended-recording.ts';
import { listRecordings } from '../../src/recording/ended/list-recordings.ts';
import { readSession } from '../../src/recording/ended/read-session.ts';
import { newRecordingKeys, storeRecordingKeys } from '../../src/recording/keys/recording-keys.ts';
import { verifyBundle } from '../../src/recording/verify/verify.ts';
import { recordingDirectory } from '../../src/recording/write/recording-store.ts';
import { segmentName } from '../../src/recording/write/segment-writer.ts';
import {
  RecordingBench,
  readBundle,
  SessionPair,
  seededRandom,
  transportTo,
} from './session-pair.ts';
import { contentAt } from './test-content.ts';

interface Killed {
  readonly session: string;
  /** Offsets by `stream/direction` that the process had reported. */
  readonly written: ReadonlyMap<string, number>;
}

/** Runs crash-writer.ts until it has reported `lines` writes, then kills it with SIGKILL. */
async function killAfter(directory: string, seed: number, lines: number): Promise<Killed> {
  const script = join(import.meta.dirname, 'crash-writer.ts');
  const child = spawn(process.execPath, [script, directory, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const written = new Map<string, number>();
  let session = '';
  let left = lines;
  for await (const line of createInterface({ input: child.stdout })) {
    const [key = '', value = ''] = line.split(' ');
    if (key === 'session') {
      session = value;
      continue;
    }
    // Lines that were in the pipe when the process died count too: it had written them.
    written.set(key, Number(value));
    left -= 1;
    if (left === 0) {
      child.kill('SIGKILL');
    }
  }
  if (child.exitCode === null && child.signalCode === null) {
    await once(child, 'exit');
  }
  expect(child.signalCode).toBe('SIGKILL');
  return { session, written };
}

async function settle(bench: RecordingBench, ended: EndedRecording, session: string) {
  const receipt = await uploadSession({
    directory: bench.spools,
    session,
    gateway: transportTo(ended),
    signal: new AbortController().signal,
  });
  const bundle = bytesSource(await readBundle(ended));
  return { receipt, bundle, result: verifyBundle(bundle, bench.trust) };
}

describe('kill -9', () => {
  const random = seededRandom(20261123);
  for (let round = 0; round < 6; round += 1) {
    const seed = Math.floor(random() * 1e9);
    const lines = 1 + Math.floor(random() ** 2 * 1_500);
    test(`loses no byte that was reported as written (seed ${seed}, ${lines} writes)`, async () => {
      await using bench = await RecordingBench.create();
      const { session, written } = await killAfter(bench.directory, seed, lines);
      expect(await listRecordings(bench.store)).toMatchObject([{ session, state: 'unfinished' }]);
      const ended = await bench.ended(session);
      expect(await listRecordings(bench.store)).toMatchObject([{ session, state: 'ended' }]);
      expect(ended.endReason).toBe('gateway_crash');
      const { recorded } = ended.position();
      for (const [key, offset] of written) {
        const [stream, direction] = key.split('/').map(Number);
        const offsets = recorded.find((entry) => entry.stream === stream);
        expect(direction === 0 ? offsets?.up : offsets?.down).toBeGreaterThanOrEqual(offset);
      }
      // Both processes died, and the two files still come to one verified recording.
      const { bundle, result } = await settle(bench, ended, session);
      expect(result.checks.filter(({ status }) => status === 'failed')).toEqual([]);
      // The killed process may have had bytes in one file and not in the other: then a tail.
      expect(result.exitStatus === 0 || result.verdict.startsWith('incomplete: two-sided')).toBe(
        true,
      );
      for (const { stream, kind, pieces } of readSession(bundle).streams) {
        if (kind === 'postgres') {
          for (const { direction, offset, bytes } of pieces()) {
            const expected = contentAt(stream, direction, offset, bytes.length);
            expect(Buffer.from(bytes).equals(expected)).toBe(true);
          }
        }
      }
    });
  }
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

/** A session of which the gateway died; the client's spool is closed. */
async function abandoned(bench: RecordingBench, cutFirst: boolean): Promise<SessionPair> {
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.up(1, randomBytes(100));
  pair.down(1, randomBytes(90_000));
  await pair.gateway.writer.sync();
  if (cutFirst) {
    await pair.client.finish(new AbortController().signal);
  }
  pair.connected = false;
  pair.down(1, randomBytes(5_000));
  await pair.gateway.writer.sync();
  await pair.client.close();
  return pair;
}

test('a gateway that dies between its tail and the end of a seal finishes the seal', async () => {
  await using bench = await RecordingBench.create();
  const pair = await abandoned(bench, true);
  const before = await bench.ended(pair.session);
  const closed = await readFile(join(pair.gateway.directory, 'closed'));
  await before.seal();
  // That the end is there is said when it is there.
  await writeFile(join(pair.gateway.directory, 'closed'), closed);
  const names = (await readdir(pair.gateway.directory)).filter((name) => name.endsWith('.hrs'));
  const file = join(pair.gateway.directory, names.sort().at(-1) ?? '');
  const { size } = await stat(file);
  // Inside END.
  await truncate(file, size - 20);
  const ended = await bench.ended(pair.session);
  expect(ended.position()).toMatchObject({ state: 'sealed', agreed: 1 });
  const oneSided = {
    exitStatus: 2,
    verdict: 'incomplete: two-sided up to cut 1, then gateway only',
  };
  expect(verifyBundle(bytesSource(await readBundle(ended)), bench.trust)).toMatchObject(oneSided);
  // The client still signs the manifest, with the tail named.
  const { result } = await settle(bench, ended, pair.session);
  expect(result).toMatchObject(oneSided);
});

describe('torn ends', () => {
  test('any torn tail is cut off, kept beside, and the rest verifies as the gateway’s alone', async () => {
    const random = seededRandom(5);
    for (let round = 0; round < 12; round += 1) {
      await using bench = await RecordingBench.create();
      const pair = await abandoned(bench, true);
      const file = join(pair.gateway.directory, segmentName(1));
      const { size } = await stat(file);
      // Within the last frame: 5 000 bytes of data that no cut covers.
      const keep = size - 1 - Math.floor(random() * 5_000);
      await truncate(file, keep);
      const ended = await bench.ended(pair.session);
      const names = await readdir(pair.gateway.directory);
      expect(names).toContain(`${segmentName(1)}.torn`);
      // No dying process does this, a disk without power does: these bytes had reached the client.
      await expect(settle(bench, ended, pair.session)).rejects.toMatchObject({
        code: 'HOOP_EVIDENCE_MISMATCH',
      });
      expect(ended.endReason).toBe('gateway_crash');
      const result = verifyBundle(bytesSource(await readBundle(ended)), bench.trust);
      expect(result.exitStatus).toBe(2);
      expect(result.checks.filter(({ status }) => status === 'failed')).toEqual([]);
    }
  });

  test('zeros that a power cut leaves are cut off, from whatever sector of the last frame on', async () => {
    const random = seededRandom(6);
    for (let round = 0; round < 16; round += 1) {
      await using bench = await RecordingBench.create();
      const pair = await abandoned(bench, true);
      const file = join(pair.gateway.directory, segmentName(1));
      const { size } = await stat(file);
      // From some sector of the last frame on; the file had been made longer already.
      const sectors = Math.floor(size / 512) - Math.ceil((size - 5_000) / 512);
      const keep = (Math.floor(size / 512) - Math.floor(random() * sectors)) * 512;
      await truncate(file, keep);
      await truncate(file, size + Math.floor(random() * 9_000));
      const ended = await bench.ended(pair.session);
      expect(await readdir(pair.gateway.directory)).toContain(`${segmentName(1)}.torn`);
      const result = verifyBundle(bytesSource(await readBundle(ended)), bench.trust);
      expect(result.exitStatus).toBe(2);
      expect(result.checks.filter(({ status }) => status === 'failed')).toEqual([]);
    }
  });

  test('zeros behind the last frame are cut off, and no frame with them', async () => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, true);
    await appendFile(join(pair.gateway.directory, segmentName(1)), Buffer.alloc(777));
    const ended = await bench.ended(pair.session);
    const { result } = await settle(bench, ended, pair.session);
    expect(result.exitStatus).toBe(0);
  });

  const damages: readonly [string, (bytes: Buffer) => Buffer][] = [
    ['bytes that are no frame', (bytes) => Buffer.concat([bytes, randomBytes(777)])],
    ['a whole last frame that does not open', (bytes) => flipped(bytes, bytes.length - 3_000)],
    ['a whole last frame with another tag', (bytes) => flipped(bytes, bytes.length - 9)],
    ['a length that is not the one', (bytes) => flipped(bytes, bytes.length - 5_089 + 2)],
    [
      'a page that was never written',
      (bytes) => Buffer.from(bytes).fill(0, bytes.length - 4_500, bytes.length - 400),
    ],
  ];
  test.each(damages)(
    '%s behind the last signed cut is cut off, and verify says so',
    async (_what, change) => {
      await using bench = await RecordingBench.create();
      const pair = await abandoned(bench, true);
      const file = join(pair.gateway.directory, segmentName(1));
      const before = await readFile(file);
      await writeFile(file, change(before));
      const ended = await bench.ended(pair.session);
      expect(await readdir(pair.gateway.directory)).toContain(`${segmentName(1)}.torn`);
      await ended.signAlone();
      const result = verifyBundle(bytesSource(await readBundle(ended)), {
        ...bench.trust,
        allowOneSided: true,
      });
      expect(result).toMatchObject({
        exitStatus: 2,
        verdict: 'incomplete: the gateway itself reports 1 gap',
      });
      expect(result.checks.filter(({ status }) => status === 'failed')).toEqual([]);
    },
  );

  test.each(damages)('%s is not repaired in a recording that was closed', async (_what, change) => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, true);
    await pair.gateway.close({ reason: 'closed' });
    const file = join(pair.gateway.directory, segmentName(1));
    const damaged = change(await readFile(file));
    await writeFile(file, damaged);
    await expect(bench.ended(pair.session)).rejects.toMatchObject({
      code: 'HOOP_RECORDING_DAMAGED',
    });
    expect((await readFile(file)).equals(damaged)).toBe(true);
    expect(await readdir(pair.gateway.directory)).not.toContain(segmentName(2));
  });

  test('files that end before what a recording was closed with are not repaired', async () => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, true);
    await pair.gateway.close({ reason: 'client_lost' });
    const file = join(pair.gateway.directory, segmentName(1));
    await truncate(file, (await stat(file)).size - 1);
    const before = await readFile(file);
    await expect(bench.ended(pair.session)).rejects.toMatchObject({
      code: 'HOOP_RECORDING_DAMAGED',
      message: expect.stringMatching(/^recording is truncated below its \d+ frames$/),
    });
    expect((await readFile(file)).equals(before)).toBe(true);
    expect(await readdir(pair.gateway.directory)).not.toContain(segmentName(2));
  });

  test('what was torn off before under the same number stays', async () => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, true);
    const torn = join(pair.gateway.directory, `${segmentName(2)}.torn`);
    await writeFile(torn, 'of an earlier crash');
    await writeFile(`${torn}.2`, 'of another');
    await writeFile(join(pair.gateway.directory, segmentName(2)), 'and of this one');
    await bench.ended(pair.session);
    expect(await readFile(torn, 'utf8')).toBe('of an earlier crash');
    expect(await readFile(`${torn}.2`, 'utf8')).toBe('of another');
    expect(await readFile(`${torn}.3`, 'utf8')).toBe('and of this one');
  });

  test('whoever has lost its lease while it read a recording neither repairs, closes nor seals it', async () => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, true);
    const { directory } = pair.gateway;
    const open = (looks: number) => {
      const { store, keys } = bench;
      let left = looks;
      return EndedRecording.open({
        ...{ store, session: pair.session, gatewayKey: keys.gatewayKey },
        mayWrite: async () => {
          left -= 1;
          if (left < 0) throw new Error('taken over');
        },
      });
    };
    await expect(open(0)).rejects.toThrow('taken over');
    expect(await readdir(directory)).not.toContain(segmentName(2));
    await expect(open(1)).rejects.toThrow('taken over');
    expect(await readdir(directory)).not.toContain('closed');
    const ended = await open(2);
    const closed = await readFile(join(directory, 'closed'));
    await ended.seal();
    // A seal that was broken off between its tail and its end.
    await writeFile(join(directory, 'closed'), closed);
    const last = join(directory, segmentName(3));
    await truncate(last, (await stat(last)).size - 20);
    // Reading and cutting what is torn may take longer than a lease.
    const before = (await readdir(directory)).filter((name) => name.endsWith('.hrs'));
    await expect(open(1)).rejects.toThrow('taken over');
    const after = (await readdir(directory)).filter((name) => name.endsWith('.hrs'));
    expect(after).toEqual([...before, segmentName(4)]);
    expect((await open(2)).position()).toMatchObject({ state: 'sealed' });
  });

  test('damage before a signed cut is not repaired, and nothing is cut', async () => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, true);
    const file = join(pair.gateway.directory, segmentName(1));
    const whole = await readFile(file);
    for (const at of [150, 30_000, 90_000]) {
      await writeFile(file, flipped(whole, at));
      await expect(bench.ended(pair.session)).rejects.toMatchObject({
        code: 'HOOP_RECORDING_DAMAGED',
      });
      expect((await readFile(file)).equals(flipped(whole, at))).toBe(true);
    }
    expect(await readdir(pair.gateway.directory)).not.toContain(segmentName(2));
  });

  test('a segment behind the damage is put aside with it', async () => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, true);
    await bench.ended(pair.session);
    // As after a power cut soon after the segment was changed: its last sync had not come yet.
    await rm(join(pair.gateway.directory, 'closed'));
    const file = join(pair.gateway.directory, segmentName(1));
    await writeFile(file, flipped(await readFile(file), 95_000));
    const ended = await bench.ended(pair.session);
    const names = await readdir(pair.gateway.directory);
    expect(names).toEqual(
      expect.arrayContaining([`${segmentName(1)}.torn`, `${segmentName(2)}.torn`, segmentName(2)]),
    );
    const result = verifyBundle(bytesSource(await readBundle(ended)), bench.trust);
    expect(result.checks.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(result.exitStatus).toBe(2);
  });

  test('with another key nothing is repaired, however the recording ends', async () => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, false);
    const file = join(pair.gateway.directory, segmentName(1));
    await truncate(file, (await stat(file)).size - 100);
    const before = await readFile(file);
    const nowMs = Date.now();
    storeRecordingKeys(bench.store.keysDir, pair.session, newRecordingKeys(), nowMs);
    await expect(bench.ended(pair.session)).rejects.toMatchObject({
      code: 'HOOP_RECORDING_DAMAGED',
      message: 'frame 0 was altered',
    });
    expect((await readFile(file)).equals(before)).toBe(true);
  });

  test('a recording of format 1 is refused by its name, whole or torn, and not touched', async () => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, false);
    const file = join(pair.gateway.directory, segmentName(1));
    const whole = await readFile(file);
    for (const length of [whole.length, 80, 9]) {
      const old = whole.subarray(0, length);
      old.write('HOOPREC1');
      await writeFile(file, old);
      await expect(bench.ended(pair.session)).rejects.toMatchObject({
        code: 'HOOP_RECORDING_FORMAT',
        message: 'the recording has format 1, which this version does not read',
      });
      expect((await readFile(file)).equals(old)).toBe(true);
    }
  });

  test.each([17, 0])('a segment of which %d bytes were written is put aside', async (bytes) => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, false);
    await writeFile(join(pair.gateway.directory, segmentName(2)), Buffer.alloc(bytes));
    const ended = await bench.ended(pair.session);
    const { result } = await settle(bench, ended, pair.session);
    expect(result.exitStatus).toBe(0);
  });

  test('a client whose disk was full at the end, too, settles when there is room again', async () => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, false);
    const spool = spoolDirectory(bench.spools, pair.session);
    // Of a cut, and of what came behind it, there was room for a part.
    for (const name of ['journal', 'open-0', 'open-1']) {
      await appendFile(join(spool, name), Buffer.from([1, 0, 0, 1, 0, 7, 7]));
    }
    const ended = await bench.ended(pair.session);
    const { receipt, result } = await settle(bench, ended, pair.session);
    expect(receipt.cuts).toBe(1);
    expect(result.exitStatus).toBe(0);
  });

  test('files that end before what was countersigned are not repaired', async () => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, true);
    const file = join(pair.gateway.directory, segmentName(1));
    await truncate(file, 50_000);
    const before = await readFile(file);
    await expect(bench.ended(pair.session)).rejects.toMatchObject({
      code: 'HOOP_RECORDING_DAMAGED',
      message: 'recording is truncated below signed cut 0',
    });
    expect((await readFile(file)).equals(before)).toBe(true);
    expect(await readdir(pair.gateway.directory)).not.toContain(segmentName(2));
  });

  test('a missing segment in the middle is not repaired', async () => {
    await using bench = await RecordingBench.create();
    const pair = await abandoned(bench, false);
    await bench.ended(pair.session);
    await rm(join(pair.gateway.directory, segmentName(1)));
    await expect(bench.ended(pair.session)).rejects.toMatchObject({
      code: 'HOOP_RECORDING_DAMAGED',
      message: 'segment 1 is missing',
    });
  });
});

describe('altered files', () => {
  test('a flipped bit anywhere in a closed recording is found when it is opened', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.up(1, randomBytes(40));
    pair.down(1, randomBytes(300));
    pair.client.closeStream(1);
    pair.gateway.closeStream(1, 'closed');
    await pair.end();
    const file = join(recordingDirectory(bench.store, pair.session), segmentName(1));
    const original = await readFile(file);
    const missed: number[] = [];
    for (let at = 0; at < original.length; at += 3) {
      const altered = Buffer.from(original);
      altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8));
      await writeFile(file, altered);
      const opened = await bench.ended(pair.session).then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'HOOP_RECORDING_DAMAGED' });
          return false;
        },
      );
      if (opened) {
        missed.push(at);
        await rm(`${file}.torn`, { force: true });
        await rm(file.replace(segmentName(1), segmentName(2)), { force: true });
      }
    }
    expect(missed).toEqual([]);
  });
});
