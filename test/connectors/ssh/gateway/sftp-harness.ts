import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { SftpInspector } from '../../../../src/connectors/ssh/gateway/sftp/sftp-inspector.ts';
import type { FileAct } from '../../../../src/connectors/ssh/gateway/sftp/sftp-types.ts';
import type { SshVerdict } from '../../../../src/connectors/ssh/policy/types.ts';
import { CHANNEL_WINDOW_BYTES } from '../../../../src/connectors/ssh/protocol/frame.ts';
import type { HoopError } from '../../../../src/errors.ts';
import type { FileRecord } from '../../../../src/recording/formats/file-record.ts';

/** Debian, Fedora, macOS, Arch. */
const SFTP_SERVERS = [
  '/usr/lib/openssh/sftp-server',
  '/usr/libexec/openssh/sftp-server',
  '/usr/libexec/sftp-server',
  '/usr/lib/ssh/sftp-server',
];

function sftpServer(): string {
  const found = SFTP_SERVERS.find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error('sftp-server is missing: apt-get install openssh-sftp-server');
  }
  return found;
}

export const ALLOW: SshVerdict = { effect: 'allow', rules: [], touches: [] };

export function refuse(message: string, hint?: string): SshVerdict {
  return {
    effect: 'refuse',
    touches: [],
    refusal: {
      code: 'HOOP_DENIED',
      message,
      detail: undefined,
      hint,
      position: undefined,
      rule: undefined,
    },
  };
}

export interface Inspected {
  readonly inspector: SftpInspector;
  readonly server: ChildProcessWithoutNullStreams;
  readonly socket: Socket;
  /** Most that the inspector held of the client's bytes. */
  heldMost: number;
}

export interface SftpHarnessOptions {
  readonly decide?: (act: FileAct) => SshVerdict | Promise<SshVerdict>;
  readonly targetSoftware?: string;
  /** Called before the inspector sees what the target says. */
  readonly beforeReply?: () => void;
  /** Instead of OpenSSH's sftp-server. */
  readonly server?: readonly [string, ...string[]];
}

/**
 * The inspector between real clients and the real sftp-server. Clients come over a socket: sftp(1)
 * and scp(1) with a program in place of ssh, `connect` for bytes of a test's own.
 */
export class SftpHarness implements AsyncDisposable {
  /** A folder of its own, without links on the way to it. */
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'hoop-sftp-')));
  readonly acts: FileAct[] = [];
  readonly records: FileRecord[] = [];
  readonly failures: HoopError[] = [];
  readonly channels: Inspected[] = [];
  stderr = '';
  readonly #options: SftpHarnessOptions;
  readonly #listener: Server;
  readonly #private = mkdtempSync(join(tmpdir(), 'hoop-sftp-'));

  constructor(options: SftpHarnessOptions = {}) {
    this.#options = options;
    this.#listener = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  async listen(): Promise<this> {
    this.#listener.listen(this.socketPath);
    await once(this.#listener, 'listening');
    const bridge = join(this.#private, 'bridge.mjs');
    writeFileSync(
      bridge,
      `import { connect } from 'node:net';
       const socket = connect({ path: ${JSON.stringify(this.socketPath)}, allowHalfOpen: true });
       process.stdin.pipe(socket);
       socket.pipe(process.stdout);
       socket.on('error', () => process.exit(1));`,
    );
    writeFileSync(this.program, `#!/bin/sh\nexec '${process.execPath}' '${bridge}'\n`);
    chmodSync(this.program, 0o755);
    return this;
  }

  get socketPath(): string {
    return join(this.#private, 'sftp.sock');
  }

  /** What sftp(1) starts as its server. */
  get program(): string {
    return join(this.#private, 'server');
  }

  /** @param commands one line each, as in a file for `sftp -b` */
  async sftp(commands: readonly string[], options: readonly string[] = []) {
    return await execa('sftp', ['-b', '-', ...options, '-D', this.program], {
      input: commands.map((command) => `${command}\n`).join(''),
      cwd: this.root,
      reject: false,
    });
  }

  async scp(...args: readonly string[]) {
    return await execa('scp', ['-s', '-D', this.program, ...args], {
      cwd: this.root,
      reject: false,
    });
  }

  #accept(socket: Socket): void {
    const [command, ...args] = this.#options.server ?? [sftpServer()];
    const server = spawn(command, args, { cwd: this.root });
    let held = 0;
    let upOffset = 0;
    const inspector = new SftpInspector({
      targetSoftware: this.#options.targetSoftware ?? 'OpenSSH_9.2p1',
      toTarget: (bytes) => server.stdin.write(Buffer.from(bytes)),
      toClient: (bytes) => {
        const more = socket.write(Buffer.from(bytes));
        if (!more) {
          server.stdout.pause();
        }
        return more;
      },
      toStderr: (text) => {
        this.stderr += Buffer.from(text).toString();
      },
      consumed: (bytes) => {
        held -= bytes;
        if (held < CHANNEL_WINDOW_BYTES) {
          socket.resume();
        }
      },
      clientEnded: () => {
        server.stdin.end();
      },
      decide: (act) => {
        this.acts.push(act);
        return this.#options.decide?.(act) ?? ALLOW;
      },
      record: (file) => {
        this.records.push(file);
      },
      fail: (error) => {
        this.failures.push(error);
        socket.destroy();
        server.kill();
      },
    });
    const channel: Inspected = { inspector, server, socket, heldMost: 0 };
    this.channels.push(channel);
    socket.on('data', (bytes) => {
      held += bytes.length;
      channel.heldMost = Math.max(channel.heldMost, held);
      if (held >= CHANNEL_WINDOW_BYTES) {
        socket.pause();
      }
      inspector.fromClient(bytes, upOffset);
      upOffset += bytes.length;
    });
    socket.on('end', () => inspector.clientEof());
    socket.on('drain', () => {
      server.stdout.resume();
      inspector.clientDrained();
    });
    socket.on('error', () => server.kill());
    server.stdin.on('drain', () => inspector.targetDrained());
    // A client that is gone leaves bytes that nobody takes.
    server.stdin.on('error', () => undefined);
    server.stdout.on('data', (bytes: Buffer) => {
      this.#options.beforeReply?.();
      inspector.fromTarget(bytes);
    });
    server.stdout.on('end', () => {
      inspector.ended();
      socket.end();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { server, socket } of this.channels) {
      socket.destroy();
      if (server.exitCode === null && server.signalCode === null) {
        server.kill();
        await once(server, 'exit');
      }
    }
    this.#listener.close();
    rmSync(this.root, { recursive: true, force: true });
    rmSync(this.#private, { recursive: true, force: true });
  }
}
