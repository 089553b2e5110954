import { expect, test } from 'vitest';
import { ChannelCredit } from '../../../../src/connectors/ssh/protocol/channel-credit.ts';
import { ProtocolError } from '../../../../src/errors.ts';

test('what came may go to the last byte of the credit and not one further', () => {
  const credit = new ChannelCredit(0, 1000);
  credit.received(400);
  credit.received(600);
  expect(() => credit.received(1)).toThrow(ProtocolError);
});

test('credit is given back in quarters of the window, all of it in the end', () => {
  const credit = new ChannelCredit(0, 1000);
  credit.received(1000);
  expect(credit.consumed(249)).toBe(0);
  expect(() => credit.received(1)).toThrow(ProtocolError);
  expect(credit.consumed(1)).toBe(250);
  credit.received(250);
  expect(credit.consumed(1000)).toBe(1000);
});

test('a sender that fills the window always gets more once all is taken, whatever the pieces', () => {
  for (const piece of [1, 7, 333, 1000]) {
    const credit = new ChannelCredit(0, 1000);
    let open = 1000;
    for (let sent = 0; sent < 10_000; ) {
      const bytes = Math.min(piece, open);
      expect(bytes).toBeGreaterThan(0);
      credit.received(bytes);
      open += credit.consumed(bytes) - bytes;
      sent += bytes;
    }
  }
});

test('what is sent stays within what the other end gave', () => {
  const credit = new ChannelCredit(10);
  credit.sent(10);
  expect(credit.toSend).toBe(0);
  expect(() => credit.sent(1)).toThrow(RangeError);
  credit.granted(5);
  expect(credit.toSend).toBe(5);
});

test('credit beyond 4 GiB is refused, up to it is not', () => {
  const credit = new ChannelCredit(1);
  credit.granted(0xfffffffe);
  expect(() => credit.granted(1)).toThrow(ProtocolError);
});
