/**
 * Which of the statements that wait a new commit leaves alone. This is for the sake of those who
 * wait and decide: what is approved is decided again when it is used, whatever is said here.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { Grant, Principal } from '../../policy/types.ts';
import type { Approvals } from './approvals.ts';

/** What of the policy in force is asked. */
export interface PolicyView {
  readonly grant: (principal: Principal, target: string) => { readonly grant: Grant } | undefined;
  readonly identityProviders: () => readonly unknown[];
}

/** Kept with a request, beside what its approvers see. */
const Asked = z.object({
  asked: z.object({
    kind: z.enum(['person', 'workload']),
    email: z.string().optional(),
    groups: z.array(z.string()),
    /** Digests, of then: what the policy gave them, and how it knew people. */
    standing: z.string(),
    providers: z.string(),
  }),
});
export type Asked = z.infer<typeof Asked>['asked'];

export function askedBy(policy: PolicyView, principal: Principal, target: string): Asked {
  const { kind, email, groups } = principal;
  return {
    kind,
    ...(email === undefined ? {} : { email }),
    groups: [...groups],
    standing: standing(policy, principal, target),
    providers: digest(policy.identityProviders()),
  };
}

/** To be called when a commit has come into force, and for what a restarted gateway has kept. */
export async function reconsiderStatements(
  approvals: Approvals,
  policy: PolicyView,
): Promise<void> {
  const providers = digest(policy.identityProviders());
  for (const kind of ['statement', 'command'] as const) {
    await approvals.policyChanged(kind, (record, kept) => {
      const { requester, agent, requestedFor, target } = record;
      const details = Asked.safeParse(kept);
      // How votes are counted rests on how people are known.
      if (!details.success || details.data.asked.providers !== providers) {
        return 'void';
      }
      const { kind, email, groups, standing: before } = details.data.asked;
      const someone: Principal = {
        ...requester,
        kind,
        email,
        groups,
        roles: [],
        ...(requestedFor === undefined ? {} : { requester: requestedFor }),
      };
      const principal = agent === undefined ? someone : { ...someone, agent };
      return standing(policy, principal, target) === before ? 'keep' : 'decide again';
    });
  }
}

/** Of all that the policy gives somebody on a target: the same means the same decisions. */
function standing(policy: PolicyView, principal: Principal, target: string): string {
  const grant = policy.grant(principal, target)?.grant;
  const { commit: _, generation: __, requestable: ___, temporary: ____, ...given } = grant ?? {};
  return digest(given);
}

function digest(value: unknown): string {
  // Rules move in their files without becoming other rules.
  const text = JSON.stringify(value, (key, member: unknown) =>
    key === 'file' || key === 'line' ? undefined : member,
  );
  return createHash('sha256').update(text).digest('hex');
}
