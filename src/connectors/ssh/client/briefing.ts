/** What an agent has to know of servers. */
import type { BriefingWords } from '../../../tunnel/connector.ts';

export const SSH_BRIEFING: BriefingWords = {
  title: 'Access',
  recorded: 'Every command, what it prints and every file that is moved is',
  way: ({ name }) =>
    `Connect with \`ssh ${name}\`, also \`scp\`, \`sftp\`, \`rsync\` and \`git\` with \`${name}\` as the host; \`ssh USER@${name}\` asks for another login. There is no other way in, and no key to look for.`,
  denials: `## When a command on a server is refused
ssh ends with status 126, and stderr has the rule and what to do. Commands are decided by their words as written: keep them plain, without variables, globs or substitutions in the place of a program's name. Do not try another spelling: it will be refused too, and all of it is recorded. A command that waits for approval goes on by itself once approved.`,
};
