/** What a client's journal holds, what a crash may take of it, and what nobody may change. */
import { randomBytes } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { ClientJournal } from '../../src/recording/client/client-journal.ts';
import { compareWithJournal } from '../../src/recording/client/compare-journal.ts';
import { openJournal } from '../../src/recording/client/open-journal.ts';
import { releaseSpool } from '../../src/recording/client/spool.ts';
import { uploadSession } from '../../src/recording/client/upload-session.ts';
import { CHUNK_BYTES } from '../../src/recording/formats/chunk.ts';
import { decodeEnvelope } from '../../src/recording/formats/dsse.ts';
import { decodeManifest } from '../../src/recording/formats/manifest.ts';
import { verifyBundle } from '../../src/recording/verify/verify.ts';
import { realSystem, segmentName } from '../../src/recording/write/segment-writer.ts';
import { newSessionId } from '../../src/session-id.ts';
import {
  RecordingBench,
  readBundle,
  SessionPair,
  seededRandom,
  transportTo,
} from './session-pair.ts';

let bench: RecordingBench;
beforeEach(async () => {
  bench = await RecordingBench.create();
});
afterEach(() => bench[Symbol.asyncDispose]());

const signal = () => new AbortController().signal;

/** The spool as `kill -9` would leave it now. */
function asItIs(pair: SessionPair, name: string): string {
  const spools = join(bench.directory, name);
  cpSync(bench.spools, spools, { recursive: true });
  releaseSpool(join(spools, pair.session));
  return spools;
}

describe('a bundle, held against what the client’s machine has kept', () => {
  async function signed() {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.up(1, randomBytes(10));
    pair.down(1, randomBytes(1_000));
    await pair.end();
    const spool = join(bench.spools, pair.session);
    const journalOnly = join(asItIs(pair, 'journal-only'), pair.session);
    const gateway = await pair.transport();
    const early = await readBundle(gateway.ended);
    await uploadSession({
      directory: bench.spools,
      session: pair.session,
      gateway,
      signal: signal(),
    });
    return { spool, journalOnly, gateway, early, bundle: await readBundle(gateway.ended) };
  }

  test('agrees with its receipt and with its journal', async () => {
    const { spool, journalOnly, bundle } = await signed();
    expect(compareWithJournal(spool, bytesSource(bundle))).toEqual({
      status: 'agrees',
      text: 'the receipt on this machine is for the same manifest',
    });
    expect(compareWithJournal(journalOnly, bytesSource(bundle))).toEqual({
      status: 'agrees',
      text: 'the journal on this machine has the same 2 cuts',
    });
  });

  test('agrees with a bundle from before it has signed', async () => {
    const { spool, journalOnly, gateway, bundle, early } = await signed();
    for (const kept of [spool, journalOnly]) {
      expect(compareWithJournal(kept, bytesSource(early))).toMatchObject({ status: 'agrees' });
    }
    expect(early.equals(bundle)).toBe(false);
    expect(gateway.ended.position().state).toBe('complete');
  });

  test('differs where it lacks a cut, or a byte that came', async () => {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.down(1, randomBytes(1_000));
    await pair.gateway.writer.sync();
    const before = statSync(join(pair.gateway.directory, segmentName(1))).size;
    await pair.client.finish(signal());
    pair.down(1, randomBytes(600));
    await pair.client.close();
    const spool = join(bench.spools, pair.session);
    const other = join(bench.directory, 'backup');
    cpSync(pair.gateway.directory, other, { recursive: true });
    const size = statSync(join(other, segmentName(1))).size;
    const compared: unknown[] = [];
    for (const [length, isSigned] of [
      [size, true],
      [size - 50, true],
      [before, false],
    ] as const) {
      rmSync(pair.gateway.directory, { recursive: true });
      cpSync(other, pair.gateway.directory, { recursive: true });
      truncateSync(join(pair.gateway.directory, segmentName(1)), length);
      if (!isSigned) {
        // Somebody who can write the gateway's disk takes the witness of the cut away as well.
        rmSync(join(pair.gateway.directory, 'signed.cuts'));
      }
      const ended = await bench.ended(pair.session);
      await ended.signAlone();
      const bundle = await readBundle(ended);
      compared.push(compareWithJournal(spool, bytesSource(bundle)));
    }
    expect(compared).toEqual([
      { status: 'agrees', text: 'the journal on this machine has the same cut' },
      {
        status: 'differs',
        text: 'the recording lacks 600 bytes of stream 1 down that the journal on this machine has',
      },
      {
        status: 'differs',
        text: 'the journal on this machine has cut 0, but the recording does not',
      },
    ]);
  });

  test('differs from the receipt of another manifest, and from another session', async () => {
    const one = await signed();
    const two = await signed();
    expect(compareWithJournal(two.spool, bytesSource(one.bundle))).toMatchObject({
      status: 'differs',
      text: 'the receipt on this machine is for another manifest',
    });
    expect(compareWithJournal(two.journalOnly, bytesSource(one.bundle))).toMatchObject({
      status: 'differs',
    });
    expect(compareWithJournal(one.spool, bytesSource(Buffer.from('no bundle')))).toBe(undefined);
  });
});

