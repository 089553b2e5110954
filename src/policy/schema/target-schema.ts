/** targets/*.yaml as zod schemas: databases and servers. */
import * as z from 'zod';
import type { PolicyConnector } from '../connector.ts';
import { Groups, Name, strict, TerminalOff, Text } from './schema-parts.ts';

/** Servers of one target; each may take its whole connectTimeout. */
export const MAX_HOSTS = 16;

const COMMON = {
  name: Name,
  description: Text.optional(),
  connectTimeout: z
    .string()
    .regex(/^[1-9][0-9]?s$/, 'expected 1s to 60s')
    .transform((text) => Number.parseInt(text, 10))
    .refine((seconds) => seconds <= 60, 'expected 1s to 60s')
    .default(10)
    .describe('Per address, until the login is complete; e.g. "5s".'),
  credential: Name.optional().describe('Name of a credential in the gateway configuration.'),
  credentials: z
    .array(strict({ groups: Groups, credential: Name }))
    .default([])
    .describe('Credentials by group; the first match is used.'),
  labels: z.record(Name, z.string().max(200)).default({}),
  terminal: TerminalOff,
  recording: z
    .literal('full', {
      error: 'expected "full": every session is recorded completely',
    })
    .default('full'),
};

/** targets/*.yaml of a hoop with these connectors. */
export function targetFile(connectors: readonly PolicyConnector[]) {
  const own = connectors.map(({ kind, targetKeys }) =>
    strict({ ...COMMON, kind: z.literal(kind), ...targetKeys }),
  );
  const kinds = connectors.map(({ kind }) => `"${kind}"`);
  const [first, ...others] = own;
  if (first === undefined) throw new TypeError('there is no kind of targets');
  return z
    .discriminatedUnion('kind', [first, ...others], {
      error: ({ code, input }) =>
        code === 'invalid_union' || input === undefined
          ? `expected ${kinds.join(' or ')}`
          : undefined,
    })
    .describe('targets/*.yaml: one database, or one server.');
}

const Common = strict({ ...COMMON, kind: z.string() });
export type CommonTarget = z.output<typeof Common>;

/** `host:port`, `[v6]:port`; undefined when it is neither. */
export function parseAddress(text: string): { host: string; port: number } | undefined {
  const parts =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9]([A-Za-z0-9.-]{0,252})))(?::)([0-9]{1,5})$/.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[4]);
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}
