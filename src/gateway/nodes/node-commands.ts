/** What a node asks another one to do with a session that it has: to end it. Asked twice is once. */
import { EventParty } from '../../api/events.ts';
import type { EndReason } from '../../recording/formats/types.ts';
import {
  all,
  change,
  nullable,
  optionalText,
  type Store,
  sql,
  text,
  type Work,
} from '../store/store.ts';
import { tellNodes } from './node-changes.ts';

export interface EndCommand {
  readonly session: string;
  readonly reason: EndReason;
  readonly message: string;
  /** undefined: written by a node of the version before */
  readonly by?: EventParty | undefined;
}

/** A session lives no longer; what nobody took by then, its node has not lived to take. */
const KEEP_MS = 7 * 86_400_000;

export class NodeCommands {
  readonly #store: Store;
  readonly #node: string;
  readonly #clock: () => number;

  /** @param node id of this one */
  constructor(store: Store, node: string, clock: () => number) {
    this.#store = store;
    this.#node = node;
    this.#clock = clock;
  }

  /** @param node id of whose it is */
  async end(node: string, { session, reason, message, by }: EndCommand): Promise<void> {
    const nowMs = this.#clock();
    const endedBy = nullable(by && JSON.stringify(by));
    await this.#store.transaction(function* () {
      yield* change(FORGET, { beforeMs: nowMs - KEEP_MS });
      yield* change(ADD, { session, node, reason, message, endedBy, nowMs });
      yield* tellNodes('commands');
    });
  }

  /** Those for this node; they are gone when `act` has returned for them. */
  async take(act: (command: EndCommand) => void): Promise<void> {
    const node = this.#node;
    const commands = await this.#store.transaction(function* (): Work<EndCommand[]> {
      return (yield* all(MINE, { node })).map((row) => ({
        session: text(row['session']),
        // Written by `end`.
        reason: text(row['end_reason']) as EndReason,
        message: text(row['end_message']),
        by: partyOf(optionalText(row['ended_by'])),
      }));
    });
    for (const command of commands) {
      act(command);
      await this.#store.change(DONE, { session: command.session });
    }
  }
}

/** A newer node may name somebody in a way that is not known here: the session ends all the same. */
function partyOf(json: string | undefined): EventParty | undefined {
  return json === undefined ? undefined : EventParty.safeParse(JSON.parse(json)).data;
}

const ADD = sql(
  `INSERT INTO node_commands (session, node, end_reason, end_message, ended_by, created_ms)
   VALUES ($session, $node, $reason, $message, $endedBy, $nowMs) ON CONFLICT (session) DO NOTHING`,
);
const MINE = sql('SELECT * FROM node_commands WHERE node = $node ORDER BY created_ms');
const DONE = sql('DELETE FROM node_commands WHERE session = $session');
const FORGET = sql('DELETE FROM node_commands WHERE created_ms < $beforeMs');
