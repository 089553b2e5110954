import { expect, test } from 'vitest';
import { maySeeAll, maySeeEvents } from '../../../src/gateway/sessions/access.ts';
import type { Principal } from '../../../src/policy/types.ts';

test.each([
  [['observer'], true, false],
  [['auditor'], true, true],
  [['approver'], true, false],
  [[], false, false],
])(
  'with the roles %j a login reads events: %s, and recordings of others: %s',
  (roles, events, recordings) => {
    const principal: Principal = {
      kind: 'workload',
      issuer: 'https://idp.example',
      sub: 'siem',
      name: 'siem',
      email: undefined,
      groups: ['siem'],
      roles,
    };
    expect(maySeeEvents(principal)).toBe(events);
    expect(maySeeAll(principal, false)).toBe(recordings);
    if (roles[0] === 'observer') expect(maySeeAll(principal, true)).toBe(false);
  },
);
