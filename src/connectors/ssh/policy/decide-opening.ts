/** Opening a shell or sftp. */
import { demandOf, deniedBy, unanswerable } from '../../../policy/decide-by-rules.ts';
import { type SshCase, sshRefusal } from './ssh-refusal.ts';
import type { SshRule, SshVerdict } from './types.ts';

const WHAT = { shell: 'a shell', sftp: 'sftp' } as const;

export function decideOpening(one: SshCase, act: 'shell' | 'sftp'): SshVerdict {
  const rules = one.rules.filter(({ acts }) => acts.includes(act));
  const what = WHAT[act];
  const touches: string[] = [];
  const whole = rules.filter(isAboutAll);
  const denying = whole.find(({ effect }) => effect === 'deny');
  if (denying !== undefined) {
    const message = `${what} is denied by policy`;
    return { effect: 'refuse', refusal: deniedBy(one, denying, message), touches };
  }
  const approvals = whole.flatMap(demandOf);
  const nobody = unanswerable(one, approvals, what);
  if (nobody !== undefined) {
    return { effect: 'refuse', refusal: nobody, touches };
  }
  const allowing = rules.filter(({ effect }) => effect !== 'deny');
  const [first] = [...allowing.filter(({ effect }) => effect === 'allow'), ...allowing];
  if (first === undefined) {
    const text = { code: 'HOOP_NOT_ALLOWED', message: `${what} is not allowed by policy` } as const;
    return { effect: 'refuse', refusal: sshRefusal(one, act, text), touches };
  }
  return {
    effect: 'allow',
    rules: approvals.length === 0 ? [first.rule] : approvals.map(({ rule }) => rule),
    ...(approvals.length === 0 ? {} : { approvals }),
    touches,
  };
}

/** What is about certain files or operations is asked for each of them, and not before. */
export function isAboutAll({ paths, operations }: SshRule): boolean {
  return paths.length === 0 && operations.length === 0;
}
