/** Which node something belongs to: the id of a data directory, and its term, which rises with each start. */
export interface NodeOwner {
  readonly id: string;
  readonly term: number;
}
