/** One place where a target can be reached. */
export interface TargetHost {
  readonly host: string;
  readonly port: number;
  /** How a client's error may call it. undefined: not at all, only the operator knows where it is. */
  readonly shown: string | undefined;
}

/** Whether it is the same place, whatever it is called by; names are the same in any case (RFC 4343). */
export function isSameHost(
  one: Pick<TargetHost, 'host' | 'port'>,
  other: Pick<TargetHost, 'host' | 'port'>,
): boolean {
  return one.host.toLowerCase() === other.host.toLowerCase() && one.port === other.port;
}
