/** What a principal may ask for: policies with `request` that name them and cover the target. */

import { documentCovers, givesOn, mayAsk } from './match.ts';
import type { Policy, PolicyDocument, RequestTerms } from './policy.ts';
import type { Principal } from './types.ts';
import { describeConditions } from './words/describe-grant.ts';

export interface Requestable {
  readonly target: string;
  readonly document: PolicyDocument;
  readonly terms: RequestTerms;
}

/** By target, then by name of the policy. */
export function requestable(policy: Policy, principal: Principal): Requestable[] {
  return [...policy.targets.values()]
    .flatMap((target) =>
      policy.documents.flatMap((document) =>
        document.request !== undefined &&
        documentCovers(document, target) &&
        givesOn(document, target) &&
        mayAsk(document, principal)
          ? [{ target: target.name, document, terms: document.request }]
          : [],
      ),
    )
    .sort((a, b) => compare(a.target, b.target) || compare(a.document.name, b.document.name));
}

/** What it gives, in words for whoever asks and whoever approves. */
export function describeDocument(document: PolicyDocument): string[] {
  const { agents } = document.who;
  const through =
    agents === undefined
      ? ''
      : ` (only through ${agents.includes('*') ? 'an agent' : agents.join(' or ')})`;
  return [
    ...(document.anything ? ['anything, unguarded'] : []),
    ...document.rules.map((rule) => `${rule.effect} ${describeConditions(rule)}`),
    ...Object.values(document.own)
      .flat()
      .map((rule) => `${rule.effect} ${rule.described ?? ''}`),
  ].map((text) => `${text}${through}`);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
