"""Mutations of bytes, for the fuzzers: functions of a generator and the bytes."""


def flip(g, b):
    at = g.randrange(len(b) + 1)
    return b[:at] + bytes(x ^ 1 << g.randrange(8) for x in b[at:at + 1]) + b[at + 1:]


def cut(g, b):
    return b[:g.randrange(len(b) + 1)]


def drop(g, b):
    at = g.randrange(len(b) + 1)
    return b[:at] + b[at + g.randrange(20):]


def insert(g, b):
    at = g.randrange(len(b) + 1)
    return b[:at] + g.randbytes(g.randrange(1, 20)) + b[at:]


def repeat(g, b):
    at = g.randrange(len(b) + 1)
    return b[:at] + b[at:at + g.randrange(2000)] * g.randrange(1, 4) + b[at:]
