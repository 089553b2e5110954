/**
 * `npm run conformance:ssh`: regression scripts of OpenSSH itself against sshd and through hoop, as
 * they are but for the name of a variable. See docs/conformance.md.
 *
 *   --tests DIR   OpenSSH's regress directory (default: that of Debian's package openssh-tests)
 *   --case NAME   repeated; default: those of CASES
 *   --json        the result as JSON
 *
 * Exit status 0: every script ends through hoop as it does directly, or accepted.yaml says why not.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { parse } from 'yaml';
import * as z from 'zod';
import { startDemo } from '../../src/demo/demo.ts';
import { startHoop } from '../../src/demo/hoop-process.ts';
import { startOpensshServer } from '../../src/demo/openssh-server.ts';

/** Scripts about what passes through a connection; others are about keys, files and sshd's options. */
const CASES = [
  ...['transfer', 'stderr-data', 'stderr-after-eof', 'exit-status', 'exit-status-signal'],
  ...['broken-pipe', 'yes-head', 'connect', 'multiplex', 'dynamic-forward', 'forwarding'],
  ...['scp3', 'scp-uri', 'sftp-uri', 'localcommand', 'host-expand', 'envpass', 'connect-uri'],
];
const DEBIAN_TESTS = '/usr/lib/openssh/regress';
const SFTP_SERVERS = ['/usr/lib/openssh/sftp-server', '/usr/libexec/openssh/sftp-server'];
const CASE_TIMEOUT_MS = 300_000;
/** What the scripts send has a name that no policy passes on; under this one it is passed. */
const VARIABLE = ['_XXX_TEST', 'LC_TEST'] as const;
const TARGET = 'conformance-ssh';

const Accepted = z.strictObject({
  differences: z.array(
    z.strictObject({ case: z.string(), why: z.string(), says: z.array(z.string()) }),
  ),
});

const { values: flags } = parseArgs({
  options: {
    tests: { type: 'string', default: DEBIAN_TESTS },
    case: { type: 'string', multiple: true, default: CASES },
    json: { type: 'boolean', default: false },
  },
});
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interrupted.abort(new Error(signal)));
}
const say = (text: string): void => {
  process.stderr.write(`conformance: ${text}\n`);
};

interface Outcome {
  readonly exitCode: number | undefined;
  /** Lines. */
  readonly said: readonly string[];
}

if (!existsSync(join(flags.tests, 'test-exec.sh'))) {
  say(`"${flags.tests}" has no test-exec.sh (on Debian: apt-get install openssh-tests)`);
  process.exitCode = 1;
} else {
  process.exitCode = (await compare()) ? 0 : 1;
}

