/** What the tools reach: databases of one run, and what the gateway says of them. */

import type { Approval } from '../api/approvals.ts';
import type { TargetsReply } from '../api/targets.ts';

export type MaskedColumns = TargetsReply['targets'][number]['masked'];

export interface McpTarget {
  readonly name: string;
  readonly url: string;
  readonly description?: string | undefined;
  /** Undefined: behind a fence the gateway cannot be asked. */
  readonly masked: MaskedColumns | undefined;
}

export interface McpAccess {
  /** Databases; the first is that of calls that name none where there is one alone, or a main one. */
  readonly targets: readonly McpTarget[];
  readonly main: string | undefined;
  /** @throws HoopError HOOP_APPROVAL_UNKNOWN; HOOP_FENCE where the gateway cannot be asked */
  approval(id: string, signal: AbortSignal): Promise<Approval>;
  /** How it stands when it no longer waits. */
  decided(id: string, signal: AbortSignal): Promise<Approval>;
}
