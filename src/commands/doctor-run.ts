/** What `hoop doctor` looks at for `hoop run`: the fence, and the recording of the terminal. */
import { HoopError } from '../errors.ts';
import { locateHome } from '../home.ts';
import { Fence, findBubblewrap } from '../run/fence/fence.ts';
import { hasPseudoTerminals, loadBinding } from '../run/terminal/pseudo-terminal.ts';
import { type DoctorCheck, passed } from '../ui/doctor-lines.ts';
import type { Io } from './io.ts';

const FENCE_WITHIN_MS = 10_000;

export async function runChecks(io: Io): Promise<readonly DoctorCheck[]> {
  return [await fence(io), terminal()];
}

/** Puts one up: whether namespaces can be made shows in nothing else. */
async function fence({ env, signal }: Io): Promise<DoctorCheck> {
  const name = 'fence';
  if (process.platform !== 'linux') {
    return { name, status: 'skipped', text: '`hoop run --fence` is for Linux only' };
  }
  const home = locateHome(env);
  try {
    const program = findBubblewrap(env['PATH']);
    await using _ = await Fence.open({
      ...{ env, home, cwd: '/', hide: [], show: [], write: [] },
      // Of no run: what is not there is not shown.
      ...{ runDirectory: '', runState: '' },
      stdio: [0, 1, 2],
      signal: AbortSignal.any([signal, AbortSignal.timeout(FENCE_WITHIN_MS)]),
    });
    return passed(name, `${program} makes the namespaces that \`hoop run --fence\` needs`);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof DOMException && error.name === 'TimeoutError') {
      const hint =
        'Try `bwrap --ro-bind / / --unshare-all true`; `hoop run` works without --fence.';
      return { name, status: 'warning', text: 'bwrap does not get ready', hint };
    }
    if (!(error instanceof HoopError)) {
      throw error;
    }
    const { code, message, detail, hint } = error;
    const advice = [detail, hint, '`hoop run` works without --fence.'];
    return {
      ...{ name, status: 'warning', code, text: message },
      hint: advice.filter((part) => part !== undefined).join(' '),
    };
  }
}

function terminal(): DoctorCheck {
  const name = 'terminal';
  if (!hasPseudoTerminals) {
    return { name, status: 'skipped', text: '`hoop run` records the terminal on Linux only' };
  }
  try {
    loadBinding();
    return passed(name, '@lydell/node-pty is loaded; `hoop run` records the terminal with it');
  } catch (error) {
    const said = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return {
      name,
      status: 'warning',
      text: `\`hoop run\` does not record the terminal: ${said}`,
      hint: 'Install hoop again without `--omit=optional`: it brings @lydell/node-pty. All else works without.',
    };
  }
}
