/** What rules about servers may say, as zod schemas: the same keys in allow, deny and approve. */
import * as z from 'zod';
import { SFTP_OPERATIONS } from './types.ts';

/** What people name; opening sftp and what is done with it are one to them. */
const SSH_ACTS = ['shell', 'exec', 'sftp', 'forward'] as const;

const MAX_LIST = 1000;

function texts(what: string, example: string) {
  return z
    .array(z.string().min(1).max(4096), { error: `expected a list such as ["${example}"]` })
    .min(1, `expected at least one ${what}`)
    .max(MAX_LIST)
    .optional();
}

export const SSH_CONDITIONS = {
  ssh: z
    .union([z.enum(SSH_ACTS), z.array(z.enum(SSH_ACTS)).min(1, 'expected at least one')], {
      error: `expected ${SSH_ACTS.join(', ')}, or a list of them`,
    })
    .optional()
    .describe('Makes this a rule about servers: what may be opened there.'),
  users: texts('user', 'deploy').describe(
    'Users on the server to which the rule applies. Absent: any available one.',
  ),
  commands: z
    .union([z.literal('unknown'), z.array(z.string().min(1).max(4096)).min(1).max(MAX_LIST)], {
      error: 'expected a list such as ["journalctl **"], or unknown',
    })
    .optional()
    .describe(
      'Of exec: words with * for part of a word or one word, ** at the end for any number. unknown: commands that cannot be read. Absent: any command.',
    ),
  exact: z
    .boolean()
    .optional()
    .describe('The whole command must match one of commands; the gateway quotes it again.'),
  paths: texts('path', '/srv/app/**').describe(
    'Of sftp, and of redirections in commands: absolute, * within a folder, ** across folders.',
  ),
  operations: z
    .array(z.enum(SFTP_OPERATIONS), {
      error: `expected a list of ${SFTP_OPERATIONS.join(', ')}`,
    })
    .min(1, 'expected at least one operation')
    .optional()
    .describe('Of sftp. Absent: all.'),
  destinations: texts('destination', '127.0.0.1:8080').describe(
    'Of forward: host:port, with * for any port. Absent: anywhere.',
  ),
};
