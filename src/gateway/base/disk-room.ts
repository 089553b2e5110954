/**
 * Whether there is room to record. What cannot be recorded is not forwarded, so a full disk ends
 * sessions anyway; stopping before it lets them be cut, closed and indexed in order.
 */
import { statfsSync } from 'node:fs';
import { HoopError } from '../../errors.ts';
import { errorFields, type Log } from './log.ts';

/** Live sessions end at this part of what a new one needs: 2 % where that is 10 %. */
const END_AT = 1 / 5;

export interface DiskRoomOptions {
  /** Where recordings and index are. */
  readonly directory: string;
  /** Below this no session begins; 0 never refuses one. */
  readonly minFreePercent: number;
  readonly log: Log;
  /** Tests give their own. */
  readonly freePercent?: (directory: string) => number;
}

export class DiskRoom {
  readonly #options: DiskRoomOptions;

  constructor(options: DiskRoomOptions) {
    this.#options = options;
  }

  /** Free part of the disk, 0 to 1; 0 if the system cannot say. */
  get freeRatio(): number {
    return this.#free(0) / 100;
  }

  get hasRoom(): boolean {
    return this.#free(0) >= this.#options.minFreePercent;
  }

  /** Live sessions should end now. A disk that cannot be asked shows soon enough when it is written to. */
  get isNearlyFull(): boolean {
    return this.#free(100) < this.#options.minFreePercent * END_AT;
  }

  /** @throws HOOP_DISK_FULL */
  checkForSession(): void {
    if (!this.hasRoom) {
      throw new HoopError(
        'HOOP_DISK_FULL',
        'the gateway has too little disk space to record a session',
        {
          detail: `Less than ${this.#options.minFreePercent} % of the disk with its data is free.`,
          hint: 'Whoever runs the gateway must free space there, or lower recording.minFreePercent in its configuration.',
        },
      );
    }
  }

  #free(whenUnknown: number): number {
    const { directory, freePercent = freePercentOf, log } = this.#options;
    try {
      return freePercent(directory);
    } catch (error) {
      log.error('disk.unknown', errorFields(error));
      return whenUnknown;
    }
  }
}

/** Of what this user may fill: some file systems keep blocks for root. */
function freePercentOf(directory: string): number {
  const { blocks, bfree, bavail } = statfsSync(directory);
  const usable = blocks - (bfree - bavail);
  return usable <= 0 ? 100 : (bavail / usable) * 100;
}
