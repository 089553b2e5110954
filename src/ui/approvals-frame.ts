/** One screen of the approvals view as lines: state in, text out. */
import type { Approval } from '../tunnel/approvals-api.ts';
import {
  approvalLines,
  approvalMark,
  approvalRequester,
  approvalSubject,
  timeLeft,
} from './approval-lines.ts';
import { type ApprovalsState, selectedApproval } from './approvals-state.ts';
import { plain } from './printable.ts';
import type { FrameSize } from './replay-frame.ts';
import type { Style } from './style.ts';
import { padTo, textWidth, truncate } from './text-width.ts';

export interface ApprovalsFrame {
  readonly lines: readonly string[];
  readonly page: {
    readonly detail: number;
    readonly maxScroll: number;
    /** The statement is shown to its end. */
    readonly isWhole: boolean;
  };
}

const MIN_COLUMNS = 40;
const MIN_ROWS = 12;
/** Header, a rule, message, keys. */
const FIXED_LINES = 4;
const MIN_LIST = 3;
/** Characters of a statement that are laid out again at every tick. */
const MAX_TEXT = 20_000;

export function approvalsFrame(
  state: ApprovalsState,
  size: FrameSize,
  style: Style,
  nowMs: number,
): ApprovalsFrame {
  if (size.columns < MIN_COLUMNS || size.rows < MIN_ROWS) {
    const lines = [`This needs ${MIN_COLUMNS}x${MIN_ROWS};`, 'q quits.'];
    return { lines, page: { detail: 1, maxScroll: 0, isWhole: false } };
  }
  const { columns } = size;
  const room = size.rows - FIXED_LINES;
  const list = Math.max(MIN_LIST, Math.min(state.approvals.length, Math.floor(room * 0.35)));
  const detail = room - list;
  // What is being decided about stays as it was when the key was pressed.
  const approval = state.deciding?.approval ?? selectedApproval(state);
  const isWhole = hiddenLength(approval) === 0;
  const allLines = state.help ? helpLines(columns) : detailOf(approval, columns, style, nowMs);
  const maxScroll = Math.max(0, allLines.length - detail);
  const scroll = Math.min(state.scroll, maxScroll);
  const shown = allLines.slice(scroll, scroll + detail);
  const more =
    maxScroll > 0 ? `lines ${scroll + 1}-${scroll + shown.length} of ${allLines.length}` : '';
  const lines = [
    headerLine(state, columns, style),
    ...listLines(state, { count: list, columns, style, nowMs }),
    rule(state.help ? 'keys' : (approval?.id ?? ''), more, columns, style),
    ...fill(shown, detail),
    messageLine(state, columns, style),
    keysLine(state, columns, style),
  ];
  return { lines, page: { detail, maxScroll, isWhole } };
}

const HELP: readonly string[] = [
  '  ↑ ↓  k j     request before, after     a    approve; a reason is optional',
  '  [ ]  space   scroll the request        d    deny, with a reason',
  '  g G          first, last               ?    these keys',
  '  q            quit',
  '',
  '  What is approved is what is on the screen; if it changes, nothing happens.',
  '  Whoever asked cannot approve. The list follows by itself.',
];

function helpLines(columns: number): string[] {
  return HELP.map((line) => truncate(line, columns));
}

function headerLine(state: ApprovalsState, columns: number, style: Style): string {
  const { approvals } = state;
  const yours = approvals.filter(({ mayDecide }) => mayDecide).length;
  const what = !state.isLoaded
    ? 'asking the gateway …'
    : approvals.length === 0
      ? 'nothing waits'
      : `${approvals.length} waiting, ${yours} for you to decide`;
  const title = `Approvals: ${what}`;
  const trouble = state.trouble === undefined ? '' : `  ${plain(state.trouble)}`;
  const room = columns - textWidth(title);
  return style.bold(truncate(title, columns)) + style.red(truncate(trouble, Math.max(0, room)));
}

function listLines(
  state: ApprovalsState,
  layout: { count: number; columns: number; style: Style; nowMs: number },
): string[] {
  const { approvals, selected } = state;
  if (approvals.length === 0) {
    const text = state.isLoaded ? '  What comes in appears here.' : '';
    return fill([layout.style.dim(text)], layout.count);
  }
  const place = approvals.findIndex(({ id }) => id === selected);
  const last = Math.max(0, approvals.length - layout.count);
  const first = Math.max(0, Math.min(last, place - Math.floor(layout.count / 2)));
  const lines = approvals
    .slice(first, first + layout.count)
    .map((approval) => listLine(state, approval, layout));
  return fill(lines, layout.count);
}

