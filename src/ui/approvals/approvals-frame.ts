/** One screen of the approvals view as lines: state in, text out. */
import type { Approval } from '../../api/approvals.ts';
import { cutView } from '../../api/view.ts';
import { type Frame, firstShown, layFrame } from '../frame.ts';
import type { ScreenSize } from '../screen.ts';
import { plain } from '../text/printable.ts';
import type { Style } from '../text/style.ts';
import { padTo, textWidth, truncate } from '../text/text-width.ts';
import {
  approvalLines,
  approvalMark,
  approvalRequester,
  approvalSubject,
  timeLeft,
} from './approval-lines.ts';
import { type ApprovalsState, selectedApproval } from './approvals-state.ts';

export interface ApprovalsFrame {
  readonly lines: readonly string[];
  readonly page: Frame['page'] & {
    /** The statement is shown to its end. */
    readonly isWhole: boolean;
  };
}

/** Of the room beside header and footer, at most. */
const LIST_SHARE = 0.35;
/** Characters of what would run that are laid out again at every tick. */
const MAX_TEXT = 20_000;

export function approvalsFrame(
  state: ApprovalsState,
  size: ScreenSize,
  style: Style,
  nowMs: number,
): ApprovalsFrame {
  const { columns } = size;
  // What is being decided about stays as it was when the key was pressed.
  const approval = state.deciding?.approval ?? selectedApproval(state);
  let isShown = false;
  const { lines, page } = layFrame(size, style, () => {
    isShown = true;
    return {
      header: [headerLine(state, columns, style)],
      list: {
        length: state.approvals.length,
        share: LIST_SHARE,
        lines: (count) => listLines(state, { count, columns, style, nowMs }),
      },
      title: state.help ? 'keys' : (approval?.id ?? ''),
      detail: state.help ? helpLines(columns) : detailOf(approval, columns, style, nowMs),
      scroll: state.scroll,
      footer: [messageLine(state, columns, style), keysLine(state, columns, style)],
    };
  });
  return {
    lines,
    page: {
      ...page,
      isWhole: isShown && (approval === undefined || shownPart(approval).more === 0),
    },
  };
}

const HELP: readonly string[] = [
  '  ↑ ↓  k j     previous, next request    a    approve; a reason is optional',
  '  [ ]  space   scroll the request        d    deny, with a reason',
  '  g G          first, last               ?    these keys',
  '  q            quit',
  '',
  '  You approve exactly what is on the screen; if it changes, nothing happens.',
  '  Requesters cannot approve. The list updates by itself.',
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
      ? 'nothing is waiting'
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
    const text = state.isLoaded ? '  New requests appear here.' : '';
    return [layout.style.dim(text)];
  }
  const place = approvals.findIndex(({ id }) => id === selected);
  const first = firstShown(approvals.length, layout.count, place);
  return approvals
    .slice(first, first + layout.count)
    .map((approval) => listLine(state, approval, layout));
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

/** Fit to be laid out at every tick, with the characters that are left out for it. */
function shownPart(approval: Approval): { readonly approval: Approval; readonly more: number } {
  const { statement, command } = approval;
  const held = statement ?? command;
  if (held === undefined) return { approval, more: 0 };
  const { view, more } = cutView(held.view, MAX_TEXT);
  return {
    approval: {
      ...approval,
      ...(statement === undefined ? {} : { statement: { ...statement, view } }),
      ...(command === undefined ? {} : { command: { ...command, view } }),
    },
    more,
  };
}

function detailOf(
  approval: Approval | undefined,
  columns: number,
  style: Style,
  nowMs: number,
): readonly string[] {
  if (approval === undefined) return [];
  const { approval: shown, more } = shownPart(approval);
  const lines = approvalLines(shown, { style, width: columns - 1 }, nowMs);
  return more > 0
    ? [...lines, style.yellow(`${more} more characters: hoop approvals show ${approval.id}`)]
    : lines;
}

function messageLine(state: ApprovalsState, columns: number, style: Style): string {
  const { deciding, message } = state;
  if (deciding !== undefined) {
    const label =
      deciding.decision === 'approve'
        ? 'Approve. Reason (optional): '
        : message === undefined
          ? 'Deny. Reason: '
          : 'Deny. Reason (required): ';
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
  return style.dim(truncate(keysOf(state), columns));
}

/** Those that do something now. */
function keysOf(state: ApprovalsState): string {
  if (state.deciding !== undefined) return `Enter ${state.deciding.decision}  Esc back`;
  if (state.help) return 'any key: back  q quit';
  const selected = selectedApproval(state);
  if (selected === undefined) return '? help  q quit';
  const decide = selected.mayDecide ? 'a approve  d deny  ' : '';
  return `↑↓ select  ${decide}[ ] scroll  ? help  q quit`;
}
