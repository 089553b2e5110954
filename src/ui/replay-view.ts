/**
 * The replay on a terminal. ink owns the screen and the keyboard; what is on the screen is a
 * function of the state (replay-frame.ts), and so is what a key does (replay-state.ts). Loaded
 * only when it is drawn: see tools/build.ts, which bundles this file with ink and react.
 */
import { Box, type Key, render, Text, useApp, useInput, useWindowSize } from 'ink';
import { createElement, type ReactElement, useEffect, useReducer } from 'react';
import { FilteredOutput, type TerminalLike } from './filtered-output.ts';
import { type Frame, replayFrame } from './replay-frame.ts';
import type { ReplayModel } from './replay-model.ts';
import { firstState, pressKey, type ReplayKey, type ReplayState, tick } from './replay-state.ts';
import { styleFor } from './style.ts';

export interface ReplayViewOptions {
  readonly stdout: TerminalLike;
  readonly stdin: NodeJS.ReadableStream;
  readonly color: boolean;
  /** Playing starts at once at this speed; undefined: it waits. */
  readonly speed: number | undefined;
  readonly signal: AbortSignal;
}

const TICK_MS = 100;

/** Resolves when the viewer quits. @throws the signal's reason when it is aborted. */
export async function showReplay(model: ReplayModel, options: ReplayViewOptions): Promise<void> {
  const { signal, stdin } = options;
  signal.throwIfAborted();
  const output = new FilteredOutput(options.stdout);
  try {
    const view = render(createElement(ReplayView, { model, options }), {
      // ink wants the type of a TTY and uses columns, rows, isTTY, write and 'resize' of it.
      stdout: output,
      stdin,
      exitOnCtrlC: true,
      patchConsole: false,
      interactive: true,
      alternateScreen: true,
      incrementalRendering: true,
    });
    const stop = () => view.unmount();
    signal.addEventListener('abort', stop, { once: true });
    await view.waitUntilExit();
    signal.removeEventListener('abort', stop);
  } finally {
    output.restore();
  }
  signal.throwIfAborted();
}

type Action =
  | { readonly type: 'key'; readonly key: ReplayKey; readonly page: Frame['page'] }
  | { readonly type: 'tick'; readonly elapsedMs: number };

interface ReplayViewProps {
  readonly model: ReplayModel;
  readonly options: ReplayViewOptions;
}

function ReplayView({ model, options }: ReplayViewProps): ReactElement {
  const { exit } = useApp();
  const { columns, rows } = useWindowSize();
  const [state, act] = useReducer(
    (current: ReplayState, action: Action) =>
      action.type === 'key'
        ? pressKey(model, current, action.key, action.page)
        : tick(model, current, action.elapsedMs),
    undefined,
    () => firstState(model, options.speed),
  );
  // One line less than the screen: a terminal that wraps the last line would scroll.
  const size = { columns, rows: rows - 1 };
  const frame = replayFrame(model, state, size, styleFor(options.color));

  useInput((input, key) => {
    if (input === 'q' || key.escape) {
      exit();
      return;
    }
    // Any key closes the help.
    const pressed = keyOf(input, key) ?? (state.help ? 'help' : undefined);
    if (pressed) {
      act({ type: 'key', key: pressed, page: frame.page });
    }
  });

  useEffect(() => {
    if (!state.playing) {
      return;
    }
    let before = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      act({ type: 'tick', elapsedMs: now - before });
      before = now;
    }, TICK_MS);
    return () => clearInterval(timer);
  }, [state.playing]);

  return createElement(
    Box,
    { flexDirection: 'column' },
    ...frame.lines.map((line, index) =>
      // The place of a line on the screen is its identity.
      createElement(Text, { key: index, wrap: 'truncate' }, line === '' ? ' ' : line),
    ),
  );
}

const INPUTS: Readonly<Record<string, ReplayKey>> = {
  ' ': 'play',
  '+': 'faster',
  '=': 'faster',
  '-': 'slower',
  '?': 'help',
  '[': 'scrollUp',
  ']': 'scrollDown',
  n: 'nextDenied',
  g: 'first',
  G: 'last',
  k: 'up',
  j: 'down',
  h: 'back',
  l: 'forward',
};

function keyOf(input: string, key: Key): ReplayKey | undefined {
  if (key.upArrow) {
    return 'up';
  }
  if (key.downArrow) {
    return 'down';
  }
  if (key.leftArrow) {
    return 'back';
  }
  if (key.rightArrow) {
    return 'forward';
  }
  if (key.pageUp) {
    return 'pageUp';
  }
  if (key.pageDown) {
    return 'pageDown';
  }
  if (key.home) {
    return 'first';
  }
  if (key.end) {
    return 'last';
  }
  return INPUTS[input];
}
