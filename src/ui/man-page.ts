/**
 * hoop(1), made from the program itself: what `--help` says of each command stands in it too.
 * https://man7.org/linux/man-pages/man7/man-pages.7.html
 */
import type { Command, Option } from 'commander';

const VARIABLES: readonly (readonly [string, string])[] = [
  ['HOOP_GATEWAY', 'Address of the gateway; overrides the configured one.'],
  ['HOOP_CA', 'PEM file of a private CA that signed the gateway’s certificate.'],
  [
    'HOOP_HOME',
    'Directory for configuration, tokens and recordings, instead of the XDG directories.',
  ],
  ['HOOP_DOWNLOAD', 'always: downloads the recording of each session after it ends.'],
  ['HOOP_TOKEN_STORE', 'file: stores tokens in a 0600 file instead of the keychain.'],
  ['HOOP_CARRIER', 'websocket: uses WebSockets right away.'],
  ['HOOP_SUMMARY', 'File to which connect and run append a Markdown summary.'],
  ['HOOP_COLUMNS', 'Output width if stdout is not a terminal.'],
  ['NO_COLOR, FORCE_COLOR', 'Turn colours off, or on without a terminal.'],
];

const STATUSES: readonly (readonly [string, string])[] = [
  ['0', 'Success.'],
  ['1', 'Failure.'],
  [
    '2',
    'Usage error, also of connect NAME -- COMMAND and run; for sessions verify: the recording is incomplete.',
  ],
  ['3', 'Not logged in.'],
  ['4', 'Denied by policy.'],
  ['5', 'The gateway, the target or the identity provider cannot be reached.'],
  ['130', 'Interrupted; 143 by SIGTERM, 129 by SIGHUP.'],
  [
    '255',
    'hoop itself failed under connect NAME -- COMMAND or run; otherwise the command’s own status.',
  ],
];

const FILES: readonly (readonly [string, string])[] = [
  ['$XDG_CONFIG_HOME/hoop/config.json', 'Settings; see hoop config.'],
  [
    '$XDG_STATE_HOME/hoop',
    'Keys of known gateways, and journals of recordings that both sides have not signed yet.',
  ],
  ['$XDG_RUNTIME_DIR/hoop', 'Sockets and password files of open sessions.'],
];

/** @returns roff text that ends with a line feed */
export function renderManPage(program: Command, version: string): string {
  const help = program.createHelp();
  const lines = [
    `.TH HOOP 1 "" "hoop ${roff(version)}" "User Commands"`,
    '.SH NAME',
    `hoop \\- ${roff(lowerFirst(program.description().replace(/\.$/, '')))}`,
    '.SH SYNOPSIS',
    `.B hoop`,
    'COMMAND [OPTION]... [ARGUMENT]...',
    '.SH OPTIONS',
    ...help.visibleOptions(program).flatMap(option),
    '.SH COMMANDS',
    ...help.visibleCommands(program).flatMap((command) => section(command)),
    ...terms('EXIT STATUS', STATUSES),
    ...terms('ENVIRONMENT', VARIABLES),
    ...terms('FILES', FILES),
  ];
  return `${lines.join('\n')}\n`;
}

/** A command and those below it; what is only a group of others has no lines of its own. */
function section(command: Command): string[] {
  const help = command.createHelp();
  const below = help.visibleCommands(command).filter((child) => child.name() !== 'help');
  const options = help.visibleOptions(command).filter(({ long }) => long !== '--help');
  return [
    `.SS ${roff(help.commandUsage(command))}`,
    roff(`${upperFirst(help.commandDescription(command))}.`),
    ...options.flatMap(option),
    ...verbatim(textBelow(command)),
    ...below.flatMap(section),
  ];
}

function option({ flags, description }: Option): string[] {
  return ['.TP', `.B ${roff(flags)}`, roff(description)];
}

function terms(title: string, entries: readonly (readonly [string, string])[]): string[] {
  return [
    `.SH ${title}`,
    ...entries.flatMap(([term, text]) => ['.TP', `.B ${roff(term)}`, roff(text)]),
  ];
}

/** Examples and remarks: what `addHelpText` has put behind the rest. */
function textBelow(command: Command): string {
  const parts: string[] = [];
  const shown = command.configureOutput();
  command.configureOutput({
    ...shown,
    writeOut: (part) => {
      parts.push(part);
    },
  });
  command.outputHelp();
  command.configureOutput(shown);
  const text = parts.join('');
  return text.slice(command.helpInformation().length).trim();
}

function verbatim(text: string): string[] {
  return text === '' ? [] : ['.PP', '.nf', ...text.split('\n').map(roff), '.fi'];
}

/** A line that roff takes as text; the dashes are those that one types. */
function roff(text: string): string {
  const line = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('’', "'")
    .replaceAll('…', '...')
    // Only with an option does groff take UTF-8.
    .replace(/[^\x20-\x7e]/gu, (character) => `\\[u${codePoint(character)}]`);
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

function codePoint(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
}

function upperFirst(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

function lowerFirst(text: string): string {
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}