async function compare(): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const scratch = mkdtempSync(join(tmpdir(), 'hoop-openssh-'));
  stack.defer(() => rmSync(scratch, { recursive: true, force: true }));
  const options = await openHoop(stack, scratch);
  const accepted = Accepted.parse(
    parse(readFileSync(new URL('accepted.yaml', import.meta.url), 'utf8')),
  );
  const results = [];
  for (const name of flags.case) {
    const direct = await runCase(name, scratch, []);
    const hoop = await runCase(name, scratch, options);
    // One that fails straight against sshd says nothing about hoop.
    const differs = direct.exitCode !== 0 || hoop.exitCode !== 0;
    const listed = accepted.differences.find((one) => one.case === name);
    // Whatever else it says is another difference.
    const said = hoop.said.filter(
      (line) => !direct.said.includes(line) && !listed?.says.some((known) => line.includes(known)),
    );
    const why = said.length === 0 ? listed?.why : undefined;
    results.push({ name, direct: direct.exitCode, hoop: hoop.exitCode, differs, why, said });
    say(`${name}: ${verdict(differs, why)} (direct ${direct.exitCode}, hoop ${hoop.exitCode})`);
  }
  const open = results.filter(({ differs, why }) => differs && why === undefined);
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ v: 1, results })}\n`);
  } else {
    for (const { name, said } of open) {
      process.stdout.write(`\n${name} differs:\n${said.join('\n')}\n`);
    }
    const listed = results.filter(({ differs }) => differs).length - open.length;
    process.stdout.write(
      `${results.length} scripts, ${results.length - listed - open.length} the same, ${listed} accepted, ${open.length} open\n`,
    );
  }
  return open.length === 0;
}

function verdict(differs: boolean, why: string | undefined): string {
  if (!differs) {
    return 'the same';
  }
  return why === undefined ? 'DIFFERS' : `accepted: ${why}`;
}

/** @returns options of ssh that lead each of its connections through hoop. */
async function openHoop(stack: AsyncDisposableStack, scratch: string): Promise<readonly string[]> {
  const server = stack.use(await startOpensshServer({ settings: { MaxSessions: '50' } }));
  const demo = stack.use(
    await startDemo({
      policy: writePolicy(scratch, server.hostKeys),
      servers: { [TARGET]: server },
      note: say,
      signal: interrupted.signal,
    }),
  );
  const session = stack.use(
    await startHoop(['connect', TARGET, '--json'], 'listening', {
      home: demo.homes['engineer'] ?? '',
      signal: interrupted.signal,
    }),
  );
  // What follows the target's own block is for other hosts.
  const [config = ''] = readFileSync(String(session.ready['config']), 'utf8').split(/^Match /m);
  const lines = [...config.matchAll(/^\s+(\w+)\s+(.+)$/gm)].map(([, name, value]) => [name, value]);
  // The first value that ssh finds counts, and these come before its file.
  return [...lines, ['ProxyCommand', 'none']].map(([name, value]) => `-o${name}=${value}`);
}

function writePolicy(scratch: string, hostKeys: readonly string[]): string {
  const directory = join(scratch, 'policy');
  const write = (path: string, value: unknown): void => {
    mkdirSync(join(directory, path, '..'), { recursive: true });
    // JSON is YAML.
    writeFileSync(join(directory, path), `${JSON.stringify(value, undefined, 2)}\n`);
  };
  write('hoop.yaml', { version: 1, org: 'conformance', identityProviders: [] });
  write(`targets/${TARGET}.yaml`, {
    name: TARGET,
    kind: 'ssh',
    credential: TARGET,
    hostKeys,
    recording: 'full',
  });
  write('policies/everything.yaml', {
    name: 'everything',
    who: { groups: ['engineering'] },
    targets: { names: [TARGET] },
    limits: { maxConnections: 100 },
    rules: [
      { allow: { ssh: ['shell', 'exec', 'sftp'] } },
      { allow: { ssh: 'forward', destinations: ['127.0.0.1:*', 'localhost:*'] } },
    ],
  });
  return directory;
}

/** In a fresh copy: scripts leave files behind that others stumble over. */
async function runCase(
  name: string,
  scratch: string,
  options: readonly string[],
): Promise<Outcome> {
  const directory = join(scratch, 'regress');
  rmSync(directory, { recursive: true, force: true });
  cpSync(flags.tests, directory, { recursive: true });
  for (const script of ['test-exec.sh', `${name}.sh`]) {
    const path = join(directory, script);
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(...VARIABLE));
  }
  const ssh = join(scratch, 'ssh');
  const words = options.map((option) => `'${option.replaceAll("'", "'\\''")}'`).join(' ');
  writeFileSync(ssh, `#!/bin/sh\nexec /usr/bin/ssh ${words} "$@"\n`, { mode: 0o755 });
  const result = await execa('sh', ['test-exec.sh', directory, join(directory, `${name}.sh`)], {
    cwd: directory,
    all: true,
    reject: false,
    stdin: 'ignore',
    timeout: CASE_TIMEOUT_MS,
    cancelSignal: interrupted.signal,
    env: {
      OBJ: directory,
      TEST_SHELL: 'sh',
      TEST_SSH_SSH: ssh,
      TEST_SSH_SFTPSERVER: SFTP_SERVERS.find((file) => existsSync(file)) ?? '',
      TEST_SSH_UNSAFE_PERMISSIONS: '1',
    },
  });
  return { exitCode: result.exitCode, said: result.all.split('\n') };
}
