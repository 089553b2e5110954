/** What the approvals view shows, and what each key, each news and each answer does to it. */
import { type Approval, isShortened, MAX_DECISION_REASON } from '../../api/approvals.ts';
import { plain } from '../text/printable.ts';
import { approvalRequester, decisionText } from './approval-lines.ts';

export type DecisionMode = 'approve' | 'deny';

export interface ApprovalsState {
  readonly approvals: readonly Approval[];
  /** Lists shorten statements: the whole ones, by id, as they were asked for. */
  readonly whole: ReadonlyMap<string, Approval>;
  /** By id, not by place: news must not move another request under the finger. */
  readonly selected: string | undefined;
  /** First line of the detail that is shown. */
  readonly scroll: number;
  /** A decision is being typed; it is about the request as it was when the key was pressed. */
  readonly deciding:
    | { readonly decision: DecisionMode; readonly approval: Approval; readonly reason: string }
    | undefined;
  /** Decisions that are on their way. */
  readonly sending: ReadonlySet<string>;
  /** Listed requests that were decided here: when they leave the list, that is no news. */
  readonly decided: ReadonlySet<string>;
  readonly message:
    | { readonly text: string; readonly tone: 'green' | 'red' | 'yellow' }
    | undefined;
  /** undefined: connected. */
  readonly trouble: string | undefined;
  /** The first list has come. */
  readonly isLoaded: boolean;
  readonly help: boolean;
}

export type ApprovalsKey =
  | 'up'
  | 'down'
  | 'first'
  | 'last'
  | 'scrollUp'
  | 'scrollDown'
  | 'approve'
  | 'deny'
  | 'help'
  | 'enter'
  | 'escape'
  | 'erase';

export interface Decision {
  readonly decision: DecisionMode;
  readonly approval: Approval;
  readonly reason: string | undefined;
}

export const FIRST_STATE: ApprovalsState = {
  approvals: [],
  whole: new Map(),
  selected: undefined,
  scroll: 0,
  deciding: undefined,
  sending: new Set(),
  decided: new Set(),
  message: undefined,
  trouble: undefined,
  isLoaded: false,
  help: false,
};

export function listArrived(state: ApprovalsState, approvals: readonly Approval[]): ApprovalsState {
  const isThere = approvals.some(({ id }) => id === state.selected);
  const place = indexOf(state);
  const next = approvals[Math.min(Math.max(place, 0), approvals.length - 1)];
  const gone = state.deciding && !approvals.some(({ id }) => id === state.deciding?.approval.id);
  return {
    ...state,
    approvals,
    isLoaded: true,
    trouble: undefined,
    selected: isThere ? state.selected : next?.id,
    scroll: isThere ? state.scroll : 0,
    decided: new Set(approvals.map(({ id }) => id).filter((id) => state.decided.has(id))),
    message: newsOf(state, approvals),
    ...(gone
      ? {
          deciding: undefined,
          message: { text: 'that request is no longer waiting', tone: 'yellow' },
        }
      : {}),
  };
}

/** Says which requests ended elsewhere. A new request clears what was said of an earlier one. */
function newsOf(
  { approvals: before, sending, decided, message }: ApprovalsState,
  approvals: readonly Approval[],
): ApprovalsState['message'] {
  const listed = new Set(approvals.map(({ id }) => id));
  const ended = before.filter(({ id }) => !(listed.has(id) || sending.has(id) || decided.has(id)));
  const [first] = ended;
  if (first !== undefined) {
    const which =
      ended.length === 1
        ? `request ${plain(first.id)} of ${approvalRequester(first)} is`
        : `${ended.length} requests are`;
    return { text: `${which} no longer waiting`, tone: 'yellow' };
  }
  const known = new Set(before.map(({ id }) => id));
  return approvals.some(({ id }) => !known.has(id)) ? undefined : message;
}

/** What is looked at, with its whole statement where that has come. */
export function selectedApproval(state: ApprovalsState): Approval | undefined {
  const listed = state.approvals.find(({ id }) => id === state.selected);
  const whole = listed && state.whole.get(listed.id);
  if (listed?.statement !== undefined && whole?.statement !== undefined) {
    // The estimate comes later than the request.
    const { estimate, later } = listed.statement;
    return { ...listed, statement: { ...whole.statement, estimate, later } };
  }
  return listed && whole?.command ? { ...listed, command: whole.command } : listed;
}

/** The id of what is looked at and has not come whole. */
export function missingWhole(state: ApprovalsState): string | undefined {
  const approval = selectedApproval(state);
  return approval !== undefined && isShortened(approval) ? approval.id : undefined;
}

