/**
 * What goes wrong on the way to a target, as clients may read it: the target's name, and the address
 * only where the policy shows it. Texts of Node and of the server name addresses, roles and paths;
 * they stay in `cause`, which goes nowhere but the gateway's log.
 */

import { type ErrorCode, HoopError } from '../../../../errors.ts';
import type { TargetHost } from '../../../../gateway/targets/target-host.ts';

const MESSAGES = {
  HOOP_TARGET_UNREACHABLE: 'cannot reach target',
  HOOP_TARGET_LOGIN: 'cannot log in to target',
  HOOP_TARGET_TLS: 'no trusted TLS to target',
} as const satisfies { readonly [code in ErrorCode]?: string };

const HINTS: { readonly [code in keyof typeof MESSAGES]?: string } = {
  HOOP_TARGET_TLS:
    'Check `tls` of the target in the policy repository, and the certificates of server and gateway.',
};

export interface TargetFailure {
  readonly code: keyof typeof MESSAGES;
  /** A full sentence. */
  readonly text: string;
  readonly host: TargetHost;
  readonly cause?: unknown;
}

export function targetError(target: { readonly name: string }, failure: TargetFailure): HoopError {
  const { code, text, host, cause } = failure;
  return new HoopError(code, `${MESSAGES[code]} "${target.name}"`, {
    detail: host.shown === undefined ? text : `${host.shown}: ${text}`,
    hint: HINTS[code],
    cause,
  });
}
