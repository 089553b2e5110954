/** What hoop and the first program inside a fence say to each other; both are of one build. */

export type ToInside =
  | { readonly type: 'listen' }
  | {
      readonly type: 'become';
      readonly command: readonly string[];
      readonly env: Record<string, string>;
      readonly cwd: string;
    };

export type FromInside =
  | { readonly type: 'ready' }
  /** With the listener. */
  | { readonly type: 'listening' }
  /** ENOENT, EACCES: of the command; any other: of a listener. */
  | { readonly type: 'failed'; readonly code: string };
