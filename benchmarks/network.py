"""A forecast compared with the training run itself on a slow network (Linux, as root):

    python -m benchmarks.network --network 20,100 -- \\
        --epochs 1 --train-items 256 --test-items 64

Each role gets a network namespace (`ip netns`) with its own address, and MPI connects
them by TCP. Not every kernel can delay packets with `tc netem`, so this script replaces
the cable: each namespace ends in a TAP device, and a process carries frames from one to
the other, each after half the round trip, and at the requested bandwidth in each
direction.
"""

import argparse
import fcntl
import heapq
import os
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time

from benchmarks.processes import mpiexec
from mpc.train_mnist.forecast import forecast_parser, lines, network

SUBNET, MTU = "10.77.0.", 9000
HOST = 254                  # the address of this namespace, where mpiexec runs
MAKE_TAP, TAP_WITHOUT_HEADER = 0x400454CA, 0x0002 | 0x1000
LAUNCHER = """#!/bin/sh
# stands where mpiexec looks for ssh: [options] HOST COMMAND
while case "$1" in -*) true;; *) false;; esac; do shift; done
host=$1; shift
exec ip netns exec "role-${host##*.}" sh -c "$*"
"""


def sh(command):
    subprocess.run(command, shell=True, check=True)


def tap(address, namespace):
    """The device of one role, as a file of frames; without a namespace, in this one."""
    port, name = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK), f"role{address}"
    fcntl.ioctl(port, MAKE_TAP, struct.pack("16sH", name.encode(), TAP_WITHOUT_HEADER))
    inside = ""
    if namespace:
        inside = f"ip netns exec {namespace}"
        sh(f"ip netns add {namespace}; ip link set {name} netns {namespace}; "
           f"{inside} ip link set lo up")
    sh(f"{inside} ip addr add {SUBNET}{address}/24 dev {name}; "
       f"{inside} ip link set {name} mtu {MTU} up")
    return port


def switch(ports, delay, bytes_per_second):
    """Carry frames between `ports` for ever, at their sender's and receiver's speed."""
    home, waiting, n = {}, [], 0
    leaves, arrives = dict.fromkeys(ports, 0.0), dict.fromkeys(ports, 0.0)
    while True:
        pause = max(waiting[0][0] - time.monotonic(), 0) if waiting else None
        for port in select.select(ports, [], [], pause)[0]:
            frame = os.read(port, MTU + 100)
            home[frame[6:12]] = port
            now = time.monotonic()
            if frame[:6] in home:
                there = [home[frame[:6]]]
            else:
                there = [other for other in ports if other != port]
            for other in there:
                start = max(now, leaves[port], arrives[other])
                end = start + len(frame) / bytes_per_second
                if len(there) == 1:
                    leaves[port] = arrives[other] = end
                heapq.heappush(waiting, (end + delay, n := n + 1, other, frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, other, frame = heapq.heappop(waiting)
            try:
                os.write(other, frame)
            except OSError:                 # its queue is full: TCP sends it again
                pass


def measured(words, workers, delay, bandwidth):
    """Seconds and output of the training command with a namespace for each role."""
    roles = range(1, workers + 3)
    ports, cable = [], None
    try:
        ports = [tap(HOST, None), *(tap(i, f"role-{i}") for i in roles)]
        if not (cable := os.fork()):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            switch(ports, delay, bandwidth * 1e6 / 8)
        with tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False) as file:
            file.write(LAUNCHER)
        os.chmod(file.name, 0o755)
        hosts = ",".join(f"{SUBNET}{i}" for i in roles)
        command = [mpiexec(), "-launcher", "ssh", "-launcher-exec", file.name,
                   "-localhost", f"{SUBNET}{HOST}", "-hosts", hosts, "-ppn", "1",
                   "-n", str(len(roles)),
                   sys.executable, "-m", "mpc.train_mnist", *words]
        environment = {"UCX_TLS": "tcp,self", "OPENBLAS_NUM_THREADS": "1"}
        stamps, said = [], []
        with subprocess.Popen(command, env=os.environ | environment, text=True,
                              stdout=subprocess.PIPE) as run:
            for line in run.stdout:
                stamps.append(time.monotonic())
                said.append(line)
        if run.returncode:
            raise SystemExit(
                f"the run ended with status {run.returncode}: {''.join(said)}")
        return stamps, said
    finally:
        if cable:
            os.kill(cable, signal.SIGKILL)
            os.waitpid(cable, 0)
        for i in roles:
            command = ["ip", "netns", "del", f"role-{i}"]
            subprocess.run(command, stderr=subprocess.DEVNULL)
        for port in ports:
            os.close(port)


def main():
    p = argparse.ArgumentParser(
        usage="python -m benchmarks.network --network 20,100 [-- OPTIONS]")
    p.add_argument("--network", default="20,100", type=network)
    p.add_argument("words", nargs="*", help="options of the training command")
    given = p.parse_args()
    options = forecast_parser().parse_args(given.words)
    options.network = given.network
    for line in lines(options):
        print(line, flush=True)
    start = time.monotonic()
    stamps, said = measured(given.words, options.workers, given.network.rtt / 2e3,
                            given.network.bandwidth)
    whole, part = stamps[-1] - start, stamps[-1] - stamps[0]
    print(f"Load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"Measured: {whole:.1f} s from the start of four processes to the last line; "
          f"{part:.1f} s from the first batch's line on")
    shown = [line for line in said if re.match("Time per batch|Accuracy", line)]
    print(*shown, sep="")


if __name__ == "__main__":
    main()
