/** What `npm run bench` can be asked for. */
import { parseArgs } from 'node:util';

/** In the order in which they run. */
export const WORKS = [
  'memory',
  'idle',
  'burst',
  'pgbench',
  'latency',
  'connect',
  'copy-out',
  'select',
  'copy-in',
  'columns',
  'start',
  'link',
  'link-bulk',
  'ssh-exec',
  'ssh-echo',
  'ssh-copy',
  'ssh-parallel',
  'ssh-memory',
  'ssh-link',
  'index',
] as const;
export type Work = (typeof WORKS)[number];

export const LANES = [
  'direct',
  'ssh -L',
  'stunnel',
  'node relay',
  'pgbouncer',
  'hoop allow',
  'hoop masked',
  'ssh -J',
  'direct (defaults)',
] as const;
export type LaneName = (typeof LANES)[number];

/** The most that a policy may allow in one session. */
export const MAX_CONNECTIONS = 1000;

/** What the table of README.md is made of. */
const TABLE_WORKS: readonly Work[] = [
  ...(['burst', 'pgbench', 'latency', 'connect', 'copy-out', 'select', 'copy-in'] as const),
  ...(['columns', 'start', 'link', 'link-bulk', 'ssh-copy', 'ssh-link'] as const),
];
const TABLE_LANES: readonly LaneName[] = [
  ...(['direct', 'ssh -L', 'node relay', 'hoop allow', 'hoop masked', 'ssh -J'] as const),
];
const CLIENTS = ['1', '8', '32'];
const TABLE_CLIENTS = ['8'];

/** Names that stand for several. */
const GROUPS: Readonly<Record<string, readonly Work[]>> = {
  bulk: ['copy-out', 'select', 'copy-in', 'columns'],
  far: ['link', 'link-bulk', 'ssh-link'],
  ssh: ['ssh-exec', 'ssh-echo', 'ssh-copy', 'ssh-parallel', 'ssh-memory'],
};

export interface BenchOptions {
  readonly rounds: number;
  /** How long one run of pgbench takes. */
  readonly seconds: number;
  /** Size of one bulk transfer, 10⁶ bytes. */
  readonly megabytes: number;
  /** Numbers of clients that pgbench runs with. */
  readonly clients: readonly number[];
  readonly connections: number;
  readonly works: readonly Work[];
  readonly lanes: readonly LaneName[];
  readonly cold: boolean;
  /** The table of README.md: its rows and lanes, where no others are named. */
  readonly table: boolean;
  readonly json: boolean;
}

/** Its message is for whoever typed it. */
export class UnknownOption extends Error {}

/** @throws UnknownOption */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parse(args);
  return {
    rounds: count('rounds', values.rounds),
    seconds: count('seconds', values.seconds),
    megabytes: count('megabytes', values.megabytes),
    clients: (values.clients ?? (values.table ? TABLE_CLIENTS : CLIENTS)).map((text) =>
      count('clients', text),
    ),
    connections: count('connections', values.connections, MAX_CONNECTIONS),
    works: pick('only', WORKS, values.only ?? (values.table ? TABLE_WORKS : undefined)),
    lanes: pick('lane', LANES, values.lane ?? (values.table ? TABLE_LANES : undefined)),
    cold: values.cold,
    table: values.table,
    json: values.json,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string', default: '3' },
        seconds: { type: 'string', default: '4' },
        megabytes: { type: 'string', default: '512' },
        clients: { type: 'string', multiple: true },
        connections: { type: 'string', default: String(MAX_CONNECTIONS) },
        only: { type: 'string', multiple: true },
        lane: { type: 'string', multiple: true },
        cold: { type: 'boolean', default: false },
        table: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
  } catch (cause) {
    throw new UnknownOption(cause instanceof Error ? cause.message : 'unknown option', { cause });
  }
}

function count(name: string, text: string, most = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1 || value > most) {
    throw new UnknownOption(`--${name} takes a whole number from 1 to ${most}, not "${text}"`);
  }
  return value;
}

function pick<Name extends string>(
  option: string,
  known: readonly Name[],
  given: readonly string[] | undefined,
): readonly Name[] {
  if (!given) {
    return known;
  }
  const names = new Set(given.flatMap((name): readonly string[] => GROUPS[name] ?? [name]));
  const unknown = [...names].find((name) => !known.some((one) => one === name));
  if (unknown !== undefined) {
    const all = [...known, ...(option === 'only' ? Object.keys(GROUPS) : [])];
    throw new UnknownOption(`--${option} knows ${all.join(', ')}; not "${unknown}"`);
  }
  return known.filter((name) => names.has(name));
}
