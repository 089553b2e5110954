/** The port of one session with a server: keys made for it, and the files that lead to it. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { HoopError } from '../../../errors.ts';
import type { StreamKind } from '../../../stream-kinds.ts';
import type { Tunnel } from '../../../tunnel/half-close.ts';
import type { RefusalReason } from '../../../tunnel/local-refusal.ts';
import type { LocalSide } from '../../../tunnel/local-side.ts';
import { LocalSshPort } from './local-ssh-port.ts';
import type { SshHost } from './ssh-config.ts';
import { type SshFiles, writeSshFiles } from './ssh-files.ts';
import { generateSshKeys } from './ssh-keys.ts';

export interface OwnSshPort {
  readonly port: LocalSshPort;
  readonly via: SshHost['via'];
  readonly files: SshFiles;
}

export interface OwnSshPortOptions {
  readonly local: LocalSide;
  /** Of the target. */
  readonly name: string;
  readonly tls?: boolean | undefined;
  readonly allowedUids?: readonly number[] | undefined;
  readonly self?: readonly string[] | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly openTunnel: (kind: StreamKind, signal: AbortSignal) => Promise<Tunnel>;
  readonly events: {
    readonly onRefused?: (reason: RefusalReason) => void;
    readonly onNote?: (text: string) => void;
  };
}

/** @throws HoopError HOOP_USAGE, HOOP_LOCAL_PORT */
export function openOwnSshPort(options: OwnSshPortOptions): OwnSshPort {
  const { local, name, env, allowedUids, openTunnel, events } = options;
  if (options.tls) {
    throw new HoopError('HOOP_USAGE', `--tls is for databases, and "${name}" is a server`, {
      hint: 'Leave it out: SSH brings its own encryption.',
    });
  }
  const hostKey = generateSshKeys();
  const userKey = generateSshKeys();
  const via = wayTo(local, options.self ?? []);
  const files = writeSshFiles(local.runtime, [{ name, via, hostKey, userKey }], env);
  const port = new LocalSshPort({
    listener: local.listener,
    hostKey,
    userKey,
    openTunnel,
    allowedUids,
    onRefused: events.onRefused,
    onNote: events.onNote,
  });
  return { port, via, files };
}

/** ssh(1) cannot connect to a socket by itself. */
function wayTo({ runtime, listener }: LocalSide, self: readonly string[]): SshHost['via'] {
  if (listener.socketPath === undefined) {
    return { host: listener.host, port: listener.port };
  }
  const path = join(runtime, 'ssh.sock');
  symlinkSync(listener.socketPath, path);
  return { proxyCommand: [...self, 'ssh-stdio', '--socket', path] };
}
