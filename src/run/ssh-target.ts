/** A server as a target of a run: keys made for the run, a port that takes nothing else. */

import { LocalSshPort } from '../connectors/ssh/client/local-ssh-port.ts';
import { generateSshKeys } from '../connectors/ssh/client/ssh-keys.ts';
import type { OpenTunnel } from '../tunnel/connect-session.ts';
import type { LocalListener } from '../tunnel/local-listener.ts';
import type { TargetFacts } from './run-target.ts';

export function serveSshTarget(options: {
  readonly name: string;
  readonly listener: LocalListener;
  readonly openTunnel: OpenTunnel;
  readonly note: (text: string) => void;
}): { readonly facts: TargetFacts; readonly port: LocalSshPort } {
  const { name, listener, openTunnel, note } = options;
  const keys = { hostKey: generateSshKeys(), userKey: generateSshKeys() };
  const { host, port } = listener;
  return {
    facts: { kind: 'ssh', ssh: { ...keys, name, via: { host, port } } },
    port: new LocalSshPort({
      ...keys,
      listener,
      openTunnel,
      onRefused: (reason) => note(`a local connection to ${name} was refused: ${reason}`),
      onNote: (text) => note(`${name}: ${text}`),
    }),
  };
}
