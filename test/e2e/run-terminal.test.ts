/** `hoop run` on a terminal: job control, with and without a recording of it, and what is recorded. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bench, openBench } from './demo-bench.ts';
import { type LiveProgram, newestSession, startShell, verifyOffline } from './live-program.ts';

let bench: Bench;
let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-terminal-'));
  bench = await openBench();
});
afterAll(async () => {
  rmSync(directory, { recursive: true, force: true });
  await bench?.[Symbol.asyncDispose]();
});

const shell = (): Promise<LiveProgram> =>
  startShell({ home: bench.home('engineer'), cwd: directory });

/** What the newest session has of a terminal, as `sessions replay --terminal` gives it. */
async function recorded(...flags: string[]): Promise<string> {
  const id = await newestSession(bench);
  const run = await bench.hoop('engineer', 'sessions', 'replay', id, '--terminal', ...flags);
  expect(run.exitCode, run.stderr).toBe(0);
  return run.stdout;
}

describe.each(['', '--no-terminal ', '--fence '])('hoop run %s', (flag) => {
  test('Ctrl-Z stops the job, fg goes on, Ctrl-C is the child’s, and hoop writes nothing into its output', async () => {
    const terminal = await shell();
    const { type, sees } = terminal;
    type(`hoop -q run ${flag}-- sh -c 'echo started; exec cat'\n`);
    await sees(/\nstarted\r/);
    type('\u001a');
    await sees(/Stopped[\s\S]*ready> $/);
    type('fg\n');
    type('again\n');
    // Once from the terminal's echo, once from cat.
    await sees(/again\r\n[\s\S]*again\r\n/);
    type('\u0003');
    // The terminal throws away what is typed before the shell has it back.
    await sees(/\^C[\s\S]*ready> $/);
    type('echo "status=$?"\n');
    await sees('status=130');
    // A program that stops itself, as editors do, does not leave the terminal to nobody.
    type(
      `hoop -q run ${flag}-- sh -c 'echo "here-$((1+1))"; kill -STOP $$; echo "back-$((1+1))"; exit 4'\n`,
    );
    await sees('here-2');
    await sees(/Stopped[\s\S]*Stopped[\s\S]*ready> $/);
    type('fg\n');
    await sees(/back-2[\s\S]*ready> $/);
    type('echo "status=$?"; exit\n');
    await sees('status=4');
    await terminal.ended;
  });
});

describe('the terminal', () => {
  test('is the program’s: its size, a new size, its line ends, and in the end as it was', async () => {
    const terminal = await shell();
    const { type, sees } = terminal;
    type(
      `stty -a >before; hoop -q run -- sh -c 'stty size; tty; trap "stty size; exit" WINCH; echo up; while :; do sleep 0.1; done'\n`,
    );
    await sees(/\n24 80\r[\s\S]*\/dev\/pts\/\d+[\s\S]*\nup\r/);
    // From another process, as a window manager does it.
    type('\u001a');
    await sees(/Stopped[\s\S]*ready> $/);
    type('stty rows 30 cols 100; fg\n');
    await sees(/\n30 100\r[\s\S]*ready> $/);
    type('stty rows 24 cols 80; stty -a | diff before - && echo "same-$((1+1))"\n');
    await sees('same-2');
    type('hoop -q run -- sh -c \'stty raw; printf "a\\nb"; stty sane\'; echo\n');
    // A line feed is not made a new line: what draws a screen relies on it.
    await sees(/a\nb[\s\S]*ready> $/);
    type('exit\n');
    await terminal.ended;
  });

  test('is given back when the program is killed, and when hoop is told to end', async () => {
    const terminal = await shell();
    const { type, sees } = terminal;
    type("stty -a >before; hoop -q run -- sh -c 'stty raw -echo; kill -9 $$'; echo status=$?\n");
    await sees('status=137');
    type(
      "hoop -q run -- sh -c 'stty raw -echo; kill -TERM $(ps -o ppid= $PPID); sleep 600'; echo status=$?\n",
    );
    await sees('status=143');
    type('stty -a | diff before - && echo "same-$((1+1))"\n');
    await sees('same-2');
    type('exit\n');
    await terminal.ended;
  });

  test('goes on in the background, and is nobody’s there', async () => {
    const terminal = await shell();
    const { type, sees } = terminal;
    type(`hoop -q run -- sh -c 'echo up; read line; echo "got $line"; exit 3'\n`);
    await sees(/\nup\r/);
    type('\u001a');
    await sees(/Stopped[\s\S]*ready> $/);
    type('bg; echo "mine-$((1+1))"\n');
    await sees('mine-2');
    type('fg\n');
    type('yours\n');
    await sees(/got yours\r[\s\S]*ready> $/);
    type('echo status=$?\n');
    await sees('status=3');
    type('hoop run -- sh -c \'echo "quiet-$((1+1))"\' & wait\n');
    await sees(/the terminal is not recorded: the command was started in the background/);
    await sees('quiet-2');
    type('exit\n');
    await terminal.ended;
  });

  test('that goes away takes the program with it', async () => {
    const terminal = await shell();
    terminal.type("trap '' HUP; hoop -q run -- sh -c 'echo up-$$-; exec cat'\n");
    await terminal.sees(/up-\d+-/);
    const [, cat = ''] = /up-(\d+)-/.exec(terminal.output()) ?? [];
    terminal.child.kill('SIGKILL');
    await terminal.ended;
    await expect.poll(() => isAlive(Number(cat))).toBe(false);
  });
});

