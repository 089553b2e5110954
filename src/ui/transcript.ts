/** A recorded session as plain text, entry by entry: for pipes, files and `--no-tui`. */
import type { TimelineEntry } from '../replay/timeline.ts';
import { plain } from './printable.ts';
import {
  answerLines,
  type LineOptions,
  markOf,
  messageLines,
  statementLines,
  summary,
} from './statement-lines.ts';
import { byteCount, elapsed, localTime } from './times.ts';

/** Indent of everything that belongs to the line above it. */
const INDENT = '    ';

export interface TranscriptOptions extends LineOptions {
  /** Zero of the times shown. */
  readonly startMs: number;
}

/** @returns lines without line feeds; empty for what says nothing to a reader. */
export function transcriptLines(entry: TimelineEntry, options: TranscriptOptions): string[] {
  const { style } = options;
  const when = style.dim(elapsed(timeOf(entry) - options.startMs).padStart(10));
  const line = (text: string) => `${when}  ${text}`;
  switch (entry.type) {
    case 'session.open': {
      const { principal, target, policyCommit, session } = entry;
      return [
        `${style.bold('session')}    ${plain(session)}`,
        `${style.bold('who')}        ${plain(principal.name)} (${plain(principal.sub)} at ${plain(principal.issuer)})`,
        `${style.bold('target')}     ${plain(target)}`,
        ...(entry.reason ? [`${style.bold('reason')}     ${plain(entry.reason)}`] : []),
        `${style.bold('policy')}     ${plain(policyCommit)}`,
        `${style.bold('began')}      ${localTime(entry.timeMs)}`,
        '',
      ];
    }
    case 'session.close': {
      const why = entry.message ? `: ${plain(entry.message)}` : '';
      return [line(`session ended (${plain(entry.reason)})${why}`)];
    }
    case 'connection.open': {
      const database = entry.database ? ` to ${plain(entry.database)}` : '';
      const application = entry.application ? ` by ${plain(entry.application)}` : '';
      return [line(`connection ${entry.stream} opened${database}${application}`)];
    }
    case 'connection.close': {
      const volume = `${byteCount(entry.up)} sent, ${byteCount(entry.down)} received`;
      return [line(`connection ${entry.stream} closed (${plain(entry.reason)}), ${volume}`)];
    }
    case 'target': {
      const tls = entry.tls ? 'with TLS' : 'without TLS';
      return [line(`connection ${entry.stream} reached ${plain(entry.server)} ${tls}`)];
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
      return [line(`${plain(entry.message)}${why}`)];
    }
    case 'cancel': {
      const what =
        entry.forStream === undefined ? 'nothing that runs' : `connection ${entry.forStream}`;
      return [line(`cancel request for ${what}`)];
    }
    case 'evidence':
      return isSaidElsewhere(entry) ? [] : [line(`${entry.kind}: ${plain(entry.message)}`)];
    case 'dispute':
      return [line(style.red(`the two sides disagree after cut ${entry.epoch}`))];
    case 'unreadable': {
      const where = `connection ${entry.stream} (${entry.direction}, from byte ${entry.offset})`;
      return [line(style.red(`${where} cannot be read: ${plain(entry.message)}`))];
    }
  }
}

/** Who was asked and what they said stands nowhere else. */
const SHOWN_EVIDENCE: ReadonlySet<string> = new Set(['closing', 'held', 'decided']);

/** A denial is shown with its statement and the reason at the top; both sides have signed them. */
export function isSaidElsewhere(entry: TimelineEntry): boolean {
  return entry.type === 'evidence' && !SHOWN_EVIDENCE.has(entry.kind);
}

/** When an entry happened; for a statement, when it began. */
export function timeOf(entry: TimelineEntry): number {
  return entry.type === 'statement' ? entry.startMs : entry.timeMs;
}
