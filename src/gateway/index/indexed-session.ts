/** A session of the index, as it is shown. */
import type { SessionSummary } from '../../api/sessions.ts';
import { requesterClaim } from '../../policy/actor-name.ts';
import type { NodeOwner } from '../nodes/node-owner.ts';
import { integer, optionalText, type Row, text } from '../store/store.ts';

/** A summary with what decides who may see it. */
export interface IndexedSession {
  readonly summary: SessionSummary;
  readonly issuer: string;
  readonly sub: string;
  /** The login that opened it. */
  readonly family: string;
  /** The login that that one was made from, where it is that of a run. */
  readonly login: string | undefined;
  readonly owner: NodeOwner;
  /** The address of that node, where it has one. */
  readonly ownerUrl: string | undefined;
  readonly endedMs: number | undefined;
}

/** @param row of `sessions`, with `parent_login` and `node_url` @param grants rows of `session_grants` */
export function indexedSession(row: Row, grants: readonly Row[]): IndexedSession {
  const endedMs = row['ended_ms'] === null ? undefined : integer(row['ended_ms']);
  const state = text(row['state']);
  return {
    issuer: text(row['issuer']),
    sub: text(row['sub']),
    family: text(row['family']),
    login: optionalText(row['parent_login']),
    owner: { id: text(row['node']), term: integer(row['term']) },
    ownerUrl: optionalText(row['node_url']),
    endedMs,
    summary: {
      id: text(row['id']),
      target: text(row['target']),
      principal: text(row['name']),
      ...defined('agent', optionalText(row['agent'])),
      ...(integer(row['agent_itself']) === 1 ? { isAgent: true } : {}),
      ...requesterClaim(optionalText(row['requester'])),
      ...defined('run', optionalText(row['run'])),
      ...defined('parentRun', optionalText(row['parent_run'])),
      ...defined('program', optionalText(row['program'])),
      ...defined('reason', optionalText(row['reason'])),
      startedAt: new Date(integer(row['started_ms'])).toISOString(),
      ...defined('endedAt', endedMs === undefined ? undefined : new Date(endedMs).toISOString()),
      ...defined('endReason', optionalText(row['end_reason'])),
      ...defined('endMessage', optionalText(row['end_message'])),
      kind: text(row['kind']),
      // The table's CHECK allows these four and nothing else.
      state: state as SessionSummary['state'],
      statements: integer(row['statements']),
      denied: integer(row['denied']),
      maskedValues: integer(row['masked_values']),
      ...(integer(row['lookups']) === 0 ? {} : { lookups: integer(row['lookups']) }),
      upBytes: integer(row['up_bytes']),
      downBytes: integer(row['down_bytes']),
      ...(integer(row['lost_bytes']) === 0 ? {} : { lostBytes: integer(row['lost_bytes']) }),
      policyCommit: text(row['policy_commit']),
      ...(integer(row['terminal']) === 1 ? { terminal: 'recorded' } : {}),
      ...(grants.length === 0
        ? {}
        : { grants: grants.map((grant) => text(grant['temporary_grant'])) }),
    },
  };
}

function defined<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  // A computed key widens to a string index; the value is exactly what the type says.
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: string });
}
