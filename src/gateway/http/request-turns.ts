/**
 * Requests of one connection, one after the other. Node takes them as they come: 64 KiB of a client
 * that does not wait for answers are a thousand requests, all handled in one turn, before anybody
 * else's. No client of hoop's sends a request before it has the answer to the one before.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { HoopError } from '../../errors.ts';
import { errorBody, statusOf } from '../base/http-errors.ts';

type Exchange = readonly [IncomingMessage, ServerResponse];

interface Line {
  readonly waiting: Exchange[];
  isBusy: boolean;
  isRefused: boolean;
}

/** Sent ahead on one connection. Each that waits has its headers in memory. */
const MAX_WAITING = 32;

/** @returns a listener that hands on the next request of a connection when one is answered */
export function inTurns(handle: RequestListener): RequestListener {
  const lines = new WeakMap<Socket, Line>();
  const lineOf = (socket: Socket): Line => {
    const known = lines.get(socket);
    if (known !== undefined) return known;
    const line: Line = { waiting: [], isBusy: false, isRefused: false };
    lines.set(socket, line);
    // Whoever has left waits for nothing.
    socket.once('close', () => line.waiting.splice(0));
    return line;
  };
  const start = (line: Line, [request, response]: Exchange): void => {
    line.isBusy = true;
    response.once('close', () => {
      line.isBusy = false;
      // Not here: the last byte of an answer may have been written within the turn that began it.
      setImmediate(goOn, line);
    });
    if (line.isRefused) {
      refuse(response);
    } else {
      handle(request, response);
    }
  };
  const goOn = (line: Line): void => {
    const next = line.isBusy ? undefined : line.waiting.shift();
    if (next !== undefined) start(line, next);
  };
  return (request, response) => {
    const line = lineOf(request.socket);
    if (line.isRefused) return;
    if (!line.isBusy && line.waiting.length === 0) {
      start(line, [request, response]);
      return;
    }
    line.waiting.push([request, response]);
    if (line.waiting.length > MAX_WAITING) {
      // Answers come in order: the first that waits says it, and the connection ends behind it.
      line.isRefused = true;
      line.waiting.splice(1);
    }
  };
}

function refuse(response: ServerResponse): void {
  const error = new HoopError('HOOP_LIMIT', 'too many requests are waiting on one connection', {
    detail: `A connection may send ${MAX_WAITING} requests ahead of their answers.`,
    hint: 'Wait for answers, or open more connections.',
  });
  response.writeHead(statusOf(error.code), {
    'content-type': 'application/json',
    connection: 'close',
  });
  response.end(JSON.stringify(errorBody(error)));
}
