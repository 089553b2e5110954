/** What an approval of an act on a server is bound to. */
import { expect, test } from 'vitest';
import {
  type ActApprovalsOptions,
  actApprovals,
} from '../../../../src/connectors/ssh/gateway/connector.ts';
import type { ActAsk, SshTarget } from '../../../../src/connectors/ssh/gateway/types.ts';
import type { SshAct } from '../../../../src/connectors/ssh/policy/types.ts';

const target: SshTarget = {
  kind: 'ssh',
  name: 'web-1',
  hosts: [{ host: 'web-1.example', port: 22, shown: undefined }],
  hostKeys: ['ssh-ed25519 AAAA'],
  logins: [],
  connectTimeoutMs: 1000,
};

function bindingOf(act: SshAct, at: SshTarget = target): string {
  const principal = { issuer: 'https://idp.example', sub: 'erin', groups: [], roles: [] };
  const options = { principal, target: at, run: undefined } as unknown as ActApprovalsOptions;
  const ask: ActAsk = {
    stream: 1,
    at: 0,
    act,
    user: 'deploy',
    command: undefined,
    demands: [],
    touches: [],
    policyCommit: 'c0ffee',
  };
  return actApprovals(options).bindingOf(ask);
}

const rename = (path: string, to: string): SshAct => ({
  kind: 'file',
  operation: 'rename',
  path,
  to,
});

test('paths with an arrow in them are no other paths', () => {
  expect(bindingOf(rename('/a', '/b → /c'))).not.toBe(bindingOf(rename('/a → /b', '/c')));
  expect(bindingOf(rename('/a', '/b'))).toBe(bindingOf(rename('/a', '/b')));
});

test('another server under the name of the target is another one, the same in another spelling is not', () => {
  const shell: SshAct = { kind: 'shell' };
  const at = (host: string): SshTarget => ({
    ...target,
    hosts: [{ host, port: 22, shown: undefined }],
  });
  expect(bindingOf(shell, at('web-2.example'))).not.toBe(bindingOf(shell));
  expect(bindingOf(shell, { ...target, hostKeys: ['ssh-ed25519 BBBB'] })).not.toBe(
    bindingOf(shell),
  );
  expect(bindingOf(shell, at('WEB-1.example'))).toBe(bindingOf(shell));
});
