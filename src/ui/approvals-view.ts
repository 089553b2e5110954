/**
 * Approvals on a terminal, live. ink owns the screen and the keyboard; what is on the screen is a
 * function of the state (approvals-frame.ts), and so is what a key does (approvals-state.ts).
 * Loaded only when it is drawn: see tools/build.ts, which bundles this file with ink and react.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Box, type Key, render, Text, useApp, useInput, useWindowSize } from 'ink';
import { createElement, type ReactElement, useCallback, useEffect, useRef, useState } from 'react';
import type { ApprovalsReply } from '../tunnel/approvals-api.ts';
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
import { FilteredOutput, type TerminalLike } from './filtered-output.ts';
import { styleFor } from './style.ts';

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
  options.signal.throwIfAborted();
  const closing = new AbortController();
  const signal = AbortSignal.any([options.signal, closing.signal]);
  const output = new FilteredOutput(options.stdout);
  try {
    const view = render(createElement(ApprovalsView, { feed, color: options.color, signal }), {
      // ink wants the type of a TTY and uses columns, rows, isTTY, write and 'resize' of it.
      stdout: output,
      stdin: options.stdin,
      exitOnCtrlC: true,
      patchConsole: false,
      interactive: true,
      alternateScreen: true,
      incrementalRendering: true,
    });
    const stop = () => view.unmount();
    options.signal.addEventListener('abort', stop, { once: true });
    await view.waitUntilExit();
    options.signal.removeEventListener('abort', stop);
  } finally {
    closing.abort();
    output.restore();
  }
  options.signal.throwIfAborted();
}

interface ApprovalsViewProps {
  readonly feed: ApprovalsFeed;
  readonly color: boolean;
  readonly signal: AbortSignal;
}

function ApprovalsView({ feed, color, signal }: ApprovalsViewProps): ReactElement {
  const { exit } = useApp();
  const { columns, rows } = useWindowSize();
  const [nowMs, setNowMs] = useState(Date.now);
  // Several keys may come before the next drawing: each must see what the one before has done.
  const current = useRef(FIRST_STATE);
  const [state, show] = useState<ApprovalsState>(FIRST_STATE);
  const change = useCallback((step: (before: ApprovalsState) => ApprovalsState): void => {
    current.current = step(current.current);
    show(current.current);
  }, []);

  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);

  useEffect(() => {
    void follow(feed, signal, change);
  }, [feed, signal, change]);

  const missing = missingWhole(state);
  useEffect(() => {
    if (missing !== undefined) {
      feed.find(missing, signal).then(
        (approval) => change((before) => wholeArrived(before, approval)),
        // It may have ended meanwhile; the list will say so.
        (error: unknown) => change((before) => ({ ...before, trouble: errorText(error) })),
      );
    }
  }, [feed, signal, missing, change]);

  const send = (decision: Decision): void => {
    const { approval, reason } = decision;
    feed
      .decide(
        approval.id,
        {
          decision: decision.decision,
          binding: approval.binding,
          ...(reason === undefined ? {} : { reason }),
        },
        signal,
      )
      .then(
        (decided) => change((before) => decisionArrived(before, decision, { approval: decided })),
        (error: unknown) =>
          change((before) => decisionArrived(before, decision, { error: errorText(error) })),
      );
  };

  // One line less than the screen: a terminal that wraps the last line would scroll.
  const frame = approvalsFrame(state, { columns, rows: rows - 1 }, styleFor(color), nowMs);
  useInput((input, key) => {
    const isTyping = current.current.deciding !== undefined;
    if (!isTyping && input === 'q') {
      exit();
      return;
    }
    // Any key closes the help.
    const other = current.current.help ? 'help' : undefined;
    const pressed = controlKey(key) ?? (isTyping ? undefined : (INPUTS[input] ?? other));
    if (pressed !== undefined) {
      const outcome = pressApprovalsKey(current.current, pressed, frame.page);
      change(() => outcome.state);
      if (outcome.send !== undefined) {
        send(outcome.send);
      }
    } else if (isTyping && !key.ctrl && !key.meta) {
      change((before) => typeReason(before, input));
    }
  });

  return createElement(
    Box,
    { flexDirection: 'column' },
    ...frame.lines.map((line, index) =>
      // The place of a line on the screen is its identity.
      createElement(Text, { key: index, wrap: 'truncate' }, line === '' ? ' ' : line),
    ),
  );
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

const INPUTS: Readonly<Record<string, ApprovalsKey>> = {
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
};

function controlKey(key: Key): ApprovalsKey | undefined {
  if (key.upArrow) {
    return 'up';
  }
  if (key.downArrow) {
    return 'down';
  }
  if (key.pageUp) {
    return 'scrollUp';
  }
  if (key.pageDown) {
    return 'scrollDown';
  }
  if (key.home) {
    return 'first';
  }
  if (key.end) {
    return 'last';
  }
  if (key.return) {
    return 'enter';
  }
  if (key.escape) {
    return 'escape';
  }
  return key.backspace || key.delete ? 'erase' : undefined;
}
