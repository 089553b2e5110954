import { describe, expect, test } from 'vitest';
import { type ApprovalsFrame, approvalsFrame } from '../../src/ui/approvals/approvals-frame.ts';
import {
  type ApprovalsKey,
  type ApprovalsState,
  type Decision,
  decisionArrived,
  FIRST_STATE,
  listArrived,
  missingWhole,
  pressApprovalsKey,
  selectedApproval,
  typeReason,
  wholeArrived,
} from '../../src/ui/approvals/approvals-state.ts';
import { styleFor } from '../../src/ui/text/style.ts';
import { textWidth } from '../../src/ui/text/text-width.ts';
import { accessRequest, heldStatement, NOW_MS } from './made-approval.ts';

const HELD = heldStatement();
const ACCESS = accessRequest();
const OWN = heldStatement({ id: '3333mq9xw2c4', mayDecide: false });
const LOADED = listArrived(FIRST_STATE, [HELD, ACCESS, OWN]);

function frame(state: ApprovalsState, size = { columns: 80, rows: 24 }): ApprovalsFrame {
  return approvalsFrame(state, size, styleFor(false), NOW_MS);
}

function press(state: ApprovalsState, ...keys: ApprovalsKey[]): ApprovalsState {
  return keys.reduce((now, key) => pressApprovalsKey(now, key, frame(now).page).state, state);
}

function sent(state: ApprovalsState, key: ApprovalsKey): Decision | undefined {
  return pressApprovalsKey(state, key, frame(state).page).send;
}

