/** What undici gets for the code of its HTTP parser, which it compiles at once: the code, as it is. */
'use strict';

const { baselineNow } = require('../src/baseline-wasm.ts');

baselineNow();
module.exports = require('undici/lib/llhttp/llhttp_simd-wasm.js');
