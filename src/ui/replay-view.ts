/**
 * The replay on a terminal: what is on the screen is a function of the state (replay-frame.ts),
 * and so is what a key does (replay-state.ts).
 */
import type { TerminalLike } from './filtered-output.ts';
import type { Frame } from './frame.ts';
import { replayFrame } from './replay-frame.ts';
import type { ReplayModel } from './replay-model.ts';
import { firstState, pressKey, type ReplayKey, tick } from './replay-state.ts';
import { type ScreenKey, type ScreenSize, showScreen } from './screen.ts';
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
  const style = styleFor(options.color);
  let state = firstState(model, options.speed);
  let page: Frame['page'] = { list: 1, detail: 1, maxScroll: 0 };
  const draw = (size: ScreenSize): readonly string[] => {
    const frame = replayFrame(model, state, size, style);
    page = frame.page;
    return frame.lines;
  };
  const press = (keys: readonly ScreenKey[]): boolean => {
    for (const key of keys) {
      const pressed = replayKey(key);
      if (pressed === 'quit') {
        return true;
      }
      // Any key closes the help.
      const meant = pressed ?? (state.help ? 'help' : undefined);
      state = meant === undefined ? state : pressKey(model, state, meant, page);
    }
    return false;
  };
  const start = (redraw: () => void, signal: AbortSignal): void => {
    let before = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      if (state.playing) {
        state = tick(model, state, now - before);
        redraw();
      }
      before = now;
    }, TICK_MS);
    signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  };
  await showScreen({ draw, press, start }, options);
}

const CHARACTERS: Readonly<Record<string, ReplayKey | 'quit'>> = {
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
  q: 'quit',
};

const NAMED: Readonly<Record<string, ReplayKey | 'quit'>> = {
  up: 'up',
  down: 'down',
  left: 'back',
  right: 'forward',
  pageUp: 'pageUp',
  pageDown: 'pageDown',
  home: 'first',
  end: 'last',
  escape: 'quit',
};

function replayKey(key: ScreenKey): ReplayKey | 'quit' | undefined {
  return key.type === 'named' ? NAMED[key.name] : CHARACTERS[key.character];
}
