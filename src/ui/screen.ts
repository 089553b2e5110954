/**
 * A whole screen of lines, drawn again when something changes, and the keys: all that our views
 * need of a terminal. ink owns screen and keyboard; no other file knows it or React. Loaded only
 * when something is drawn: see tools/build.ts, which bundles this file with both.
 */
import { Box, type Key, render, Text, useApp, useInput, usePaste, useWindowSize } from 'ink';
import { createElement, type ReactElement, useEffect, useReducer } from 'react';
import { onAbort } from '../until.ts';
import { FilteredOutput, type TerminalLike } from './text/filtered-output.ts';

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

const NAMED_KEYS = {
  upArrow: 'up',
  downArrow: 'down',
  leftArrow: 'left',
  rightArrow: 'right',
  pageUp: 'pageUp',
  pageDown: 'pageDown',
  home: 'home',
  end: 'end',
  return: 'enter',
  escape: 'escape',
  backspace: 'erase',
  delete: 'erase',
} as const satisfies Partial<Record<keyof Key, string>>;

/** A key that has a name, or the character that it types. */
export type ScreenKey =
  | { readonly type: 'named'; readonly name: (typeof NAMED_KEYS)[keyof typeof NAMED_KEYS] }
  | { readonly type: 'character'; readonly character: string };

export interface ScreenView {
  /** Lines that fit. */
  readonly draw: (size: ScreenSize) => readonly string[];
  /**
   * @param keys what was typed since the last call; a slow line brings several at once.
   * @returns whether the view is to be left.
   */
  readonly press: (keys: readonly ScreenKey[]) => boolean;
  /** Text that was pasted is no typing. Absent: terminals are not asked to tell one from the other. */
  readonly paste?: (text: string) => void;
  /** Begins what changes the screen by itself, until the signal is aborted. */
  readonly start: (redraw: () => void, signal: AbortSignal) => void;
}

export interface ScreenOptions {
  readonly stdout: TerminalLike;
  readonly stdin: NodeJS.ReadableStream;
  readonly signal: AbortSignal;
}

/** Resolves when the view is left. @throws the signal's reason when it is aborted. */
export async function showScreen(view: ScreenView, options: ScreenOptions): Promise<void> {
  const { signal, stdin } = options;
  signal.throwIfAborted();
  const output = new FilteredOutput(options.stdout, { marksPastes: view.paste !== undefined });
  try {
    const shown = render(createElement(Screen, { view }), {
      // ink wants the type of a TTY and uses columns, rows, isTTY, write and 'resize' of it.
      stdout: output,
      stdin,
      exitOnCtrlC: true,
      patchConsole: false,
      interactive: true,
      alternateScreen: true,
      incrementalRendering: true,
    });
    using _ = onAbort(signal, () => shown.unmount());
    await shown.waitUntilExit();
  } finally {
    output.restore();
  }
  signal.throwIfAborted();
}

function Screen({ view }: { readonly view: ScreenView }): ReactElement {
  const { exit } = useApp();
  const { columns, rows } = useWindowSize();
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const over = new AbortController();
    view.start(redraw, over.signal);
    return () => over.abort();
  }, [view]);
  useInput((input, key) => {
    if (view.press(keysOf(input, key))) {
      exit();
    }
    redraw();
  });
  usePaste((text) => {
    view.paste?.(text);
    redraw();
  });
  // One line less than the screen: a terminal that wraps the last line would scroll.
  const lines = view.draw({ columns, rows: rows - 1 });
  return createElement(
    Box,
    { flexDirection: 'column' },
    ...lines.map((line, index) =>
      // The place of a line on the screen is its identity.
      createElement(Text, { key: index, wrap: 'truncate' }, line === '' ? ' ' : line),
    ),
  );
}

/** ink names a key that comes alone; in a longer chunk there are only its characters. */
function keysOf(input: string, key: Key): ScreenKey[] {
  for (const [member, name] of Object.entries(NAMED_KEYS)) {
    if (Reflect.get(key, member) === true) {
      return [{ type: 'named', name }];
    }
  }
  return key.ctrl || key.meta ? [] : [...input].map(keyOf);
}

function keyOf(character: string): ScreenKey {
  switch (character) {
    case '\r':
    case '\n':
      return { type: 'named', name: 'enter' };
    case '\b':
    case '\x7f':
      return { type: 'named', name: 'erase' };
    default:
      return { type: 'character', character };
  }
}
