/** A terminal for an agent's own screen: tmux, with what a person would see, type and hear. */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const SIZE = ['-x', '120', '-y', '40'];
/** Questions of a first start (trust, theme): the answer that stands first is theirs. */
const QUESTION = /trust|do you want|press enter|[❯›●] ?1\./i;

export interface TerminalTask {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly task: string;
  /** Of the screen: a word of the task by which it is seen there. */
  readonly seen: string;
  /** Whether the model has been given it. */
  readonly isSent: () => boolean;
  readonly isDone: (screen: string) => boolean;
  readonly withinMs: number;
  /** So many times as often it is looked at before it is given up. */
  readonly slow: number;
}

export interface TerminalResult {
  /** undefined: it had to be killed. */
  readonly status: number | undefined;
  /** Each that was another one than before, and the last with what came after the end. */
  readonly screens: readonly string[];
  /** From when the task was sent until the agent was told to leave. */
  readonly meanwhile: readonly string[];
}

export async function runInTerminal(task: TerminalTask): Promise<TerminalResult> {
  const socket = `hoop-conformance-${process.pid}`;
  const tmux = (...words: string[]): string =>
    execFileSync('tmux', ['-L', socket, '-f', '/dev/null', ...words], {
      cwd: task.cwd,
      env: { ...task.env, TERM: 'xterm-256color' },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  const over = Date.now() + task.withinMs;
  tmux(
    ...['start-server', ';', 'set', '-g', 'remain-on-exit', 'on', ';'],
    ...['set', '-g', 'default-terminal', 'tmux-256color', ';'],
    ...['new-session', '-d', ...SIZE, ...task.command],
  );
  const screens: string[] = [];
  const look = (): string => {
    const screen = tmux('capture-pane', '-p');
    if (screens.at(-1) !== screen) {
      screens.push(screen);
    }
    return screen;
  };
  const dead = (): string => tmux('display', '-p', '#{pane_dead}:#{pane_dead_status}').trim();
  const isDead = (): boolean => dead().startsWith('1:');
  const keys = async (...names: string[]): Promise<void> => {
    if (!isDead()) {
      tmux('send-keys', ...names);
      await sleep(1500);
      look();
    }
  };
  /** Animations never stand still; so long they may take. */
  const still = async (): Promise<void> => {
    for (let times = 0, before = ''; times < 6 * task.slow && !isDead(); times += 1) {
      await sleep(2000);
      const screen = look();
      if (screen.trim() !== '' && screen === before) {
        return;
      }
      before = screen;
    }
  };
  /** Before, the terminal would echo what is typed, and the agent not read it. */
  const begun = async (): Promise<void> => {
    const isHoop = (line: string): boolean => line.trim() === '' || line.startsWith('hoop:');
    for (
      let seconds = 0;
      seconds < 60 * task.slow && !isDead() && look().split('\n').every(isHoop);
    ) {
      await sleep(1000);
      seconds += 1;
    }
  };
  try {
    await begun();
    await still();
    for (let asked = 0; asked < 4 && QUESTION.test(look()); asked += 1) {
      await keys('Enter');
      await still();
    }
    const start = screens.length;
    // What is typed while an agent still starts, some of them lose.
    let tries = 0;
    do {
      if (!look().includes(task.seen)) {
        await keys('-l', task.task);
        await sleep(1000);
      }
      await keys('Enter');
      await sleep(3000);
      tries += 1;
    } while (tries < 8 * task.slow && !task.isSent() && !isDead());
    while (!isDead() && !task.isDone(look()) && Date.now() < over) {
      await sleep(1000);
    }
    const meanwhile = screens.slice(start);
    await keys('-l', '/exit');
    for (const name of ['Enter', 'Enter', 'C-c', 'C-c', 'C-d']) {
      for (let seconds = 0; seconds < 5 * task.slow && !isDead(); seconds += 1) {
        await sleep(1000);
      }
      await keys(name);
    }
    for (let seconds = 0; seconds < 10 * task.slow && !isDead(); seconds += 1) {
      await sleep(1000);
    }
    look();
    const [, status] = dead().split(':');
    return { status: isDead() ? Number(status) : undefined, screens, meanwhile };
  } finally {
    tmux('kill-server');
  }
}
