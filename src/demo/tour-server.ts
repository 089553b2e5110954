/** The step of the tour on a server: a command over SSH, one that is refused, and the replay. */
import { DEMO_SERVER } from './demo.ts';
import { expectText, field, hoop, type Tour, TourFailure } from './tour-commands.ts';

const COMMAND = 'uname -s && echo "on a server"';
const FORBIDDEN = 'rm -rf /srv/shop';
/** As a shell says that it may not run something. */
const REFUSED_STATUS = 126;

export async function commandOnServer(tour: Tour): Promise<void> {
  if (tour.demo.server === undefined) {
    tour.finding(
      'skipped: no OpenSSH server is installed here (on Debian: apt-get install openssh-server), or this account has no shell',
    );
    return;
  }
  const run = await hoop(tour, ['ssh', DEMO_SERVER, COMMAND]);
  expectText(run.stdout, 'on a server', 'the output of the command did not come back');
  const refused = await hoop(tour, ['ssh', DEMO_SERVER, FORBIDDEN], { mayFail: true });
  if (refused.exitCode !== REFUSED_STATUS) {
    throw new TourFailure(`the command was not refused (exit status ${refused.exitCode})`);
  }
  expectText(refused.stderr, 'policies/servers.yaml', 'the denial does not name its rule');
  const { stdout } = await hoop(tour, ['sessions', 'list', '--limit', '2', '--json'], {
    show: false,
  });
  const sessions = field(JSON.parse(stdout), 'sessions');
  const [, first] = Array.isArray(sessions) ? sessions : [];
  const replay = await hoop(tour, ['sessions', 'replay', String(field(first, 'id'))]);
  expectText(replay.stdout, 'uname', 'the replay does not show the command');
  expectText(replay.stdout, 'on a server', 'the replay does not show its output');
}
