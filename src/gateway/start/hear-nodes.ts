/** What this gateway does when another node of its store has changed something. */
import type { Log } from '../base/log.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { GatewayData } from './open-data.ts';
import type { OpenPolicy } from './open-policy.ts';

/** Acts upon what comes from then on, and on what has come since the data was opened. */
export function hearNodes(
  { changes, commands }: Pick<GatewayData, 'changes' | 'commands'>,
  { access, approvals, blocks, policyHead, reconsider }: OpenPolicy,
  sessions: Sessions,
  log: Log,
): void {
  changes.on('blocks', async () => {
    for (const block of await blocks.heard()) sessions.endBlocked(block);
    reconsider();
  });
  changes.on('grants', () => access.heard());
  changes.on('approvals', () => approvals.heard());
  changes.on('logins', () => sessions.loginsChanged());
  changes.on('commands', () => commands.take((command) => sessions.endAsked(command)));
  changes.on('policy', async () => {
    policyHead.moved();
    if (!(await policyHead.isNewest())) log.info('policy.behind');
  });
  changes.start();
}
