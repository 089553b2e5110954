/** What serves the streams of a session, by the kind of its target. */

import type {
  CatalogSource,
  PostgresTarget,
  StatementApprovals,
} from '../../connectors/postgres/gateway/types.ts';
import type { StatementPolicy } from '../../connectors/postgres/policy/types.ts';
import type { CommandJudge } from '../../connectors/ssh/gateway/command-judge.ts';
import type { NameResolver } from '../../connectors/ssh/gateway/name-resolver.ts';
import type {
  CurrentSshTarget,
  SshApprovals,
  SshTarget,
} from '../../connectors/ssh/gateway/types.ts';
import type { PolicyTarget } from '../../policy/policy.ts';
import type { Secret } from '../../secret.ts';
import type { StreamKind } from '../../stream-kinds.ts';
import type { ChangedRowsBudget } from '../changed-rows/changed-rows-budget.ts';
import type { LookupBudget } from '../lookups/lookup-budget.ts';
import type { TargetHost } from '../targets/target-host.ts';

export interface PostgresService {
  readonly kind: 'postgres';
  readonly target: PostgresTarget;
  readonly catalog: CatalogSource;
  /** Of one host, where the target has several. */
  readonly catalogOf: (host: TargetHost) => CatalogSource;
  readonly approvals: StatementApprovals;
  readonly isRun: boolean;
  readonly lookups: LookupBudget;
  readonly changedRows: ChangedRowsBudget;
  readonly policy: StatementPolicy;
  readonly maskKey: Secret<Uint8Array>;
  /** Why the session cannot go on, if a commit has changed what it was made by. */
  readonly changed: (now: PolicyTarget) => string | undefined;
}

export interface SshService {
  readonly kind: 'ssh';
  /** As it was when the session began. */
  readonly target: SshTarget;
  readonly currentTarget: CurrentSshTarget;
  readonly approvals: SshApprovals;
  readonly resolver: NameResolver;
  /** Of all sessions. */
  readonly commands: CommandJudge;
}

export type SessionService = PostgresService | SshService;

const STREAMS: Readonly<Record<SessionService['kind'], ReadonlySet<StreamKind>>> = {
  postgres: new Set(['postgres', 'cancel', 'terminal']),
  ssh: new Set(['ssh', 'terminal']),
};

export function carries(service: SessionService, kind: StreamKind): boolean {
  return STREAMS[service.kind].has(kind);
}
