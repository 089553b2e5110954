'use strict';

var fs = require('fs');
var path = require('path');

if (fs.existsSync(path.join(__dirname, '..', 'dist', 'main.js'))) {
  void import('../dist/main.js').then((program) => program.main());
} else {
  process.stderr.write(
    'hoop: error: this checkout is not built\nhoop: hint: Run `npm run build` first.\n',
  );
  process.exitCode = 1;
}
