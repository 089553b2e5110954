/** Replies leave in the order of the requests (RFC 4254 §5.4), whichever is known first. */
export class ReplyOrder {
  readonly #waiting: { answer: boolean | undefined }[] = [];
  readonly #reply: (isSuccess: boolean) => void;

  constructor(reply: (isSuccess: boolean) => void) {
    this.#reply = reply;
  }

  /** @returns how to answer this one; without effect the second time */
  next(): (isSuccess: boolean) => void {
    const place: { answer: boolean | undefined } = { answer: undefined };
    this.#waiting.push(place);
    return (isSuccess) => {
      place.answer ??= isSuccess;
      this.#flush();
    };
  }

  #flush(): void {
    for (let first = this.#waiting[0]; first?.answer !== undefined; first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#reply(first.answer);
    }
  }
}
