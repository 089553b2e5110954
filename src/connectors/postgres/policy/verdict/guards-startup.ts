/** Parameters of the StartupMessage: each is a SET that no statement shows. */
import { grantSides } from '../../../../policy/grant-sides.ts';
import type { Grant } from '../../../../policy/types.ts';
import type { SqlRefusal } from '../facts/types.ts';
import { sqlRefusal } from './evaluate-refusal.ts';
import { builtin, guardSetting } from './guards.ts';

/** Not settings. Protocol extensions (`_pq_.…`) are negotiated by the gateway itself. */
const NOT_SETTINGS = /^(user|database|replication|options|_pq_\..*)$/;

/**
 * @param parameters - As the client sent them.
 * @returns why the connection must not be opened like this. Everything goes under passthrough
 * but replication, which is no SQL at all.
 */
export function refuseStartupParameters(
  parameters: ReadonlyMap<string, string>,
  grant: Grant,
): SqlRefusal | undefined {
  const replication = parameters.get('replication');
  if (replication !== undefined && !/^(false|off|no|0|f|n)$/i.test(replication)) {
    return refuse(
      'replication connections are not allowed',
      'They carry no SQL that policy could check.',
    );
  }
  if (grant.passthrough) {
    return undefined;
  }
  const options = startupOptions(parameters.get('options') ?? '');
  if (!options) {
    return refuse(
      'startup options cannot be parsed',
      'Only "-c name=value" and "--name=value" are.',
      'Use SET after the connection is open.',
    );
  }
  for (const [name, value] of [...parameters, ...options]) {
    if (NOT_SETTINGS.test(name)) {
      continue;
    }
    for (const side of grantSides(grant)) {
      const refusal = guardSetting(name, value, side);
      if (refusal) {
        return refusal;
      }
    }
  }
  return undefined;
}

/**
 * Words are split at white space, a backslash keeps the next character (pg_split_opts). White space
 * is what isspace() of C says: the blanks of Unicode are part of a word.
 * @returns undefined when there is any other switch: some change more than a setting.
 * https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
 */
export function startupOptions(text: string): [string, string][] | undefined {
  const words = [...text.matchAll(/(?:\\[\s\S]|[^\\ \t\n\v\f\r])+|\\$/g)].map(([word]) =>
    word.replace(/\\([\s\S])/g, '$1'),
  );
  const options: [string, string][] = [];
  while (words.length > 0) {
    let word = words.shift() ?? '';
    if (word === '-c' || word === '--') {
      word = `-c${words.shift() ?? ''}`;
    }
    const parts = /^(?:-c|--)([A-Za-z_][A-Za-z0-9_.-]*)=([\s\S]*)$/.exec(word);
    if (!parts) {
      return undefined;
    }
    // The server takes dashes for underscores.
    options.push([(parts[1] ?? '').replaceAll('-', '_'), parts[2] ?? '']);
  }
  return options;
}

function refuse(message: string, detail: string, hint?: string): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_SETTING',
    message,
    detail,
    hint,
    rule: builtin('startup'),
  });
}
