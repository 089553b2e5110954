/** Routes for what happens to a recording after its session: last cut, upload, bundle. */
import type { Hono } from 'hono';
import type { z } from 'zod';
import { type CutAckSchema, CutProposalSchema, type CutsReply } from '../../api/control.ts';
import { API_VERSION, PATHS } from '../../api/http.ts';
import { HoopError } from '../../errors.ts';
import { MAX_REPAIR_REQUEST } from '../../recording/client/repair.ts';
import { errorFields } from '../base/log.ts';
import type { AuditEvents } from '../events/audit-events.ts';
import { eventParty } from '../events/event-party.ts';
import type { Ctx, Env, Guards } from '../http/api-context.ts';
import { decodeText, readBody, readJson } from '../http/http-body.ts';
import { json, text } from '../http/http-replies.ts';
import type { Authenticated } from '../identity/identity.ts';
import { requireSession, type SessionRights } from '../sessions/access.ts';
import type { EndedRecordings } from '../sessions/ended-recordings.ts';
import type { Sessions } from '../sessions/sessions.ts';

const KIB = 1024;
const LIMITS = {
  /** A cut names each stream of the session. */
  cut: 1024 * KIB,
  /** A manifest names each cut: twelve hours of them are 5 MiB in base64. */
  manifest: 16 * 1024 * KIB,
} as const;

export interface RecordingRoutesOptions {
  readonly sessions: Sessions;
  readonly rights: SessionRights;
  readonly ended: EndedRecordings;
  readonly events: Pick<AuditEvents, 'write'>;
}

export function addRecordingRoutes(
  app: Hono<Env>,
  { alsoRuns, authenticated }: Guards,
  options: RecordingRoutesOptions,
): void {
  const { sessions, rights, ended } = options;
  const sessionOf = (c: Ctx, who: Authenticated, access: Parameters<typeof requireSession>[3]) =>
    requireSession(rights, who, c.req.param('id') ?? '', access);
  /** The recording of one's own session; waits for one that is just ending. */
  const endedOf = async (c: Ctx, who: Authenticated) => {
    const { id } = (await sessionOf(c, who, 'own')).summary;
    const live = sessions.find(id);
    if (live !== undefined && !live.isEnding) {
      throw new HoopError('HOOP_EVIDENCE_MISMATCH', 'the session has not ended yet', {
        hint: 'Cuts of a live session go through its control channel.',
      });
    }
    await live?.end('closed', 'the hoop session was closed by its owner');
    return id;
  };

  app.get(
    PATHS.cuts(':id'),
    alsoRuns(async (c, who) => {
      const { id } = (await sessionOf(c, who, 'own')).summary;
      if (sessions.find(id)?.isEnding === false) {
        const live: CutsReply = {
          v: API_VERSION,
          state: 'live',
          recorded: [],
          lost: [],
          agreed: 0,
        };
        return json(live);
      }
      await endedOf(c, who);
      await ended.opened(id);
      return json(await ended.use(id, (recording) => recording.position()));
    }),
  );
  app.post(
    PATHS.cuts(':id'),
    alsoRuns(async (c, who) => {
      const cut = await readJson(c.req.raw, CutProposalSchema, LIMITS.cut);
      const id = await endedOf(c, who);
      const outcome = await ended.use(id, (recording) => recording.acceptCut(cut));
      if (outcome.type === 'dispute') {
        throw new HoopError('HOOP_EVIDENCE_MISMATCH', 'the two recordings disagree', {
          detail: outcome.message,
        });
      }
      return json(outcome.ack satisfies z.infer<typeof CutAckSchema>);
    }),
  );
  app.post(
    PATHS.repair(':id'),
    alsoRuns(async (c, who) => {
      const id = await endedOf(c, who);
      // First whose it is and whether it takes any: 17 MiB are not read for less.
      await ended.use(id, (recording) => recording.requireRepairable());
      const pieces = await readBody(c.req.raw, MAX_REPAIR_REQUEST);
      const reply = await ended.use(id, (recording) => recording.repair(pieces));
      c.get('log').warn('session.repaired', { session: id, bytes: pieces.length });
      return json(reply);
    }),
  );
  app.post(
    PATHS.seal(':id'),
    alsoRuns(async (c, who) => {
      const id = await endedOf(c, who);
      return json(await ended.use(id, (recording) => recording.seal()));
    }),
  );
  app.post(
    PATHS.manifest(':id'),
    alsoRuns(async (c, who) => {
      const id = await endedOf(c, who);
      const envelope = decodeText(await readBody(c.req.raw, LIMITS.manifest));
      return text(await ended.countersign(id, envelope));
    }),
  );
  app.get(
    PATHS.bundle(':id'),
    authenticated(async (c, who) => {
      const found = await sessionOf(c, who, 'read');
      const { id } = found.summary;
      if (sessions.find(id) !== undefined) {
        throw new HoopError('HOOP_VERIFY_INCOMPLETE', 'the session is still live', {
          hint: 'Its recording can be downloaded once it has ended and the client has uploaded its part.',
        });
      }
      await ended.opened(id);
      // Nothing of it is handed out before the event is written, and no event tells of a reading
      // that could not begin.
      const { size, parts } = await ended.bundle(id);
      await options.events.write({
        type: 'recording.read',
        who: { issuer: found.issuer, sub: found.sub, name: found.summary.principal },
        by: eventParty(who.principal),
        ...{ from: who.from, target: found.summary.target, session: id, run: found.summary.run },
      });
      const log = c.get('log').with({ session: id, by: who.principal.name });
      log.info('bundle.read');
      const brokenOff = (error: unknown) => {
        log.error('bundle.broken_off', errorFields(error));
        // Its length was announced: only a closed connection says that there is no more of it.
        c.env?.incoming?.socket.destroy();
      };
      return new Response(ReadableStream.from(untilFailure(parts, brokenOff)), {
        headers: { 'content-type': 'application/x-tar', 'content-length': String(size) },
      });
    }),
  );
}

/** Ends where reading fails: an error of a reply's body would be printed as it is, not logged. */
async function* untilFailure(
  parts: AsyncIterable<Uint8Array>,
  onFailure: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* parts;
  } catch (error) {
    onFailure(error);
  }
}
