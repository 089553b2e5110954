import { login } from '../src/auth/login.ts';
import { completeLogin } from '../src/demo/complete-login.ts';
import type { DemoLogin } from '../src/demo/demo.ts';
import { locateHome } from '../src/home.ts';

/**
 * What `hoop login` does, without the process, for `startDemo`: four of them took longer than all the
 * rest of its start. The command itself is what the tests of logins and of the demo are about.
 */
export async function logInDemo({ account, home, gateway, ca, signal }: DemoLogin): Promise<void> {
  await login({
    home: locateHome({ HOOP_HOME: home }),
    config: { tokenStore: 'file' },
    gateway,
    ca,
    openBrowser: async (url) => {
      await completeLogin(url, account, signal);
      return true;
    },
    note: () => undefined,
    signal,
  });
}
