/**
 * What hoop knows of an agent: the hosts of its model, the variables that hold its key, where it
 * keeps its state, and how prompts and the briefing get in. One file of data for each, of the same
 * form as people write for agents of their own (docs/agents.md).
 *
 * Its texts may hold `{hook}`, the command that takes what the agent gives to its hooks, `{files}`, the
 * directory of the profile's files in this run, and `{briefing}`, the file with the briefing.
 */
import * as z from 'zod';
import { HOOKS } from './hook-names.ts';

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const PROFILE_NAME = /^[a-z][a-z0-9-]{0,31}$/;
/** In a directory of state: one name, with a slash behind it if it is a directory. */
const ENTRY = /^(?!\.{1,2}\/?$)[^/\0]+\/?$/;

const Variables = z.record(z.string().regex(VARIABLE), z.string());
const Hosts = z.array(z.string());

const StateDirectory = z.strictObject({
  /** `~/…`; made when it is not there. */
  path: z.string().regex(/^~\/.+$/),
  /** A variable that moves it elsewhere. */
  movedBy: z.string().regex(VARIABLE).optional(),
  /**
   * What a fenced run may change in it, directories with a slash. Of all else it sees a copy that
   * ends with the run: settings, hooks, plugins, and what nobody has thought of.
   */
  keep: z.array(z.string().regex(ENTRY)).default([]),
  /**
   * JSON files of which these members are kept, and no others. `tokens.access` leads into one, and
   * `*` is each: both only where the person has it already.
   */
  keepMembers: z.record(z.string().regex(ENTRY), z.array(z.string())).default({}),
  /** JSON files of which a fenced run sees these members, and no others. */
  showMembers: z.record(z.string().regex(ENTRY), z.array(z.string())).default({}),
  /** Not in the copy: keys of others, such as of MCP servers; directories with a slash. */
  hide: z.array(z.string().regex(ENTRY)).default([]),
  /** In what is kept: what the agent takes for instructions later. `*` is any name. */
  instructions: z
    .array(z.string().regex(/^(?!.*(^|\/)\.{1,2}(\/|$))[^/\0]+(\/[^/\0]+)*$/))
    .default([]),
  /** Put into the copy of a JSON file of settings for the run. */
  settings: z.record(z.string().regex(ENTRY), z.record(z.string(), z.json())).default({}),
});

const StateFile = z.strictObject({
  file: z.string().regex(/^~\/.+$/),
  /** It is JSON, of which these members are kept, and no others. */
  keepMembers: z.array(z.string()),
});

const Way = z.strictObject({
  /** Put behind the name of the program. */
  arguments: z.array(z.string()).default([]),
  /** Set, unless the person has set them. */
  variables: Variables.default({}),
  /** Said at the start of a run. */
  notes: z.array(z.string()).default([]),
  /** Why what is typed may not be recorded: said at the end of a run in which no hook told a prompt. */
  untied: z.string().optional(),
});

export const AgentProfile = z.strictObject({
  version: z.literal(1),
  name: z.string().regex(PROFILE_NAME),
  /** Of its program, by which it is recognised. */
  commands: z.array(z.string().regex(/^[^/\0]+$/)).min(1),
  /** That it needs; as `--fence-allow` takes them. */
  hosts: Hosts.default([]),
  /** Variables with keys of models: they go into a fence, and let their hosts through. */
  keys: z.record(z.string().regex(VARIABLE), Hosts).default({}),
  /** Variables with the URL of another model server, whose host is let through. */
  baseUrls: z.array(z.string().regex(VARIABLE)).default([]),
  state: z.array(z.union([StateDirectory, StateFile])).default([]),
  /** Text, or JSON, that is written for the run. */
  files: z
    .record(
      z.string().regex(/^(?!.*\.\.)[\w.-]+(\/[\w.-]+)*$/),
      z.union([z.string(), z.record(z.string(), z.json())]),
    )
    .default({}),
  ...Way.shape,
  /** Besides, inside of a fence. */
  fenced: Way.prefault({}),
  /** Besides, without one. */
  unfenced: Way.prefault({}),
  /** Whose form its hooks have. */
  hook: z.enum(HOOKS).optional(),
  /** No hook tells its prompts: options of the command line that do. */
  promptOptions: z.array(z.string()).default([]),
});
export type AgentProfile = z.infer<typeof AgentProfile>;
export type StateDirectory = z.infer<typeof StateDirectory>;
export type StateFile = z.infer<typeof StateFile>;
