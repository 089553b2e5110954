/** One hoop process that needs a fresh token: prints the subject, or the code of its error. */
import { openGateway } from '../../src/auth/open-gateway.ts';

try {
  await using open = await openGateway(process);
  const who = await open.client.whoami(new AbortController().signal);
  process.stdout.write(who.sub);
} catch (error) {
  process.stdout.write(error instanceof Error && 'code' in error ? `${error.code}` : `${error}`);
}
