import { expect, test } from 'vitest';
import { renderAccess } from '../../src/ui/render-access.ts';
import { styleFor } from '../../src/ui/text/style.ts';

const RULES = [
  'allow update on public.support_tickets',
  'allow delete with WHERE on public.support_tickets, public.support_ticket_comments',
];
const REQUESTABLE = {
  ...{ target: 'prod-db', policy: 'ticket-cleanup', maxDurationSeconds: 7200 },
  ...{ count: 1, approvers: ['approvers'], rules: RULES },
};

function lines(width: number | undefined): string[] {
  const model = { grants: [], requests: [], requestable: [REQUESTABLE] };
  return renderAccess(model, { style: styleFor(false), width, nowMs: 0 });
}

test('what a grant gives is never cut: below it where the terminal is narrow', () => {
  expect(lines(60)).toEqual([
    'You can request',
    'TARGET   GRANT           UP TO  APPROVERS',
    'prod-db  ticket-cleanup  2 h    1 of group approvers',
    '  allow update on public.support_tickets',
    '  allow delete with WHERE on public.support_tickets,',
    '    public.support_ticket_comments',
  ]);
});

test('in a pipe a grant is a line', () => {
  expect(lines(undefined).at(-1)).toBe(
    `prod-db  ticket-cleanup  2 h    1 of group approvers  ${RULES.join('; ')}`,
  );
});
