/** Off where one of them says so: who writes it has a reason, and nobody else has one against it. */
export function terminalOf(...parts: readonly { readonly terminal?: 'off' }[]): {
  readonly terminal?: 'off';
} {
  return parts.some(({ terminal }) => terminal === 'off') ? { terminal: 'off' } : {};
}
