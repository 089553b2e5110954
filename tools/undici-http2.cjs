/**
 * What undici's client gets for its part that speaks HTTP/2: that part, when a server wants it.
 * Loading it loads Node's own HTTP/2, and a gateway speaks HTTP/1.1.
 */
'use strict';

module.exports = (client, socket) => require('undici/lib/dispatcher/client-h2.js')(client, socket);
