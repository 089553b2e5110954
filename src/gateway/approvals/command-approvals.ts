/** Requests for approval of what is no statement: an act on a server, a line, a call. */
import type { CommandPart } from '../../api/approvals.ts';
import { shownPrompt } from './asked-approval.ts';
import { askedBy } from './policy-standing.ts';
import {
  askOnce,
  type HeldAsk,
  type OperationApprovals,
  requestBinding,
  type SessionApprovalsOptions,
  sessionRequest,
} from './session-approvals.ts';

export interface CommandAsk extends HeldAsk {
  readonly stream: number;
  /** Offset in the up stream of what asks for it. */
  readonly at: number;
}

/** What the connector alone knows. */
export interface CommandFacts<Ask> {
  /** See `requestBinding`. */
  readonly format: string;
  readonly bound: (ask: Ask) => readonly unknown[];
  readonly shown: (ask: Ask) => Pick<CommandPart, 'verb' | 'text' | 'user' | 'touches'>;
}

export function commandApprovals<Ask extends CommandAsk>(
  options: SessionApprovalsOptions & { readonly target: { readonly name: string } },
  { format, bound, shown }: CommandFacts<Ask>,
): OperationApprovals<Ask> {
  const { approvals, policy, principal, session, target, prompt } = options;
  const bindingOf = (ask: Ask): string => requestBinding(options, ask, format, bound(ask));
  return {
    bindingOf,
    ask(ask) {
      const binding = bindingOf(ask);
      return askOnce(options, ask, binding, (waits) => {
        const { stream, at } = ask;
        const inForce = prompt();
        const details = {
          ...{ session, stream, at, ...shown(ask), shortened: false, waits },
          ...(inForce === undefined ? {} : { prompt: shownPrompt(inForce) }),
          asked: askedBy(policy, principal, target.name),
        };
        const request = sessionRequest(options, ask, binding, waits);
        return approvals.create({ ...request, kind: 'command', details });
      });
    },
  };
}
