/**
 * What is too big for the tests: an upload of more than a gigabyte with new keys on the way, new keys of
 * the gateway's own after a gigabyte, and a reader that stands still for a minute. Some minutes, 4 GB of disk.
 *
 *     npm run soak:ssh
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { EVERYTHING } from '../connectors/ssh/gateway/ssh-stream-bench.ts';
import { SshThrough } from '../connectors/ssh/gateway/ssh-through.ts';
import { AcceptanceBench, type OpenSession, type Recorded } from './ssh-acceptance-bench.ts';

const MIB = 1024 ** 2;
const UPLOAD_MIB = 1100;
const STOPPED_SECONDS = 60;
/** Windows and sockets on the way; a second's output of the program would be more. */
const MAX_AHEAD_BYTES = 48 * MIB;
const MAX_GROWTH_BYTES = 128 * MIB;

function check(what: string, isTrue: boolean, seen: unknown): void {
  process.stdout.write(`${isTrue ? 'ok  ' : 'FAIL'} ${what}: ${String(seen)}\n`);
  if (!isTrue) {
    process.exitCode = 1;
  }
}

/** @returns SHA-256 of what was written, each MiB another. */
async function upload(to: Writable): Promise<string> {
  const hash = createHash('sha256');
  const block = randomBytes(MIB);
  for (let written = 0; written < UPLOAD_MIB; written += 1) {
    const bytes = Buffer.from(block);
    bytes.writeUInt32LE(written);
    hash.update(bytes);
    if (!to.write(bytes)) {
      await once(to, 'drain');
    }
  }
  to.end();
  return hash.digest('hex');
}

interface Uploaded {
  readonly sent: string;
  readonly arrived: string;
  readonly errors: string;
}

async function uploaded(child: ChildProcess): Promise<Uploaded> {
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null) {
    throw new Error('ssh was started without pipes');
  }
  const [sent, output, errors] = await Promise.all([upload(stdin), text(stdout), text(stderr)]);
  return { sent, arrived: output.split(' ')[0] ?? '', errors };
}

async function clientRekeys(session: OpenSession): Promise<string> {
  const options = ['-F', session.config, '-v', '-o', 'RekeyLimit=64M'];
  const child = spawn('ssh', [...options, 'web-1', ': soak-upload; sha256sum']);
  const { sent, arrived, errors } = await uploaded(child);
  check(`upload of ${UPLOAD_MIB} MiB arrives whole`, arrived === sent, arrived);
  const exchanges = errors.match(/SSH2_MSG_KEXINIT sent/g)?.length ?? 0;
  check('the client exchanged keys on the way', exchanges > 8, exchanges);
  return sent;
}

async function gatewayRekeys(): Promise<void> {
  await using through = await SshThrough.start(EVERYTHING, {
    server: { settings: { LogLevel: 'DEBUG1' } },
  });
  const child = spawn('ssh', ['web-1', 'sha256sum'], { env: through.local.environment });
  const { sent, arrived } = await uploaded(child);
  check('upload through new keys of the gateway arrives whole', arrived === sent, arrived);
  const rekeyed = through.server.log().match(/: rekeying/g)?.length ?? 0;
  check('the gateway exchanged keys after 1 GiB', rekeyed > 0, rekeyed);
}

async function stoppedReader(bench: AcceptanceBench, session: OpenSession): Promise<void> {
  const { processId } = bench.bench.demo.gatewayProcess();
  const child = bench.stopped('ssh', [
    ...['-F', session.config, 'web-1'],
    `head -c ${256 * MIB} /dev/zero | tee ${bench.place}/produced; : soak-stopped`,
  ]);
  const before = [processId, session.service.processId].map(residentBytes);
  let growth = 0;
  for (let second = 0; second < STOPPED_SECONDS; second += 1) {
    await sleep(1000);
    const now = [processId, session.service.processId].map(residentBytes);
    growth = Math.max(growth, ...now.map((bytes, i) => bytes - (before[i] ?? 0)));
  }
  const ahead = readFileSync(`${bench.place}/produced`).length;
  check('a stopped reader stops the program', ahead < MAX_AHEAD_BYTES, `${ahead} bytes ahead`);
  check('memory of gateway and client is flat', growth < MAX_GROWTH_BYTES, `+${growth} bytes`);
  let received = 0;
  child.stdout?.on('data', (bytes: Buffer) => {
    received += bytes.length;
  });
  await once(child, 'close');
  check('it all comes once the reader goes on', received === 256 * MIB, received);
}

function residentBytes(processId: number): number {
  const status = readFileSync(`/proc/${processId}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

function recordedInput(recorded: Recorded, act: string): string {
  const hash = createHash('sha256');
  for (const { direction, frame } of recorded.frames(recorded.act(act))) {
    if (direction === 0 && frame.type === 'data') {
      hash.update(frame.data);
    }
  }
  return hash.digest('hex');
}

await gatewayRekeys();
await using bench = await AcceptanceBench.open();
const session = await bench.connect('web-1');
const sent = await clientRekeys(session);
await stoppedReader(bench, session);
session.service.kill('SIGINT');
await session.service.exited;
const verified = await bench.bench.hoop('engineer', 'sessions', 'verify', session.id);
check('both sides signed the same', verified.exitCode === 0, verified.stdout.split('\n')[0]);
const recorded = await bench.reading(session.id);
const sum = recordedInput(recorded, 'soak-upload');
check('the recording has the upload whole', sum === sent, sum);
