/**
 * From the text of a command to all that it starts, as a POSIX shell would read it. Whatever is not
 * certain is in `unknown`; nothing is left out, so that a rule that denies finds it wherever it is.
 */
import { isWhole, type ParsedScript, readBash, type SyntaxNode } from './bash-syntax.ts';
import {
  hasQuotesWithin,
  QUOTES_WITHIN,
  readParts,
  readWord,
  type WordSink,
} from './bash-words.ts';
import { CollectedFacts } from './collected-facts.ts';
import type { ShellFacts, ShellWord, SimpleCommand, StartedBy } from './shell-types.ts';
import { hidesQuotes, isHarmless, isOwn, isPowerful } from './shell-variables.ts';
import { startedCommand } from './started-command.ts';

/** Texts within texts: `sh -c "sh -c …"`. */
const MAX_TEXTS = 8;
/** Of one command; each is held against every word of a pattern. */
const MAX_WORDS = 4096;

type Node<Type extends SyntaxNode['type']> = Extract<SyntaxNode, { type: Type }>;

export function shellFacts(text: string): ShellFacts {
  const facts = new CollectedFacts();
  readText(facts, text, undefined, 0);
  return facts.all;
}

/** @param texts how many texts this one is in */
function readText(
  facts: CollectedFacts,
  text: string,
  startedBy: StartedBy | undefined,
  texts: number,
): void {
  const script = texts > MAX_TEXTS ? 'it is nested too deeply' : readBash(text);
  if (typeof script === 'string') {
    facts.unknown(script);
  } else if (isWhole(script, text)) {
    const [only, second] = script.commands;
    facts.isSingle ||=
      texts === 0 &&
      second === undefined &&
      only?.command.type === 'Command' &&
      only.background !== true;
    new TextReader(facts, text, startedBy, texts).script(script);
  } else {
    facts.unknown('hoop does not understand part of it');
  }
}

/** One text, and the scripts in its substitutions. */
class TextReader implements WordSink {
  readonly source: string;
  readonly #facts: CollectedFacts;
  readonly #startedBy: StartedBy | undefined;
  readonly #texts: number;

  constructor(
    facts: CollectedFacts,
    source: string,
    startedBy: StartedBy | undefined,
    texts: number,
  ) {
    this.source = source;
    this.#facts = facts;
    this.#startedBy = startedBy;
    this.#texts = texts;
  }

  unknown(reason: string): void {
    this.#facts.unknown(reason);
  }

