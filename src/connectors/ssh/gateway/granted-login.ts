/** What a connection is made by, the target and a login on it, and whether that still holds. */
import { HoopError } from '../../../errors.ts';
import type { TargetConnection } from './connect-target.ts';
import type { CurrentSshTarget, SshTarget, SshTargetLogin } from './types.ts';

/** Of the local client's login name where nobody has chosen one. */
const NO_USER = new Set(['', 'hoop']);

export interface GrantedLoginOptions {
  readonly target: SshTarget;
  /** Absent: the target stays as it is. */
  readonly currentTarget?: CurrentSshTarget;
}

export class GrantedLogin {
  readonly target: SshTarget;
  readonly login: SshTargetLogin;
  readonly #current: CurrentSshTarget | undefined;

  private constructor(
    target: SshTarget,
    login: SshTargetLogin,
    current: CurrentSshTarget | undefined,
  ) {
    this.target = target;
    this.login = login;
    this.#current = current;
  }

  /**
   * By the policy of now.
   * @param user as the local client calls itself
   * @throws HOOP_ACCESS_DENIED with the names on offer, HOOP_CONFIG
   */
  static async of(user: string, options: GrantedLoginOptions): Promise<GrantedLogin> {
    const { currentTarget } = options;
    const target = (await currentTarget?.now()) ?? options.target;
    return new GrantedLogin(target, loginOf(user, target), currentTarget);
  }

  /** @returns why what the connection was made by has been taken away */
  revoked(made: Pick<TargetConnection, 'host' | 'fingerprint'>): HoopError | undefined {
    return this.#current?.revoked(this.login, made);
  }
}

function loginOf(user: string, { logins, name }: SshTarget): SshTargetLogin {
  const [first] = logins;
  const login = NO_USER.has(user) ? first : logins.find((one) => one.user === user);
  if (login === undefined) {
    const names = logins.map((one) => one.user).join(', ');
    throw new HoopError('HOOP_ACCESS_DENIED', `no login "${user}" on target "${name}"`, {
      detail: `Available: ${names || 'none'}.`,
      hint: first && `Log in as one of these, e.g. \`ssh ${first.user}@${name}\`.`,
    });
  }
  return login;
}
