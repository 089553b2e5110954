import { expect, test } from 'vitest';
import { SessionPlaces } from '../../../src/gateway/sessions/session-places.ts';
import type { Principal } from '../../../src/policy/types.ts';

function holder(kind: Principal['kind'], sub: string, family: string, inRun?: string) {
  const principal: Principal = {
    kind,
    issuer: 'https://issuer.example.com',
    sub,
    name: sub,
    email: undefined,
    groups: [],
    roles: [],
  };
  return inRun === undefined
    ? { principal, family }
    : { principal, family: `of-${inRun}`, run: { id: inRun, login: family, depth: 1 } };
}

type Holder = ReturnType<typeof holder>;

/** As it is among the live sessions. */
function live({ principal, family, run }: Holder) {
  return { principal, login: run?.login ?? family, run: run?.id };
}

/** @returns how many places are given until one is refused, of at most 600 */
function takeAll(places: SessionPlaces, of: (index: number) => Holder): number {
  for (let index = 0; index < 600; index += 1) {
    try {
      places.reserve(of(index), []);
    } catch (error) {
      expect(error).toMatchObject({ code: 'HOOP_LIMIT' });
      return index;
    }
  }
  return 600;
}

test('a person has 50 sessions, over all logins, and the next person has theirs', () => {
  const places = new SessionPlaces();
  expect(takeAll(places, (index) => holder('person', 'dana', `login-${index % 3}`))).toBe(50);
  expect(takeAll(places, () => holder('person', 'eli', 'login-e'))).toBe(50);
});

test('a job has 50, and the other jobs of its branch have theirs', () => {
  const places = new SessionPlaces();
  expect(takeAll(places, () => holder('workload', 'branch', 'job-1'))).toBe(50);
  expect(takeAll(places, () => holder('workload', 'branch', 'job-2'))).toBe(50);
});

test('jobs that make one login after the other do not take all places of the gateway', () => {
  const places = new SessionPlaces();
  expect(takeAll(places, (index) => holder('workload', 'branch', `job-${index}`))).toBe(200);
  expect(() => places.reserve(holder('person', 'dana', 'login-d'), [])).not.toThrow();
  expect(() => places.reserve(holder('workload', 'other', 'job-1'), [])).not.toThrow();
});

test('the gateway has 500 places, live and being made', () => {
  const places = new SessionPlaces();
  const others = Array.from({ length: 300 }, (_, index) =>
    live(holder('person', `p${index}`, 'l')),
  );
  for (let index = 300; index < 500; index += 1) {
    places.reserve(holder('person', `p${index}`, 'l'), others);
  }
  expect(() => places.reserve(holder('person', 'last', 'l'), others)).toThrow('too many sessions');
});

test('a place that is given back can be taken again, and giving it back twice frees one', () => {
  const places = new SessionPlaces();
  const dana = holder('person', 'dana', 'login');
  const own = Array.from({ length: 48 }, () => live(dana));
  const release = places.reserve(dana, own);
  places.reserve(dana, own);
  expect(() => places.reserve(dana, own)).toThrow('too many sessions');
  release();
  release();
  places.reserve(dana, own);
  expect(() => places.reserve(dana, own)).toThrow('too many sessions');
});

test('runs have 40 of the 50 together, however they are nested, and their person the rest', () => {
  const places = new SessionPlaces();
  const run = (index: number) => holder('person', 'dana', 'login-d', `run-${index}`);
  expect(takeAll(places, run)).toBe(40);
  expect(takeAll(places, () => holder('person', 'dana', 'login-d'))).toBe(10);
  const before = Array.from({ length: 40 }, (_, index) => live(run(index)));
  const others = new SessionPlaces();
  expect(() => others.reserve(run(0), before)).toThrow('too many sessions');
  expect(() => others.reserve(holder('person', 'dana', 'login-2'), before)).not.toThrow();
  expect(() => others.reserve(holder('person', 'eli', 'login-e', 'run-e'), before)).not.toThrow();
});

test('twenty runs with two targets each have room', () => {
  const places = new SessionPlaces();
  for (let index = 0; index < 40; index += 1) {
    places.reserve(holder('person', 'dana', 'login-d', `run-${index % 20}`), []);
  }
});

test('the runs of a job count as the job, and take no places of the others of its branch', () => {
  const places = new SessionPlaces();
  const run = (index: number) => holder('workload', 'branch', 'job-1', `run-${index}`);
  expect(takeAll(places, run)).toBe(40);
  expect(takeAll(places, () => holder('workload', 'branch', 'job-1'))).toBe(10);
  expect(takeAll(places, () => holder('workload', 'branch', 'job-2'))).toBe(50);
});
