/** Plays a track on a terminal: space pauses, arrows seek, q leaves. */
import type { TerminalTrack } from '../../replay/track.ts';
import { everyTick } from '../every-tick.ts';
import { type ScreenKey, type ScreenSize, showScreen } from '../screen.ts';
import type { TerminalLike } from '../text/filtered-output.ts';
import { styleFor } from '../text/style.ts';
import { measureTrack, Playback } from './playback.ts';
import { type PlayerTitle, playerFrame } from './player-frame.ts';
import { firstPlayerState, type PlayerKey, pressPlayerKey, tickPlayer } from './player-state.ts';

export interface PlayerOptions {
  readonly title: PlayerTitle;
  readonly speed: number | undefined;
  /** What a pause is cut to, milliseconds. */
  readonly maxIdleMs: number;
  readonly stdout: TerminalLike;
  readonly stdin: NodeJS.ReadableStream;
  readonly color: boolean;
  readonly signal: AbortSignal;
}

/** 20 pictures a second: typing looks like typing. */
const TICK_MS = 50;

/** Resolves when the viewer quits. @throws the signal's reason when it is aborted. */
export async function playTrack(track: TerminalTrack, options: PlayerOptions): Promise<void> {
  const style = styleFor(options.color);
  const length = measureTrack(track, options.maxIdleMs);
  const playback = new Playback(track, options.maxIdleMs);
  let state = firstPlayerState(options.speed);
  playback.seek(0);
  const draw = (size: ScreenSize): readonly string[] =>
    playerFrame({ title: options.title, length, state, screen: playback.screen }, size, style);
  const press = (keys: readonly ScreenKey[]): boolean => {
    for (const key of keys) {
      const pressed = playerKey(key);
      if (pressed === 'quit') {
        return true;
      }
      const meant = pressed ?? (state.help ? 'help' : undefined);
      if (meant !== undefined) {
        state = pressPlayerKey(length, state, meant);
        playback.seek(state.timeMs);
      }
    }
    return false;
  };
  const start = (redraw: () => void, signal: AbortSignal): void => {
    everyTick(signal, TICK_MS, (elapsedMs) => {
      if (state.playing) {
        state = tickPlayer(length, state, elapsedMs);
        playback.seek(state.timeMs);
        redraw();
      }
    });
  };
  await showScreen({ draw, press, start }, options);
}

const CHARACTERS: Readonly<Record<string, PlayerKey | 'quit'>> = {
  ' ': 'play',
  '+': 'faster',
  '=': 'faster',
  '-': 'slower',
  '?': 'help',
  g: 'first',
  G: 'last',
  k: 'farForward',
  j: 'farBack',
  h: 'back',
  l: 'forward',
  q: 'quit',
};

const NAMED: Readonly<Record<string, PlayerKey | 'quit'>> = {
  up: 'farForward',
  down: 'farBack',
  left: 'back',
  right: 'forward',
  home: 'first',
  end: 'last',
  escape: 'quit',
};

function playerKey(key: ScreenKey): PlayerKey | 'quit' | undefined {
  return key.type === 'named' ? NAMED[key.name] : CHARACTERS[key.character];
}
