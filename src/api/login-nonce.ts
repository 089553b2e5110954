import { createHash } from 'node:crypto';

/**
 * What a login asks its identity provider to put into the ID token: a nonce of the gateway, tied to
 * the key of the login. So the token buys a login for this key only, whoever else gets hold of it,
 * and no token that was made for another purpose buys one.
 * https://openid.net/specs/openid-connect-core-1_0.html#NonceNotes
 * @param nonce from `InfoReply.loginNonce`
 * @param jkt RFC 7638 thumbprint of the login's key
 */
export function tokenNonce(nonce: string, jkt: string): string {
  return createHash('sha256').update(`hoop login ${nonce} ${jkt}`).digest('base64url');
}
