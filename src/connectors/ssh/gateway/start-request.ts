/** The requests of RFC 4254 §6.5 that make something run, and the acts that they are to a policy. */

import { plainRefusal } from '../../../policy/refusal.ts';
import type { Refusal } from '../../../policy/types.ts';
import type { SshAct } from '../policy/types.ts';
import type { ChannelRequest } from '../protocol/frame.ts';

export type StartRequest = Extract<ChannelRequest, { kind: 'shell' | 'exec' | 'subsystem' }>;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @returns a text: the name of a subsystem that there is no act for */
export function actOf(request: StartRequest): SshAct | string {
  switch (request.kind) {
    case 'shell':
      return { kind: 'shell' };
    case 'subsystem':
      return request.name === 'sftp' ? { kind: 'sftp' } : request.name;
    case 'exec':
      try {
        return { kind: 'exec', command: UTF8.decode(request.command) };
      } catch {
        // Not UTF-8; what it means on the target nobody can tell.
        return { kind: 'exec', command: undefined };
      }
  }
}

export function unknownSubsystem(name: string): Refusal {
  return plainRefusal({
    code: 'HOOP_NOT_ALLOWED',
    message: `the subsystem "${name}" is not available here`,
    hint: 'The only subsystem that hoop can inspect is sftp.',
  });
}
