import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { SEARCH_WORKER } from '../connectors/search-worker-file.ts';
import { HoopError } from '../errors.ts';
import { packageVersion } from '../package-version.ts';
import { renderJson } from '../ui/render-json.ts';
import type { Io } from './io.ts';
import { lazyAction } from './lazy-action.ts';
import { collect } from './repeatable.ts';

const EVENTS_EXAMPLES = `
For auditors and approvers. docs/events.md describes each type, and what events never contain.

Examples:
  hoop gateway events --since 1d --type 'login.*'
  hoop gateway events --user devin@example.com --type statement.refused
  hoop gateway events --follow --json --since "$(cat cursor)"   # resumes there`;

interface StartOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export function gatewayCommand(io: Io): Command {
  const gateway = new Command('gateway').description('run a gateway next to the targets');
  gateway
    .command('start')
    .description('serve until a signal arrives, then end all sessions and stop; SIGHUP reloads')
    .requiredOption('--config <file>', 'gateway configuration (YAML)')
    .option('--json', 'print events and the log as JSON lines, even on a terminal')
    .option('--verbose', 'log at level debug')
    .action((options: StartOptions) => start(io, options));
  gateway
    .command('check')
    .description('check the configuration, and whether the policy and the targets can be reached')
    .requiredOption('--config <file>', 'gateway configuration (YAML)')
    .option('--json', 'print the result as JSON')
    .action((options: StartOptions) => check(io, options));
  gateway
    .command('events')
    .description('show events: logins, sessions, refusals, approvals, access, policy, recordings')
    .option('--follow', 'keep printing new events until you press Ctrl-C')
    .option('--since <when>', 'where to start: `2h` for 2 hours ago, a day, a time, or a cursor')
    .option(
      '--type <event-type>',
      'only events of this type: statement.refused, `session.*`; repeatable',
      collect,
    )
    .option('--session <session>', 'only events of this session')
    .option('--user <name>', 'only events about or by this person or workload: name or sub')
    .option(
      '--newest <count>',
      'how many of the newest events to print; not with --since',
      countOf,
      50,
    )
    .option('--json', 'print one JSON document per line, each with its cursor')
    .addHelpText('after', EVENTS_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./gateway-events.ts')).showEvents));
  gateway
    .command('nodes')
    .description('list the gateways that share one PostgreSQL store')
    .requiredOption('--config <file>', 'configuration of one of them (YAML)')
    .option('--json', 'print them as JSON')
    .action((options: StartOptions) => nodes(io, options));
  gateway
    .command('takeover')
    .description('end the sessions and requests of a gateway that will not come back')
    .argument('<node>', 'its ID, from `hoop gateway nodes --config FILE`')
    .requiredOption('--config <file>', 'configuration of another gateway on the same store (YAML)')
    .action((node: string, options: StartOptions) => takeOver(io, node, options));
  return gateway;
}

const MAX_NEWEST = 1000;

function countOf(typed: string): number {
  const count = Number(typed);
  if (!/^\d{1,4}$/.test(typed) || count > MAX_NEWEST) {
    throw new InvalidArgumentError(`Give a whole number up to ${MAX_NEWEST}.`);
  }
  return count;
}

async function nodes(io: Io, options: StartOptions): Promise<void> {
  const { listNodes } = await import('../gateway/start/take-over-node.ts');
  const found = await listNodes(ofStore(io, options));
  if (options.json === true) {
    io.stdout.write(`${renderJson({ v: 1, nodes: found })}\n`);
    return;
  }
  for (const { id, term, state, leaseLeftMs, url, isOwn } of found) {
    const shown = state === 'live' && leaseLeftMs <= 0 ? 'live, lease over' : state;
    const own = isOwn ? ', this one' : '';
    io.stdout.write(`${id}  term ${term}  ${shown}${own}  ${url ?? ''}\n`);
  }
}

async function takeOver(io: Io, node: string, options: StartOptions): Promise<void> {
  const { takeOverNode } = await import('../gateway/start/take-over-node.ts');
  const { sessions, requests } = await takeOverNode(node, ofStore(io, options));
  io.note(`took over node ${node}; ended: ${sessions} sessions, ${requests} held requests`);
}

function ofStore(io: Io, { config }: StartOptions) {
  return { configFile: resolve(io.cwd, config), env: io.env, logTo: io.stderr };
}

async function start(io: Io, options: StartOptions): Promise<void> {
  const { runGateway } = await import('../gateway/start/run-gateway.ts');
  const { CONNECTORS } = await import('../connectors/registry.ts');
  const json = options.json === true;
  await runGateway({
    connectors: CONNECTORS,
    searchWorker: SEARCH_WORKER,
    configFile: resolve(io.cwd, options.config),
    env: io.env,
    version: packageVersion(),
    signal: io.signal,
    log: {
      stream: io.stderr,
      json: json || io.stderr.isTTY !== true,
      verbose: options.verbose === true,
    },
    onReload: (listener) => io.onHangup(listener),
    onListening({ url, name, rootKeyFingerprint, firstStart }) {
      if (json) {
        const keys = { rootKeyFingerprint, firstStart };
        const event = { event: 'listening', v: 1, url, gateway: name, ...keys };
        io.stdout.write(`${renderJson(event)}\n`);
        return;
      }
      io.note(`gateway "${name}" listens on ${url}`);
      io.note(
        firstStart
          ? `it has a new root key; tell your users its fingerprint: ${rootKeyFingerprint}`
          : `root key ${rootKeyFingerprint}`,
      );
    },
    onStopping: () => {
      if (io.stderr.isTTY === true && !json) {
        io.note('ending all sessions; press again to stop immediately');
      }
    },
  });
  // A supervisor that stops it with a signal has stopped it, and not seen it fail.
  io.setExitCode(0);
}

async function check(io: Io, options: StartOptions): Promise<void> {
  const { checkGateway } = await import('../gateway/start/check-gateway.ts');
  const { CONNECTORS } = await import('../connectors/registry.ts');
  const results = await checkGateway({
    connectors: CONNECTORS,
    configFile: resolve(io.cwd, options.config),
    env: io.env,
    signal: io.signal,
    logTo: io.stderr,
  });
  if (options.json === true) {
    io.stdout.write(`${renderJson({ v: 1, checks: results })}\n`);
  } else {
    const { plain, plainLines } = await import('../ui/text/printable.ts');
    for (const { check: name, ok, warning, text, hint } of results) {
      const lines = plainLines(hint === undefined ? text : `${text}\n→ ${hint}`).split('\n');
      const indented = lines.join(`\n${' '.repeat(8)}`);
      const state = ok ? (warning === true ? 'warn  ' : 'ok    ') : 'failed';
      io.stdout.write(`${state}  ${plain(name)}: ${indented}\n`);
    }
  }
  const failed = results.filter(({ ok }) => !ok).length;
  if (failed > 0) {
    throw new HoopError('HOOP_CONFIG', `${failed} of ${results.length} checks failed`);
  }
}
