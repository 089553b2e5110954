/** How what ran in a channel has ended, and how the record says it. */
import type { RecordingEvent } from '../../../recording/formats/types.ts';
import type { ExitSignal } from './target-channels.ts';

/** undefined: nobody has said. */
export type ChannelExit = { readonly status: number } | ExitSignal | undefined;

export function exitText(exit: ChannelExit): string | undefined {
  if (exit === undefined) {
    return undefined;
  }
  return 'status' in exit ? `exit ${exit.status}` : `signal ${exit.name}`;
}

export function exitFields(
  exit: ChannelExit,
): Pick<Extract<RecordingEvent, { type: 'ssh.channel' }>, 'exitStatus' | 'exitSignal'> {
  if (exit === undefined) {
    return {};
  }
  return 'status' in exit ? { exitStatus: exit.status } : { exitSignal: exit.name };
}
