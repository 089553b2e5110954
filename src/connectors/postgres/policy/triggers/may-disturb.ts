import type { ProtocolEffect } from '../facts/analysis-types.ts';

/** Tells whether code that runs with a statement may change the catalog, settings, or what names stand for. */
export function mayDisturb({ runsUserCode, codeIsRead }: ProtocolEffect): boolean {
  return runsUserCode && codeIsRead !== true;
}
