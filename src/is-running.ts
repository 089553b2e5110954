import { errorCode } from './error-code.ts';

/** Whether a process with this id runs on this machine, whoever's it is. */
export function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as somebody else.
    return errorCode(error) !== 'ESRCH';
  }
}
