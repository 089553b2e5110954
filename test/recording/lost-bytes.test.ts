import { expect, test } from 'vitest';
import { LostBytes } from '../../src/recording/client/lost-bytes.ts';

test('what has not arrived is lost when both sides have ended the stream, in either order', () => {
  const lost = new LostBytes();
  lost.clientEnded(1, 60);
  expect(lost.total).toBe(0);
  lost.gatewayEnded({ stream: 1, up: 5, down: 100 });
  lost.gatewayEnded({ stream: 2, up: 5, down: 10 });
  lost.clientEnded(2, 10);
  expect(lost.total).toBe(40);
  expect(lost.confirmable({ stream: 1, up: 5, down: 100 })).toEqual({ stream: 1, up: 5, down: 60 });
  expect(lost.confirmable({ stream: 2, up: 5, down: 10 })).toMatchObject({ down: 10 });
});

test('what a cut covers has arrived, whatever the client said, and it cannot say less later', () => {
  const lost = new LostBytes();
  lost.gatewayEnded({ stream: 1, up: 0, down: 100 });
  lost.clientEnded(1, 90);
  lost.clientEnded(1, 0);
  expect(lost.total).toBe(10);
  lost.covered([{ stream: 1, up: 0, down: 95 }]);
  expect(lost.total).toBe(5);
  lost.covered([{ stream: 1, up: 0, down: 100 }]);
  expect(lost.total).toBe(0);
});

test('of the control channel nothing is lost, and no more arrives than was sent', () => {
  const lost = new LostBytes();
  lost.gatewayEnded({ stream: 0, up: 0, down: 100 });
  lost.clientEnded(0, 0);
  lost.gatewayEnded({ stream: 1, up: 0, down: 100 });
  lost.clientEnded(1, 1_000_000);
  expect(lost.total).toBe(0);
});
