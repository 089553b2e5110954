/**
 * An act that needs approval. The end of the channel, of the stream, of the session and a signal
 * withdraw it.
 */
import type { HeldText } from '../../../gateway/holds/hold-texts.ts';
import { OperationHold, type OperationHoldOptions } from '../../../gateway/holds/operation-hold.ts';
import type { SshAct, SshVerdict } from '../policy/types.ts';
import { ACT_MANNER, describeAct, unreadable } from './act-words.ts';
import type { ActAsk } from './types.ts';

type Allowed = Extract<SshVerdict, { effect: 'allow' }>;
export type ActHold = OperationHold<Allowed, ActAsk>;

export function holdAct(
  act: SshAct,
  user: string,
  options: Omit<OperationHoldOptions<Allowed, ActAsk>, 'words' | 'asks' | 'unreadable'>,
): ActHold {
  return new OperationHold({
    ...options,
    words: () => ({ manner: ACT_MANNER, what: describeAct(act) }),
    asks: ({ command, touches }) => ({ act, user, command, touches }),
    unreadable,
  });
}

/** For who waits. */
export function heldLines({ message, detail, hint }: HeldText): readonly string[] {
  return [message, detail, hint].map((line) => `hoop: ${line}`);
}