export function wholeArrived(state: ApprovalsState, approval: Approval): ApprovalsState {
  const listed = state.approvals.map(({ id }) => id);
  const kept = [...state.whole].filter(([id]) => listed.includes(id));
  return { ...state, whole: new Map([...kept, [approval.id, approval]]) };
}

/** @returns the new state, and a decision to send when the key completes one. */
export function pressApprovalsKey(
  state: ApprovalsState,
  key: ApprovalsKey,
  page: { readonly detail: number; readonly maxScroll: number; readonly isWhole: boolean },
): { readonly state: ApprovalsState; readonly send?: Decision } {
  if (state.deciding !== undefined) {
    return decidingKey(state, state.deciding, key);
  }
  if (state.help) {
    return { state: { ...state, help: false } };
  }
  switch (key) {
    case 'up':
      return { state: select(state, indexOf(state) - 1) };
    case 'down':
      return { state: select(state, indexOf(state) + 1) };
    case 'first':
      return { state: select(state, 0) };
    case 'last':
      return { state: select(state, state.approvals.length - 1) };
    case 'scrollUp':
      return { state: { ...state, scroll: Math.max(0, state.scroll - page.detail) } };
    case 'scrollDown':
      return { state: { ...state, scroll: Math.min(page.maxScroll, state.scroll + page.detail) } };
    case 'help':
      return { state: { ...state, help: true, message: undefined } };
    case 'approve':
    case 'deny':
      return { state: begin(state, key, page.isWhole) };
    case 'enter':
    case 'escape':
    case 'erase':
      return { state: { ...state, message: undefined } };
  }
}

/** Text goes into the reason while one is being typed. */
export function typeReason(state: ApprovalsState, text: string): ApprovalsState {
  const { deciding } = state;
  if (deciding === undefined) {
    return state;
  }
  const reason = `${deciding.reason}${text.replace(/\p{Cc}+/gu, ' ')}`;
  return { ...state, deciding: { ...deciding, reason: reason.slice(0, MAX_DECISION_REASON) } };
}

export function decisionArrived(
  state: ApprovalsState,
  { decision, approval }: Decision,
  outcome: { readonly approval: Approval } | { readonly error: string },
): ApprovalsState {
  const sending = new Set([...state.sending].filter((id) => id !== approval.id));
  const message =
    'error' in outcome
      ? ({ text: outcome.error, tone: 'red' } as const)
      : ({ text: decisionText(outcome.approval, decision), tone: 'green' } as const);
  const decided = 'error' in outcome ? state.decided : new Set([...state.decided, approval.id]);
  return { ...state, sending, decided, message };
}

function begin(state: ApprovalsState, decision: DecisionMode, isWhole: boolean): ApprovalsState {
  const approval = selectedApproval(state);
  if (approval === undefined) {
    return state;
  }
  const complain = (text: string): ApprovalsState => ({
    ...state,
    message: { text, tone: 'yellow' },
  });
  if (state.sending.has(approval.id)) {
    return complain('the decision is on its way');
  }
  if (!approval.mayDecide) {
    return complain('you cannot decide on this one: it is your own, decided, or for others');
  }
  if (decision === 'approve' && isShortened(approval)) {
    return complain('it has not arrived completely yet');
  }
  if (decision === 'approve' && !isWhole) {
    return complain('too long to show here: hoop approvals show ID, then approve ID');
  }
  return { ...state, message: undefined, deciding: { decision, approval, reason: '' } };
}

function decidingKey(
  state: ApprovalsState,
  deciding: NonNullable<ApprovalsState['deciding']>,
  key: ApprovalsKey,
): { readonly state: ApprovalsState; readonly send?: Decision } {
  const { decision, approval } = deciding;
  const reason = deciding.reason.trim();
  switch (key) {
    case 'escape':
      return { state: { ...state, deciding: undefined } };
    case 'erase': {
      const kept = [...deciding.reason].slice(0, -1).join('');
      return { state: { ...state, deciding: { ...deciding, reason: kept } } };
    }
    case 'enter': {
      if (decision === 'deny' && reason === '') {
        return {
          state: { ...state, message: { text: 'a denial needs a reason', tone: 'yellow' } },
        };
      }
      const sending = new Set([...state.sending, approval.id]);
      return {
        state: { ...state, deciding: undefined, message: undefined, sending },
        send: { decision, approval, reason: reason === '' ? undefined : reason },
      };
    }
    default:
      return { state };
  }
}

function indexOf(state: ApprovalsState): number {
  return state.approvals.findIndex(({ id }) => id === state.selected);
}

function select(state: ApprovalsState, index: number): ApprovalsState {
  const place = Math.max(0, Math.min(state.approvals.length - 1, index));
  return { ...state, selected: state.approvals[place]?.id, scroll: 0, message: undefined };
}
