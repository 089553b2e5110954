/**
 * Whether two logins are those of one human, as far as a gateway can know. It only ever takes rights:
 * nobody gets anything by being somebody else, too.
 */
import type { Principal } from '../../policy/types.ts';

/** What tells a person from others. */
export type PersonMarks = Pick<
  Principal,
  'issuer' | 'sub' | 'subject' | 'verifiedEmail' | 'loginKey'
>;

export function personMarks(someone: PersonMarks): PersonMarks {
  const { issuer, sub, subject, verifiedEmail, loginKey } = someone;
  return {
    issuer,
    sub,
    ...(subject === undefined ? {} : { subject }),
    ...(verifiedEmail === undefined ? {} : { verifiedEmail }),
    ...(loginKey === undefined ? {} : { loginKey }),
  };
}

export function isSamePerson(a: PersonMarks, b: PersonMarks): boolean {
  return (
    (a.issuer === b.issuer && (a.sub === b.sub || isBoth(a.subject, b.subject))) ||
    isBoth(a.loginKey, b.loginKey) ||
    // An address is one person's whichever provider has checked it.
    isBoth(a.verifiedEmail?.toLowerCase(), b.verifiedEmail?.toLowerCase())
  );
}

/**
 * How many people there are, without one of them. Who shares one mark with a second and another mark
 * with a third makes one person of all three.
 */
export function countOthers(someone: PersonMarks, all: readonly PersonMarks[]): number {
  const people: PersonMarks[][] = [[someone]];
  for (const one of all) {
    const [first, ...rest] = people.filter((marks) =>
      marks.some((mark) => isSamePerson(mark, one)),
    );
    if (first === undefined) {
      people.push([one]);
      continue;
    }
    first.push(one, ...rest.flat());
    for (const joined of rest) people.splice(people.indexOf(joined), 1);
  }
  return people.length - 1;
}

function isBoth(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && a === b;
}
