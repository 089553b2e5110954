/**
 * How connections are told that their session has ended: by the gateway, or by the client where the
 * gateway's words did not arrive. The message says what ended it and who; the hint says what to do.
 */
import { type ErrorCode, HoopError } from '../../errors.ts';
import type { EndReason } from '../formats/types.ts';

const AGAIN =
  'Connect again: that opens a new session. If the local port is gone, run `hoop connect NAME` again.';
/** Both ends record, and the message says which one could not. */
const TELL = 'Tell whoever runs the gateway, unless the message names this machine.';

const ENDS: Readonly<Record<EndReason, readonly [ErrorCode, string]>> = {
  closed: ['HOOP_SESSION_ENDED', AGAIN],
  idle: ['HOOP_SESSION_ENDED', AGAIN],
  client_lost: [
    'HOOP_SESSION_ENDED',
    `${AGAIN} If it recurs, check the load, disk and network of this machine and of the gateway’s.`,
  ],
  gateway_shutdown: [
    'HOOP_SESSION_ENDED',
    `${AGAIN} Connections are refused until the gateway runs again.`,
  ],
  gateway_crash: [
    'HOOP_SESSION_ENDED',
    `${AGAIN} Connections are refused until the gateway runs again.`,
  ],
  expired: ['HOOP_SESSION_EXPIRED', `${AGAIN} \`hoop targets\` says what you may still reach.`],
  // It says who is to log in again, who is blocked and by whom, and what the policy gives now.
  revoked: ['HOOP_SESSION_REVOKED', '`hoop targets` says what you may reach now, or why not.'],
  partition: ['HOOP_UNREACHABLE', `${AGAIN} If that fails too, check the network.`],
  disk_full: ['HOOP_DISK_FULL', `${TELL} Sessions start again once there is space on its disk.`],
  store_unavailable: [
    'HOOP_STORE_UNAVAILABLE',
    `${AGAIN} Connections are refused until the gateway’s store answers.`,
  ],
  recording_failed: ['HOOP_RECORDING_WRITE', TELL],
  disputed: [
    'HOOP_EVIDENCE_MISMATCH',
    'Tell whoever runs the gateway, and keep this machine’s record of the session.',
  ],
};

export function endError(end: { readonly reason: EndReason; readonly message: string }): HoopError {
  const [code, hint] = ENDS[end.reason];
  return new HoopError(code, end.message, { hint });
}
