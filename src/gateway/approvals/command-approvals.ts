/** Requests for approval of what is no statement: an act on a server, a line, a call. */
import type { CommandPart } from '../../api/approvals.ts';
import type { View } from '../../api/view.ts';
import { shownPrompt } from './asked-approval.ts';
import { askedBy } from './policy-standing.ts';
import {
  askOnce,
  type HeldAsk,
  isHeld,
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
  /** Default: the target by its name, what is shown, and the rules that ask. */
  readonly bound?: (ask: Ask) => readonly unknown[];
  /** `user` and `touches` are told where there are any. */
  readonly shown: (ask: Ask) => ShownCommand;
}

type ShownCommand = Pick<CommandPart, 'verb' | 'text'> &
  Partial<Pick<CommandPart, 'user' | 'touches'>> & {
    /** Default: verb and text, what it touches, and as whom. */
    readonly view?: View;
  };

export function commandApprovals<Ask extends CommandAsk>(
  options: SessionApprovalsOptions & { readonly target: { readonly name: string } },
  { format, bound, shown }: CommandFacts<Ask>,
): OperationApprovals<Ask> {
  const { approvals, policy, principal, session, target, prompt } = options;
  const whole = (ask: Ask): readonly unknown[] => [
    ...[target.name, shown(ask)],
    ask.demands.map(({ rule, terms }) => [rule.id, rule.grant ?? null, terms]),
  ];
  const bindingOf = (ask: Ask): string =>
    requestBinding(options, ask, format, (bound ?? whole)(ask));
  const viewOf = (ask: Ask): View => {
    const about = shown(ask);
    return about.view ?? commandView(about, isHeld(ask));
  };
  return {
    bindingOf,
    viewOf,
    ask(ask) {
      const binding = bindingOf(ask);
      return askOnce(options, ask, binding, (waits) => {
        const { stream, at } = ask;
        const inForce = prompt();
        const details = {
          ...{ session, stream, at, user: '', touches: [] },
          ...shown(ask),
          ...{ view: viewOf(ask), waits },
          ...(inForce === undefined ? {} : { prompt: shownPrompt(inForce) }),
          asked: askedBy(policy, principal, target.name),
        };
        const request = sessionRequest(options, ask, binding, waits);
        return approvals.create({ ...request, kind: 'command', details });
      });
    },
  };
}

export function commandView(
  { verb, text, user = '', touches = [] }: ShownCommand,
  waits: boolean,
): View {
  const notWaiting = waits ? '' : 'no: it has failed, and may be tried again once approved';
  return [
    {
      type: 'fields',
      fields: [
        { name: 'waits', value: notWaiting },
        { name: 'act', value: verb },
      ],
    },
    { type: 'code', language: 'shell', text },
    {
      type: 'fields',
      fields: [
        { name: 'touches', value: touches.join(', ') },
        { name: 'login', value: user },
      ],
    },
  ];
}
