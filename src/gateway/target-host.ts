/** One place where a target can be reached. */
export interface TargetHost {
  readonly host: string;
  readonly port: number;
  /** How a client's error may call it. undefined: not at all, only the operator knows where it is. */
  readonly shown: string | undefined;
}