test('a journal of which not all files can be made leaves none of them open', async () => {
  const directory = join(bench.directory, 'half');
  mkdirSync(directory);
  writeFileSync(join(directory, 'open-1'), '');
  const session = newSessionId(Date.now(), randomBytes(16));
  const options = { directory, session, system: realSystem, onFailure: () => undefined };
  await expect(ClientJournal.create(options)).rejects.toMatchObject({
    code: 'HOOP_RECORDING_WRITE',
  });
  const open = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(join('/proc/self/fd', fd))];
    } catch {
      // The one that this list was read by.
      return [];
    }
  });
  expect(open.filter((path) => path.startsWith(directory))).toEqual([]);
});

describe('kill -9 of the client alone', () => {
  for (const seed of [1, 2, 3, 4]) {
    test(`leaves a journal that signs to the last byte that was handed on (seed ${seed})`, async () => {
      const random = seededRandom(seed);
      const pair = await SessionPair.open(bench);
      for (const stream of [1, 2]) {
        pair.openStream(stream);
      }
      const down = new Map([1, 2].map((stream) => [stream, { came: 0, handedOn: 0, up: 0 }]));
      for (let turn = 0; turn < 60; turn += 1) {
        for (const [stream, at] of down) {
          const bytes = randomBytes(1 + Math.floor(random() ** 4 * 300_000));
          pair.gateway.data(stream, 1, [bytes]);
          pair.client.data(stream, 1, [bytes]);
          at.came += bytes.length;
          const { came } = at;
          pair.client.turns.whenWritten(() => {
            at.handedOn = came;
          });
          const question = randomBytes(1 + Math.floor(random() * 500));
          pair.client.data(stream, 0, [question]);
          pair.client.turns.whenWritten(() => {
            // Only now is it sent.
            pair.gateway.data(stream, 0, [question]);
            at.up += question.length;
          });
        }
        await (pair.gateway.backpressure() ?? new Promise((resolve) => setImmediate(resolve)));
        if (random() < 0.1) {
          await pair.gateway.writer.sync();
        }
      }
      pair.client.turns.flush();
      const handedOn = structuredClone(down);
      const spools = asItIs(pair, 'killed');
      await pair.gateway.close({ reason: 'client_lost' });
      const transport = await pair.transport();
      await uploadSession({
        directory: spools,
        session: pair.session,
        gateway: transport,
        signal: signal(),
      });
      const { ledger } = openJournal(join(spools, pair.session), pair.session);
      for (const [stream, at] of handedOn) {
        expect(ledger.offsets(stream)).toEqual({ stream, up: at.up, down: at.handedOn });
      }
      const result = verifyBundle(bytesSource(await readBundle(transport.ended)), bench.trust);
      expect(result.verdict).toBe('verified (two-sided, not logged)');
      await pair.client.close();
    });
  }

  test('in the middle of what it sent signs up to the piece before; the rest is the gateway’s word', async () => {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.up(1, Buffer.from('SELECT 1;'));
    const piece = Buffer.from('SELECT 2 FROM what_was_in_flight;');
    pair.client.data(1, 0, [piece]);
    pair.client.turns.flush();
    // Of the last piece a part has arrived.
    pair.gateway.data(1, 0, [piece.subarray(0, 7)]);
    pair.gateway.turns.flush();
    await pair.gateway.writer.sync();
    const spools = asItIs(pair, 'killed');
    await pair.gateway.close({ reason: 'client_lost' });
    const transport = await pair.transport();
    const options = { directory: spools, session: pair.session, signal: signal() };
    const receipt = await uploadSession({ ...options, gateway: transport });
    expect(receipt).toMatchObject({ cuts: 1, hasUnconfirmedTail: true });
    const { ledger } = openJournal(join(spools, pair.session), pair.session);
    expect(ledger.offsets(1)).toEqual({ stream: 1, up: 9, down: 0 });
    await pair.client.close();
  });

  test('while it lives the client signs the part that has arrived as well', async () => {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    const piece = Buffer.from('SELECT 2 FROM what_was_in_flight;');
    pair.client.data(1, 0, [piece]);
    pair.client.turns.flush();
    pair.gateway.data(1, 0, [piece.subarray(0, 7)]);
    await pair.gateway.close({ reason: 'partition' });
    await pair.client.close();
    const gateway = await pair.transport();
    const options = { directory: bench.spools, session: pair.session, signal: signal() };
    const receipt = await uploadSession({ ...options, gateway, live: pair.client });
    expect(receipt).toMatchObject({ cuts: 1, hasUnconfirmedTail: false });
  });

  test('between a cut and its answer offers the same cut again, and then what came behind it', async () => {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.down(1, randomBytes(CHUNK_BYTES + 500));
    const proposal = await pair.nextCut();
    pair.down(1, randomBytes(100));
    pair.down(1, randomBytes(2 * CHUNK_BYTES));
    const spools = asItIs(pair, 'killed');
    await pair.gateway.close({ reason: 'client_lost' });
    const gateway = await pair.transport();
    const offered: unknown[] = [];
    const proposeCut: typeof gateway.proposeCut = (session, cut, stop) => {
      offered.push(cut);
      return gateway.proposeCut(session, cut, stop);
    };
    const options = { directory: spools, session: pair.session, signal: signal() };
    const receipt = await uploadSession({ ...options, gateway: { ...gateway, proposeCut } });
    expect(offered).toHaveLength(2);
    expect(offered[0]).toEqual(proposal);
    expect(receipt).toMatchObject({ cuts: 2, hasUnconfirmedTail: false });
    await pair.client.close();
  });
});

