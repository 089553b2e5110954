/** Commands on a server through a gateway that is about to be killed: each makes a directory that only it makes. */
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import ssh2 from 'ssh2';
import { type OpensshServer, startOpensshServer } from '../../src/demo/openssh-server.ts';
import type { Connection } from './demo-bench.ts';
import type { Told } from './kill-work.ts';

/** Its name in the policy. */
export const KILL_SERVER = 'web-1';

/** Channels of one connection that are open together. */
export const COMMANDS_AT_ONCE = 2;

export class KillServer implements AsyncDisposable {
  readonly server: OpensshServer;
  /** Where the commands leave what they did. */
  readonly place: string;

  private constructor(server: OpensshServer, place: string) {
    this.server = server;
    this.place = place;
  }

  static async start(): Promise<KillServer> {
    const place = mkdtempSync(join(tmpdir(), 'hoop-kill-server-'));
    chmodSync(place, 0o755);
    mkdirSync(join(place, 'done'));
    return new KillServer(await startOpensshServer(), place);
  }

  /** By path in the policy's directory. */
  policy(): Readonly<Record<string, string>> {
    return {
      [`targets/${KILL_SERVER}.yaml`]: `name: ${KILL_SERVER}
kind: ssh
credential: ${KILL_SERVER}
hostKeys:
${this.server.hostKeys.map((key) => `  - ${key}`).join('\n')}
recording: full
`,
      'policies/server.yaml': `name: server
who: { groups: [engineering] }
targets: { names: [${KILL_SERVER}] }
rules:
  - name: make
    allow: { ssh: exec, commands: ['mkdir *'] }
`,
    };
  }

  /** Marks of commands that have run. */
  done(prefix: string): string[] {
    return readdirSync(join(this.place, 'done')).filter((name) => name.startsWith(prefix));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    rmSync(this.place, { recursive: true, force: true });
  }

  /** Two at a time, now and then one that is refused and would undo what has just been done; until the connection breaks. */
  async work({ service }: Connection, prefix: string, told: Told): Promise<void> {
    const { host, port, user, identityFile } = service.ready;
    const client = new ssh2.Client();
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => undefined);
    client.on('error', broken.reject).on('close', () => broken.reject(new Error('closed')));
    client.connect({
      host: String(host),
      port: Number(port),
      username: String(user),
      privateKey: readFileSync(String(identityFile)),
    });
    const loop = async (which: number): Promise<never> => {
      for (let count = 0; ; count += 1) {
        const mark = `${prefix}.${which}.${count}.`;
        told.sent.add(mark);
        const status = await Promise.race([
          run(client, `mkdir ${this.place}/done/'${mark}'`),
          broken.promise,
        ]);
        if (status === 0) told.done.add(mark);
        else told.refused.set(mark, `status ${status}`);
        if (count % 4 === 3) {
          await Promise.race([run(client, `rmdir ${this.place}/done/${mark}`), broken.promise]);
        }
        await sleep(5);
      }
    };
    try {
      await Promise.race([once(client, 'ready'), broken.promise]);
      await Promise.all(Array.from({ length: COMMANDS_AT_ONCE }, (_, which) => loop(which)));
    } catch {
      // Its gateway was killed.
    }
    client.destroy();
  }
}

/** @returns its status; rejects when the channel broke */
function run(client: ssh2.Client, command: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  client.exec(command, (error, channel) => {
    if (error !== undefined) {
      reject(error);
      return;
    }
    channel.resume();
    channel.stderr.resume();
    channel.on('exit', (status: number | null) => {
      if (status === null) reject(new Error('ended by a signal'));
      else resolve(status);
    });
    channel.on('close', () => reject(new Error('closed without a status')));
  });
  // Whoever waits has gone on with the end of the connection.
  promise.catch(() => undefined);
  return promise;
}
