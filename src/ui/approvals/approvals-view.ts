/**
 * Approvals on a terminal, live: what is on the screen is a function of the state
 * (approvals-frame.ts), and so is what a key does (approvals-state.ts).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApprovalsReply } from '../../api/approvals.ts';
import { everyTick } from '../every-tick.ts';
import { type ScreenKey, type ScreenSize, showScreen } from '../screen.ts';
import type { TerminalLike } from '../text/filtered-output.ts';
import { type Style, styleFor } from '../text/style.ts';
import { approvalsFrame } from './approvals-frame.ts';
import {
  type ApprovalsKey,
  type ApprovalsState,
  type Decision,
  decisionArrived,
  FIRST_STATE,
  listArrived,
  missingWhole,
  pressApprovalsKey,
  typeReason,
  wholeArrived,
} from './approvals-state.ts';

/** What the view needs of the gateway. */
export interface ApprovalsFeed {
  follow(
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): AsyncIterable<ApprovalsReply>;
  find(id: string, signal: AbortSignal): Promise<ApprovalsReply['approvals'][number]>;
  decide(
    id: string,
    decision: {
      readonly decision: 'approve' | 'deny';
      readonly reason?: string;
      readonly binding?: string;
    },
    signal: AbortSignal,
  ): Promise<ApprovalsReply['approvals'][number]>;
}

export interface ApprovalsViewOptions {
  readonly stdout: TerminalLike;
  readonly stdin: NodeJS.ReadableStream;
  readonly color: boolean;
  readonly signal: AbortSignal;
}

/** What counts down is drawn again so often. */
const TICK_MS = 1000;
/** After a failed request. */
const RETRY_MS = 2000;

/** Resolves when the viewer quits. @throws the signal's reason when it is aborted. */
export async function showApprovals(
  feed: ApprovalsFeed,
  options: ApprovalsViewOptions,
): Promise<void> {
  const view = new ApprovalsView(feed, styleFor(options.color));
  await showScreen(
    {
      draw: (size) => view.draw(size),
      press: (keys) => view.press(keys),
      paste: (text) => view.paste(text),
      start: (redraw, signal) => view.start(redraw, signal),
    },
    options,
  );
}

class ApprovalsView {
  readonly #feed: ApprovalsFeed;
  readonly #style: Style;
  #state = FIRST_STATE;
  #page = { detail: 1, maxScroll: 0, isWhole: false };
  /** The id of the request whose whole statement was asked for last. */
  #wanted: string | undefined;
  #redraw: () => void = () => undefined;
  /** Until the view is started nothing is asked of the gateway. */
  #signal = AbortSignal.abort();

  constructor(feed: ApprovalsFeed, style: Style) {
    this.#feed = feed;
    this.#style = style;
  }

  start(redraw: () => void, signal: AbortSignal): void {
    this.#redraw = redraw;
    this.#signal = signal;
    everyTick(signal, TICK_MS, redraw);
    void follow(this.#feed, signal, (step) => this.#change(step));
  }

  draw(size: ScreenSize): readonly string[] {
    const frame = approvalsFrame(this.#state, size, this.#style, Date.now());
    this.#page = frame.page;
    return frame.lines;
  }

  press(keys: readonly ScreenKey[]): boolean {
    const wasTyping = this.#state.deciding !== undefined;
    for (const key of keys) {
      const isTyping = this.#state.deciding !== undefined;
      const pressed = approvalsKey(key, isTyping);
      if (pressed === 'quit') {
        return true;
      }
      // A terminal may not tell pastes from keys: what begins a decision must not send it as well.
      if (pressed === 'enter' && isTyping && !wasTyping) {
        return false;
      }
      // Any key closes the help.
      const meant = pressed ?? (this.#state.help ? 'help' : undefined);
      if (meant !== undefined) {
        const outcome = pressApprovalsKey(this.#state, meant, this.#page);
        this.#change(() => outcome.state);
        if (outcome.send !== undefined) {
          this.#send(outcome.send);
          // Whatever was typed behind it was not meant for the next request.
          return false;
        }
      } else if (isTyping && key.type === 'character') {
        this.#change((before) => typeReason(before, key.character));
      }
    }
    return false;
  }

  /** Goes into a reason and does nothing else, whatever is in it. */
  paste(text: string): void {
    this.#change((before) => typeReason(before, text));
  }

  #change(step: (before: ApprovalsState) => ApprovalsState): void {
    this.#state = step(this.#state);
    const missing = missingWhole(this.#state);
    if (missing !== this.#wanted) {
      this.#wanted = missing;
      this.#fetchWhole(missing);
    }
    this.#redraw();
  }

  #fetchWhole(id: string | undefined): void {
    if (id === undefined) {
      return;
    }
    this.#feed.find(id, this.#signal).then(
      (approval) => this.#change((before) => wholeArrived(before, approval)),
      // It may have ended meanwhile; the list will say so.
      (error: unknown) => this.#change((before) => ({ ...before, trouble: errorText(error) })),
    );
  }

  #send(decision: Decision): void {
    const { approval, reason } = decision;
    const said = {
      decision: decision.decision,
      binding: approval.binding,
      ...(reason === undefined ? {} : { reason }),
    };
    this.#feed.decide(approval.id, said, this.#signal).then(
      (decided) =>
        this.#change((before) => decisionArrived(before, decision, { approval: decided })),
      (error: unknown) =>
        this.#change((before) => decisionArrived(before, decision, { error: errorText(error) })),
    );
  }
}

/** Runs until the signal is aborted; what goes wrong is shown, and tried again. */
async function follow(
  feed: ApprovalsFeed,
  signal: AbortSignal,
  change: (step: (state: ApprovalsState) => ApprovalsState) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const { approvals } of feed.follow({ state: 'open', limit: '200' }, signal)) {
        change((state) => listArrived(state, approvals));
      }
    } catch (error) {
      if (!signal.aborted) {
        change((state) => ({ ...state, trouble: errorText(error) }));
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const CHARACTERS: Readonly<Record<string, ApprovalsKey | 'quit'>> = {
  k: 'up',
  j: 'down',
  g: 'first',
  G: 'last',
  '[': 'scrollUp',
  ']': 'scrollDown',
  ' ': 'scrollDown',
  a: 'approve',
  d: 'deny',
  '?': 'help',
  q: 'quit',
};

const NAMED: Readonly<Record<string, ApprovalsKey>> = {
  up: 'up',
  down: 'down',
  pageUp: 'scrollUp',
  pageDown: 'scrollDown',
  home: 'first',
  end: 'last',
  enter: 'enter',
  escape: 'escape',
  erase: 'erase',
};

function approvalsKey(key: ScreenKey, isTyping: boolean): ApprovalsKey | 'quit' | undefined {
  if (key.type === 'named') {
    return NAMED[key.name];
  }
  return isTyping ? undefined : CHARACTERS[key.character];
}