describe('a gateway whose files were cut off', () => {
  /** What both had, less the gateway's last frame; of the client there is what `kill -9` left. */
  async function shortened(): Promise<{ readonly pair: SessionPair; readonly spools: string }> {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.down(1, randomBytes(1000));
    await pair.gateway.writer.sync();
    await pair.client.finish(signal());
    pair.connected = false;
    for (let piece = 0; piece < 4; piece += 1) {
      pair.up(1, randomBytes(10));
      pair.down(1, randomBytes(600));
    }
    await pair.gateway.writer.sync();
    const file = join(pair.gateway.directory, segmentName(1));
    truncateSync(file, statSync(file).size - 50);
    return { pair, spools: asItIs(pair, 'killed') };
  }

  test('gets no signature of a later hoop, whenever it asks, though they agree on what is there', async () => {
    const { pair, spools } = await shortened();
    const ended = await bench.ended(pair.session);
    const gateway = transportTo(ended);
    const options = { directory: spools, session: pair.session, gateway, signal: signal() };
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await expect(uploadSession(options)).rejects.toMatchObject({
        code: 'HOOP_EVIDENCE_MISMATCH',
        message: 'the gateway has recorded 600 bytes less of stream 1 than came from it',
      });
    }
    // The bytes that are there are agreed on; only the whole is not.
    expect(ended.position()).toMatchObject({ agreed: 2 });
    await pair.client.close();
  });

  test('nor for what it had said was on its disk, if only that is gone and nothing can go back', async () => {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.up(1, randomBytes(10));
    await pair.gateway.writer.sync();
    pair.up(1, randomBytes(600));
    await pair.gateway.writer.sync();
    pair.connected = false;
    const file = join(pair.gateway.directory, segmentName(1));
    truncateSync(file, statSync(file).size - 50);
    await pair.client.close();
    const gateway = await pair.transport();
    // Before that the client would send it back: repair.test.ts.
    await gateway.ended.seal();
    const options = { directory: bench.spools, session: pair.session, gateway, signal: signal() };
    await expect(uploadSession({ ...options, live: pair.client })).rejects.toMatchObject({
      code: 'HOOP_EVIDENCE_MISMATCH',
      message:
        'the gateway has 600 bytes less of what it was sent on stream 1 than it said were on its disk',
    });
  });

  test('is not offered a cut that goes beyond them', async () => {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.down(1, randomBytes(10));
    pair.down(1, randomBytes(600));
    await pair.nextCut();
    await pair.gateway.writer.sync();
    const file = join(pair.gateway.directory, segmentName(1));
    truncateSync(file, statSync(file).size - 50);
    const spools = asItIs(pair, 'killed');
    const gateway = await pair.transport();
    const options = { directory: spools, session: pair.session, gateway, signal: signal() };
    await expect(uploadSession(options)).rejects.toThrow('than came from it');
    expect(gateway.ended.position()).toMatchObject({ state: 'ended', agreed: 0 });
    await pair.client.close();
  });
});

