/** What a profile does in a run: what is known before it starts, and what its program is given. */
import type { AgentProfile } from '../../run/agents/agent-profile.ts';
import {
  agentNeeds,
  filled,
  fillText,
  promptOf,
  setUpAgent,
} from '../../run/agents/agent-setup.ts';
import type { EnvironmentPart } from '../../run/environment.ts';
import type { ShadowStateOptions } from '../../run/fence/shadow-state.ts';
import type { RunLogin } from '../../run/run-login.ts';
import { plain } from '../../ui/text/printable.ts';
import type { Io } from '../io.ts';
import { BRIEFING_NAME } from './run-context.ts';

export interface RunAgentOptions {
  readonly profile: AgentProfile;
  readonly command: readonly string[];
  readonly isFenced: boolean;
}

export class RunAgent {
  readonly #io: Io;
  readonly #options: RunAgentOptions;

  constructor(io: Io, options: RunAgentOptions) {
    this.#io = io;
    this.#options = options;
  }

  /** For the fence, beside what the person says. */
  get needs() {
    return agentNeeds({ ...this.#options, env: this.#io.env });
  }

  /** Given on its command line, where no hook tells it. */
  get prompt(): string | undefined {
    return promptOf(this.#options.profile, this.#options.command);
  }

  /** @returns why prompts are missing, when no hook has told one */
  get untied(): string | undefined {
    const { profile, isFenced } = this.#options;
    return (isFenced ? profile.fenced : profile.unfenced).untied ?? profile.untied;
  }

  /** What a fence shows of the agent's own state. */
  stateFor(
    run: Pick<RunLogin, 'directory' | 'state'>,
  ): Pick<ShadowStateOptions, 'state' | 'directory' | 'settings'> {
    const { profile } = this.#options;
    return {
      state: profile.state,
      directory: run.state,
      settings: (value) => filled(value, fillText(profile, this.#place(run))),
    };
  }

  /** @returns the command with what the profile adds, and the variables */
  setUp(run: Pick<RunLogin, 'directory'>): {
    readonly command: readonly string[];
    readonly environment: EnvironmentPart;
  } {
    const { profile, command } = this.#options;
    const options = { ...this.#options, env: this.#io.env };
    const made = setUpAgent(options, command, this.#place(run));
    if (made.taken.length > 0) {
      this.#io.note(
        plain(
          `you have set ${made.taken.join(', ')}: the profile ${profile.name} does not change it`,
        ),
      );
    }
    for (const text of made.notes) {
      this.#io.note(plain(text));
    }
    return made;
  }

  #place({ directory }: Pick<RunLogin, 'directory'>) {
    return { directory, hoop: this.#io.self, briefing: `${directory}/${BRIEFING_NAME}` };
  }
}
