import { expect, test } from 'vitest';
import type { ApprovalsClient } from '../../src/client/approvals-client.ts';
import { findApproval } from '../../src/commands/approvals/approvals-source.ts';

test('an id that nothing has is repeated as it was typed', async () => {
  const client = { list: async () => ({ approvals: [] }) } as unknown as ApprovalsClient;
  await expect(findApproval(client, 'nope', new AbortController().signal)).rejects.toMatchObject({
    message: 'no waiting request has an ID that starts with "nope"',
  });
});
