/** pgbouncer in session mode: one hop that understands the protocol, without encryption. */
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from './find-program.ts';
import { freePort } from './free-port.ts';
import { HelperProcess } from './helper-process.ts';
import type { Tunnel, TunnelOptions } from './tunnel.ts';

const MAX_CLIENTS = 200;
const POOL_SIZE = 100;
/** `nobody`: pgbouncer refuses to run as root. */
const UNPRIVILEGED = { uid: 65_534, gid: 65_534 };

/** @returns undefined where pgbouncer is not installed. */
export async function startPgbouncer(
  options: TunnelOptions & {
    readonly database: string;
    readonly user: string;
    readonly password: string;
  },
): Promise<Tunnel | undefined> {
  const program = findProgram('pgbouncer');
  if (!program) {
    return undefined;
  }
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-pgbouncer-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const port = await freePort();
  const users = join(directory, 'users.txt');
  const config = join(directory, 'pgbouncer.ini');
  // With the password itself it can speak SCRAM in both directions.
  writeFileSync(users, `"${options.user}" "${options.password}"\n`, { mode: 0o600 });
  const lines = [
    '[databases]',
    `${options.database} = host=127.0.0.1 port=${options.targetPort}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = scram-sha-256',
    `auth_file = ${users}`,
    'pool_mode = session',
    `default_pool_size = ${POOL_SIZE}`,
    `max_client_conn = ${MAX_CLIENTS}`,
    'log_connections = 0',
    'log_disconnections = 0',
  ];
  writeFileSync(config, `${lines.join('\n')}\n`, { mode: 0o600 });
  const user = process.getuid?.() === 0 ? UNPRIVILEGED : undefined;
  if (user) {
    for (const path of [directory, users, config]) {
      chownSync(path, user.uid, user.gid);
    }
  }
  const server = stack.use(
    await HelperProcess.start({
      program,
      args: [config],
      port,
      watchdog: options.watchdog,
      ...(user === undefined ? {} : { user }),
    }),
  );
  const owned = stack.move();
  return {
    port,
    clientEnd: [],
    serverEnd: [server.processId],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
