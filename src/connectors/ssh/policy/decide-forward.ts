/** A connection through the server to somewhere else. */

import { demandOf, deniedBy, unanswerable } from '../../../policy/decide-by-rules.ts';
import { grantSides } from '../../../policy/grant-sides.ts';
import { refusal } from '../../../policy/refusal.ts';
import type { Grant, Refusal } from '../../../policy/types.ts';
import { type Asked, isTooNear, leadsTo, mayLeadTo, normalHost } from './destinations.ts';
import { type SshCase, sshRefusal } from './ssh-refusal.ts';
import { type SshAct, type SshRule, type SshVerdict, sshRules } from './types.ts';

type ForwardAct = Extract<SshAct, { kind: 'forward' }>;

const TOO_NEAR =
  'It leads to the server itself, a link-local address or a metadata service, which "*" in a rule never covers: a rule must name it.';
const DENIED = 'this forward is denied by policy';

export function decideForward(one: SshCase, act: ForwardAct): SshVerdict {
  const { host, port, isServer = false } = act;
  const rules = forwards(one.rules);
  const touches = [host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`];
  const name = normalHost(host);
  if (name === undefined) {
    return {
      effect: 'refuse',
      refusal: sshRefusal(one, 'forward', {
        code: 'HOOP_NOT_ALLOWED',
        message: 'the destination of this forward is neither a host name nor an address',
      }),
      touches,
    };
  }
  const asked = { host: name, port, isServer };
  const denying = rules.find((rule) => rule.effect === 'deny' && speaksOf(rule, asked));
  if (denying !== undefined) {
    return { effect: 'refuse', refusal: deniedBy(one, denying, DENIED), touches };
  }
  const approvals = rules.flatMap((rule) => (speaksOf(rule, asked) ? demandOf(rule) : []));
  const nobody = unanswerable(one, approvals, 'this forward');
  if (nobody !== undefined) {
    return { effect: 'refuse', refusal: nobody, touches };
  }
  const allowing = rules.find((rule) => rule.effect !== 'deny' && allows(rule, asked));
  if (allowing === undefined) {
    return {
      effect: 'refuse',
      refusal: sshRefusal(one, 'forward', {
        code: 'HOOP_NOT_ALLOWED',
        message: 'this forward is not allowed by policy',
        ...(rules.some((rule) => isAllButNear(rule, asked)) ? { detail: TOO_NEAR } : {}),
      }),
      touches,
    };
  }
  const others = approvals.filter(({ rule }) => rule.id !== allowing.rule.id);
  return {
    effect: 'allow',
    rules: [allowing.rule, ...others.map(({ rule }) => rule)],
    ...(approvals.length === 0 ? {} : { approvals }),
    touches,
  };
}

/**
 * Once the name is resolved: a rule that writes an address speaks of every name for it. One that
 * wants an approval refuses, because a forward cannot wait.
 * @param address what the name resolved to
 */
export function deniedAddress(
  grant: Grant,
  user: string,
  { host, port, isServer = false }: Omit<ForwardAct, 'kind'>,
): Refusal | undefined {
  const address = normalHost(host);
  for (const side of grantSides(grant)) {
    const speaking = forwards(sshRules(side)).filter(
      (rule) =>
        (rule.users.length === 0 || rule.users.includes(user)) &&
        (address === undefined || speaksOf(rule, { host: address, port, isServer })),
    );
    const denying = speaking.find(({ effect }) => effect === 'deny');
    if (denying !== undefined) {
      return deniedBy({ grant: side }, denying, DENIED);
    }
    const asking = speaking.find(({ effect }) => effect === 'approve');
    if (asking !== undefined) {
      return refusal(side, {
        code: 'HOOP_APPROVAL_UNAVAILABLE',
        message: 'this forward needs an approval, and a forward cannot wait',
        detail: 'The name resolves to an address for which a rule requires approval.',
        rule: asking.rule,
        hint: asking.hint,
      });
    }
  }
  return undefined;
}

function forwards(rules: readonly SshRule[]): SshRule[] {
  return rules.filter(({ acts }) => acts.includes('forward'));
}

function allows({ destinations }: SshRule, asked: Asked): boolean {
  return destinations.length === 0 || destinations.some((text) => leadsTo(text, asked));
}

function speaksOf({ destinations }: SshRule, asked: Asked): boolean {
  return destinations.length === 0 || destinations.some((text) => mayLeadTo(text, asked));
}

function isAllButNear({ effect, destinations }: SshRule, asked: Asked): boolean {
  return effect !== 'deny' && destinations.some((text) => isTooNear(text, asked));
}
