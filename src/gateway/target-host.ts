/** One place where a target can be reached. */
export interface TargetHost {
  readonly host: string;
  readonly port: number;
  /** How a client's error may call it. undefined: not at all, only the operator knows where it is. */
  readonly shown: string | undefined;
}

/** Whether it is the same place, whatever it is called by. */
export function isSameHost(
  one: Pick<TargetHost, 'host' | 'port'>,
  other: Pick<TargetHost, 'host' | 'port'>,
): boolean {
  return one.host === other.host && one.port === other.port;
}
