/** The work of `hoop mcp`: a run of its own, or the one that it is started in, as tools on stdio. */
import { readFileSync } from 'node:fs';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { openGateway } from '../auth/open-gateway.ts';
import { ApprovalsClient } from '../client/approvals-client.ts';
import type { GatewayClient } from '../client/gateway-client.ts';
import { CONNECTORS } from '../connectors/registry.ts';
import { HoopError } from '../errors.ts';
import type { McpAccess, McpTarget } from '../mcp/mcp-access.ts';
import { behindFence, createMcpServer } from '../mcp/mcp-server.ts';
import { packageVersion } from '../package-version.ts';
import { Run } from '../run/run.ts';
import { targetVariable } from '../run/target-variable.ts';
import { plain } from '../ui/text/printable.ts';
import { onAbort } from '../until.ts';
import type { Io } from './io.ts';
import { sessionOptions } from './session-options.ts';

export interface McpFlags {
  readonly target?: readonly string[];
  readonly agent?: string;
  readonly reason?: string;
}

export async function runMcp(io: Io, flags: McpFlags): Promise<void> {
  const inRun = io.env['HOOP_RUN_DIR'] !== undefined && io.env['HOOP_RUN_DIR'] !== '';
  if (inRun && flags.agent !== undefined) {
    throw new HoopError('HOOP_USAGE', 'within a run, the agent is the run’s', {
      hint: 'Omit --agent.',
    });
  }
  await using resources = new AsyncDisposableStack();
  let begun: Promise<McpAccess> | undefined;
  // With the first call: a client that only lists the tools needs no login, and its user sees what is
  // missing where they look, in the answer. What failed is tried again.
  const access = (): Promise<McpAccess> => {
    begun ??= (inRun ? accessOfRun(io, flags, resources) : ownRun(io, flags, resources)).catch(
      (error: unknown) => {
        begun = undefined;
        throw error;
      },
    );
    return begun;
  };
  const server = createMcpServer(access, packageVersion());
  const ended = Promise.withResolvers<void>();
  server.server.onclose = ended.resolve;
  // The transport does not look for the end of its input, which is how clients end a server.
  io.stdin.once('end', ended.resolve);
  io.stdin.once('close', ended.resolve);
  onAbort(io.signal, () => ended.resolve());
  if (io.stdin.isTTY === true) {
    io.note(
      'this command is for MCP clients, which talk to it on standard input: see `hoop mcp --help`; Ctrl-C ends it',
    );
  }
  await server.connect(new StdioServerTransport(io.stdin, io.stdout));
  await ended.promise;
  await server.close();
}

/**
 * The login of a run has an agent, ends with it, and what it asks for survives a call that was given
 * up. Which client is at the other end it says itself, so nothing is made of that.
 */
async function ownRun(
  io: Io,
  flags: McpFlags,
  resources: AsyncDisposableStack,
): Promise<McpAccess> {
  const note = (text: string): void => io.note(plain(text));
  const open = resources.use(await openGateway(io));
  const run = resources.use(
    await Run.start({
      open,
      connectors: CONNECTORS,
      targets: flags.target ?? [],
      agent: flags.agent,
      reason: flags.reason,
      command: ['hoop', 'mcp'],
      ...sessionOptions(io),
      events: { note },
    }),
  );
  const environment = Object.assign({}, ...run.environment);
  const targets = run.facts.reachable.targets.flatMap(({ name, description, masked }) => {
    const url: unknown = environment[run.variables.get(name) ?? ''];
    return typeof url === 'string' ? [{ name, url, description, masked }] : [];
  });
  return { targets, main: run.mainTarget, ...asking(run.open.client) };
}

/** Within a run its ports are there already; behind a fence they are all that is there. */
async function accessOfRun(
  io: Io,
  { target: wanted }: McpFlags,
  resources: AsyncDisposableStack,
): Promise<McpAccess> {
  const gateway = io.env['HOOP_FENCE'] ? undefined : resources.use(await openGateway(io));
  const reachable = gateway && (await gateway.client.targets(io.signal)).targets;
  const names = namesOfServices(io.env['PGSERVICEFILE']);
  const targets = names.flatMap((name): readonly McpTarget[] => {
    const url = io.env[targetVariable(name)];
    const known = reachable?.find((one) => one.name === name);
    if (url === undefined || (wanted !== undefined && !wanted.includes(name))) return [];
    return [{ name, url, description: known?.description, masked: known?.masked }];
  });
  const main = targets.find(({ url }) => url === io.env['DATABASE_URL'])?.name;
  const none = (): Promise<never> => Promise.reject(behindFence());
  return {
    targets,
    main,
    ...(gateway === undefined ? { approval: none, decided: none } : asking(gateway.client)),
  };
}

function asking(client: GatewayClient): Pick<McpAccess, 'approval' | 'decided'> {
  const approvals = new ApprovalsClient(client);
  return {
    approval: (id, signal) => approvals.find(id, signal),
    decided: (id, signal) => approvals.untilDecided(id, signal),
  };
}

/** Variables do not tell the names: theirs are in upper case. */
function namesOfServices(file: string | undefined): readonly string[] {
  if (file === undefined) return [];
  return [...readFileSync(file, 'utf8').matchAll(/^\[([^\]]+)\]$/gm)].map(([, name = '']) => name);
}
