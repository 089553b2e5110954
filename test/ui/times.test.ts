import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { localTime, localTimes, shortLocalTime } from '../../src/ui/text/times.ts';

const SUMMER = Date.UTC(2026, 6, 1, 22, 30, 5);
const WINTER = Date.UTC(2026, 11, 31, 23, 59, 59);

describe('a time for people has the offset of its place and season, as PostgreSQL writes it', () => {
  let zone: string | undefined;
  beforeEach(() => {
    zone = process.env['TZ'];
  });
  afterEach(() => {
    if (zone === undefined) {
      delete process.env['TZ'];
    } else {
      process.env['TZ'] = zone;
    }
  });

  test.each([
    ['UTC', '2026-07-01 22:30:05+00', '12-31 23:59+00'],
    ['Europe/Vienna', '2026-07-02 00:30:05+02', '01-01 00:59+01'],
    ['Asia/Kolkata', '2026-07-02 04:00:05+05:30', '01-01 05:29+05:30'],
    ['America/St_Johns', '2026-07-01 20:00:05-02:30', '12-31 20:29-03:30'],
  ])('%s', (place, long, short) => {
    process.env['TZ'] = place;
    expect(localTime(SUMMER)).toBe(long);
    expect(shortLocalTime(WINTER)).toBe(short);
    expect(localTimes('until 2026-07-01T22:30:05.000Z.')).toBe(`until ${long}.`);
  });
});
