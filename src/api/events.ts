/**
 * What happened at a gateway, for people and for programs that watch it: who, when, where, decided
 * how. No SQL, no values, no tokens, no prompts, no words that somebody typed; docs/events.md.
 *
 * Version 1 may get more types, and more members in each: a reader passes over what it does not know.
 */
import * as z from 'zod';
import { API_VERSION } from './http.ts';

export const EVENTS_PATH = '/v1/events';
/** Of one reply. */
export const MAX_EVENTS = 1000;
/** How long a request may wait for something new. */
export const MAX_EVENTS_WAIT_SECONDS = 25;

const Name = z.string();
const Code = z.string().regex(/^HOOP_[A-Z_]+$/);
const Count = z.number().int().min(0);
const Time = z.iso.datetime();

/** Somebody who has logged in. Issuer and sub stay the same; the name is for people to read. */
export const EventParty = z.object({
  kind: z.enum(['person', 'workload']).optional(),
  issuer: z.string(),
  sub: z.string(),
  name: Name,
  /** That acts for them, or, with agentItself, that they are. */
  agent: Name.optional(),
  agentItself: z.literal(true).optional(),
  /** For whom a workload works, as its issuer says. */
  requester: Name.optional(),
});

const COMMON = {
  v: z.literal(API_VERSION),
  /** Its place in the order, and what a reader goes on from. No two events have the same. */
  cursor: z.string(),
  time: Time,
  /** Name of the gateway, and which of several processes it was. */
  gateway: Name,
  node: z.string().optional(),
  term: Count.optional(),
  /** Whose login, session or request it is. */
  who: EventParty.optional(),
  /** Who did it, where that is somebody else. */
  by: EventParty.optional(),
  /** Address that the request came from. */
  from: z.string().optional(),
  target: Name.optional(),
  session: z.string().optional(),
  run: z.string().optional(),
  /** Id of a request that waits for a person, and of the access that it gave. */
  request: z.string().optional(),
  /** Of the policy. */
  commit: z.string().optional(),
};

/** How often, from when on, where one event stands for many of a burst. Absent: once. */
const MANY = { count: Count.optional(), since: Time.optional() };
/** Of a login; the same in each event about it. It opens nothing. */
const LOGIN = { login: z.string().optional() };
/** killed: by somebody else's word. reused: two clients had it. refused: nobody was given it. */
const LoginEnd = z.enum(['logout', 'ended', 'killed', 'blocked', 'provider', 'reused', 'refused']);
const REFUSED_OPERATION = {
  ...MANY,
  code: z.string().optional(),
  /** Ids of the rules of the policy that decided. */
  rules: z.array(z.string()).optional(),
  /** Where it is in the recording. */
  stream: Count.optional(),
  statement: Count.optional(),
};

/** What each type has beside the members that all may have. */
export const EVENT_TYPES = {
  'gateway.started': { version: z.string() },
  'gateway.stopped': {},
  /** What it had left behind was ended: its sessions, and requests that were of a connection. */
  'node.taken_over': { taken: z.string(), sessions: Count, requests: Count },
  'policy.in_force': { signer: z.string() },
  'policy.refused': { ...MANY, code: Code.optional() },
  login: LOGIN,
  'login.refused': { ...MANY, code: Code.optional() },
  'login.ended': { ...LOGIN, how: LoginEnd },
  'run.begin': { ...LOGIN, parentRun: z.string().optional(), program: Name.optional() },
  'run.end': { ...LOGIN, how: LoginEnd },
  'session.begin': { ...LOGIN, kind: z.string(), recording: z.string(), expires: Time },
  'session.refused': { ...MANY, code: Code.optional() },
  'session.end': {
    reason: z.string(),
    upBytes: Count,
    downBytes: Count,
    statements: Count,
    denied: Count,
    maskedValues: Count,
  },
  'statement.refused': REFUSED_OPERATION,
  'act.refused': REFUSED_OPERATION,
  'approval.requested': { kind: z.string() },
  'approval.voted': { kind: z.string(), decision: z.enum(['approve', 'deny']) },
  'approval.state': { kind: z.string(), state: z.string() },
  'access.given': { policy: Name, expires: Time },
  'access.ended': { policy: Name, how: z.string() },
  'access.blocked': { block: z.string(), kind: z.string(), expires: Time.optional() },
  'access.unblocked': { block: z.string() },
  'recording.complete': { signed: z.enum(['both', 'gateway']), manifestSha256: z.string() },
  'recording.read': {},
  'recording.searched': { sessions: z.array(z.string()) },
  /** Reserved: nothing tells it yet. */
  'recording.verified': {},
  'recording.erased': {},
  alert: {},
} as const satisfies Readonly<Record<string, z.ZodRawShape>>;

