import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { LocalSshPort } from '../../../../src/connectors/ssh/client/local-ssh-port.ts';
import {
  type SshFiles,
  sshEnvironment,
  writeSshFiles,
} from '../../../../src/connectors/ssh/client/ssh-files.ts';
import {
  generateLocalSshKeys,
  type LocalSshKeys,
} from '../../../../src/connectors/ssh/client/ssh-keys.ts';
import type { UpFrame } from '../../../../src/connectors/ssh/protocol/frame.ts';
import { LocalListener } from '../../../../src/tunnel/local-listener.ts';
import type { RefusalReason } from '../../../../src/tunnel/local-refusal.ts';
import { FrameTarget } from './frame-target.ts';

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface FixtureOptions {
  readonly loginWithinMs?: number;
  /** Default: those of a session. */
  readonly keys?: LocalSshKeys;
}

/** A local port for `web-1` with frames behind it, and OpenSSH's own clients before it. */
export class SshPortFixture implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'hoop-ssh-'));
  readonly keys: LocalSshKeys;
  readonly targets: FrameTarget[] = [];
  readonly refusals: RefusalReason[] = [];
  readonly notes: string[] = [];
  readonly files: SshFiles;
  readonly port: LocalSshPort;
  readonly tcpPort: number;
  refused = Promise.withResolvers<RefusalReason>();
  /** Given to each far end. */
  intercept: (frame: UpFrame, target: FrameTarget) => boolean = () => false;
  /** A gateway of now. */
  hearsNotCarried = true;
  openTunnel = async (): Promise<FrameTarget['tunnel']> => {
    const target = new FrameTarget({ intercept: (...seen) => this.intercept(...seen) });
    this.targets.push(target);
    return Object.assign(target.tunnel, {
      target: { name: 'web-1', hearsNotCarried: this.hearsNotCarried },
    });
  };

  static async open(options: FixtureOptions = {}): Promise<SshPortFixture> {
    return new SshPortFixture(await LocalListener.open({ type: 'tcp', port: 0 }), options);
  }

  private constructor(listener: LocalListener, { keys, ...options }: FixtureOptions) {
    this.keys = keys ?? generateLocalSshKeys();
    this.tcpPort = listener.port;
    this.port = new LocalSshPort({
      ...options,
      listener,
      ...this.keys,
      openTunnel: () => this.openTunnel(),
      onRefused: (reason) => {
        this.refusals.push(reason);
        this.refused.resolve(reason);
        this.refused = Promise.withResolvers();
      },
      onNote: (text) => this.notes.push(text),
    });
    const via = { host: listener.host, port: listener.port };
    this.files = writeSshFiles(this.directory, [{ name: 'web-1', via, ...this.keys }], process.env);
  }

  get environment(): NodeJS.ProcessEnv {
    const { PATH, HOME } = process.env;
    return { PATH, HOME, ...sshEnvironment(this.files, process.env) };
  }

  /** All frames that have come, of all streams. */
  get frames(): readonly UpFrame[] {
    return this.targets.flatMap(({ frames }) => frames);
  }

  ssh(...args: readonly string[]): Promise<Ran> {
    return this.run('ssh', ...args);
  }

  /** With ssh, scp, sftp and their like leading to the port. Never fails. */
  run(program: string, ...args: readonly string[]): Promise<Ran> {
    const { promise, resolve } = Promise.withResolvers<Ran>();
    const child = execFile(
      program,
      args,
      { env: this.environment, maxBuffer: 64 * 1024 * 1024, cwd: this.directory },
      (_error, stdout, stderr) => resolve({ status: child.exitCode, stdout, stderr }),
    );
    child.stdin?.end();
    return promise;
  }

  /** A line of the shell. */
  sh(line: string): Promise<Ran> {
    return this.run('/bin/sh', '-c', line);
  }

  async withInput(input: Buffer, program: string, ...args: readonly string[]): Promise<Ran> {
    const child = spawn(program, args, { env: this.environment, cwd: this.directory });
    child.stdin.end(input);
    const exit = once(child, 'exit');
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const [status] = await exit;
    return { status, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.port.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
