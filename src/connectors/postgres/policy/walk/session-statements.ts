/** Statements about the session: transactions, settings, names of cursors and prepared statements. */

import type { ProtocolEffect } from '../facts/analysis-types.ts';
import { constant, type NamedLineage } from '../facts/lineage.ts';
import { namedSetting, settingValue } from '../facts/setting-lineage.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import type { StatementContext } from '../facts/types.ts';
import { type FieldsOf, is, literalText, type Node } from '../parse/tree.ts';
import type { StatementResult } from './statements.ts';

/** @returns undefined when it is another kind of statement. */
export function sessionStatement(facts: StatementFacts, node: Node): StatementResult | undefined {
  if (is(node, 'TransactionStmt')) return transaction(facts, node.TransactionStmt);
  if (is(node, 'VariableSetStmt')) return set(facts, node.VariableSetStmt);
  if (is(node, 'VariableShowStmt')) return show(facts, node.VariableShowStmt);
  if (is(node, 'DiscardStmt')) return discard(facts, node.DiscardStmt);
  if (is(node, 'DeallocateStmt')) {
    const { name, isall } = node.DeallocateStmt;
    const all = isall || name === undefined;
    return { verb: 'deallocate', columns: undefined, protocol: { deallocate: all ? null : name } };
  }
  if (is(node, 'ClosePortalStmt')) {
    const { portalname } = node.ClosePortalStmt;
    return {
      verb: 'close',
      columns: undefined,
      protocol: { closeCursor: portalname ?? null },
    };
  }
  return undefined;
}

type TransactionEffect = NonNullable<ProtocolEffect['transaction']>;

const TRANSACTIONS: Readonly<Record<string, readonly [verb: string, effect?: TransactionEffect]>> =
  {
    TRANS_STMT_BEGIN: ['begin', 'begin'],
    TRANS_STMT_START: ['start transaction', 'begin'],
    TRANS_STMT_COMMIT: ['commit', 'commit'],
    TRANS_STMT_ROLLBACK: ['rollback', 'rollback'],
    TRANS_STMT_SAVEPOINT: ['savepoint', 'savepoint'],
    TRANS_STMT_RELEASE: ['release', 'release'],
    TRANS_STMT_ROLLBACK_TO: ['rollback to', 'rollback to'],
    TRANS_STMT_PREPARE: ['prepare transaction', 'prepare'],
    TRANS_STMT_COMMIT_PREPARED: ['commit prepared'],
    TRANS_STMT_ROLLBACK_PREPARED: ['rollback prepared'],
  };

function transaction(facts: StatementFacts, fields: FieldsOf<'TransactionStmt'>): StatementResult {
  const known = TRANSACTIONS[fields.kind ?? ''];
  if (!known) {
    facts.unknown(`the transaction command ${fields.kind}`);
    return { verb: 'transaction', columns: undefined, protocol: {} };
  }
  const [verb, effect] = known;
  // What another transaction prepared takes effect now, DDL included.
  facts.changesCatalog ||= verb.endsWith(' prepared');
  return { verb, columns: undefined, protocol: effect ? { transaction: effect } : {} };
}

function set(facts: StatementFacts, fields: FieldsOf<'VariableSetStmt'>): StatementResult {
  const name = (fields.name ?? '').toLowerCase();
  const local = fields.is_local ?? false;
  switch (fields.kind) {
    case 'VAR_SET_VALUE': {
      const values = (fields.args ?? []).map(literalText);
      const plain = values.every((value) => value !== undefined);
      const value = plain ? values.join(', ') : undefined;
      // Migration tools end with the role that they began with.
      const isOwnRole =
        name === 'role' && value !== undefined && isRoleInForce(facts.context, value);
      facts.settings.push({ name, value, local, ...(isOwnRole ? { unchanged: true } : {}) });
      if (isOwnRole) return { verb: 'set', columns: undefined, protocol: {} };
      break;
    }
    case 'VAR_SET_DEFAULT':
    case 'VAR_RESET':
      facts.settings.push({ name, value: undefined, local, reset: true });
      break;
    case 'VAR_RESET_ALL':
      facts.settings.push({ name: 'all', value: undefined, local, reset: true });
      break;
    case 'VAR_SET_MULTI':
      // TRANSACTION and SESSION CHARACTERISTICS: isolation, read only, deferrable, snapshot.
      return { verb: `set ${name}`, columns: undefined, protocol: {} };
    default:
      facts.unknown(`SET of the kind ${fields.kind}`);
      facts.settings.push({ name: '*', value: undefined, local });
  }
  return { verb: setVerb(fields.kind, name), columns: undefined, protocol: {} };
}

/** NONE is the user who logged in, also where the database begins sessions with another role. */
export function isRoleInForce(
  context: Pick<StatementContext, 'role' | 'isLoginRole'>,
  role: string,
): boolean {
  return role === 'none' ? context.isLoginRole === true : role === context.role;
}

function setVerb(kind: string | undefined, name: string): string {
  // Back to whom the connection was opened as; pools send it, as they do DISCARD ALL.
  const isIdentity = name === 'session_authorization' || name === 'role';
  if (isIdentity && (kind === 'VAR_SET_DEFAULT' || kind === 'VAR_RESET')) {
    return 'reset';
  }
  const verb = kind === 'VAR_RESET' || kind === 'VAR_RESET_ALL' ? 'reset' : 'set';
  if (name === 'role') return `${verb} role`;
  return name === 'session_authorization' ? `${verb} session authorization` : verb;
}

function show(facts: StatementFacts, fields: FieldsOf<'VariableShowStmt'>): StatementResult {
  const name = fields.name ?? '';
  const columns: readonly NamedLineage[] =
    name.toLowerCase() === 'all'
      ? [
          { name: 'name', lineage: constant() },
          { name: 'setting', lineage: settingValue(facts) },
          { name: 'description', lineage: constant() },
        ]
      : [{ name, lineage: namedSetting(facts, name) }];
  return { verb: 'show', columns, protocol: {} };
}

function discard(facts: StatementFacts, fields: FieldsOf<'DiscardStmt'>): StatementResult {
  const all = fields.target === 'DISCARD_ALL';
  if (all) {
    facts.settings.push({ name: 'all', value: undefined, local: false, reset: true });
  }
  // Temporary tables go.
  facts.changesCatalog ||= all || fields.target === 'DISCARD_TEMP';
  return {
    verb: 'discard',
    columns: undefined,
    protocol: all ? { deallocate: null, closeCursor: null } : {},
  };
}
