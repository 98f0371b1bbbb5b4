"""Puts one fault into one role at one place; Python loads this module at its start.

The environment variable FAULT names them: "bob training SIGKILL". All processes of a
run load this module, since roles compare their sources, and one of them fails. A file
that another variable, FAULTY, names, then holds its process id.
"""

import importlib.machinery
import os
import signal
import sys

# The function at whose call a role is at a place: its module, its name, which call.
PLACES = {
    "joining": ("mpc.transport.mpi", "mpi", 1),
    "handshake": ("mpc.transport.handshake", "compare_parameters", 1),
    "keys": ("mpc.transport.handshake", "agree_on_keys", 1),
    "sharing": ("mpc.train_mnist.training", "private_batches", 1),
    "training": ("mpc.train_mnist.training", "train_batch", 2),
    "test": ("mpc.train_mnist.training", "count_correct", 1),
    "reveal": ("mpc.train_mnist.arithmetics", "Shared.reveal_model", 1),
    "save": ("mpc.transport.mpi", "MpiWorld.finish", 1)}
WRITING = ("mpc.train_mnist.save", "Draft.publish", 1)      # "save" of the server
NUMPY = ("numpy", "", 1)                                    # "joining", import error


def main(role, place, fault):
    """Arrange that `role` fails in this way at this place."""
    rank, size = (int(os.environ[name]) for name in ("PMI_RANK", "PMI_SIZE"))
    names = ["server", "alice", "bob", *(f"worker{i}" for i in range(3, size - 1))]
    if [*names[:size - 1], "crypto_provider"][rank] != role:
        return
    point = PLACES[place]
    if (role, place) == ("server", "save") and "full" not in fault:
        point = WRITING
    if fault == "import error":
        point = NUMPY
    sys.meta_path.insert(0, Importer(*point, fault))


class Importer(importlib.machinery.PathFinder):
    """Finds the module with the place, and changes it when it has been loaded."""

    def __init__(self, module, name, call, fault):
        self.module, self.name, self.left, self.fault = module, name, call, fault

    def find_spec(self, fullname, path=None, target=None):
        if fullname != self.module:
            return None
        if not self.name:
            self.happen()
        spec = super().find_spec(fullname, path, target)
        load = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (load(module), self.change(module))
        return spec

    def change(self, module):
        """Replace the function of the place by one that fails at the given call."""
        *owners, name = self.name.split(".")
        owner = getattr(module, *owners) if owners else module
        function = getattr(owner, name)

        def failing(*args, **options):
            self.left -= 1
            if self.left == 0:
                self.happen()
            return function(*args, **options)

        setattr(owner, name, failing)

    def happen(self):
        with open(os.environ["FAULTY"], "x") as file:
            file.write(f"{os.getpid()}\n")
        FAULTS[self.fault]()


def fill(folder):
    """Leave no room on the disk of this folder."""
    with open(os.path.join(folder, f"filler-{os.getpid()}"), "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def fail():
    raise RuntimeError("an injected error")


def fail_to_import():
    raise ImportError("libblas.so: no such file")


FAULTS = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSTOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "SIGINT": lambda: os.kill(os.getpid(), signal.SIGINT),
    "exception": fail,
    "import error": fail_to_import,
    "exit 0": lambda: sys.exit(0),
    "os._exit(0)": lambda: os._exit(0),
    "disk full": lambda: fill(os.environ["FAULTY_DISK"]),
    "/dev/shm full": lambda: fill("/dev/shm")}

if "FAULT" in os.environ and "PMI_RANK" in os.environ:
    main(*os.environ["FAULT"].split(" ", 2))
