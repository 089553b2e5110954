import { ProtocolError } from '../../../errors.ts';

/** Requests that are not answered yet; ssh(1) has a few. A server that never answers costs no more. */
const MAX_WAITING = 1024;

/** Replies leave in the order of the requests (RFC 4254 §5.4), whichever is known first. */
export class ReplyOrder {
  readonly #waiting: { answer: boolean | undefined }[] = [];
  readonly #reply: (isSuccess: boolean) => void;

  constructor(reply: (isSuccess: boolean) => void) {
    this.#reply = reply;
  }

  /**
   * @throws ProtocolError for more requests than anybody has under way
   * @returns how to answer this one; without effect the second time
   */
  next(): (isSuccess: boolean) => void {
    if (this.#waiting.length >= MAX_WAITING) {
      throw new ProtocolError('the client asks on and on before it has been answered');
    }
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
