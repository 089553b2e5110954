/** What the SSH engine asks about what somebody wants to do on a server, as requests of one session. */
import { HoopError } from '../../errors.ts';
import type { SshApprovals } from '../ssh/types.ts';

export function actApprovals(): SshApprovals {
  return {
    bindingOf: () => '',
    ask() {
      throw new HoopError('HOOP_LIMIT', 'approvals on servers are not served yet');
    },
  };
}