  script(script: ParsedScript): void {
    const reader =
      script.source === undefined
        ? this
        : new TextReader(this.#facts, script.source, this.#startedBy, this.#texts);
    this.#facts.within(() => {
      for (const { command } of script.commands) {
        reader.#node(command);
      }
    });
  }

  #list({ commands }: Node<'CompoundList'>): void {
    this.#facts.within(() => {
      for (const { command } of commands) {
        this.#node(command);
      }
    });
  }

  #node(node: SyntaxNode): void {
    switch (node.type) {
      case 'Command':
        this.#command(node);
        return;
      case 'AndOr':
      case 'Pipeline':
        for (const command of node.commands) {
          this.#node(command);
        }
        return;
      case 'Redirected':
        this.#redirected(node.redirects, () => {
          this.#node(node.command);
        });
        return;
      case 'Subshell':
      case 'BraceGroup':
        this.#list(node.body);
        return;
      case 'If':
        for (const list of [node.clause, node.then, node.else]) {
          this.#maybeList(list);
        }
        for (const branch of node.elif) {
          this.#list(branch.clause);
          this.#list(branch.then);
        }
        return;
      case 'While':
        this.#list(node.clause);
        this.#list(node.body);
        return;
      case 'For':
        this.#words(node.wordlist ?? []);
        this.#sets(node.name.text);
        this.#list(node.body);
        return;
      case 'Case':
        this.#words([node.word]);
        for (const item of node.items) {
          this.#words(item.pattern);
          this.#list(item.body);
        }
        return;
      case 'TestCommand':
        this.#test(node);
        return;
      case 'CompoundList':
        this.#list(node);
        return;
      case 'Function':
        this.unknown('it defines a function');
        this.#node(node.body);
        return;
      case 'Coproc':
        this.unknown('it starts a coprocess');
        this.#node(node.body);
        return;
      case 'Select':
        this.unknown('it asks with select');
        this.#words(node.wordlist ?? []);
        this.#list(node.body);
        return;
      case 'ArithmeticFor':
        this.#arithmetic(node);
        this.#list(node.body);
        return;
      case 'ArithmeticCommand':
        this.#arithmetic(node);
        return;
      default:
        this.unknown('hoop does not understand part of it');
    }
  }

  #maybeList(list: Node<'CompoundList'> | undefined): void {
    if (list !== undefined) {
      this.#list(list);
    }
  }

  #arithmetic(node: SyntaxNode): void {
    // A variable in it is evaluated as an expression, and a subscript in that as a command.
    this.unknown('it contains arithmetic');
    readParts(node, [], this);
  }

  #words(words: readonly Node<'Word'>[]): void {
    for (const word of words) {
      readWord(word, this);
    }
  }

  /**
   * `[[ … ]]`, where it is one test: shells that do not know it run what stands behind && and ||,
   * and write where < and > are. Numbers are arithmetic.
   */
  #test({ expression }: Node<'TestCommand'>): void {
    if (expression.type === 'TestUnary') {
      this.#words([expression.operand]);
    } else if (expression.type === 'TestBinary') {
      this.#words([expression.left, expression.right]);
    }
    const isPlain =
      (expression.type === 'TestUnary' && /^-[a-hknoprstuwxzGLNOS]$/.test(expression.operator)) ||
      (expression.type === 'TestBinary' && /^(?:==?|!=)$/.test(expression.operator));
    if (!isPlain) {
      this.unknown('it has a test in it that shells read in different ways');
    }
  }

  #redirected(
    redirections: readonly (Node<'Redirect'> | Node<'HereString'> | Node<'HereDoc'>)[],
    action: () => void,
  ): void {
    const from = this.#facts.count;
    action();
    const to = this.#facts.count;
    for (const redirection of redirections) {
      this.#redirection(redirection, from, to);
    }
  }

  #redirection(
    redirection: Node<'Redirect'> | Node<'HereString'> | Node<'HereDoc'>,
    from: number,
    to: number,
  ): void {
    if (redirection.type === 'HereDoc') {
      if (!DELIMITER.test(redirection.delimiter?.text ?? '')) {
        this.unknown('a text in it ends elsewhere for other shells');
      }
      for (const part of redirection.body.parts ?? []) {
        if (hasQuotesWithin(part)) {
          this.unknown(QUOTES_WITHIN);
        }
      }
      readParts(redirection.body, redirection.body.parts ?? [], this);
      return;
    }
    const { target } = redirection;
    const word = target && readWord(target, this);
    if (redirection.type === 'HereString') {
      return;
    }
    if (redirection.descriptor?.type === 'FileDescriptorVariable') {
      this.unknown('it stores a file descriptor in a variable');
      return;
    }
    const { operator } = redirection;
    const path = typeof word === 'string' ? word : undefined;
    if (
      (operator === '>&' || operator === '<&') &&
      path !== undefined &&
      /^(?:\d+-?|-)$/.test(path)
    ) {
      return;
    }
    if (path !== undefined && /^\/dev\/+(?:tcp|udp)\//.test(path)) {
      this.unknown('a redirection in it leads to the network');
      return;
    }
    if (path === undefined || !HARMLESS_FILES.has(path)) {
      const operations = ([] as ('read' | 'write')[])
        .concat(/^(?:<|<>|<&)$/.test(operator) ? ['read'] : [])
        .concat(/^(?:<|<&)$/.test(operator) ? [] : ['write']);
      this.#facts.redirection({ path, operations, from, to });
    }
  }

  #sets(name: string): void {
    if (!isOwn(name)) {
      this.unknown(`it sets ${/^\w{1,40}$/.test(name) ? name : 'a variable'}`);
    }
  }

  #command(node: Node<'Command'>): void {
    const assignments: { name: string; value: string | undefined }[] = [];
    for (const part of node.prefix) {
      if (part.type === 'Assignment') {
        assignments.push(this.#assignment(part));
      }
    }
    const written = [...(node.name === undefined ? [] : [node.name]), ...node.args];
    const words = written.map((word) => this.#argument(word));
    this.#behindBoth(node);
    this.#redirected(node.redirects, () => {
      if (words.length > 0) {
        const set = assignments.filter(({ name }) => !isHarmless(name));
        this.#start(words, set, this.#startedBy);
        return;
      }
      for (const { name } of assignments) {
        this.#sets(name);
      }
    });
  }

  /** `cmd &>file word`: where a shell does not know it, `cmd &` and then `>file word`. */
  #behindBoth({ suffix }: Node<'Command'>): void {
    const first = suffix.findIndex(
      (part) => part.type === 'Redirect' && part.operator.startsWith('&>'),
    );
    if (
      first >= 0 &&
      suffix.slice(first + 1).some(({ type }) => type === 'Word' || type === 'Assignment')
    ) {
      this.unknown('a word in it follows &>');
    }
  }

  #argument(word: Node<'Word'> | Node<'Assignment'>): ShellWord {
    if (word.type === 'Word') {
      return readWord(word, this);
    }
    const { name, value } = this.#assignment(word);
    return value === undefined ? { unknown: 'one' } : `${name}=${value}`;
  }

  #assignment(node: Node<'Assignment'>): { name: string; value: string | undefined } {
    const { name, value, append, index } = node;
    if (index !== undefined || append === true || value.type === 'ArrayValue') {
      this.unknown('it sets a part of a variable, or a list');
      readParts(node, [], this);
      return { name, value: undefined };
    }
    // Of an empty value the word is not there.
    const word = value.text === '' ? '' : readWord(value, this);
    const text = typeof word === 'string' ? word : undefined;
    if (hidesQuotes(name, text)) {
      this.unknown('it sets a character set in which quotes can hide');
    }
    return { name, value: text };
  }

  #start(
    words: readonly ShellWord[],
    assignments: SimpleCommand['assignments'],
    startedBy: StartedBy | undefined,
    standsFor?: string,
  ): void {
    if (words.length > MAX_WORDS) {
      this.unknown('a command in it has too many words');
      return;
    }
    const started = startedCommand(words);
    const { isReader = false } = started;
    const index = this.#facts.command({ words, assignments, startedBy, isReader, standsFor });
    if (index === undefined) {
      return;
    }
    const itself: StartedBy = { command: index, at: 0 };
    if (typeof words[0] !== 'string') {
      this.unknown('a program in it is not literal');
    }
    const powerful = assignments.find(({ name }) => isPowerful(name));
    if (powerful !== undefined) {
      this.#facts.unknown(`it sets ${powerful.name}`, itself);
    }
    for (const { name, value } of started.inner?.flatMap((one) => one.assignments ?? []) ?? []) {
      if (hidesQuotes(name, value)) {
        this.unknown('it sets a character set in which quotes can hide');
      }
    }
    for (const one of started.inner ?? []) {
      this.#facts.within(() => {
        this.#start(
          one.words,
          (one.assignments ?? []).filter(({ name }) => !isHarmless(name)),
          { command: index, at: one.at },
          one.standsFor,
        );
      });
    }
    for (const name of started.sets ?? []) {
      this.#sets(name);
    }
    for (const file of started.writes ?? []) {
      this.#facts.redirection({ path: file, operations: ['write'], from: index, to: index + 1 });
    }
    if (started.text !== undefined) {
      const { text } = started;
      this.#facts.within(() => {
        readText(this.#facts, text, { command: index, at: undefined }, this.#texts + 1);
      });
    }
    if (started.unknown !== undefined) {
      this.#facts.unknown(
        started.unknown,
        { command: index, at: 'all' },
        started.readsInput === true,
      );
    }
  }
}

/** Where a here-document ends, in a way that shells agree on: not `$'EOF'`, nor over two lines. */
const DELIMITER = /^(?:[\w.-]+|\\[\w.-]+|'[\w. -]+'|"[\w. -]+")$/;

/** What takes everything and has nothing, and what there is already. */
const HARMLESS_FILES = new Set(['/dev/null', '/dev/stdout', '/dev/stderr', '/dev/stdin']);
