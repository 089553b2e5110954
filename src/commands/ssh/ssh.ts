import { Command } from 'commander';
import type { Io } from '../io.ts';
import { collect } from '../repeatable.ts';

interface SshFlags {
  readonly reason?: string;
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly l?: string;
  readonly L?: readonly string[];
  readonly D?: readonly string[];
  readonly R?: readonly string[];
  readonly o?: readonly string[];
  readonly W?: string;
}

/** Flags of ssh(1) that need no value, and are passed on as they are. */
const FLAGS = {
  t: 'request a terminal (-tt: even without one here)',
  T: 'request no terminal',
  N: 'run no command: forward only',
  n: 'read no input',
  v: 'verbose (-vv, -vvv: more)',
  A: 'forward the agent (refused)',
  X: 'forward X11 (refused)',
} as const;

export function sshCommand(io: Io): Command {
  const command = new Command('ssh')
    .description('open a shell on a server, or run a command there, with your own ssh')
    .argument('<target>', 'a name from `hoop targets`; user@name chooses the login on it')
    .argument('[command...]', 'run this instead of a shell')
    .option('--reason <text>', 'reason; recorded, and required by some targets')
    .option('--prompt <text>', 'what this is done for, in full; recorded with the session')
    .option('--prompt-file <file>', 'the same, from a file')
    .option('-l <user>', 'the login on the target')
    .option('-L <forward>', 'forward a local port: [address:]port:host:port', collect)
    .option('-D <forward>', 'SOCKS proxy on a local port: [address:]port', collect)
    .option('-R <forward>', 'forward a port of the server (refused)', collect)
    .option('-W <host:port>', 'connect input and output to a host behind the target')
    .option('-o <option>', 'an option of ssh_config(5)', collect)
    .addHelpText('after', EXAMPLES);
  const given: string[] = [];
  for (const [flag, description] of Object.entries(FLAGS)) {
    command.option(`-${flag}`, description);
    command.on(`option:${flag}`, () => given.push(`-${flag}`));
  }
  return command.action(async (target: string, words: string[], flags: SshFlags) => {
    const { runSsh } = await import('./ssh-run.ts');
    const valued = (['L', 'D', 'R', 'o'] as const).flatMap((name) =>
      (flags[name] ?? []).flatMap((value) => [`-${name}`, value]),
    );
    const single = (['l', 'W'] as const).flatMap((name) => {
      const value = flags[name];
      return value === undefined ? [] : [`-${name}`, value];
    });
    await runSsh(io, { ...flags, target, command: words, flags: [...given, ...valued, ...single] });
  });
}

/**
 * As ssh(1) reads its words: options stand before the host or right behind it, and from the next word
 * on everything is the command. commander would take the options of the command for ours.
 */
export function separateRemoteCommand(argv: readonly string[], command: Command): string[] {
  const start = argv.findIndex((word) => !word.startsWith('-'));
  if (argv[start] !== command.name()) {
    return [...argv];
  }
  const target = behindOptions(argv, start + 1, command);
  const end = behindOptions(argv, target + 1, command);
  const isSeparate = argv[target] === '--' || argv[end] === '--';
  return end >= argv.length || isSeparate
    ? [...argv]
    : [...argv.slice(0, end), '--', ...argv.slice(end)];
}

/** The first place from `at` on that is no option, nor the value of one. */
function behindOptions(argv: readonly string[], at: number, command: Command): number {
  let next = at;
  for (; next < argv.length && argv[next]?.startsWith('-') && argv[next] !== '--'; next += 1) {
    const word = argv[next] ?? '';
    const takesNext = command.options.some(
      ({ required, long, short }) => required && (word === long || word === short),
    );
    next += takesNext ? 1 : 0;
  }
  return next;
}

const EXAMPLES = `
Examples:
  hoop ssh web-1
  hoop ssh deploy@web-1 systemctl status nginx
  hoop ssh -L 8080:internal:80 -N web-1
  tar -c site | hoop ssh web-1 tar -x -C /srv

Put options before the target or right after it, as with ssh; put a command that begins with "-" after
"--". hoop opens a session, runs ssh in it, and ends it. Input, output, terminal and exit status are
those of ssh; 255 means that ssh or hoop failed. For scp, sftp, rsync, git and plain ssh see
"hoop ssh-config" and "hoop connect NAME -- COMMAND".`;