export type EventType = keyof typeof EVENT_TYPES;
export const EVENT_NAMES = Object.keys(EVENT_TYPES) as readonly EventType[];

type Common = z.infer<z.ZodObject<typeof COMMON>>;
type Shape<T extends EventType> = (typeof EVENT_TYPES)[T];
type OwnOf<T extends EventType> = keyof Shape<T> extends never
  ? unknown
  : z.infer<z.ZodObject<Shape<T>>>;
export type AuditEvent = {
  [T in EventType]: Common & OwnOf<T> & { readonly type: T };
}[EventType];
export type EventParty = z.infer<typeof EventParty>;

function schemaOf<T extends EventType>(type: T) {
  return z.object({ ...COMMON, type: z.literal(type), ...EVENT_TYPES[type] });
}

/** Of the version of this program: for its own tests, and as the published schema. */
export const AuditEventSchema = z.union(EVENT_NAMES.map(schemaOf));

/** As a reader takes it: types and members that it does not know are there, too. */
export const ReadEvent = z.looseObject({ ...COMMON, type: z.string() });
export type ReadEvent = z.infer<typeof ReadEvent>;

/** JSON Schema 2020-12, as schema/event.schema.json has it. */
export function eventJsonSchema(): Record<string, unknown> {
  return {
    title: 'a line of hoop gateway events',
    ...z.toJSONSchema(AuditEventSchema, { io: 'input', target: 'draft-2020-12' }),
  };
}

export const EVENT_CURSOR = /^[0-9a-f]{8}(\.[0-9a-z]{1,11}){3}$/;

export const EventsQuery = z.object({
  /** From there on: after the event with this cursor. */
  after: z.string().regex(EVENT_CURSOR).optional(),
  /** From this time on, RFC 3339. */
  since: z.iso.datetime({ offset: true }).optional(),
  /** So many of the newest, where neither is given. */
  newest: z.coerce.number().int().min(0).max(MAX_EVENTS).optional(),
  /** Separated by commas; `session.*` is all of a kind. */
  type: z.string().max(1000).optional(),
  session: z.string().max(100).optional(),
  /** Name or sub of the party it is about, or that did it; also of its agent, or of its requester. */
  user: z.string().max(320).optional(),
  limit: z.coerce.number().int().min(1).max(MAX_EVENTS).default(MAX_EVENTS),
  /** Seconds that the answer may wait for an event. */
  wait: z.coerce.number().int().min(0).max(MAX_EVENTS_WAIT_SECONDS).default(0),
});

export type EventsQuery = z.infer<typeof EventsQuery>;

export const EventsReply = z.object({
  v: z.literal(API_VERSION),
  events: z.array(ReadEvent),
  /** To ask for what follows, also where none of what was looked at is among `events`. */
  cursor: z.string(),
  /** There is more by now. */
  more: z.boolean(),
  /** What is older than that is no longer kept, and was asked for. */
  forgottenUntil: Time.optional(),
  /** Of `newest`: older ones were not looked at. */
  lookedBackTo: Time.optional(),
});
export type EventsReply = z.infer<typeof EventsReply>;
