/** A profile in one run: its files, what it adds to the command and to the environment, its hosts. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { shellWord } from '../../shell-word.ts';
import type { EnvironmentPart } from '../environment.ts';
import type { AgentProfile } from './agent-profile.ts';

export interface AgentSetupOptions {
  readonly profile: AgentProfile;
  readonly env: NodeJS.ProcessEnv;
  readonly isFenced: boolean;
}

/** What has to be known before a run starts: what a fence lets through and lets in. */
export interface AgentNeeds {
  /** As `--fence-allow` takes them. */
  readonly hosts: readonly string[];
  /** Variables with keys. */
  readonly keys: readonly string[];
}

export function agentNeeds({ profile, env }: AgentSetupOptions): AgentNeeds {
  const keys = Object.keys(profile.keys).filter((name) => env[name]);
  return {
    hosts: [
      ...new Set([
        ...profile.hosts,
        ...keys.flatMap((name) => profile.keys[name] ?? []),
        ...profile.baseUrls.flatMap((name) => hostOf(env[name] ?? '')),
      ]),
    ],
    keys: Object.keys(profile.keys),
  };
}

/** `host:port` of a URL, as `--fence-allow` takes it. */
function hostOf(url: string): string[] {
  try {
    const { hostname, port, protocol } = new URL(url);
    return hostname === '' ? [] : [`${hostname}:${port || (protocol === 'http:' ? '80' : '443')}`];
  } catch {
    // Not one; the agent will say so.
    return [];
  }
}

export interface AgentSetup {
  readonly command: readonly string[];
  readonly environment: EnvironmentPart;
  /** Variables that the profile would set and that the person has set. */
  readonly taken: readonly string[];
  /** To be said to the person. */
  readonly notes: readonly string[];
}

/** Writes its files. */
export function setUpAgent(
  options: AgentSetupOptions,
  command: readonly string[],
  run: AgentPlace,
): AgentSetup {
  const { profile, env, isFenced } = options;
  const files = filesOf(run);
  const fill = fillText(profile, run);
  for (const [name, content] of Object.entries(profile.files)) {
    const path = join(files, name);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const text =
      // In a program the command is a literal of its language.
      typeof content === 'string'
        ? fill(content, JSON.stringify)
        : `${JSON.stringify(filled(content, fill), undefined, 2)}\n`;
    writeFileSync(path, text, { mode: 0o600 });
  }
  const way = isFenced ? profile.fenced : profile.unfenced;
  const variables = { ...profile.variables, ...way.variables };
  const [program = '', ...args] = command;
  const own = [...profile.arguments, ...way.arguments];
  // By another name it is a wrapper, or something else: its arguments are not ours to write.
  const isItself = profile.commands.includes(basename(program));
  return {
    command: isItself ? [program, ...own.map((word) => fill(word)), ...args] : command,
    environment: Object.fromEntries(
      Object.entries(variables)
        .filter(([name]) => env[name] === undefined)
        .map(([name, value]) => [name, fill(value)]),
    ),
    taken: Object.keys(variables).filter((name) => env[name] !== undefined),
    notes: [...profile.notes, ...way.notes],
  };
}

/** Where its files may be, what its hooks call, and the file with the briefing. */
export interface AgentPlace {
  readonly directory: string;
  readonly hoop: readonly string[];
  readonly briefing: string;
}

function filesOf({ directory }: AgentPlace): string {
  return join(directory, 'agent');
}

/** Puts in what the placeholders stand for. @param quote as which literal the command stands there */
export function fillText(
  { hook: form = 'claude-code' }: AgentProfile,
  run: AgentPlace,
): (text: string, quote?: (value: string) => string) => string {
  const hook = [...run.hoop, 'prompt', '--hook', form].map(shellWord).join(' ');
  return (text, quote = (value) => value) =>
    text
      .replaceAll('{hook}', () => quote(hook))
      .replaceAll('{files}', () => filesOf(run))
      .replaceAll('{briefing}', () => run.briefing);
}

/** The prompt that is given on the command line to an agent without hooks. */
export function promptOf(profile: AgentProfile, command: readonly string[]): string | undefined {
  for (const [index, word] of command.entries()) {
    for (const option of profile.promptOptions) {
      const value = word === option ? command[index + 1] : undefined;
      const joined = word.startsWith(`${option}=`) ? word.slice(option.length + 1) : undefined;
      if (value !== undefined || joined !== undefined) {
        return value ?? joined;
      }
    }
  }
  return undefined;
}

/** Every text in it. */
export function filled(value: unknown, fill: (text: string) => string): unknown {
  if (typeof value === 'string') {
    return fill(value);
  }
  if (Array.isArray(value)) {
    return value.map((one) => filled(one, fill));
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => [name, filled(one, fill)]),
    );
  }
  return value;
}