describe('the frame', () => {
  test.each([
    { columns: 80, rows: 24 },
    { columns: 120, rows: 40 },
    { columns: 40, rows: 12 },
    { columns: 61, rows: 13 },
  ])('fills $columns x $rows exactly in every state', (size) => {
    const states = [
      FIRST_STATE,
      listArrived(FIRST_STATE, []),
      LOADED,
      press(LOADED, 'down'),
      press(LOADED, 'help'),
      typeReason(press(LOADED, 'deny'), 'x'.repeat(300)),
      press(LOADED, 'approve', 'enter'),
      { ...LOADED, trouble: 'cannot reach the gateway'.repeat(9) },
    ];
    for (const state of states) {
      const { lines } = frame(state, size);
      expect(lines.length).toBe(size.rows);
      expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(size.columns);
    }
  });

  test('shows the list, what is selected, and no control character', () => {
    const text = frame(LOADED).lines.join('\n');
    expect(text).toContain('Approvals: 3 waiting, 2 for you to decide');
    expect(text).toMatch(/▶ ● waiting +devin for eve@exa… DELETE FROM .* 14 min$/m);
    expect(text).toContain('touches    delete on public.orders');
    // biome-ignore format: one class
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  test('the keys at the bottom are those that do something', () => {
    const keys = (state: ApprovalsState): string | undefined => frame(state).lines.at(-1);
    expect(keys(LOADED)).toBe('↑↓ select  a approve  d deny  [ ] scroll  ? help  q quit');
    expect(keys(press(LOADED, 'last'))).toBe('↑↓ select  [ ] scroll  ? help  q quit');
    expect(keys(listArrived(FIRST_STATE, []))).toBe('? help  q quit');
    expect(keys(press(LOADED, 'help'))).toBe('any key: back  q quit');
  });

  test('colour changes no word', () => {
    const colored = approvalsFrame(LOADED, { columns: 80, rows: 24 }, styleFor(true), NOW_MS);
    const bare = colored.lines.map((line) => line.replace(/\x1b\[\d+m/g, ''));
    expect(bare).toEqual(frame(LOADED).lines);
  });
});

describe('deciding', () => {
  test('a and Enter approve what is selected, d needs a reason', () => {
    const approving = press(LOADED, 'approve');
    expect(frame(approving).lines.at(-2)).toContain('Approve. Reason (optional): ▏');
    expect(sent(approving, 'enter')).toEqual({
      decision: 'approve',
      approval: HELD,
      reason: undefined,
    });
    const denying = press(LOADED, 'down', 'deny');
    expect(sent(denying, 'enter')).toBeUndefined();
    const typed = typeReason(denying, 'use the\u001b job');
    expect(sent(typed, 'enter')).toEqual({
      decision: 'deny',
      approval: ACCESS,
      reason: 'use the  job',
    });
    expect(sent(press(typed, 'escape'), 'enter')).toBeUndefined();
  });

  test('a letter that is typed into a reason is no key', () => {
    const typed = typeReason(press(LOADED, 'deny'), 'daq?');
    expect(typed.deciding?.reason).toBe('daq?');
    expect(press(typed, 'erase').deciding?.reason).toBe('daq');
  });

  test('news do not move another request under the finger', () => {
    const newer = heldStatement({ id: '4444mq9xw2c4' });
    const state = listArrived(press(LOADED, 'down'), [newer, HELD, ACCESS, OWN]);
    expect(selectedApproval(state)?.id).toBe(ACCESS.id);
    const deciding = listArrived(press(LOADED, 'approve'), [newer, HELD, ACCESS]);
    expect(sent(deciding, 'enter')?.approval.id).toBe(HELD.id);
  });

  test('a request that ends while its decision is typed is said to have ended', () => {
    const state = listArrived(press(LOADED, 'approve'), [ACCESS]);
    expect(sent(state, 'enter')).toBeUndefined();
    expect(state.message?.text).toBe('that request is no longer waiting');
    expect(selectedApproval(state)?.id).toBe(ACCESS.id);
  });

  test('a request that ends elsewhere is named, and one that was decided here is not', () => {
    const withdrawn = listArrived(LOADED, [ACCESS, OWN]);
    expect(withdrawn.message?.text).toMatch(`request ${HELD.id} of `);
    expect(withdrawn.message?.text).toMatch(/ is no longer waiting$/);
    const decision: Decision = { decision: 'approve', approval: HELD, reason: undefined };
    const decided = decisionArrived(LOADED, decision, { approval: { ...HELD, state: 'approved' } });
    const left = listArrived(decided, [ACCESS, OWN]);
    expect(left.message?.text).toMatch(/^approved request /);
    expect(listArrived(left, [ACCESS, OWN]).message).toBe(left.message);
  });

  test('a new request clears what the status line said of an earlier one', () => {
    const decision: Decision = { decision: 'approve', approval: HELD, reason: undefined };
    const decided = decisionArrived(LOADED, decision, { approval: { ...HELD, state: 'approved' } });
    const newer = heldStatement({ id: '4444mq9xw2c4' });
    expect(listArrived(decided, [newer, ACCESS, OWN]).message).toBeUndefined();
  });

  test('one’s own request cannot be chosen to be approved, and a decision is sent once', () => {
    expect(press(LOADED, 'last', 'approve').deciding).toBeUndefined();
    const sending = press(LOADED, 'approve', 'enter');
    expect(press(sending, 'approve').deciding).toBeUndefined();
    const decision: Decision = { decision: 'approve', approval: HELD, reason: undefined };
    const failed = decisionArrived(sending, decision, { error: 'the request has changed' });
    expect(frame(failed).lines.at(-2)).toBe('the request has changed');
    expect(press(failed, 'approve').deciding).toBeDefined();
  });

  test('a statement that the list has shortened must come whole before it can be approved', () => {
    if (HELD.statement === undefined) throw new Error('no statement');
    const short = heldStatement({ statement: { text: 'DELETE', shortened: true } });
    const state = listArrived(FIRST_STATE, [short]);
    expect(missingWhole(state)).toBe(HELD.id);
    expect(press(state, 'approve').deciding).toBeUndefined();
    const whole = wholeArrived(state, HELD);
    expect(missingWhole(whole)).toBeUndefined();
    expect(press(whole, 'approve').deciding?.approval.statement?.text).toBe(HELD.statement.text);
  });

  test('a statement too long for the screen cannot be approved on it', () => {
    const long = heldStatement({ statement: { text: 'x'.repeat(20_001) } });
    const state = press(listArrived(FIRST_STATE, [long]), 'approve');
    expect(state.deciding).toBeUndefined();
    expect(state.message?.text).toContain('hoop approvals show');
    const executes = heldStatement({ statement: { prepared: ['x'.repeat(20_001)] } });
    expect(press(listArrived(FIRST_STATE, [executes]), 'approve').deciding).toBeUndefined();
  });
});
