"""The supervisor of a role: a small process that reports why the role died and stops the run.

Run as a script by `begin`, in the process that the launcher of MPI started; the role is its child.
A launcher ends all processes of a run when one of them is killed, so that no other role could still
say which one it was. A guard can: it outlives its role, says in one line who ended and why, and
only then pulls the others down. It imports nothing but the standard library and knows no key and no
row. The commands of this package begin before NumPy is loaded: an import may fail too.

All that a guard passes on is read at the launcher's console, which may belong to another party: the
words of an error are shown if the program wrote them, and not those of a library, which may quote a
value that its owner keeps to itself.

Roles in processes need `os.fork`: they are tested on Linux; macOS and other Unix systems should do,
and leave shared memory behind more often. On Windows there is the simulation.
"""

import contextlib
import dis
import glob
import os
import re
import signal
import sys
import threading
import time
from array import array

# Launchers that MPI knows, and others, whose processes would not find each other: the names of the
# variables that tell a process its rank and how many there are (for PMIx, only that there are any).
LAUNCHERS = ("PMI_RANK", "PMI_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")
OTHERS = {"srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
          "jsrun": ("JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"),
          "flux": ("FLUX_TASK_RANK", "FLUX_JOB_SIZE"),
          "a launcher with PMIx": ("PMIX_RANK", "PMIX_NAMESPACE")}
COMMANDS = "mpc.train_mnist", "mpc.transport.mpi"     # whose roles may be processes
PACKAGES = "mpc", "nn", "data"

TURN = 1.0          # seconds in which the guard of an earlier role may speak for this one too
PATIENCE = 2.0      # seconds more in which a guard that knows why may speak first
ASKED = 10.0        # seconds for the launcher to do as it is asked
CONSEQUENCE = 3     # a role only noticed that another has ended: the other one's guard knows why
DISAGREEMENT = 4    # a role noticed that the programs of two roles differ, as others may too
INTERRUPTED = 130
ENDED = "ended with the others"
BY_A_FELLOW = getattr(signal, "SIGUSR2", None)      # how a guard ends the roles of the others

news = None         # in a role: where its guard hears of its end


# ---------------------------------------------------------------------- the launcher


def launched():
    """The rank of this process and how many a launcher of MPI started, or None if none did.

    Raises `ValueError` where a launcher started several that MPI cannot bring together.
    """
    for names in LAUNCHERS:
        texts = [os.environ.get(name) for name in names]
        if None not in texts:
            if not all(text.isdecimal() for text in texts) or not int(texts[0]) < int(texts[1]):
                raise ValueError(f"{names[0]} is {texts[0]!r} and {names[1]} is {texts[1]!r}, no "
                                 "rank and number of processes; start mpiexec, or unset both")
            return int(texts[0]), int(texts[1])
    for launcher, (rank, size) in OTHERS.items():
        if rank in os.environ and size in os.environ:
            if os.environ[size] == "1":
                return None
            raise ValueError(f"{launcher} started this process ({rank} is set), whose processes "
                             "cannot be the roles of one run; start them by the mpiexec of the MPI "
                             "that mpi4py uses: mpiexec -n 4 python -m mpc.train_mnist; or unset "
                             f"{rank}, for a simulation in this one")
    return None


def role_of(rank, size):
    """The role that a rank plays: server, workers, crypto provider, as in `world.role_names`."""
    if size < 4 and rank:
        return f"process {rank}"
    if rank and rank == size - 1:
        return "crypto_provider"
    return ("server", "alice", "bob")[rank] if rank < 3 else f"worker{rank}"


def stand_by():
    """`begin` now, if Python was started as ``python -m`` with one of the `COMMANDS`."""
    if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].removeprefix("-m") in COMMANDS:
        status = begin()
        if status:
            sys.exit(status)


def begin():
    """Under a launcher, become the guard of a child, in which this returns.

    Returns an exit status: 0, or 2 after one line if the roles cannot be processes here.
    """
    try:
        place = launched()
        if place and not hasattr(os, "fork"):
            raise ValueError(f"roles in processes of MPI need os.fork, which {sys.platform} does "
                             "not have; take Linux, or run the simulation, without mpiexec")
    except ValueError as error:
        if all(os.environ.get(rank, "0") == "0" for rank, _ in OTHERS.values()):    # once is enough
            print(error, file=sys.stderr)
        return 2
    if place and news is None:
        _fork(*place)
    return 0


