/** A recorded session as plain text, entry by entry: for pipes, files and `--no-tui`. */
import { actorName } from '../../policy/actor-name.ts';
import type { TimelineEntry } from '../../replay/timeline.ts';
import { promptHead, promptLines } from '../prompt-lines.ts';
import { runText } from '../session-table.ts';
import { plain, plainLines } from '../text/printable.ts';
import { byteCount, elapsed, localTime } from '../text/times.ts';
import { wrapWords } from '../text/wrap-words.ts';
import {
  answerLines,
  type LineOptions,
  markOf,
  messageLines,
  statementLines,
  summary,
} from './statement-lines.ts';

/** Indent of everything that belongs to the line above it. */
const INDENT = '    ';
const TIME_WIDTH = 10;
/** Under the text beside a time. */
const HANGING = ' '.repeat(TIME_WIDTH + 2);

export interface TranscriptOptions extends LineOptions {
  /** Zero of the times shown. */
  readonly startMs: number;
}

/** @returns lines without line feeds; empty for what says nothing to a reader. */
export function transcriptLines(entry: TimelineEntry, options: TranscriptOptions): string[] {
  const { style } = options;
  const when = style.dim(elapsed(timeOf(entry) - options.startMs).padStart(TIME_WIDTH));
  const prose = (text: string): string[] => {
    const lines = wrapWords(text, options.width, { first: HANGING, rest: HANGING });
    return [when + (lines[0] ?? '').slice(TIME_WIDTH), ...lines.slice(1)];
  };
  const line = (text: string) => `${when}  ${text}`;
  switch (entry.type) {
    case 'session.open': {
      const { principal, agent, requester, run, target, policyCommit, session } = entry;
      const actor = { name: principal.name, agent: agent?.name, isAgent: agent?.itself, requester };
      return [
        `${style.bold('session')}    ${plain(session)}`,
        `${style.bold('who')}        ${plain(actorName(actor))} (${plain(principal.sub)} at ${plain(principal.issuer)})`,
        ...(run === undefined ? [] : [`${style.bold('run')}        ${plain(runText(run))}`]),
        `${style.bold('target')}     ${plain(target)}`,
        ...(entry.reason ? [`${style.bold('reason')}     ${plain(entry.reason)}`] : []),
        `${style.bold('policy')}     ${plain(policyCommit)}`,
        `${style.bold('began')}      ${localTime(entry.timeMs)}`,
        '',
      ];
    }
    case 'session.close': {
      const why = entry.message && !entry.isAnnounced ? `: ${plain(entry.message)}` : '';
      return prose(`session ended (${plain(entry.reason)})${why}`);
    }
    case 'connection.open': {
      const database = entry.database ? ` to ${plain(entry.database)}` : '';
      const user = entry.database === undefined && entry.user ? ` as ${plain(entry.user)}` : '';
      const application = entry.application ? ` by ${plain(entry.application)}` : '';
      return prose(`connection ${entry.stream} opened${user}${database}${application}`);
    }
    case 'connection.close': {
      const volume = `${byteCount(entry.up)} sent, ${byteCount(entry.down)} received`;
      return prose(`connection ${entry.stream} closed (${plain(entry.reason)}), ${volume}`);
    }
    case 'target': {
      const tls = entry.tls ? 'with TLS' : 'without TLS';
      return prose(`connection ${entry.stream} reached ${plain(entry.server)} ${tls}`);
    }
    case 'ssh.target': {
      const { server, user, hostKey } = entry;
      return prose(
        `connection ${entry.stream} reached ${plain(server)} as ${plain(user)}, host key ${plain(hostKey)}`,
      );
    }
    case 'statement': {
      const { sign, word, tone } = markOf(entry);
      const took = summary(entry);
      const width = options.width === undefined ? undefined : options.width - INDENT.length;
      const inner = { style, width };
      const name = entry.name ? ` as "${plain(entry.name)}"` : '';
      return [
        line(
          `#${entry.number} ${style[tone](`${sign} ${word}`)}${name} on connection ${entry.stream}${took ? `, ${took}` : ''}`,
        ),
        ...[
          ...statementLines(entry, inner).map((text) => style.bold(text)),
          ...answerLines(entry, inner),
        ].map((text) => INDENT + text),
        '',
      ];
    }
    case 'notice':
      return messageLines(entry.message, options).map((text, index) =>
        index === 0 ? line(text) : `${INDENT}${text}`,
      );
    case 'access': {
      const approved = `approved by ${entry.approvedBy.map(plain).join(', ')}`;
      const why = entry.change === 'given' ? ` (${approved}; ${plain(entry.reason)})` : '';
      return prose(`${plain(entry.message)}${why}`);
    }
    case 'cancel': {
      const what =
        entry.forStream === undefined ? 'nothing that runs' : `connection ${entry.forStream}`;
      return [line(`cancel request for ${what}`)];
    }
    case 'prompt':
      return [
        ...prose(promptHead(entry)),
        ...promptLines(entry, {
          style,
          width: options.width === undefined ? undefined : options.width - INDENT.length,
        }).map((text) => INDENT + text),
        '',
      ];
    case 'evidence':
      return isSaidElsewhere(entry) ? [] : prose(`${entry.kind}: ${plain(entry.message)}`);
    case 'dispute':
      return [line(style.red(`the two sides disagree after cut ${entry.epoch}`))];
    case 'lost':
      return [
        ...prose(`${entry.claim}: ${byteCount(entry.to - entry.from)}`).map(style.red),
        ...plainLines(entry.text)
          .split('\n')
          .map((text) => INDENT + text),
        ...(entry.more > 0 ? [`${INDENT}… ${byteCount(entry.more)} more`] : []),
      ];
    case 'unreadable': {
      const where = `connection ${entry.stream} (${entry.direction}, from byte ${entry.offset})`;
      return [line(style.red(`${where} cannot be read: ${plain(entry.message)}`))];
    }
  }
}

/** A denial stands with its statement, as holds and decisions do, and the reason at the top. */
export function isSaidElsewhere(entry: TimelineEntry): boolean {
  if (entry.type !== 'evidence') {
    return false;
  }
  const isOfApproval = entry.kind === 'held' || entry.kind === 'decided';
  return isOfApproval ? entry.statement !== undefined : entry.kind !== 'closing';
}

/** When an entry happened; for a statement, when it began. */
export function timeOf(entry: TimelineEntry): number {
  return entry.type === 'statement' ? entry.startMs : entry.timeMs;
}