test('a session whose hoop was killed before it had a journal is settled as one without a byte', async () => {
  const pair = await SessionPair.open(bench);
  await pair.client.close();
  for (const name of ['journal', 'open-0', 'open-1']) {
    rmSync(join(pair.client.directory, name));
  }
  await pair.gateway.close({ reason: 'client_lost' });
  const gateway = await pair.transport();
  const options = { directory: bench.spools, session: pair.session, signal: signal() };
  const receipt = await uploadSession({ ...options, gateway });
  expect(receipt).toMatchObject({ cuts: 0, hasUnconfirmedTail: false });
});

test('of two that settle one session only one signs', async () => {
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.down(1, randomBytes(100));
  await pair.gateway.close({ reason: 'client_lost' });
  await pair.client.close();
  const gateway = await pair.transport();
  const options = { directory: bench.spools, session: pair.session, signal: signal() };
  // Two containers with one home: neither sees the process of the other.
  const uploads = await Promise.allSettled(
    [1, 2].map(() => uploadSession({ ...options, gateway, live: pair.client })),
  );
  const failed = uploads.flatMap((upload) => (upload.status === 'rejected' ? [upload.reason] : []));
  expect(failed).toMatchObject([{ code: 'HOOP_LOCAL_STATE' }]);
  expect(gateway.ended.position()).toMatchObject({ agreed: 1 });
  expect(openJournal(pair.client.directory, pair.session).agreed).toHaveLength(1);
});

test.each(['position', 'proposeCut'] as const)(
  'who asks the gateway while another settles the session accuses nobody (%s)',
  async (step) => {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.down(1, randomBytes(100));
    await pair.gateway.close({ reason: 'client_lost' });
    await pair.client.close();
    const gateway = await pair.transport();
    const options = { directory: bench.spools, session: pair.session, signal: signal() };
    const other = () => uploadSession({ ...options, gateway });
    // Its answer comes when the other has done all of its work.
    const slow = {
      ...gateway,
      [step]: async (...args: Parameters<typeof gateway.proposeCut>) => {
        const answer = await Reflect.apply(gateway[step], gateway, args);
        await other();
        return answer;
      },
    };
    await expect(uploadSession({ ...options, gateway: slow })).rejects.toMatchObject({
      code: 'HOOP_LOCAL_STATE',
    });
    expect(gateway.ended.position()).toMatchObject({ agreed: 1, state: 'complete' });
  },
);

