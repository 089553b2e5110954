/**
 * The replay on a terminal: what is on the screen is a function of the state (replay-frame.ts),
 * and so is what a key does (replay-state.ts).
 */
import type { Statement } from '../../replay/timeline.ts';
import { isPlayable } from '../act-lines.ts';
import { everyTick } from '../every-tick.ts';
import type { Frame } from '../frame.ts';
import { type ScreenKey, type ScreenSize, showScreen } from '../screen.ts';
import type { TerminalLike } from '../text/filtered-output.ts';
import { styleFor } from '../text/style.ts';
import { replayFrame } from './replay-frame.ts';
import type { ReplayModel } from './replay-model.ts';
import { firstState, pressKey, type ReplayKey, tick } from './replay-state.ts';

export interface ReplayViewOptions {
  readonly stdout: TerminalLike;
  readonly stdin: NodeJS.ReadableStream;
  readonly color: boolean;
  /** Playing starts at once at this speed; undefined: it waits. */
  readonly speed: number | undefined;
  /** Entry that is looked at first; undefined: the first. */
  readonly at?: number | undefined;
  readonly signal: AbortSignal;
}

/** What the viewer wants to see played. */
export interface ChosenAct {
  readonly act: Statement;
  /** Of its entry. */
  readonly index: number;
}

const TICK_MS = 100;

type Pressed = ReplayKey | 'quit' | 'enter';

/**
 * Resolves when the viewer quits, or chooses a shell or a command to be played.
 * @throws the signal's reason when it is aborted.
 */
export async function showReplay(
  model: ReplayModel,
  options: ReplayViewOptions,
): Promise<ChosenAct | undefined> {
  const style = styleFor(options.color);
  let state = firstState(model, options.speed, options.at);
  let chosen: ChosenAct | undefined;
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
      if (pressed === 'enter') {
        const act = model.entries[state.selected];
        if (!state.help && act?.type === 'statement' && isPlayable(act)) {
          chosen = { act, index: state.selected };
          return true;
        }
        state = { ...state, help: false };
        continue;
      }
      // Any key closes the help.
      const meant = pressed ?? (state.help ? 'help' : undefined);
      state = meant === undefined ? state : pressKey(model, state, meant, page);
    }
    return false;
  };
  const start = (redraw: () => void, signal: AbortSignal): void => {
    everyTick(signal, TICK_MS, (elapsedMs) => {
      if (state.playing) {
        state = tick(model, state, elapsedMs);
        redraw();
      }
    });
  };
  await showScreen({ draw, press, start }, options);
  return chosen;
}

const CHARACTERS: Readonly<Record<string, Pressed>> = {
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

const NAMED: Readonly<Record<string, Pressed>> = {
  enter: 'enter',
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

function replayKey(key: ScreenKey): Pressed | undefined {
  return key.type === 'named' ? NAMED[key.name] : CHARACTERS[key.character];
}
