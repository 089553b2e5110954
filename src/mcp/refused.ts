/** Errors as results of a tool: a model reads them, and a fault of the protocol it does not see. */
import { HoopError } from '../errors.ts';
import type { Report } from './bounded-query.ts';

export interface Refused {
  readonly status: 'denied' | 'held' | 'error';
  readonly message: string;
  /** `HOOP_…`; absent for an error of the server. */
  readonly code?: string | undefined;
  readonly sqlState?: string | undefined;
  readonly rule?: string | undefined;
  /** Of a request for approval. */
  readonly request?: string | undefined;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** In the statement, characters from 1. */
  readonly position?: number | undefined;
}

/** Errors of the server repeat values, of whatever length. Characters. */
const MAX_SAID = 4000;

const RULE = /\brules? ([^\s,()[\]|]+\/[^\s,()[\]|;:]+)/i;
const REQUEST = /\brequest ([0-9a-hjkmnp-tv-z]{12})\b/i;

/** Of an error of the server or of hoop; undefined: it is neither. */
export function refusedBy(error: unknown): Refused | undefined {
  if (error instanceof HoopError) {
    const { code, message, detail, hint } = error;
    return { status: 'error', code, message, detail, hint };
  }
  if (!(error instanceof Error)) return undefined;
  const report: Report = error;
  const { message = '', detail, hint, code, routine, position } = report;
  const own = routine?.startsWith('HOOP_') ? routine : undefined;
  const said = own === undefined ? message : message.replace(/ \[[^\]]*\]$/s, '');
  return {
    status: statusOf(own, code),
    code: own,
    sqlState: code,
    message: shortText(said),
    ...(own === undefined ? {} : asked(`${message} ${detail ?? ''}`)),
    detail: detail === undefined ? undefined : shortText(detail),
    hint: hint === undefined ? undefined : shortText(hint),
    position: position === undefined ? undefined : Number(position),
  };
}

export function shortText(text: string): string {
  return text.length <= MAX_SAID ? text : `${text.slice(0, MAX_SAID).toWellFormed()}…`;
}

/** The rule and the request that a text of hoop names. */
export function asked(text: string): Pick<Refused, 'rule' | 'request'> {
  return { rule: RULE.exec(text)?.[1], request: REQUEST.exec(text)?.[1] };
}

/** What hoop finds before the server does, such as a column that is not there, is a mistake. */
function statusOf(code: string | undefined, sqlState: string | undefined): Refused['status'] {
  if (code === 'HOOP_APPROVAL_PENDING') return 'held';
  const isMistake = sqlState?.startsWith('42') === true && sqlState !== '42501';
  return code === undefined || isMistake ? 'error' : 'denied';
}
