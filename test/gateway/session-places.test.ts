import { expect, test } from 'vitest';
import { SessionPlaces } from '../../src/gateway/session-places.ts';
import type { Principal } from '../../src/policy/types.ts';

function holder(kind: Principal['kind'], sub: string, family: string) {
  const principal: Principal = {
    kind,
    issuer: 'https://issuer.example.com',
    sub,
    name: sub,
    email: undefined,
    groups: [],
    roles: [],
  };
  return { principal, family };
}

type Holder = ReturnType<typeof holder>;

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
  const live = Array.from({ length: 300 }, (_, index) => holder('person', `p${index}`, 'l'));
  for (let index = 300; index < 500; index += 1) {
    places.reserve(holder('person', `p${index}`, 'l'), live);
  }
  expect(() => places.reserve(holder('person', 'last', 'l'), live)).toThrow('too many sessions');
});

test('a place that is given back can be taken again, and giving it back twice frees one', () => {
  const places = new SessionPlaces();
  const dana = holder('person', 'dana', 'login');
  const live = Array.from({ length: 48 }, () => dana);
  const release = places.reserve(dana, live);
  places.reserve(dana, live);
  expect(() => places.reserve(dana, live)).toThrow('too many sessions');
  release();
  release();
  places.reserve(dana, live);
  expect(() => places.reserve(dana, live)).toThrow('too many sessions');
});
