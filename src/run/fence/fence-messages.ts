/** What hoop and the first program inside a fence say to each other; both are of one build. */

export type ToInside =
  | { readonly type: 'listen'; readonly port: number }
  | {
      readonly type: 'become';
      readonly command: readonly string[];
      readonly env: Record<string, string>;
      readonly cwd: string;
      /** Bytes of standard input that were read before. */
      readonly skip: number;
    };

export type FromInside =
  | { readonly type: 'ready' }
  /** With the listener. */
  | { readonly type: 'listening' }
  /** Of a listener, when there is no program. */
  | ({ readonly type: 'failed'; readonly program?: string } & Failure);

export interface Failure {
  /** Of a program: ENOENT, EACCES. */
  readonly code: string;
  /** Which its first line names, and which is not there. */
  readonly interpreter?: string;
}
