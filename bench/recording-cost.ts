/**
 * What recording costs a gateway in processor time, which other load changes less than MB/s:
 * `node bench/recording-cost.ts`. One GB in pieces of 64 KiB, and 100,000 short statements of two
 * turns each (the query and its decision; the result and its rows), all hashed, sealed and written.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GatewayRecording } from '../src/recording/write/gateway-recording.ts';
import { RecordingBench, SessionPair } from '../test/recording/session-pair.ts';

const GIGABYTE = 1_000_000_000;
const PIECE = 65_536;
const STATEMENTS = 100_000;

const directory = await mkdtemp(join(tmpdir(), 'hoop-bench-'));
try {
  await using bench = await RecordingBench.openIn(directory);
  await measured(bench, '1 GB in pieces of 64 KiB', 1, (recording) => {
    const bytes = randomBytes(PIECE);
    for (let done = 0; done < GIGABYTE; done += PIECE) {
      recording.data(1, 1, [bytes]);
      recording.turns.flush();
    }
  });
  await measured(bench, '100,000 short statements', STATEMENTS, (recording) => {
    const query = Buffer.from('Q\0\0\0\x29SELECT abalance FROM accounts WHERE aid=7;\0');
    const rows = randomBytes(100);
    const lists = { verbs: ['select'], relations: ['public.accounts'], columnsMasked: [] };
    const rules = [{ id: 'read-accounts', file: 'policies/accounts.yaml', line: 12 }];
    for (let statement = 1; statement <= STATEMENTS; statement += 1) {
      const at = (statement - 1) * query.length;
      recording.data(1, 0, [query]);
      recording.writer.event({
        type: 'decision',
        stream: 1,
        at,
        statement,
        effect: 'allow',
        ...lists,
        rules,
        code: undefined,
        message: undefined,
        policyCommit: 'a'.repeat(40),
      });
      recording.turns.flush();
      recording.writer.event({
        type: 'result',
        stream: 1,
        at,
        statement,
        rows: 1,
        maskedValues: 0,
        detected: {},
        tag: 'SELECT 1',
        sqlState: undefined,
      });
      recording.data(1, 1, [rows]);
      recording.turns.flush();
    }
  });
} finally {
  await rm(directory, { recursive: true, force: true });
}

async function measured(
  bench: RecordingBench,
  name: string,
  count: number,
  work: (recording: GatewayRecording) => void,
): Promise<void> {
  const pair = await SessionPair.open(bench);
  pair.connected = false;
  pair.openStream(1);
  const before = process.cpuUsage();
  work(pair.gateway);
  const { user, system } = process.cpuUsage(before);
  const seconds = (user + system) / 1e6;
  const { directory: files } = pair.gateway;
  let bytes = 0;
  for (const file of await readdir(files)) {
    bytes += (await stat(join(files, file))).size;
  }
  const each = count === 1 ? '' : `, ${((seconds * 1e6) / count).toFixed(1)} us and`;
  process.stdout.write(
    `${name.padEnd(28)} ${seconds.toFixed(2)} s of CPU (${(system / 1e6).toFixed(2)} in the kernel)${each} ${(bytes / count).toFixed(0)} bytes\n`,
  );
  await pair.gateway.close({ reason: 'closed' });
  await pair.client.close();
  await rm(files, { recursive: true, force: true });
}