def _fork(rank, size):
    """The child returns; it writes to its guard, but for the server's standard output."""
    global news
    role = role_of(rank, size)
    (words, stderr), (lines, stdout), (end, told), (alive, held) = (os.pipe() for _ in range(4))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})       # until both are ready for it
    child = os.fork()
    if child:
        signal.signal(signal.SIGINT, signal.SIG_IGN)    # the role itself says that it was stopped
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for kept in (words, lines, end, held):
            os.set_inheritable(kept, True)
        os.execv(sys.executable, [sys.executable, "-I", "-S", os.path.abspath(__file__), role,
                                  *map(str, (child, rank, size, words, lines, end))])
    for others in (words, lines, end, held):
        os.close(others)
    threading.Thread(target=_outlive, args=(role, alive, os.dup(2)), daemon=True).start()
    os.dup2(stderr, 2)
    if rank:
        os.dup2(stdout, 1)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    os.close(stderr)
    os.close(stdout)
    news, sys.excepthook = told, _fail
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _fail(kind, error, trace):
    """End a role by an error that nobody caught, without MPI's farewell, which waits for others."""
    tell(words_of(error))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)


def _outlive(role, alive, launcher):
    """End this process when its guard, who holds the other end of `alive`, was killed: the launcher
    knows the guard only, and would wait for us. MPICH's launcher may still hang; no test shows that
    it does not."""
    os.read(alive, 1)
    os.write(launcher, f"{role}: its guard was killed; the run ends\n".encode())
    os._exit(1)


# ---------------------------------------------------------------------- what a role says


def tell(line):
    """Leave a line with the guard for the end; on the standard error if there is none."""
    os.write(2 if news is None else news, f"{line[:1000]}\n".encode())


