/** What an agent has to know of databases. */
import type { BriefingWords } from '../../../tunnel/connector.ts';

export const POSTGRES_BRIEFING: BriefingWords = {
  title: 'Database access',
  recorded: 'Every statement and its result is',
  way: ({ connect, database }) => {
    const where = [
      ...(connect.urlVariable === undefined ? [] : [`the URL in \`${connect.urlVariable}\``]),
      ...(connect.isDefault
        ? ['`DATABASE_URL`, and PGHOST, PGPORT, PGUSER, PGDATABASE for psql and most drivers']
        : []),
    ].join('; also ');
    const base = database === undefined ? '' : ` Database \`${database}\`.`;
    return `Connect with ${where || 'the service file in `PGSERVICEFILE`'}.${base} There is no other way in, and no password to look for.`;
  },
  denials: `## When a statement is refused
It fails as a PostgreSQL error, mostly SQLSTATE 42501, with the rule in DETAIL and what to do in HINT:

    ERROR:  statement is not allowed
    DETAIL:  It is denied by rule "policy/rule".
    HINT:  What the people who wrote the rule say to do instead.

Do not try to get around it by other words, functions or views: it will be refused too, and all of it is recorded. Follow the hint, do without, or ask. A statement that waits for approval shows a NOTICE with the request's id and goes on by itself once approved. If your tool gives up before, the request waits on: send exactly the same statement again, it joins the request or uses its approval.`,
};
