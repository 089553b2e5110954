import { TYPE } from '../calls/function-types.ts';
import { extensionReach, runsText } from '../calls/functions-table.ts';
import { isPlainFunction } from '../calls/trusted-extensions.ts';
import type { CatalogFunction } from '../facts/catalog-types.ts';
import { isBuiltIn } from '../facts/names.ts';

/**
 * Whether it may run a text that it is given. C has no text to read: a function of an extension that
 * changes things, or whose columns depend on the call, may; one that computes a value has no use for SQL.
 */
export function runsGivenText(called: CatalogFunction): boolean {
  const { name, argTypeOids, volatility, language, extension } = called;
  if (isBuiltIn(called)) return runsText(name, argTypeOids.length, volatility);
  const isOpaque = extension !== undefined && language === 'c';
  if (!isOpaque || isPlainFunction(called) || extensionReach(extension) !== undefined) return false;
  return volatility === 'v' || (called.returnsSet && called.returnTypeOid === TYPE.record);
}
