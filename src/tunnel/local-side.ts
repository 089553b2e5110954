import { rmSync } from 'node:fs';
import { makeRuntimeDirectory } from '../client/runtime-directory.ts';
import { LocalListener } from './local-listener.ts';

/** What a session has on this machine before there is one. */
export interface LocalSide {
  /** 0700; removed at the end, unless it is lasting. */
  readonly runtime: string;
  readonly listener: LocalListener;
  readonly isLasting?: boolean;
}

/** @throws HoopError HOOP_LOCAL_PORT, HOOP_LOCAL_STATE */
export async function openLocalSide(
  home: { readonly runtime: string },
  listen: { readonly type: 'tcp'; readonly port: number } | { readonly type: 'unix' },
): Promise<LocalSide> {
  const runtime = makeRuntimeDirectory(home.runtime);
  try {
    const on = listen.type === 'tcp' ? listen : { type: 'unix' as const, directory: runtime };
    return { runtime, listener: await LocalListener.open(on) };
  } catch (error) {
    rmSync(runtime, { recursive: true, force: true });
    throw error;
  }
}

/** Idempotent; connections that are served are not touched. */
export function closeLocalSide({ runtime, listener, isLasting = false }: LocalSide): void {
  listener.close();
  if (!isLasting) {
    rmSync(runtime, { recursive: true, force: true });
  }
}
