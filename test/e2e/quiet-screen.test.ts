/** The screen belongs to the program: what hoop writes on a terminal while a statement waits. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../wait-for.ts';
import { type Bench, openBench } from './demo-bench.ts';
import { startShell } from './live-program.ts';

const POLICY = `name: orders-need-approval
who: { groups: [engineering] }
targets: { names: [prod-db] }
rules:
  - name: deletes
    approve: { verbs: [delete], relations: [public.orders], maxHold: 60s }
`;
/** Draws a screen, has a statement wait in the background, and keeps the cursor in its input line. */
const FULL_SCREEN = `#!/bin/sh
printf '\\033[?1049h\\033[2J\\033[Htitle of the program\\033[24;1H> '
psql -XAtqc 'DELETE FROM public.orders WHERE id = -1' >/dev/null 2>&1
printf 'decided'
read -r line
printf '\\033[?1049l'
`;

let bench: Bench;
let directory: string;
beforeAll(async () => {
  bench = await openBench();
  directory = mkdtempSync(join(tmpdir(), 'hoop-screen-'));
  writeFileSync(join(directory, 'full-screen'), FULL_SCREEN);
  chmodSync(join(directory, 'full-screen'), 0o755);
  await bench.commitPolicy({ 'policies/orders-need-approval.yaml': POLICY });
});
afterAll(async () => {
  rmSync(directory, { recursive: true, force: true });
  await bench?.[Symbol.asyncDispose]();
});

describe.each(['', '--no-terminal '])('hoop run %s', (flag) => {
  test('writes nothing into the screen of a program: a bell and a title, the rest at the end', async () => {
    const { type, sees, output, ended } = await startShell({
      home: bench.home('engineer'),
      cwd: directory,
      variables: { TERM_PROGRAM: '', TMUX: '' },
    });
    type(`hoop run --target prod-db ${flag}-- ./full-screen\n`);
    await sees('title of the program');
    const pending = async (): Promise<string> => {
      const { stdout } = await bench.hoop('dba', 'approvals', 'list', '--json');
      const [first] = JSON.parse(stdout).approvals;
      expect(first?.id).toBeDefined();
      return first.id;
    };
    let id = '';
    await waitFor(async () => {
      id = await pending();
    });
    // The bell, whatever the terminal.
    await waitFor(() => expect(screen(output())).toContain('\x07'));
    expect((await bench.hoop('dba', 'approvals', 'approve', id)).exitCode).toBe(0);
    await sees('decided');
    type('\n');
    await sees(/recording signed by both sides[\s\S]*ready> $/);
    const shown = screen(output());
    const title = `\x1b[22;2t\x1b]2;hoop: prod-db: a statement waits for approval ${id} by one person of the group approvers\x07`;
    const controls = flag === '' ? [title, '\x1b[23;2t'] : [];
    for (const control of controls) {
      expect(shown).toContain(control);
    }
    expect(shown.replace(/\x1b\][^\x07]*\x07/g, '')).not.toContain('hoop');
    const after = output().slice(output().lastIndexOf('\x1b[?1049l'));
    expect(after.replace(/\s+(hoop: +)?/g, ' ')).toContain('a statement waits for approval');
    type('exit\n');
    await ended;
  });
});

/** From the first sign of the program's own screen to the last. */
function screen(output: string): string {
  const [, inside = ''] = output.split('\x1b[?1049h');
  return inside.split('\x1b[?1049l')[0] ?? '';
}
