/**
 * Unwinds a loop of the engine because its stream is over; what there was to say about it has been
 * said. Never leaves serve-postgres-stream.ts.
 */
export class StreamEnded extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'StreamEnded';
  }
}
