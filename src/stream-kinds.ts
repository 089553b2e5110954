/**
 * What a stream carries: the protocol of its target, or what belongs to it, as the connector names
 * it (connectors/registry.ts); or what the program of `hoop run` shows on its terminal (up only, for
 * the record).
 */
import * as z from 'zod';

export const TERMINAL_STREAM = 'terminal';
/** `evidence` is what stream 0 holds, and no stream besides. */
export const StreamKind = z.string().regex(/^(?!evidence$)[a-z][a-z0-9-]{0,31}$/);
export type StreamKind = z.infer<typeof StreamKind>;