def words_of(error):
    """What may be said of an `error` to everybody, in one line: see above."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    while isinstance(error, ImportError) and isinstance(error.__cause__, ImportError):
        error = error.__cause__         # NumPy's own advice takes a page
    kind, frames = type(error).__name__, _frames(error)
    if isinstance(error, SyntaxError):
        return f"{kind}: {error.msg} ({os.path.basename(error.filename or '')}, {error.lineno})"
    if (isinstance(error, ImportError) or isinstance(error, OSError) and error.errno
            or frames and _raises(frames[-1])):
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        return f"{kind}: {said}".removesuffix(": ")
    own = [f for f in frames if is_program(_file(f))] or [f for f in frames if is_ours(_file(f))]
    where = f" in {os.path.basename(_file(own[-1]))}, line {own[-1].tb_lineno}" if own else ""
    return (f"{kind}{where}; its words are a library's, which may quote what this role keeps to "
            "itself: run the simulation on other numbers to read them")


def _frames(error):
    """The frames that `error` went through, the one that raised it last."""
    frames, frame = [], error.__traceback__
    while frame:
        frames.append(frame)
        frame = frame.tb_next
    return frames


def _file(frame):
    return frame.tb_frame.f_code.co_filename


def _raises(frame):
    """Did a `raise` or `assert` of the program or of these packages word the error?

    The instruction tells: a function that fails within such a line brings its own words.
    """
    instruction = frame.tb_frame.f_code.co_code[frame.tb_lasti]
    return instruction == dis.opmap["RAISE_VARARGS"] and (
        is_program(_file(frame)) or is_ours(_file(frame)))


def is_ours(file):
    """Is this source file one of the three packages?"""
    root = os.path.abspath(__file__)
    for _ in range(3):
        root = os.path.dirname(root)
    return any(os.path.abspath(file).startswith(os.path.join(root, package, ""))
               for package in PACKAGES)


def is_program(file):
    """Is this source file a user's: none of ours, of Python's own or of an installed package?"""
    path, library = os.path.realpath(file), os.path.realpath(os.path.dirname(os.__file__))
    return (file.endswith(".py") and not is_ours(file)
            and not {"site-packages", "dist-packages"} & set(path.split(os.sep))
            and not path.startswith(os.path.join(library, "")))


# ---------------------------------------------------------------------- the guard


def say(to, role, line):
    """One line on the standard output (1) or error (2), in one piece."""
    with contextlib.suppress(OSError):          # nobody reads it any more
        os.write(to, f"{role}: {line.rstrip()}\n".encode())


def watch(role, pid, words, lines, end):
    """Wait for the process `pid` of `role`; returns its status, and what is to be said of its end.

    Its standard output is passed on as it comes, and so is the server's standard error; that of the
    others waits, since it may be a mere consequence.
    """
    said, held = [], []

    def errors():
        for line in open(words, encoding="utf-8", errors="replace"):
            (said if role == "server" else held).append(line)
            if role == "server":
                say(2, role, line)

    def output():
        for line in open(lines, encoding="utf-8", errors="replace"):
            say(1, role, line)

    readers = [threading.Thread(target=read, daemon=True) for read in (errors, output)]
    for reader in readers:
        reader.start()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    for reader in readers:
        reader.join(PATIENCE)       # unless a process that the role left behind may still write
    os.set_blocking(end, False)
    with contextlib.suppress(BlockingIOError):
        told = os.read(end, 2**16).decode(errors="replace").splitlines()
    return judged(status, held, told, bool(said))


def judged(status, held, told, spoke):
    """The status of a role for everybody, and the lines on its end.

    `held` are lines that it wrote, `told` those that it left for its end, and `spoke` is whether
    others are read already.
    """
    if status == -signal.SIGINT:
        return INTERRUPTED, told or ["interrupted"]
    if BY_A_FELLOW and status == -BY_A_FELLOW:
        return CONSEQUENCE, []
    if status < 0:
        full = " (shared memory is full)" * (-status == getattr(signal, "SIGBUS", None))
        name = signal.Signals(-status).name
        return -signal.SIGKILL, [f"killed by signal {-status} ({name}){full}; the run ends"]
    lines = held + [line for line in told if line != ENDED]
    if status == 0 and ENDED not in told:
        return 1, [*lines, "ended before the others did; the run ends"]
    if status and not lines and not spoke:
        lines = [f"ended with status {status}; the run ends"]
    return status, lines


def turn(status, rank, size):
    """Seconds in which the guards of other roles may speak first, and end the run: bad input, a
    disagreement or Ctrl-C may end all roles alike, and a killed role has no like."""
    if status <= 0:
        return 0
    return TURN * (size if status == CONSEQUENCE else rank) + PATIENCE * (status == CONSEQUENCE)


def end_all(status):
    """End every process of the run, this one too."""
    for pid in fellows():
        end_role(pid)
    heard()
    if "PMI_FD" in os.environ:              # ask the launcher of MPICH, as MPI_Abort does
        with contextlib.suppress(OSError):
            os.write(int(os.environ["PMI_FD"]), f"cmd=abort exitcode={status}\n".encode())
        time.sleep(ASKED)
    os.kill(os.getpid(), signal.SIGKILL)    # any launcher ends a run of which a process is killed


def fellows():
    """The processes of the other roles of this run on this host, as their guards were told."""
    for folder in glob.glob("/proc/[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            with open(f"{folder}/cmdline", encoding="utf-8") as file:
                words = file.read().split("\0")
            with open(f"{folder}/stat", encoding="utf-8") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            if words[1:4] == ["-I", "-S", os.path.abspath(__file__)] and parent == os.getppid():
                yield int(words[5])


def end_role(pid):
    """End a role that waits for others, and take the name of its shared memory away. It is stopped
    first, so that it makes no more."""
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGSTOP)
        deadline = time.monotonic() + 1
        while _state(pid) not in "TtZX" and time.monotonic() < deadline:
            time.sleep(0.002)
        unlink_shared_memory(pid)
        os.kill(pid, BY_A_FELLOW)
        os.kill(pid, signal.SIGCONT)


def _state(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]


def unlink_shared_memory(pid="self"):
    """Take the names of MPICH's shared memory away, which a run that fails would leave behind, and
    with them the memory. Once all roles have opened it, nobody needs them."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        for name in set(re.findall(r"/dev/shm/mpich_shm_\w+", maps.read())):
            with contextlib.suppress(OSError):
                os.unlink(name)


def heard():
    """Wait until the launcher has read what was said: it drops the rest when a run ends."""
    import fcntl            # not on Windows, where no guard comes to this
    import termios
    for stream in (1, 2):
        deadline, unread = time.monotonic() + ASKED, array("i", [1])
        while unread[0] and time.monotonic() < deadline:
            time.sleep(0.05)
            try:
                fcntl.ioctl(stream, termios.FIONREAD, unread)
            except OSError:                 # no pipe: it is read as it is written
                break


def main(role, pid, rank, size, words, lines, end):
    status, last_words = watch(role, pid, words, lines, end)
    time.sleep(turn(status, rank, size))
    for line in last_words:
        say(2, role, line)
    if status:
        end_all(status if status in (2, INTERRUPTED) else 1)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
