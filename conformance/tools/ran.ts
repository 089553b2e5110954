/** What the tools of a run have shown and sent, lane by lane, and its form on disk. */
import * as z from 'zod';
import type { LaneName, Outputs } from '../suite.ts';
import type { RecordedSession } from './recorded-statements.ts';

export interface Ran {
  readonly outputs: Outputs;
  /** What hoop recorded; undefined on the lane without it. */
  readonly recorded: RecordedSession | undefined;
}

const Written = z.array(
  z.strictObject({
    lane: z.enum(['direct', 'passthrough', 'strict']),
    tool: z.string(),
    outputs: z.array(z.tuple([z.string(), z.string()])),
    recorded: z
      .strictObject({
        statements: z.number(),
        refused: z.array(
          z.strictObject({ text: z.string(), message: z.string(), detail: z.string() }),
        ),
      })
      .optional(),
  }),
);

export function writtenRan(ran: ReadonlyMap<LaneName, ReadonlyMap<string, Ran>>): string {
  const all = [...ran].flatMap(([lane, tools]) =>
    [...tools].map(([tool, { outputs, recorded }]) => ({
      ...{ lane, tool, outputs: [...outputs] },
      ...(recorded === undefined ? {} : { recorded }),
    })),
  );
  return JSON.stringify(all);
}

export function readRan(text: string): ReadonlyMap<LaneName, ReadonlyMap<string, Ran>> {
  const lanes = new Map<LaneName, Map<string, Ran>>();
  for (const { lane, tool, outputs, recorded } of Written.parse(JSON.parse(text))) {
    const tools = lanes.get(lane) ?? new Map<string, Ran>();
    lanes.set(lane, tools.set(tool, { outputs: new Map(outputs), recorded }));
  }
  return lanes;
}