/** The package is optional: without it there is a line that says so. */
const canRecord = ((): boolean => {
  try {
    createRequire(import.meta.url).resolve('@lydell/node-pty');
    return true;
  } catch {
    return false;
  }
})();

describe('what is recorded', () => {
  test.skipIf(!canRecord)(
    'is what was shown, from before the session on, and not what was typed without being shown',
    async () => {
      const terminal = await shell();
      const { type, sees } = terminal;
      type(
        `hoop -q run -- sh -c 'printf "\\033]0;title\\007\\033[31mred\\033[0m "; stty -echo; echo "key-$((1+1))"; read secret; stty echo; psql -XAtc "SELECT card_number FROM customers LIMIT 1"; echo done'\n`,
      );
      await sees('key-2');
      type('hunter2\n');
      await sees(/done\r[\s\S]*ready> $/);
      const text = await recorded();
      expect(text).toContain('\x1b[31mred');
      expect(text).toContain('****\r\ndone');
      expect(text).not.toContain('hunter2');
      // Nothing that a terminal would act on beyond its screen.
      expect(text).not.toContain('title');
      const cast = (await recorded('--asciicast')).trimEnd().split('\n');
      expect(JSON.parse(cast[0] ?? '')).toMatchObject({ version: 2, width: 80, height: 24 });
      expect(cast.slice(1).map((line) => JSON.parse(line)[1])).toContain('o');
      const verified = await verifyOffline(bench, directory, await newestSession(bench));
      expect(verified.status).toBe(0);
      expect(verified.stdout).toContain('3 streams');
      const newest = await newestSession(bench);
      const shown = await bench.hoop('engineer', 'sessions', 'show', newest);
      expect(shown.stdout).toContain(`recorded; hoop sessions replay ${newest} --terminal`);
      expect(shown.stdout).toMatch(/^run +\S+ \(sh\)$/m);
      const replayed = await bench.hoop('engineer', 'sessions', 'replay', newest);
      expect(replayed.stdout).toMatch(/^run +\S+ \(sh\)$/m);
      const listed = await bench.hoop('engineer', 'sessions', 'show', newest, '--json');
      expect(JSON.parse(listed.stdout)).toMatchObject({ session: { terminal: 'recorded' } });
      type(`hoop -q run --no-terminal -- psql -XAtc "SELECT 'nothing'"\n`);
      await sees(/nothing[\s\S]*nothing\r[\s\S]*ready> $/);
      const id = await newestSession(bench);
      const none = await bench.hoop('engineer', 'sessions', 'replay', id, '--terminal');
      expect(none).toMatchObject({ exitCode: 2, stdout: '' });
      expect(none.stderr).toContain('this session has no terminal recording');
      const without = await bench.hoop('engineer', 'sessions', 'show', id);
      expect(without.stdout).not.toMatch(/^terminal/m);
      type('exit\n');
      await terminal.ended;
    },
  );

  test('is nothing where there is no terminal', async () => {
    const piped = await bench.hoop('engineer', 'run', '--', 'psql', '-XAtc', 'SELECT 1');
    expect(piped).toMatchObject({ exitCode: 0, stdout: '1\n' });
    expect(piped.stderr).not.toContain('terminal');
    const id = await newestSession(bench);
    const none = await bench.hoop('engineer', 'sessions', 'replay', id, '--terminal');
    expect(none.exitCode).toBe(2);
  });
});

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}
