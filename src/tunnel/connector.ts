/**
 * What the client needs of a protocol: how programs of this machine reach targets of one kind.
 * Connectors implement it; who opens sessions is handed them, and nothing here knows one by name.
 */
import { HoopError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import type { StreamKind } from '../stream-kinds.ts';
import type { Tunnel } from './half-close.ts';
import type { LocalListener } from './local-listener.ts';
import type { RefusalReason } from './local-refusal.ts';

/** An entry of connectors/registry.ts, as far as the client uses it. */
export interface ClientEntry {
  /** Of targets. */
  readonly kind: string;
  /** Absent: targets of this kind cannot be reached with a client of this machine. */
  readonly client?: (() => Promise<ClientConnector>) | undefined;
}

export interface ClientConnector {
  /** What people call such a target: `a database`. */
  readonly noun: string;
  readonly briefing: BriefingWords;
  open(place: LocalPlace): LocalOffer;
}

/** Where programs find what they need. */
export interface LocalPlace {
  /** 0700, ours alone, empty at the start. */
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
  /** Words that run this program. */
  readonly self: readonly string[];
  /** Lets programs in, also after a restart; absent: nothing of the address need last. */
  readonly secret?: Secret<string> | undefined;
}

/** Targets of one kind, as they are offered to programs of this machine. */
export interface LocalOffer {
  /** @throws HoopError HOOP_USAGE for what has no meaning here, HOOP_LOCAL_PORT */
  serve(target: ServedTarget): Promise<SessionPort>;
  /**
   * How a program finds those that are served; its files are written once.
   * @param isNamed the first target is meant where a program names none
   * @throws HoopError HOOP_LOCAL_PORT a name that cannot stand in a file
   */
  endpoint(isNamed: boolean): Endpoint;
  /** Of the first: what `hoop connect` says. @param form what a person wants to paste */
  told(form: 'url' | 'words'): Told;
}

export interface ServedTarget {
  readonly target: TargetFacts;
  /** Bound already; nobody else serves it. */
  readonly listener: LocalListener;
  readonly openTunnel: OpenTunnel;
  /** TLS on the port, with a certificate until then (milliseconds since 1970); absent: none. */
  readonly tlsUntil?: number | undefined;
  /** Users of this machine, beside the own one, who may connect. */
  readonly allowedUids?: readonly number[] | undefined;
  readonly onRefused?: ((reason: RefusalReason) => void) | undefined;
  /** What a client of the port does not tell, or not well. */
  /** @param isTold the client of the connection has been given the same words */
  readonly onNote?: ((text: string, isTold?: boolean) => void) | undefined;
}

/** What the gateway says of a target; all but its name is the connector's to read. */
export interface TargetFacts {
  readonly name: string;
  readonly [fact: string]: unknown;
}

export interface Endpoint {
  /** Variables that lead a program there. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether a variable would lead a program elsewhere; absent: none does. */
  hides?(variable: string): boolean;
  /** By target, of those that have one. */
  readonly urls: ReadonlyMap<string, string>;
  /** The target of a program that names none. */
  readonly main?: string | undefined;
  /** For whoever set it up. */
  readonly notes?: readonly string[];
}

export interface Told {
  /** For programs. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** What lets a program in; logs may live longer than the session. */
  readonly secrets?: Readonly<Record<string, unknown>>;
  /** Columns of its results can be masked: also that none is, is worth saying. */
  readonly hasMasks?: boolean;
  readonly before?: readonly string[];
  /** To be pasted. */
  readonly line: string;
  readonly after?: readonly string[];
}

/** What an agent has to know of targets of this kind, as Markdown. */
export interface BriefingWords {
  /** Of a briefing about such targets alone. */
  readonly title: string;
  /** Before `recorded and signed`. */
  readonly recorded: string;
  /** One line. */
  way(target: {
    readonly name: string;
    readonly database: string | undefined;
    readonly connect: { readonly urlVariable: string | undefined; readonly isDefault: boolean };
  }): string;
  /** A section. */
  readonly denials: string;
}

export type OpenTunnel = (kind: StreamKind, signal: AbortSignal) => Promise<Tunnel>;

export type AttachPort = (openTunnel: OpenTunnel) => SessionPort;

/** What a session needs of the port that its connections come from. */
export interface SessionPort {
  /** How often, by reason, since the port was opened. */
  readonly refused: ReadonlyMap<RefusalReason, number>;
  /** No new connections; those that are logged in go on. */
  stopAccepting(): void;
  /** Ends all connections; their clients are told the reason. */
  close(reason?: HoopError): Promise<void>;
}

/** @throws HoopError HOOP_USAGE nothing here knows such targets */
export async function clientConnector(
  entries: readonly ClientEntry[],
  { kind, name }: { readonly kind: string; readonly name: string },
): Promise<ClientConnector> {
  const entry = entries.find((one) => one.kind === kind);
  if (entry?.client === undefined) {
    const known = entries.filter(({ client }) => client !== undefined).map((one) => one.kind);
    throw new HoopError(
      'HOOP_USAGE',
      `"${name}" is of kind "${kind}", which this hoop cannot connect to`,
      {
        detail: `This version connects to targets of kind ${known.join(', ')}.`,
        hint: 'Install a newer version of hoop.',
      },
    );
  }
  return entry.client();
}
