import { APPROVAL_ID, type Approval } from '../../api/approvals.ts';
import type { ApprovalsClient } from '../../client/approvals-client.ts';
import { HoopError } from '../../errors.ts';

/** Of an id that is typed; fewer are too often wrong. */
export const MIN_PREFIX = 4;
const MAX_LISTED = '200';

/** @param typed an id, or the start of one that waits. @throws HOOP_APPROVAL_UNKNOWN, HOOP_USAGE */
export async function findApproval(
  client: ApprovalsClient,
  typed: string,
  signal: AbortSignal,
): Promise<Approval> {
  const wanted = normalized(typed);
  if (APPROVAL_ID.test(wanted)) {
    return client.find(wanted, signal);
  }
  if (!/^[0-9a-z]+$/.test(wanted) || wanted.length < MIN_PREFIX) {
    throw new HoopError('HOOP_USAGE', `"${typed}" is not the ID of a request`, {
      hint: `Give the ID from \`hoop approvals list\`, or its first ${MIN_PREFIX} characters.`,
    });
  }
  const { approvals } = await client.list({ state: 'open', limit: MAX_LISTED }, signal);
  const [found, other] = approvals.filter(({ id }) => id.startsWith(wanted));
  if (found === undefined) {
    throw new HoopError(
      'HOOP_APPROVAL_UNKNOWN',
      `no waiting request has an ID that starts with "${typed}"`,
      {
        hint: 'See waiting requests with `hoop approvals list`; for one that has ended, give the whole ID.',
      },
    );
  }
  if (other !== undefined) {
    throw new HoopError('HOOP_USAGE', `several requests have an ID that starts with "${typed}"`, {
      hint: 'Give more characters.',
    });
  }
  // The list shortens statements.
  return client.find(found.id, signal);
}

/** Crockford's alphabet has no i, l and o: whoever reads them means digits. */
export function normalized(typed: string): string {
  return typed.trim().toLowerCase().replaceAll(/[il]/g, '1').replaceAll('o', '0');
}
