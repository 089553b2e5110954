/** What the server says that it ran (log_statement = all, on stderr). */

/** For startEmbeddedPostgres: each line begins with the process that wrote it. */
export const LOG_SETTINGS = {
  log_statement: 'all',
  log_line_prefix: '%p ',
  log_min_messages: 'log',
  log_min_error_statement: 'error',
  log_parameter_max_length: '0',
} as const;

export interface LoggedText {
  readonly processId: number;
  /** `statement`: run; `failed`: had reached the server when an error came of it. */
  readonly kind: 'statement' | 'failed';
  /** A Query and not a message of the extended protocol. */
  readonly isSimple: boolean;
  /** Statement and portal have the names that only the gateway gives, unless a client does too. */
  readonly isNamedProbe: boolean;
  readonly text: string;
}

/** A line that does not begin with a tab begins an entry: the server puts one behind each line feed. */
export function parseServerLog(log: string): readonly LoggedText[] {
  return log.split(/\n(?!\t)/).flatMap((entry) => {
    const parts =
      /^(?<pid>\d+) (?:LOG: {2}(?:(?<simple>statement)|execute (?:fetch from )?(?<name>[^:]+)): |(?<failed>STATEMENT): {2})(?<text>.*)$/s.exec(
        entry,
      );
    const { pid, simple, name, failed, text } = parts?.groups ?? {};
    if (pid === undefined || text === undefined) return [];
    return [
      {
        processId: Number(pid),
        kind: failed === undefined ? ('statement' as const) : ('failed' as const),
        isSimple: simple !== undefined,
        isNamedProbe: name === 'hoop_probe/hoop_probe',
        text: text.replaceAll('\n\t', '\n'),
      },
    ];
  });
}
