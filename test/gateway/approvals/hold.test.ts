/** What is held, whatever its protocol: who comes first when several things happen at once. */
import { beforeEach, expect, test } from 'vitest';
import { HoopError } from '../../../src/errors.ts';
import type {
  ApprovalStanding,
  AskedApproval,
} from '../../../src/gateway/approvals/asked-approval.ts';
import type { HeldAsk } from '../../../src/gateway/approvals/session-approvals.ts';
import { RecordingFailed } from '../../../src/gateway/audit/stream-audit.ts';
import { Hold, type HoldOptions } from '../../../src/gateway/holds/hold.ts';
import { HOLD_MANNER } from '../../../src/gateway/holds/hold-texts.ts';
import type { ApprovalDemand } from '../../../src/policy/types.ts';

interface Ask extends HeldAsk {
  readonly text: string;
}

const DEMAND: ApprovalDemand = {
  rule: { id: 'p/held', file: 'policies/p.yaml', line: 3 },
  terms: { groups: ['leads'], count: 1, timeoutSeconds: 60, waits: true, maxHoldSeconds: 30 },
  hint: undefined,
};
const ASK: Ask = { text: 'drop it', demands: [DEMAND], policyCommit: 'c0ffee' };
const WAITING: ApprovalStanding = { state: 'waiting', outcome: undefined, votes: [] };
const APPROVED: ApprovalStanding = { ...WAITING, state: 'approved' };

/** What became of it, in turn. */
let log: string[];
let decided: PromiseWithResolvers<ApprovalStanding>;
let commit: PromiseWithResolvers<void>;
let generation: string;

beforeEach(() => {
  log = [];
  decided = Promise.withResolvers();
  commit = Promise.withResolvers();
  generation = 'g1';
});

function asked(changes: Partial<AskedApproval> = {}): AskedApproval {
  return {
    id: 'r1',
    binding: ASK.text,
    standing: WAITING,
    waitsUntilMs: 0,
    waits: true,
    isKept: false,
    lacking: [],
    decided: decided.promise,
    policyChanged: () => commit.promise,
    use: async () => {
      log.push('use');
      return APPROVED;
    },
    isUsed: async () => false,
    end: async (state) => void log.push(`end ${state}`),
    leave: async () => void log.push('leave'),
    ...changes,
  };
}

function hold(
  changes: Partial<HoldOptions<Ask, string, AskedApproval>> = {},
  request = asked(),
): Hold<Ask, string> {
  return new Hold({
    at: 0,
    approvals: { ask: async () => request, bindingOf: ({ text }) => text, viewOf: () => [] },
    audit: {
      held: () => void log.push('held'),
      holdEnded: (_at, _id, { outcome }) => void log.push(outcome),
      write: () => undefined,
    },
    words: ({ text }) => ({ manner: HOLD_MANNER, what: text }),
    again: async (ask) => ({ ask, now: 'verdict' }),
    generation: () => generation,
    tell: ({ message }) => void log.push(message),
    ...changes,
  });
}

test('is said, decided again and used up once, in this order', async () => {
  const again = async (ask: Ask) => {
    log.push('again');
    return { ask, now: 'verdict of now' };
  };
  decided.resolve(APPROVED);
  expect(await hold({ again }).pass(ASK)).toMatchObject({
    type: 'released',
    now: 'verdict of now',
  });
  const said = 'drop it is held for approval, request r1';
  expect(log).toEqual(['held', said, 'again', 'use', 'released']);
});

test('who leaves while it is decided again takes it along, whatever is decided', async () => {
  const one: Hold<Ask, string> = hold({
    again: async () => {
      one.withdraw('gone');
      return undefined;
    },
  });
  decided.resolve(APPROVED);
  expect(await one.pass(ASK)).toEqual({ type: 'withdrawn' });
  expect(log.slice(2)).toEqual(['leave', 'withdrawn']);
});

test('what waits too long is answered, and its request stays where it is kept', async () => {
  const one = hold({}, asked({ isKept: true }));
  one.stopWaiting('locks were held too long');
  expect(await one.pass(ASK)).toMatchObject({
    type: 'refused',
    refusal: { code: 'HOOP_APPROVAL_PENDING' },
  });
  expect(log.slice(2)).toEqual(['leave', 'kept']);
});

test('a commit decides it again: the very same waits on, another one is void', async () => {
  let text = ASK.text;
  const one = hold({
    again: async (ask) => {
      log.push('again');
      return { ask: { ...ask, text }, now: 'verdict' };
    },
  });
  const passed = one.pass(ASK);
  // It has been told, and so it listens.
  await expect.poll(() => log.length).toBe(2);
  const first = commit;
  commit = Promise.withResolvers();
  first.resolve();
  await expect.poll(() => log.slice(2)).toEqual(['again']);
  text = 'drop all';
  commit.resolve();
  expect(await passed).toMatchObject({
    type: 'refused',
    refusal: { code: 'HOOP_APPROVAL_VOID', detail: 'Request r1: the policy has changed.' },
  });
  expect(log.slice(2)).toEqual(['again', 'again', 'end void', 'void']);
});

test('nothing is released that somebody left, or a commit changed, while its approval was used', async () => {
  decided.resolve(APPROVED);
  const changing = asked({
    use: async () => {
      generation = 'g2';
      return APPROVED;
    },
  });
  expect(await hold({}, changing).pass(ASK)).toMatchObject({ type: 'refused' });
  const one: Hold<Ask, string> = hold(
    {},
    asked({
      use: async () => {
        one.withdraw('gone');
        return APPROVED;
      },
    }),
  );
  expect(await one.pass(ASK)).toEqual({ type: 'withdrawn' });
  expect(log).not.toContain('released');
});

test.each([
  [false, 'withdrawn'],
  [true, 'kept'],
])(
  'what cannot be used up because the store is away has an end on record (kept: %s)',
  async (isKept, end) => {
    decided.resolve(APPROVED);
    const away = new HoopError('HOOP_STORE_UNAVAILABLE', 'the store does not answer');
    const failing = asked({ isKept, use: () => Promise.reject(away) });
    await expect(hold({}, failing).pass(ASK)).rejects.toBe(away);
    expect(log.slice(2)).toEqual(['leave', end]);
  },
);

test('what cannot be recorded is not told to the record once more', async () => {
  const failed = new RecordingFailed(new Error('no space'));
  const again = () => Promise.reject(failed);
  decided.resolve(APPROVED);
  await expect(hold({ again }).pass(ASK)).rejects.toBe(failed);
  expect(log.slice(2)).toEqual(['leave']);
});

test('what was approved before for less is asked for anew', async () => {
  const before = asked({ standing: APPROVED });
  const refused = await hold({ lacks: () => 'it was for fewer' }, before).pass(ASK);
  expect(refused).toMatchObject({ refusal: { detail: 'Request r1: it was for fewer.' } });
  expect(log).toEqual([]);
});

test.each([
  ['HOOP_LIMIT', 'HOOP_LIMIT', 'Wait for decisions'],
  ['HOOP_STORE_UNAVAILABLE', 'HOOP_APPROVAL_UNAVAILABLE', 'Tell whoever runs the gateway'],
] as const)(
  'where nobody can be asked (%s) it is refused, and says what to do',
  async (thrown, code, hint) => {
    const ask = async () => {
      throw new HoopError(thrown, 'it is so');
    };
    const one = hold({ approvals: { ask, bindingOf: ({ text }) => text, viewOf: () => [] } });
    expect(await one.pass(ASK)).toMatchObject({
      type: 'refused',
      refusal: { code, hint: expect.stringContaining(hint) },
    });
    expect(log).toEqual([]);
  },
);
