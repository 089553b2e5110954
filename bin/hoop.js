#!/usr/bin/env node
// The launcher. Old syntax on purpose: it must be read by whatever Node is on PATH, so that a
// Node that is too old gets one clear line instead of a syntax error.
'use strict';

var path = require('path');
// The first LTS release of Node.js 24: earlier ones cannot tell how long a thread has worked.
var MINIMUM = [24, 11];
var root = path.join(__dirname, '..');

if (isNewEnough(process.versions.node)) {
  require('./start.js');
} else {
  runOn(findRuntime());
}

function isNewEnough(version) {
  var parts = version.split('.').map(Number);
  return parts[0] > MINIMUM[0] || (parts[0] === MINIMUM[0] && parts[1] >= MINIMUM[1]);
}

/** The Node of this checkout (npm install brings it as a package), or undefined. */
function findRuntime() {
  var fs = require('fs');
  var isWindows = process.platform === 'win32';
  var kind = (isWindows ? 'win' : process.platform) + '-' + process.arch;
  var names = ['node-' + kind, 'node-bin-' + kind];
  for (var i = 0; i < names.length; i += 1) {
    var file = path.join(root, 'node_modules', names[i], 'bin', isWindows ? 'node.exe' : 'node');
    if (fs.existsSync(file)) {
      return file;
    }
  }
  return undefined;
}

function runOn(runtime) {
  if (!runtime) {
    process.stderr.write(
      'hoop: error: this needs Node.js ' + MINIMUM.join('.') + ' or newer, but "node" on PATH is ' +
      process.versions.node + '; a newer one has to come first: https://nodejs.org/en/download\n'
    );
    process.exitCode = 1;
    return;
  }
  var terminals = [0, 1, 2].filter(isTerminal);
  var args = [path.join(__dirname, 'hoop.js')].concat(process.argv.slice(2));
  var child = require('child_process').spawn(runtime, args, { stdio: 'inherit' });
  // A terminal signals the whole group, so the child has it already; a lone kill reaches only us.
  // SIGUSR1 would open the debugger of Node.js.
  ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'].forEach(function (signal) {
    process.on(signal, function () {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) {
        child.kill(signal);
      }
    });
  });
  child.on('error', function (error) {
    process.stderr.write('hoop: error: cannot start "' + runtime + '": ' + error.message + '\n');
    process.exitCode = 1;
  });
  child.on('exit', function (code, signal) {
    // Node before 24 aborts at its end, with a core dump, when it cannot reset a terminal that is
    // gone. Death by the signal that says so comes before that.
    var end = terminals.every(isTerminal) ? signal : 'SIGHUP';
    if (end) {
      process.removeAllListeners(end);
      process.kill(process.pid, end);
    } else {
      process.exitCode = code;
    }
  });
}

function isTerminal(fd) {
  return require('tty').isatty(fd);
}
