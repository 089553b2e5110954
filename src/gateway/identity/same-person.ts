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
 * The logins of each person there is, without those of one. Who shares one mark with a second and
 * another mark with a third makes one person of all three.
 */
export function otherPeople<Login extends PersonMarks>(
  someone: PersonMarks,
  all: readonly Login[],
): Login[][] {
  const own: Person<Login> = { marks: [someone], logins: [] };
  const people = [own];
  for (const login of all) {
    const [first, ...rest] = people.filter(({ marks }) =>
      marks.some((mark) => isSamePerson(mark, login)),
    );
    if (first === undefined) {
      people.push({ marks: [login], logins: [login] });
      continue;
    }
    first.marks.push(login, ...rest.flatMap(({ marks }) => marks));
    first.logins.push(login, ...rest.flatMap(({ logins }) => logins));
    for (const joined of rest) people.splice(people.indexOf(joined), 1);
  }
  return people.filter((person) => person !== own).map(({ logins }) => logins);
}

interface Person<Login> {
  readonly marks: PersonMarks[];
  readonly logins: Login[];
}

function isBoth(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && a === b;
}