const MARK_WIDTH = 10;
const LEFT_WIDTH = 12;

function listLine(
  state: ApprovalsState,
  approval: Approval,
  { columns, style, nowMs }: { columns: number; style: Style; nowMs: number },
): string {
  const isSelected = approval.id === state.selected;
  const mark = approvalMark(approval);
  const word = state.sending.has(approval.id) ? '… sending' : `${mark.sign} ${mark.word}`;
  const who = columns >= 70 ? padTo(truncate(approvalRequester(approval), 18), 18, 'left') : '';
  const target = columns >= 100 ? padTo(truncate(plain(approval.target), 14), 14, 'left') : '';
  const left = padTo(
    truncate(timeLeft(approval, nowMs).replace(/ left$/, ''), LEFT_WIDTH),
    LEFT_WIDTH,
    'right',
  );
  const start = [isSelected ? '▶' : ' ', style[mark.tone](padTo(word, MARK_WIDTH, 'left'))];
  const middle = [who, target].filter((part) => part !== '');
  const used = [2 + MARK_WIDTH + 1, ...middle.map((part) => textWidth(part) + 1), LEFT_WIDTH + 1];
  const room = Math.max(0, columns - used.reduce((sum, width) => sum + width, 0));
  const subject = padTo(truncate(approvalSubject(approval), room), room, 'left');
  const painted = isSelected
    ? style.bold(subject)
    : approval.mayDecide
      ? subject
      : style.dim(subject);
  return [...start, ...middle, painted, style.dim(left)].join(' ');
}

/** Characters of the statement, its parameters and what it executes that are left out here. */
function hiddenLength(approval: Approval | undefined): number {
  if (approval?.statement === undefined) {
    return 0;
  }
  const { text, parameters, prepared } = approval.statement;
  const rest = [...parameters.map(({ value }) => value), ...prepared];
  const total = rest.reduce((sum, { length }) => sum + length, text.length);
  if (total <= MAX_TEXT) {
    return 0;
  }
  return total - Math.min(text.length, MAX_TEXT);
}

function detailOf(
  approval: Approval | undefined,
  columns: number,
  style: Style,
  nowMs: number,
): readonly string[] {
  if (approval === undefined) {
    return [];
  }
  const { statement } = approval;
  const more = hiddenLength(approval);
  const cut =
    statement !== undefined && more > 0
      ? {
          ...approval,
          statement: {
            ...statement,
            text: statement.text.slice(0, MAX_TEXT),
            parameters: [],
            prepared: [],
          },
        }
      : approval;
  const lines = approvalLines(cut, { style, width: columns - 1 }, nowMs);
  return more > 0
    ? [...lines, style.yellow(`${more} characters more: hoop approvals show ${approval.id}`)]
    : lines;
}

function messageLine(state: ApprovalsState, columns: number, style: Style): string {
  const { deciding, message } = state;
  if (deciding !== undefined) {
    const label =
      deciding.decision === 'approve'
        ? 'Approve. Reason, if any: '
        : message === undefined
          ? 'Deny. Reason: '
          : 'Deny. A reason is needed: ';
    const room = Math.max(8, columns - textWidth(label) - 2);
    const typed = plain(deciding.reason);
    // The end of what is typed stays in sight.
    const shown = textWidth(typed) > room ? `…${[...typed].slice(-(room - 1)).join('')}` : typed;
    const tone = deciding.decision === 'approve' ? 'green' : 'red';
    return `${style.bold(style[tone](label))}${truncate(shown, room)}▏`;
  }
  return message === undefined ? '' : style[message.tone](truncate(plain(message.text), columns));
}

function keysLine(state: ApprovalsState, columns: number, style: Style): string {
  const keys =
    state.deciding !== undefined
      ? `Enter ${state.deciding.decision}  Esc back`
      : '↑↓ select  a approve  d deny  [ ] scroll  ? help  q quit';
  return style.dim(truncate(keys, columns));
}

function rule(left: string, right: string, columns: number, style: Style): string {
  const start = truncate(left === '' ? '──' : `── ${left} `, columns);
  const end = right && textWidth(start) + textWidth(right) + 5 < columns ? ` ${right} ──` : '';
  const fillWidth = Math.max(0, columns - textWidth(start) - textWidth(end));
  return style.dim(`${start}${'─'.repeat(fillWidth)}${end}`);
}

function fill(lines: readonly string[], count: number): string[] {
  return [...lines.slice(0, count), ...Array<string>(Math.max(0, count - lines.length)).fill('')];
}
