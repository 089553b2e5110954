import { userInfo } from 'node:os';

/** From the system's list of users, where somebody in a container often has no entry. */
export function localUser(): { readonly username?: string; readonly homedir?: string } {
  try {
    const { username, homedir } = userInfo();
    return { username, homedir };
  } catch {
    return {};
  }
}
