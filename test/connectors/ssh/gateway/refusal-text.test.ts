import { expect, test } from 'vitest';
import { refusalText } from '../../../../src/connectors/ssh/gateway/refusal-text.ts';

const rule = { id: 'servers/no-deleting', file: 'policies/servers.yaml', line: 12 };
const said = (detail: string | undefined): string =>
  String(refusalText({ message: 'rm is denied by policy', detail, hint: undefined, rule }, false));

test.each([
  [
    'Rule servers/no-deleting (policies/servers.yaml:12, policy c41f) says so.',
    'hoop: rm is denied by policy\nhoop: Rule servers/no-deleting (policies/servers.yaml:12, policy c41f) says so.\n',
  ],
  [
    'A rule with commands allows it with paths.',
    'hoop: rm is denied by policy (rule servers/no-deleting, policies/servers.yaml:12)\nhoop: A rule with commands allows it with paths.\n',
  ],
  [
    'Rule servers/no-deleting-logs allows it for logs.',
    'hoop: rm is denied by policy (rule servers/no-deleting, policies/servers.yaml:12)\nhoop: Rule servers/no-deleting-logs allows it for logs.\n',
  ],
  [
    undefined,
    'hoop: rm is denied by policy (rule servers/no-deleting, policies/servers.yaml:12)\n',
  ],
])('the rule is named once: %s', (detail, lines) => {
  expect(said(detail)).toBe(lines);
});
