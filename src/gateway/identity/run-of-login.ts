/** What a login remembers when it is that of a run: never the command's arguments, which hold secrets. */
import * as z from 'zod';

export const RunOfLogin = z.object({
  /** UUIDv7. */
  id: z.string(),
  /** The run that it was made in. */
  parent: z.string().optional(),
  /** Id of the login that is no run's and that it was made from in the end; not in older ones. */
  login: z.string().optional(),
  /** Thumbprint of the key of that login; not in older ones. */
  loginKey: z.string().optional(),
  /** Name of an agent of the policy, as it was when the run began. */
  agent: z.string().optional(),
  /** Name of the program, as the client says it; not in older ones. */
  program: z.string().optional(),
  /** Names of the only targets that it may reach; absent: all of its person's. Those it was started for. */
  targets: z.array(z.string()).optional(),
  /** How deep runs are nested; 1: made from a login that is no run's. */
  depth: z.number(),
  /** Of sessions that bring none of their own. */
  reason: z.string().optional(),
});
export type RunOfLogin = z.infer<typeof RunOfLogin>;

/** @returns undefined for a login that is not that of a run */
export function readRun(family: { readonly run?: string }): RunOfLogin | undefined {
  return family.run === undefined ? undefined : RunOfLogin.parse(JSON.parse(family.run));
}
