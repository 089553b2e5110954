/**
 * The listening socket that a service manager passes as descriptor 3. It outlives the process, so a
 * restart refuses no connection. https://www.freedesktop.org/software/systemd/man/sd_listen_fds.html
 */
import { HoopError } from '../../errors.ts';

const FIRST_DESCRIPTOR = 3;

/**
 * @param pid of this process: descriptors that were meant for another one are not taken
 * @returns the descriptor
 * @throws HOOP_CONFIG if there is not exactly one
 */
export function inheritedSocket(env: NodeJS.ProcessEnv, pid = process.pid): number {
  const { LISTEN_FDS: count, LISTEN_PID: meantFor } = env;
  if (count === '1' && meantFor === String(pid)) return FIRST_DESCRIPTOR;
  throw new HoopError('HOOP_CONFIG', 'no socket was passed to the gateway', {
    detail:
      count === undefined
        ? 'The configuration has "listen: systemd", and LISTEN_FDS is not set.'
        : meantFor === String(pid)
          ? `LISTEN_FDS is ${count}. The gateway takes exactly one socket.`
          : 'LISTEN_PID names another process.',
    hint: 'Start hoop-gateway.socket, and let the service run hoop with Node.js 24.11 or newer directly. Without systemd, set "listen" to host:port.',
  });
}
