/**
 * Which profile a run has. A profile lets hosts through and decides what an agent keeps, so it comes
 * from hoop or from the person: never from a directory in which somebody works.
 */
import { lstatSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { HoopError } from '../../errors.ts';
import { type Home, isMissing } from '../../home.ts';
import { isBelow } from '../fence/is-below.ts';
import { readKnown } from '../fence/known-places.ts';
import { AgentProfile } from './agent-profile.ts';
import { BUILT_IN_NAMES, builtInProfile } from './built-in-profiles.ts';

const MAX_PROFILE_BYTES = 256 * 1024;

export interface ProfileChoice {
  /** `--profile`: a name or a file; false: none. */
  readonly profile: string | false | undefined;
  readonly command: readonly string[];
  readonly cwd: string;
  readonly home: Pick<Home, 'config' | 'state'>;
}

/**
 * @returns undefined: none is known for this command
 * @throws HoopError HOOP_USAGE
 */
export async function findProfile(choice: ProfileChoice): Promise<AgentProfile | undefined> {
  const { profile, command, home } = choice;
  if (profile === false) {
    return undefined;
  }
  if (profile !== undefined && /[/.]/.test(profile)) {
    return parseProfile(trustedFile(resolve(choice.cwd, profile), choice));
  }
  const program = basename(command[0] ?? '').replace(/\.(exe|cmd)$/, '');
  const is = (name: string, commands: readonly string[]): boolean =>
    profile === undefined ? commands.includes(program) : name === profile;
  const own = await ownProfile(join(home.config, 'agents'), is, choice);
  const found = own ?? builtInProfile(is);
  if (found === undefined && profile !== undefined) {
    throw new HoopError('HOOP_USAGE', `there is no profile "${profile}"`, {
      hint: `hoop knows ${BUILT_IN_NAMES.join(', ')}; put others into "${join(home.config, 'agents')}", or name a file with --profile ./FILE.yaml.`,
    });
  }
  return found;
}

/** What the person has written goes before what hoop brings. */
async function ownProfile(
  directory: string,
  is: (name: string, commands: readonly string[]) => boolean,
  choice: ProfileChoice,
): Promise<AgentProfile | undefined> {
  for (const file of filesIn(directory)) {
    const profile = await parseProfile(trustedFile(join(directory, file), choice));
    if (is(profile.name, profile.commands)) {
      return profile;
    }
  }
  return undefined;
}

function filesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((name) => /\.ya?ml$/.test(name))
      .sort();
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw error;
  }
}

/** Who works in a directory, or has let a fenced command write there, did not write all that is in it. */
function trustedFile(path: string, { cwd, home }: ProfileChoice): string {
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    throw new HoopError('HOOP_USAGE', `there is no profile file "${path}"`);
  }
  const places = [realpathSync(cwd), ...readKnown([home]).places.map((place) => place.path)];
  const own = realpathSync(home.config);
  if (places.some((place) => isBelow(real, place)) && !isBelow(real, own)) {
    throw new HoopError('HOOP_USAGE', `the profile "${path}" is not trusted`, {
      detail:
        'It is in the working directory, or where a fenced command could write: an agent may have written it.',
      hint: `Put it into "${join(home.config, 'agents')}".`,
    });
  }
  if (lstatSync(real).size > MAX_PROFILE_BYTES) {
    throw new HoopError('HOOP_USAGE', `the file "${path}" is too large for a profile`);
  }
  return real;
}

async function parseProfile(path: string): Promise<AgentProfile> {
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new HoopError('HOOP_USAGE', `"${path}" is not YAML`, { cause });
  }
  const parsed = AgentProfile.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new HoopError('HOOP_USAGE', `"${path}" is not an agent profile`, {
      detail: `At ${issue?.path.join('.') || 'the top'}: ${issue?.message ?? 'unknown'}.`,
      hint: 'docs/agents.md lists every key.',
    });
  }
  return parsed.data;
}
