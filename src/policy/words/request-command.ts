/**
 * The command that requests access, as hints show it: with every option that it needs, because a
 * person or an agent runs it as it is written.
 */
import { shellWord } from '../../shell-word.ts';

export function requestCommand(target: string, grant?: string): string {
  const named = grant === undefined ? '' : ` --grant ${shellWord(grant)}`;
  return `hoop access request ${shellWord(target)}${named} --for 1h --reason TEXT`;
}
