import { spawn } from 'node:child_process';

/**
 * Shows a URL in the user's browser.
 * @returns false when there is none to be found; the URL is on the terminal anyway
 */
export async function openBrowser(url: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const launcher = findLauncher(url, env);
  if (launcher === undefined) {
    return false;
  }
  const [program, args] = launcher;
  const child = spawn(program, args, { stdio: 'ignore', detached: true, env });
  child.unref();
  return new Promise((resolve) => {
    child.once('error', () => resolve(false));
    // It runs: whatever becomes of it now, nobody here waits for it.
    child.once('spawn', () => resolve(true));
  });
}

function findLauncher(
  url: string,
  env: NodeJS.ProcessEnv,
): readonly [string, readonly string[]] | undefined {
  const chosen = env['BROWSER'];
  if (chosen) {
    // A list of commands, the first of which counts; `%s` stands for the URL. No shell reads it.
    const [program = '', ...args] = (chosen.split(':')[0] ?? '').split(' ').filter(Boolean);
    return args.includes('%s')
      ? [program, args.map((argument) => (argument === '%s' ? url : argument))]
      : [program, [...args, url]];
  }
  switch (process.platform) {
    case 'darwin':
      return ['open', [url]];
    case 'win32':
      // Not `start`: cmd.exe would split the URL at each `&`.
      return ['rundll32', ['url.dll,FileProtocolHandler', url]];
    default:
      // Without a display xdg-open would start a text browser on this terminal.
      return env['DISPLAY'] || env['WAYLAND_DISPLAY'] ? ['xdg-open', [url]] : undefined;
  }
}
