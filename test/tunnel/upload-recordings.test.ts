import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { open as openFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type OpenGateway, openGateway } from '../../src/auth/open-gateway.ts';
import type { GatewayClient } from '../../src/client/gateway-client.ts';
import { CONNECTORS } from '../../src/connectors/registry.ts';
import { HoopError } from '../../src/errors.ts';
import { pendingUploads } from '../../src/recording/client/pending-uploads.ts';
import { releaseSpool, spoolDirectory } from '../../src/recording/client/spool.ts';
import type { LiveWitness } from '../../src/recording/client/upload-session.ts';
import { connectSession } from '../../src/tunnel/connect-session.ts';
import { spoolsOf } from '../../src/tunnel/spools-of.ts';
import { uploadPending, uploadRecording } from '../../src/tunnel/upload-recordings.ts';
import { type GatewayBench, startGatewayBench } from '../gateway/gateway-bench.ts';

let bench: GatewayBench;
beforeAll(async () => {
  bench = await startGatewayBench({ isPolicyFixed: true });
  await bench.client('engineer');
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

test('a recording that cannot be sent is an error that says where it is kept, and no success', async () => {
  await using open = await openGateway({ env: bench.environment('engineer') });
  const notes: string[] = [];
  const session = '01890a5d-ac96-774b-bcce-b302099a8057';
  const uploaded = uploadRecording({ open, session, note: (text) => notes.push(text) });
  await expect(uploaded).rejects.toMatchObject({
    code: 'HOOP_UPLOAD_FAILED',
    message: `the recording of session ${session} is not signed by both sides yet`,
    hint: expect.stringContaining(open.home.state),
  });
  expect(notes).toEqual([]);
});

test('who waits for a gateway that cannot be reached is told so once, and the recording is sent', async () => {
  await using open = await openGateway({ env: bench.environment('engineer') });
  const left = await leftRecording(open);
  let failures = 2;
  const away = gatewayThat(open, () => {
    failures -= 1;
    if (failures >= 0) {
      throw new HoopError('HOOP_UNREACHABLE', 'cannot reach gateway "gw": connection refused');
    }
  });
  const notes: string[] = [];
  const note = (text: string) => void notes.push(text);
  await uploadRecording({ ...left, open: away, note });
  expect(notes).toEqual([
    'the recording is not signed by both sides yet, retrying: cannot reach gateway "gw": connection refused',
    'recording signed by both sides',
  ]);
});

test('a gateway that is still reading the recording is waited for, however long it takes', async () => {
  await using open = await openGateway({ env: bench.environment('engineer') });
  const left = await leftRecording(open);
  let reading = 5;
  const busy = gatewayThat(open, () => {
    reading -= 1;
    if (reading >= 0) {
      throw new HoopError('HOOP_RECORDING_READING', 'the gateway is still reading the recording');
    }
  });
  let nowMs = 0;
  const clock = () => {
    nowMs += 60_000;
    return nowMs;
  };
  const notes: string[] = [];
  const note = (text: string) => void notes.push(text);
  await uploadRecording({ ...left, open: busy, note, clock, wait: async () => undefined });
  expect(notes).toEqual([
    'the gateway is still reading the recording before it signs: waiting; a second Ctrl-C leaves it to your next `hoop connect`',
    'recording signed by both sides',
  ]);
});

/** @param asked throws while the gateway does not answer */
function gatewayThat(open: OpenGateway, asked: () => void): OpenGateway {
  const { client } = open;
  const made: GatewayClient = Object.assign(Object.create(client), {
    position: async (...call: Parameters<GatewayClient['position']>) => {
      asked();
      return client.position(...call);
    },
    proposeCut: client.proposeCut.bind(client),
    repair: client.repair.bind(client),
    seal: client.seal.bind(client),
    putManifest: client.putManifest.bind(client),
  });
  return { ...open, client: made };
}

/** A gateway that cannot be reached, and how often somebody has tried. */
function awayGateway(open: OpenGateway) {
  const tries: string[] = [];
  const client: GatewayClient = Object.assign(Object.create(open.client), {
    position: async (session: string) => {
      tries.push(session);
      throw new HoopError('HOOP_UNREACHABLE', 'no answer');
    },
  });
  return { open: { ...open, client }, tries };
}

test('a gateway that does not answer is not asked again by whoever has waited for it', async () => {
  await using open = await openGateway({ env: bench.environment('engineer') });
  const left = await leftRecording(open);
  const away = awayGateway(open);
  let nowMs = 0;
  const clock = () => {
    nowMs += 30_000;
    return nowMs;
  };
  const sent = uploadRecording({ ...left, open: away.open, note: () => undefined, clock });
  await expect(sent).rejects.toMatchObject({ code: 'HOOP_UPLOAD_FAILED' });
  expect(away.tries).toHaveLength(1);
  releaseSpool(left.directory);
  await uploadPending({ open, note: () => undefined, signal: bench.signal });
});

/** Of a session that broke: bytes of it are in this process alone. */
const BROKEN: LiveWitness = {
  uncoveredBytes: 7,
  offsets: () => [],
  owed: () => [],
  leaves: () => new Uint8Array(),
  bytes: () => [],
};

/** Time passes only while somebody waits. */
function waiting(comesBackAfterMs = Number.POSITIVE_INFINITY) {
  const notes: string[] = [];
  let nowMs = 0;
  return {
    notes,
    isBack: () => nowMs >= comesBackAfterMs,
    nowMs: () => nowMs,
    options: {
      note: (text: string) => void notes.push(text),
      clock: () => nowMs,
      wait: async (ms: number) => {
        nowMs += ms;
      },
    },
  };
}

test.each(['HOOP_UNREACHABLE', 'HOOP_STORE_UNAVAILABLE', 'HOOP_GATEWAY_BAD_REPLY'] as const)(
  'what the gateway may have lost is kept for it for two minutes while it says %s, and that is said once',
  async (code) => {
    await using open = await openGateway({ env: bench.environment('engineer') });
    const left = await leftRecording(open);
    const time = waiting(110_000);
    const away = gatewayThat(open, () => {
      if (!time.isBack()) {
        throw new HoopError(code, 'no answer');
      }
    });
    const receipt = await uploadRecording({ ...left, open: away, live: BROKEN, ...time.options });
    expect(receipt.session).toBe(left.session);
    expect(time.nowMs()).toBeGreaterThan(100_000);
    expect(time.notes).toEqual([
      'the recording is not signed by both sides yet (no answer); the gateway may have lost its end, which this hoop still has: retrying for 2 minutes, a second Ctrl-C gives up',
      'recording signed by both sides',
    ]);
  },
);

test('a gateway that stays away is not waited for longer than that, and without such bytes only some seconds', async () => {
  await using open = await openGateway({ env: bench.environment('engineer') });
  const left = await leftRecording(open);
  const away = awayGateway(open);
  const waitedFor = async (live: LiveWitness | undefined): Promise<number> => {
    const time = waiting();
    const sent = uploadRecording({ ...left, open: away.open, live, ...time.options });
    await expect(sent).rejects.toMatchObject({ code: 'HOOP_UPLOAD_FAILED' });
    expect(time.notes).toHaveLength(1);
    return time.nowMs();
  };
  expect(await waitedFor(BROKEN)).toBe(120_000);
  expect(await waitedFor({ ...BROKEN, uncoveredBytes: 0 })).toBe(6_000);
  expect(await waitedFor(undefined)).toBe(6_000);
  releaseSpool(left.directory);
  await uploadPending({ open, note: () => undefined, signal: bench.signal });
});

test('of several earlier recordings one finds the gateway away, and speaks for all', async () => {
  await using open = await openGateway({ env: bench.environment('engineer') });
  for (let n = 0; n < 3; n += 1) {
    releaseSpool((await leftRecording(open)).directory);
  }
  const away = awayGateway(open);
  const notes: string[] = [];
  await uploadPending({
    open: away.open,
    note: (text) => notes.push(text),
    signal: bench.signal,
  });
  expect(away.tries).toHaveLength(1);
  expect(notes).toEqual([
    `the recording of the earlier session ${away.tries[0]} is still not signed by both sides: no answer`,
    'other recordings of earlier sessions that wait for the gateway: 2',
  ]);
  await uploadPending({ open, note: () => undefined, signal: bench.signal });
  expect(await pendingUploads(spoolsOf(open.home))).toEqual([]);
});

describe('a recording that the gateway does not know any more', () => {
  const UNKNOWN = new HoopError('HOOP_SESSION_UNKNOWN', 'there is no such session');
  const restored = (open: OpenGateway, sub?: string): OpenGateway => ({
    ...open,
    client: Object.assign(Object.create(open.client), {
      position: async () => {
        throw UNKNOWN;
      },
      whoami: async (signal: AbortSignal) => {
        const who = await open.client.whoami(signal);
        return sub === undefined ? who : { ...who, sub };
      },
    }),
  });
  const DAY_MS = 86_400_000;
  const send = async (open: OpenGateway, daysLater = 0): Promise<string[]> => {
    const notes: string[] = [];
    await uploadPending({
      open,
      note: (text) => notes.push(text),
      signal: bench.signal,
      clock: () => Date.now() + daysLater * DAY_MS,
    });
    return notes;
  };

  test('is told of once, with where it is kept, and not sent again after a week of that', async () => {
    await using open = await openGateway({ env: bench.environment('engineer') });
    const left = await leftRecording(open);
    const [told, ...others] = await send(restored(open));
    expect(told).toContain(`the gateway does not have the earlier session ${left.session}`);
    expect(told).toContain(left.directory);
    expect(others).toEqual([]);
    expect(await send(restored(open))).toEqual([]);
    expect(await pendingUploads(spoolsOf(open.home))).toHaveLength(1);
    const [last] = await send(restored(open), 8);
    expect(last).toContain(`stays in "${left.directory}" and will not be sent again`);
    expect(await send(restored(open), 8)).toEqual([]);
    expect(await pendingUploads(spoolsOf(open.home))).toEqual([]);
    expect(existsSync(join(left.directory, 'spool.json'))).toBe(true);
  });

  test('is sent when the gateway has its disk again', async () => {
    await using open = await openGateway({ env: bench.environment('engineer') });
    const left = await leftRecording(open);
    expect(await send(restored(open))).toHaveLength(1);
    expect(await send(open, 3)).toEqual([
      `the recording of the earlier session ${left.session} is now signed by both sides`,
    ]);
  });

  test('stays to be sent when it is another person’s', async () => {
    await using open = await openGateway({ env: bench.environment('engineer') });
    const left = await leftRecording(open);
    const [told] = await send(restored(open, 'somebody-else'));
    expect(told).toContain('is still not signed by both sides: there is no such session');
    expect(await send(open)).toEqual([
      `the recording of the earlier session ${left.session} is now signed by both sides`,
    ]);
  });
});

/** Two hoops come to the same recording: one whose session it was, one that found it left behind. */
describe('a recording that another process is at', () => {
  test('is waited for by whoever had its session, and then sent', async () => {
    await using open = await openGateway({ env: bench.environment('engineer') });
    const left = await leftRecording(open);
    await using other = await OtherProcess.start();
    const notes: string[] = [];
    const owner = askedOwner(left.directory);
    const uploaded = uploadRecording({ ...left, open, note: (text) => notes.push(text) });
    await owner.answers(`${other.id}`);
    expect(notes).toEqual([]);
    owner.remove();
    releaseSpool(left.directory);
    expect(await uploaded).toMatchObject({ session: left.session, hasUnconfirmedTail: false });
    expect(notes).toEqual(['recording signed by both sides']);
  });

  test('is left to it, without a word, by whoever only found it, and is no lost one', async () => {
    await using open = await openGateway({ env: bench.environment('engineer') });
    const left = await leftRecording(open);
    await using other = await OtherProcess.start();
    const notes: string[] = [];
    const pending = () =>
      uploadPending({ open, note: (text) => notes.push(text), signal: bench.signal });
    const owner = askedOwner(left.directory);
    const looked = pending();
    // Nobody's when the recordings were listed, the other's a moment later.
    await owner.answers('');
    await owner.answers(`${other.id}`);
    await looked;
    expect(notes).toEqual([]);

    owner.remove();
    await writeFile(join(left.directory, 'owner'), `${other.id}`);
    await pending();
    expect(notes).toEqual([]);

    await other[Symbol.asyncDispose]();
    await pending();
    expect(notes).toEqual([
      `the recording of the earlier session ${left.session} is now signed by both sides`,
    ]);
  });
});

test('between the end of a session and its upload the recording is its process’s, and nobody else’s', async () => {
  await using open = await openGateway({ env: bench.environment('engineer') });
  const left = await leftRecording(open);
  const owner = () => readFile(join(left.directory, 'owner'), 'utf8');
  expect(await owner()).toBe(String(process.pid));
  const notes: string[] = [];
  const note = (text: string) => void notes.push(text);
  // Nor by the command itself, which tells what came of it where it sends it.
  await uploadPending({ open, except: [left.session], note, signal: bench.signal });
  expect(notes).toEqual([]);
  await uploadRecording({ ...left, open, note });
  expect(notes).toEqual(['recording signed by both sides']);
  expect(await owner()).toBe('');
});

/** A session that has ended and whose recording has not been sent. */
async function leftRecording(open: OpenGateway) {
  const connected = await connectSession({
    open,
    target: 'prod-db',
    reason: 'to leave a recording behind',
    listen: { type: 'tcp', port: 0, connectors: CONNECTORS },
    version: '0.0.0-test',
    env: bench.environment('engineer'),
    carrier: 'auto',
    signal: bench.signal,
    events: {},
  });
  await connected.close();
  return { session: connected.id, directory: spoolDirectory(spoolsOf(open.home), connected.id) };
}

/** The file that names the owner, as a pipe: whoever reads it gets an answer of our choice, then. */
function askedOwner(directory: string) {
  const pipe = join(directory, 'owner');
  const next = join(directory, 'owner-next');
  const make = (): void => {
    execFileSync('mkfifo', [next]);
    renameSync(next, pipe);
  };
  make();
  return {
    answers: async (text: string): Promise<void> => {
      // Opens when somebody reads it. Whoever reads next must not come upon this one.
      await using answer = await openFile(pipe, 'w');
      make();
      await answer.writeFile(text);
    },
    remove: (): void => rmSync(pipe),
  };
}

class OtherProcess implements AsyncDisposable {
  readonly #child;

  private constructor(child: ReturnType<typeof spawn>) {
    this.#child = child;
  }

  static async start(): Promise<OtherProcess> {
    const child = spawn('sleep', ['600'], { stdio: 'ignore' });
    await once(child, 'spawn');
    return new OtherProcess(child);
  }

  get id(): number | undefined {
    return this.#child.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const closed = once(this.#child, 'close');
      this.#child.kill();
      await closed;
    }
  }
}
