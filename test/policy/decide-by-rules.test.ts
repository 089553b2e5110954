import { expect, test } from 'vitest';
import type { ConnectorRule } from '../../src/policy/connector.ts';
import { decideByRules } from '../../src/policy/decide-by-rules.ts';
import type { Grant } from '../../src/policy/types.ts';

interface Rule extends ConnectorRule {
  readonly word: string;
}

const TERMS = { count: 1, timeoutSeconds: 60, maxHoldSeconds: 60, waits: true };

function rule(effect: Rule['effect'], word: string, approvers?: readonly string[]): Rule {
  return {
    ...{ effect, word, hint: undefined, described: `the word ${word}` },
    rule: { id: `p/${effect}-${word}`, file: 'p.yaml', line: 1 },
    ...(approvers === undefined ? {} : { approval: { ...TERMS, groups: [...approvers] } }),
  };
}

function grant(person: readonly Rule[], agent?: readonly Rule[]): Grant {
  const about = { commit: 'c0', target: 't', rules: [], own: { rules: person } };
  const both = agent && {
    ...{ name: 'bot', file: 'agents/bot.yaml', principal: 'ann', isAgent: false },
    ...{ sides: { principal: [], agent: [] }, own: { principal: person, agent } },
  };
  // Of a grant it reads no more.
  return { ...about, ...(both ? { agent: both } : {}) } as unknown as Grant;
}

const decide = (given: Grant) => decideByRules<Rule>(given, 'the line', ({ word }) => word === 'a');

test('deny beats approve, approve beats allow, and what no rule is about is refused', () => {
  const [allow, approve, deny] = [
    rule('allow', 'a'),
    rule('approve', 'a', ['l']),
    rule('deny', 'a'),
  ];
  expect(decide(grant([allow]))).toMatchObject({ effect: 'allow', rules: [{ id: 'p/allow-a' }] });
  expect(decide(grant([allow, approve]))).toMatchObject({
    effect: 'allow',
    approvals: [{ rule: { id: 'p/approve-a' } }],
  });
  expect(decide(grant([allow, approve, deny]))).toMatchObject({
    effect: 'refuse',
    refusal: { code: 'HOOP_DENIED', rule: { id: 'p/deny-a' } },
  });
  expect(decide(grant([rule('allow', 'b')]))).toMatchObject({
    effect: 'refuse',
    refusal: { code: 'HOOP_NOT_ALLOWED', hint: expect.stringContaining('the word b') },
  });
  expect(decide(grant([]))).toMatchObject({ effect: 'refuse' });
});

test('an approval that nobody can give, or that has no terms, is a refusal', () => {
  for (const asking of [rule('approve', 'a', []), rule('approve', 'a')]) {
    for (const rules of [[asking], [rule('allow', 'a'), asking]]) {
      expect(decide(grant(rules))).toMatchObject({
        effect: 'refuse',
        refusal: { code: 'HOOP_APPROVAL_UNAVAILABLE' },
      });
    }
  }
});

test('with an agent both sides must allow it, and both may ask for approval', () => {
  const asks = rule('approve', 'a', ['l']);
  expect(decide(grant([rule('allow', 'a')], [rule('allow', 'b')]))).toMatchObject({
    effect: 'refuse',
  });
  expect(decide(grant([rule('allow', 'b')], [rule('allow', 'a')]))).toMatchObject({
    effect: 'refuse',
  });
  expect(decide(grant([rule('allow', 'a')], [asks]))).toMatchObject({
    effect: 'allow',
    rules: [{ id: 'p/allow-a' }, { id: 'p/approve-a' }],
    approvals: [{ rule: { id: 'p/approve-a' } }],
  });
});
