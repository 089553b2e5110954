'use strict';

var fs = require('fs');
var os = require('os');
var path = require('path');

useFewArenas();
keepCompiledCode();
tuneCollector();

if (fs.existsSync(path.join(__dirname, '..', 'dist', 'main.js'))) {
  void import('../dist/main.js').then((program) => program.main());
} else {
  process.stderr.write(
    'hoop: error: this checkout is not built\nhoop: hint: Run `npm run build` first.\n',
  );
  process.exitCode = 1;
}

/**
 * glibc gives threads pools of memory of their own, up to eight for each processor, and what one
 * thread has freed no other gets. A gateway runs for months, so it has two. They are counted when a
 * process begins: this one begins again, with its process id, before it has loaded anything.
 */
function useFewArenas() {
  var isGateway = process.argv[2] === 'gateway' && process.argv[3] === 'start';
  // A channel to a parent in Node.js would not survive it.
  if (!isGateway || process.platform !== 'linux' || process.env.MALLOC_ARENA_MAX || process.channel) {
    return;
  }
  if (process.execve) {
    process.execve(
      process.execPath,
      [process.execPath].concat(process.execArgv, process.argv.slice(1)),
      Object.assign({}, process.env, { MALLOC_ARENA_MAX: '2' })
    );
  }
}

/** Compiled modules are kept for the next start: it saves a third of the time until main() runs. */
function keepCompiledCode() {
  var directory = process.env.HOOP_HOME
    ? path.join(process.env.HOOP_HOME, 'code')
    : path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'hoop', 'code');
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 448 });
    var stat = fs.statSync(directory);
    // What is in there runs as this user: nobody else may have put it there.
    if (!process.getuid || (stat.uid === process.getuid() && (stat.mode & 63) === 0)) {
      require('module').enableCompileCache(directory);
    }
  } catch (error) {
    // No home, or a full disk: it starts as fast as it can.
    void error;
  }
}

/**
 * How V8 collects garbage here. These flags have no promise: another V8 would print that it does not
 * know them. Measured in docs/design/0040-performance.md.
 */
function tuneCollector() {
  if (!/^13\./.test(process.versions.v8)) {
    return;
  }
  [
    // When a process rests, V8 collects in a way that also drops the shapes of objects of which there
    // are none just then, and with them all optimized code that has met such an object: after a pause
    // of its clients a gateway needed seconds of load to be fast again. It still collects, and keeps
    // the shapes.
    '--no-memory-reducer-favors-memory',
    '--retain-maps-for-n-gc=1000',
    // A stream leaves little behind that lives, hundreds of times a second: one thread has cleared it
    // away sooner than several have agreed on who does what.
    '--no-parallel-scavenge',
    // The buffers of a stream are freed by collections of the young generation. Without this all of
    // the heap is marked as well, for each few megabytes that pass.
    '--heap-growing-percent=300'
  ].forEach(function (flag) {
    require('v8').setFlagsFromString(flag);
  });
}
