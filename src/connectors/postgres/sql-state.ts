/**
 * The SQLSTATEs that hoop sends, or knows when it sees them, by their names in the appendix of
 * PostgreSQL: https://www.postgresql.org/docs/18/errcodes-appendix.html
 */
export const SQL_STATE = {
  successfulCompletion: '00000',
  warning: '01000',
  cannotEstablishConnection: '08001',
  connectionFailure: '08006',
  protocolViolation: '08P01',
  featureNotSupported: '0A000',
  characterNotInRepertoire: '22021',
  invalidParameterValue: '22023',
  foreignKeyViolation: '23503',
  uniqueViolation: '23505',
  inFailedTransaction: '25P02',
  invalidStatementName: '26000',
  invalidAuthorization: '28000',
  invalidPassword: '28P01',
  invalidCursorName: '34000',
  invalidCatalogName: '3D000',
  transactionRollback: '40000',
  insufficientPrivilege: '42501',
  syntaxError: '42601',
  undefinedColumn: '42703',
  undefinedObject: '42704',
  wrongObjectType: '42809',
  undefinedFunction: '42883',
  undefinedTable: '42P01',
  insufficientResources: '53000',
  diskFull: '53100',
  tooManyConnections: '53300',
  programLimitExceeded: '54000',
  queryCanceled: '57014',
  adminShutdown: '57P01',
  cannotConnectNow: '57P03',
  systemError: '58000',
  ioError: '58030',
  internalError: 'XX000',
} as const;

/**
 * Classes whose messages name objects and conditions, never values.
 */
export const SAFE_CLASSES = new Set([
  '08',
  '23',
  '25',
  '26',
  '28',
  '34',
  '40',
  '53',
  '54',
  '55',
  '57',
]);

/** What the SQLSTATE of a text that is withheld means, in the server's own words for it. */
export const CONDITIONS: Readonly<Record<string, string>> = {
  '0A000': 'feature not supported',
  '21000': 'cardinality violation',
  '22001': 'string data right truncation',
  '22003': 'numeric value out of range',
  '22004': 'null value not allowed',
  '22007': 'invalid datetime format',
  '22008': 'datetime field overflow',
  '22012': 'division by zero',
  '2201B': 'invalid regular expression',
  '22023': 'invalid parameter value',
  '22P02': 'invalid text representation',
  '22P05': 'untranslatable character',
  P0001: 'raised by a function or trigger',
};
