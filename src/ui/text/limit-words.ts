/** What limits somebody on a target: the same words on every screen. */
import type { TargetsReply } from '../../api/targets.ts';
import { durationWords } from '../../duration-words.ts';

type Limits = TargetsReply['targets'][number]['limits'];

/** In one sentence without a stop; undefined: an older gateway does not say. */
export function limitWords(limits: Limits): string | undefined {
  if (limits === undefined) {
    return undefined;
  }
  const { maxTimeSeconds, idleTimeSeconds, maxConnections, maxRows } = limits;
  const rows = maxRows === undefined ? '' : `, ${maxRows} rows a statement`;
  const changes = [
    ...changesText(limits.changedRowsPerTransaction, 'transaction'),
    ...changesText(limits.changedRowsPerDay, 'day (UTC, all sessions of the person)'),
  ].join('');
  return `${maxConnections} connections${rows}${changes}; a session ends after ${durationWords(maxTimeSeconds)}, or ${durationWords(idleTimeSeconds)} idle`;
}

function changesText(limit: number | undefined, per: string): string[] {
  return limit === undefined ? [] : [`, ${limit} changed rows a ${per}`];
}
