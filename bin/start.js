'use strict';

var fs = require('fs');
var os = require('os');
var path = require('path');

useFewArenas();
letSqliteBe();
keepCompiledCode();
findModulesBeside();

if (fs.existsSync(path.join(__dirname, '..', 'dist', 'main.js'))) {
  import('../dist/main.js').then((program) => program.main()).catch(tellWhatIsGone);
} else {
  process.stderr.write(
    'hoop: error: this checkout is not built\nhoop: hint: Run `npm run build` first.\n',
  );
  process.exitCode = 1;
}

/** A build or an update puts a new bundle in the place of the one that this call has begun to load. */
function tellWhatIsGone(error) {
  var isOurs = error && (error.code === 'ENOENT' || error.code === 'ERR_MODULE_NOT_FOUND');
  var file = isOurs ? String(error.path || error.url) : '';
  if (path.basename(path.dirname(file)) !== 'dist') {
    throw error;
  }
  process.stderr.write(
    'hoop: error: a file of hoop itself is missing: ' + file +
    '\nhoop: hint: Run it again if hoop was being built or updated; otherwise install it again (in a checkout: `npm run build`).\n'
  );
  // As for whatever of hoop's own fails where the status is another program's.
  process.exitCode = /^(ssh|run)$/.test(process.argv[2]) || process.argv.includes('--') ? 255 : 1;
}

/**
 * glibc gives threads pools of memory of their own, up to eight for each processor, and what one
 * thread has freed no other gets. A gateway runs for months, so it has two. They are counted when a
 * process begins: this one begins again, with its process id, before it has loaded anything.
 */
function useFewArenas() {
  var isGateway = process.argv[2] === 'gateway' && process.argv[3] === 'start';
  // Neither a channel to a parent in Node.js nor a socket of systemd would survive it: Node.js closes
  // what it inherited. The unit sets the variable itself.
  var hasInherited = process.channel || process.env.LISTEN_FDS;
  if (!isGateway || process.platform !== 'linux' || process.env.MALLOC_ARENA_MAX || hasInherited) {
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

/**
 * Early versions of Node.js 24 call SQLite experimental, on the stderr of whatever command keeps something
 * in it. The ones that we promise to work with are tested.
 */
function letSqliteBe() {
  var emitWarning = process.emitWarning;
  process.emitWarning = function (warning) {
    if (!/^SQLite is an experimental feature/.test(String(warning))) {
      emitWarning.apply(process, arguments);
    }
  };
}

/**
 * Compiled modules are kept for the next start: it saves a third of the time until main() runs. Beside
 * the bundle where this user has built it, for all homes; else in a directory of the user's own.
 */
function keepCompiledCode() {
  var beside = path.join(__dirname, '..', 'dist', 'code');
  var own = process.env.HOOP_HOME
    ? path.join(process.env.HOOP_HOME, 'code')
    : path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'hoop', 'code');
  try {
    var directory = isPrivate(beside) ? beside : own;
    fs.mkdirSync(directory, { recursive: true, mode: 448 });
    if (isPrivate(directory)) {
      require('module').enableCompileCache(directory);
    }
  } catch (error) {
    // No home, or a full disk: it starts as fast as it can.
    void error;
  }
}

/**
 * Modules of the bundle ask for each other by name, and all that a command loads are in one directory:
 * where each is needs no search. Node.js would look at each file and for the package.json that says of
 * which kind it is: with 60 to 140 modules a tenth of a short command.
 */
function findModulesBeside() {
  var directory = require('url').pathToFileURL(path.join(__dirname, '..', 'dist')).href + '/';
  require('module').registerHooks({
    resolve: function (specifier, context, next) {
      var parent = context.parentURL || '';
      var isBeside =
        parent.lastIndexOf('/') + 1 === directory.length &&
        parent.startsWith(directory) &&
        /^\.\/[\w-]+\.js$/.test(specifier);
      return isBeside
        ? { url: directory + specifier.slice(2), format: 'module', shortCircuit: true }
        : next(specifier, context);
    },
  });
}

/** What is in there runs as this user: nobody else may have put it there. */
function isPrivate(directory) {
  var stat = fs.statSync(directory, { throwIfNoEntry: false });
  return stat !== undefined && (!process.getuid || (stat.uid === process.getuid() && (stat.mode & 63) === 0));
}
