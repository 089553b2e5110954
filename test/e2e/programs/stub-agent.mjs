#!/usr/bin/env node
// Behaves towards its settings and hooks as the agent does whose name it is started by, and has no
// model: each word of AGENT_TASKS is a prompt, after which it runs AGENT_RUNS in its shell.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const name = basename(process.argv[1]);
const args = process.argv.slice(2);
const home = process.env.HOME;
const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const after = (option) => args[args.indexOf(option) + 1];
const commandsIn = (settings, event, key = 'command') =>
  (settings.hooks?.[event] ?? []).flatMap((group) => group.hooks ?? [group]).map((one) => one[key]);

const AGENTS = {
  claude: {
    start: 'SessionStart',
    prompt: 'UserPromptSubmit',
    hooks: (event) => commandsIn(read(after('--settings')), event),
  },
  codex: {
    start: 'SessionStart',
    prompt: 'UserPromptSubmit',
    hooks: (event) =>
      args.flatMap((word) => {
        const found = word.match(new RegExp(`^hooks\\.${event}=.*command='''(.*)'''`));
        return found ? [found[1]] : [];
      }),
  },
  gemini: {
    start: 'SessionStart',
    prompt: 'BeforeAgent',
    hooks: (event) => commandsIn(read(join(home, '.gemini/settings.json')), event),
  },
  qwen: {
    start: 'SessionStart',
    prompt: 'UserPromptSubmit',
    hooks: (event) => commandsIn(read(process.env.QWEN_CODE_SYSTEM_DEFAULTS_PATH), event),
  },
  copilot: {
    start: 'sessionStart',
    prompt: 'userPromptSubmitted',
    hooks: (event) => {
      const plugin = after('--plugin-dir');
      return commandsIn(read(join(plugin, read(join(plugin, 'plugin.json')).hooks)), event, 'bash');
    },
    input: ({ prompt }) => ({ sessionId: '1', ...(prompt ? { prompt } : { source: 'new' }) }),
  },
  opencode: { plugin: () => JSON.parse(process.env.OPENCODE_CONFIG_CONTENT) },
  aider: {},
};

const agent = AGENTS[name];
function hook(event, more) {
  const all = { hook_event_name: event, cwd: process.cwd(), ...more };
  const input = JSON.stringify(agent.input?.(all) ?? all);
  return (agent.hooks?.(event) ?? []).map((command) => {
    const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', command], {
      input,
      encoding: 'utf8',
    });
    if (status !== 0) {
      throw new Error(`${event}: status ${status}: ${stderr}`);
    }
    return stdout;
  });
}

const context = agent.start ? hook(agent.start, {}) : [];
const plugins = [];
if (agent.plugin) {
  const { plugin, instructions } = agent.plugin();
  context.push(...instructions.map((path) => readFileSync(path, 'utf8')));
  for (const url of plugin) {
    plugins.push(await (await import(url)).Hoop());
  }
}
if (name === 'aider') {
  context.push(readFileSync(after('--read'), 'utf8'));
}
process.stdout.write(
  `context: ${context.join('').includes('through hoop') ? 'briefed' : 'nothing'}\n`,
);
for (const prompt of JSON.parse(process.env.AGENT_TASKS ?? '[]')) {
  if (agent.prompt) {
    hook(agent.prompt, { prompt });
  }
  for (const plugin of plugins) {
    await plugin['chat.message']({}, { parts: [{ type: 'text', text: prompt }] });
  }
  spawnSync('/bin/sh', ['-c', process.env.AGENT_RUNS ?? ':'], { stdio: 'inherit' });
}
// What a program that was talked into it would plant for the next time.
for (const [path, text] of Object.entries(JSON.parse(process.env.AGENT_PLANTS ?? '{}'))) {
  try {
    writeFileSync(join(home, path), text);
  } catch (error) {
    process.stdout.write(`${path}: ${error.code}\n`);
  }
}
process.stdout.write(`${existsSync(join(home, '.kept')) ? '' : 'end'}\n`);
