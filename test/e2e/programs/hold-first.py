"""Traces process 1 of its own fence: makes it forget that it ends with its parent, and close what hoop
would see its end by, and holds it when the argument is `hold`. Says `held` or `free`, and then waits to be ended. x86-64 only."""
import ctypes, os, sys, time

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, INTERRUPT, GETREGS, SETREGS, STEP, DETACH = 0x4206, 0x4207, 12, 13, 9, 17
# Of struct user_regs_struct.
SI, DI, AX, ORIG_AX, IP = 13, 14, 10, 15, 16
PRCTL, PR_SET_PDEATHSIG, CLOSE = 157, 1, 3


def trace(request, data=None):
    if libc.ptrace(request, 1, None, data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def stopped():
    while open('/proc/1/stat').read().rsplit(')', 1)[1].split()[0] != 't':
        time.sleep(0.01)


def wait():
    os.waitpid(1, 0x40000000)


trace(SEIZE)
trace(INTERRUPT)
wait()
saved = (ctypes.c_ulonglong * 27)()
trace(GETREGS, saved)
for number, first, second in [(PRCTL, PR_SET_PDEATHSIG, 0), (CLOSE, 2, 0)]:
    changed = (ctypes.c_ulonglong * 27)(*saved)
    # It waits in a system call, whose instruction is the two bytes before.
    changed[IP] -= 2
    changed[AX], changed[ORIG_AX] = number, ctypes.c_ulonglong(-1).value
    changed[DI], changed[SI] = first, second
    trace(SETREGS, changed)
    trace(STEP)
    wait()
trace(SETREGS, saved)
if sys.argv[1] == 'hold':
    print('held', flush=True)
else:
    trace(DETACH)
    print('free', flush=True)
time.sleep(3600)
