import { Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { errorCode } from '../../../error-code.ts';
import { HoopError } from '../../../errors.ts';
import { onAbort } from '../../../until.ts';

/** From the question to the last answer, all servers and tries. */
const TIMEOUT_MS = 5000;
const TRY_TIMEOUT_MS = 1500;
const TRIES = 2;
/** Of one name; each of them may be dialled. */
const MAX_ADDRESSES = 8;

export interface NameResolver {
  /** @returns addresses in the order in which they are tried; none: there is no such name. */
  resolve(name: string, signal: AbortSignal): Promise<readonly string[]>;
}

export interface NameResolverOptions {
  /** Instead of those of the system; `127.0.0.1:5300`. */
  readonly servers?: readonly string[];
  readonly hostsFile?: string;
}

/**
 * Asks DNS with c-ares and not with getaddrinfo: that one blocks a thread of the pool that recordings
 * are written with, for as long as somebody's name server likes. So the search list of resolv.conf
 * does not count, and the hosts file is read here.
 */
export function systemResolver(options: NameResolverOptions = {}): NameResolver {
  const { servers, hostsFile = '/etc/hosts' } = options;
  return {
    async resolve(name, signal) {
      const named = fromHosts(await readHosts(hostsFile), name);
      if (named.length > 0) {
        return named;
      }
      const resolver = new Resolver({ timeout: TRY_TIMEOUT_MS, tries: TRIES });
      if (servers !== undefined) {
        resolver.setServers(servers);
      }
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
      deadline.throwIfAborted();
      using _ = onAbort(deadline, () => resolver.cancel());
      const answers = await Promise.all([
        orNone(resolver.resolve4(name), name),
        orNone(resolver.resolve6(name), name),
      ]);
      return answers.flat().slice(0, MAX_ADDRESSES);
    },
  };
}

/** A name that has addresses of one family only is an everyday name. */
async function orNone(
  answer: Promise<readonly string[]>,
  name: string,
): Promise<readonly string[]> {
  try {
    return await answer;
  } catch (cause) {
    const code = errorCode(cause);
    if (code === 'ENOTFOUND' || code === 'ENODATA') {
      return [];
    }
    throw new HoopError('HOOP_TARGET_UNREACHABLE', `cannot resolve "${name}" on the gateway`, {
      detail:
        code === 'ETIMEOUT' || code === 'ECANCELLED'
          ? 'No name server answered in time.'
          : `The name server answers ${code ?? 'with an error'}.`,
      cause,
    });
  }
}

async function readHosts(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    // Systems without one have DNS alone.
    return '';
  }
}

function fromHosts(text: string, name: string): string[] {
  return text.split('\n').flatMap((line) => {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const isIt = names.some((known) => known.toLowerCase() === name);
    return address === undefined || !isIt ? [] : [address];
  });
}
