/**
 * What `import … from 'undici'` gets in dist/: its index loads 110 modules, of which a command needs
 * 31. Who needs fetch has `await import('undici')`, which is all of it.
 */
'use strict';

const Dispatcher = require('undici/lib/dispatcher/dispatcher');

// As undici/index.js does it.
Object.assign(Dispatcher.prototype, require('undici/lib/api'));
exports.Agent = require('undici/lib/dispatcher/agent');