for (const when of ['after', 'while'] as const) {
  test(`a process that wakes up ${when} another hoop settles its session signs no other cut`, async () => {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.down(1, randomBytes(500));
    pair.connected = false;
    await pair.gateway.close({ reason: 'client_lost' });
    // In another container, with the same home: the process that recorded it is not seen there.
    releaseSpool(pair.client.directory);
    const gateway = await pair.transport();
    const proposeCut: typeof gateway.proposeCut = async (session, cut, stop) => {
      if (when === 'while') {
        await pair.client.finish(signal());
      }
      return gateway.proposeCut(session, cut, stop);
    };
    const options = { directory: bench.spools, session: pair.session, signal: signal() };
    const receipt = await uploadSession({ ...options, gateway: { ...gateway, proposeCut } });
    await pair.client.finish(signal());
    expect(pair.client.stopped.aborted).toBe(true);
    expect(pair.cuts).toEqual([]);
    const { sha256 } = openJournal(pair.client.directory, pair.session);
    const envelope = decodeEnvelope(Buffer.from(receipt.envelope), 'the manifest');
    expect(decodeManifest(envelope).clientJournalSha256).toEqual(sha256);
    await pair.client.close();
  });
}

describe('a journal', () => {
  /** Two agreed cuts, a proposed one, and bytes behind it. */
  async function session(): Promise<SessionPair> {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    for (let cut = 0; cut < 2; cut += 1) {
      pair.up(1, Buffer.from(`SELECT ${cut}`));
      pair.down(1, randomBytes(3 * CHUNK_BYTES + 11));
      await pair.gateway.writer.sync();
      await pair.client.finish(signal());
    }
    pair.down(1, randomBytes(100));
    await pair.nextCut();
    pair.down(1, randomBytes(50));
    await pair.client.close();
    await pair.gateway.close({ reason: 'client_lost' });
    return pair;
  }

  test('that ends anywhere gives what it holds, and never more cuts than were signed', async () => {
    const pair = await session();
    const { directory } = pair.client;
    const file = join(directory, 'journal');
    const whole = readFileSync(file);
    const seen = new Set<string>();
    for (let length = 24; length <= whole.length; length += 1) {
      writeFileSync(file, whole.subarray(0, length));
      const { agreed, proposed } = openJournal(directory, pair.session);
      seen.add(`${agreed.length} ${proposed === undefined ? '' : 'proposed'}`);
    }
    expect([...seen]).toEqual(['0 ', '0 proposed', '1 ', '1 proposed', '2 ', '2 proposed']);
    // Without power, the file was made longer and never filled.
    writeFileSync(file, Buffer.concat([whole, Buffer.alloc(4096)]));
    expect(openJournal(directory, pair.session)).toMatchObject({ records: 5 });
    // Killed while it was made, or before.
    for (const length of [0, 10]) {
      writeFileSync(file, whole.subarray(0, length));
      expect(openJournal(directory, pair.session)).toMatchObject({ records: 0 });
    }
    writeFileSync(file, 'HOOPREC1');
    expect(() => openJournal(directory, pair.session)).toThrow('is damaged');
  });

  test('whose last sector was never written ends before the record that it belongs to', async () => {
    const pair = await session();
    const { directory } = pair.client;
    const file = join(directory, 'journal');
    const whole = readFileSync(file);
    // PROPOSED is synced before it is sent: nobody has seen the cut that power took in the middle.
    const torn = Buffer.from(whole).fill(0, Math.floor((whole.length - 1) / 512) * 512);
    writeFileSync(file, torn);
    const found = openJournal(directory, pair.session);
    expect(found).toMatchObject({ records: 4, proposed: undefined });
    expect(found.agreed).toHaveLength(2);
    // Not so where something stands behind it.
    writeFileSync(file, Buffer.concat([torn, whole.subarray(24)]));
    expect(() => openJournal(directory, pair.session)).toThrow('is damaged');
  });

  test('has its beginning on disk before the session begins', async () => {
    let syncs = 0;
    const clientSystem = {
      ...realSystem,
      syncData: (fd: number) => {
        syncs += 1;
        return realSystem.syncData(fd);
      },
    };
    const pair = await SessionPair.open(bench, { clientSystem });
    expect(syncs).toBeGreaterThan(0);
    await pair.client.close();
    await pair.gateway.close({ reason: 'closed' });
  });

  test('on a slow disk is synced for all who wait at once, however much is written meanwhile', async () => {
    const directory = join(bench.directory, 'slow');
    mkdirSync(directory);
    const place = { epoch: 0, stream: 1, direction: 1, offset: 0, length: 1 } as const;
    const point = { place, leaf: randomBytes(32) };
    let syncs = 0;
    let write = (): void => undefined;
    const journal = await ClientJournal.create({
      directory,
      session: newSessionId(Date.now(), randomBytes(16)),
      onFailure: () => undefined,
      system: {
        ...realSystem,
        syncData: async () => {
          syncs += 1;
          write();
        },
      },
    });
    const begun = syncs;
    // Statements go on.
    write = () => journal.leaves([point]);
    const waiting: Promise<void>[] = [];
    for (let asked = 0; asked < 50; asked += 1) {
      journal.leaves([point]);
      waiting.push(journal.sync());
    }
    await Promise.all(waiting);
    expect(syncs - begun).toBeLessThan(5);
    write = () => undefined;
    await journal.close();
  });

  test('in which a byte was changed is refused, or ends before it', async () => {
    const pair = await session();
    const { directory } = pair.client;
    const file = join(directory, 'journal');
    const whole = readFileSync(file);
    const right = openJournal(directory, pair.session);
    for (let at = 0; at < whole.length; at += 1) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      writeFileSync(file, changed);
      try {
        const { agreed, records } = openJournal(directory, pair.session);
        expect(records).toBeLessThan(5);
        expect(agreed).toEqual(right.agreed.slice(0, agreed.length));
      } catch (error) {
        expect(error).toMatchObject({ code: 'HOOP_RECORDING_DAMAGED' });
      }
    }
  });

  test('whose leaves are damaged or of another cut signs less, and nothing that is not true', async () => {
    const pair = await session();
    const { directory } = pair.client;
    const [first = '', second = ''] = ['open-0', 'open-1'].map((name) => join(directory, name));
    const { points } = openJournal(directory, pair.session);
    expect(points.offsets()).toMatchObject([{ stream: 1, down: 2 * (3 * CHUNK_BYTES + 11) + 150 }]);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(500), readFileSync(first)]) {
      writeFileSync(second, bytes);
      expect(openJournal(directory, pair.session).points.offsets()).toEqual([]);
    }
    const gateway = await pair.transport();
    const options = { directory: bench.spools, session: pair.session, signal: signal() };
    const receipt = await uploadSession({ ...options, gateway });
    expect(receipt).toMatchObject({ cuts: 3, hasUnconfirmedTail: true });
  });

  test('holds neither content nor the key that would let it be guessed', async () => {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    const marker = Buffer.from('marker 4111 1111 1111 1111');
    for (let turn = 0; turn < 50; turn += 1) {
      pair.up(1, marker);
      pair.down(1, marker);
    }
    const salt = pair.saltKey;
    const look = () =>
      readdirSync(pair.client.directory).map((name) =>
        readFileSync(join(pair.client.directory, name)),
      );
    const secrets = [marker, salt, Buffer.from(salt.toString('base64')), salt.toString('hex')];
    const check = () => {
      for (const bytes of look()) {
        expect(secrets.some((secret) => bytes.includes(secret))).toBe(false);
      }
    };
    check();
    await pair.end();
    check();
  });

  test('takes little more than its leaves', async () => {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    const piece = randomBytes(16 * 1024);
    const megabytes = 64;
    for (let turn = 0; turn < megabytes * 64; turn += 1) {
      pair.down(1, piece);
      await pair.gateway.backpressure();
      if (turn % 64 === 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await pair.end();
    const sizes = readdirSync(pair.client.directory).map(
      (name) => readFileSync(join(pair.client.directory, name)).length,
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(megabytes * 4096);
  });
});
