/**
 * Whether the other side can be late at all. While the network is away nobody can confirm anything,
 * and TCP takes as long again to find that it is back. Silence is left out of the time for an answer
 * only while nothing at all comes: whoever is silent asks for nothing.
 */
export class Silence {
  #wasHeard = false;
  #isSilent: () => boolean = () => false;

  /** @param isSilent the control channel has waited in vain */
  leaveOut(isSilent: () => boolean): void {
    this.#isSilent = isSilent;
  }

  heard(): void {
    this.#wasHeard = true;
  }

  /** For an AwakeTimer: whether the step that ends now counts. */
  readonly counts = (): boolean => {
    const wasHeard = this.#wasHeard;
    this.#wasHeard = false;
    return wasHeard || !this.#isSilent();
  };
}
