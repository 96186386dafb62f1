"""Mutation: a program near another one, for campaigns that start from a corpus."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from faultline.program.codec import Operation, clipped, is_monitor, process_of, task_byte
from faultline.program.generate import LENGTH_MAX, continuation
from faultline.program.ops import NEED_NAMES, OPS, OPS_MAX, PROCESSES, TASKS

Program = list[Operation]

#: Mutations applied at once, at most.
_STEPS_MAX: Final = 3
#: A mutant is cut at this length, or at its origin's if that is longer: splicing would let a corpus grow without end.
_LENGTH_MAX: Final = 2 * LENGTH_MAX
#: An operand moves by at most this much, if it does not jump.
_NEAR: Final = 2


def mutate(
    rng: random.Random,
    ops: Sequence[Operation],
    corpus: Sequence[Sequence[Operation]] = (),
    has: frozenset[str] = NEED_NAMES,
) -> Program:
    """A program that differs from ``ops`` by one to three random changes.

    :param rng: the only source of chance: equal states give equal mutants.
    :param ops: canonical operations; they are left as they are.
    :param corpus: programs to splice with.
    :param has: what the kernel has; an operation that is put in needs nothing else.
    :returns: 1 to OPS_MAX canonical operations.
    """
    mutant = list(ops)
    for _ in range(1 + _below(rng, _STEPS_MAX)):
        if mutant:
            mutant = _MUTATIONS[_below(rng, len(_MUTATIONS))](rng, mutant, corpus, has)
    mutant = mutant[: min(max(_LENGTH_MAX, len(ops)), OPS_MAX)]
    if mutant and mutant != list(ops):
        return mutant
    # What the steps undid, an insertion does not: it changes the length.
    return _insert(rng, list(ops[: OPS_MAX // 2]), corpus, has)


def _below(rng: random.Random, n: int) -> int:
    return int(rng.random() * n)


_Corpus = Sequence[Sequence[Operation]]
_Mutation = Callable[[random.Random, Program, _Corpus, frozenset[str]], Program]


def _insert(rng: random.Random, ops: Program, corpus: _Corpus, has: frozenset[str]) -> Program:
    """A move that makes sense at its place."""
    at = _below(rng, len(ops) + 1)
    return ops[:at] + continuation(rng, ops[:at], has) + ops[at:]


def _delete(rng: random.Random, ops: Program, corpus: _Corpus, has: frozenset[str]) -> Program:
    at = _below(rng, len(ops))
    count = 1 + (_below(rng, len(ops) - at) if rng.random() < 0.25 else 0)
    return ops[:at] + ops[at + count :]


def _duplicate(rng: random.Random, ops: Program, corpus: _Corpus, has: frozenset[str]) -> Program:
    """An operation once more, at once or later."""
    at = _below(rng, len(ops))
    later = at + 1 + (_below(rng, len(ops) - at) if rng.random() < 0.5 else 0)
    return [*ops[:later], ops[at], *ops[later:]]


def _swap(rng: random.Random, ops: Program, corpus: _Corpus, has: frozenset[str]) -> Program:
    """Two operations, neighbours every other time."""
    swapped = list(ops)
    first = _below(rng, len(ops))
    second = min(first + 1, len(ops) - 1) if rng.random() < 0.5 else _below(rng, len(ops))
    swapped[first], swapped[second] = swapped[second], swapped[first]
    return swapped


def _change_operand(rng: random.Random, ops: Program, corpus: _Corpus, has: frozenset[str]) -> Program:
    """One operand: near its value, another that the program uses, or any."""
    at = _below(rng, len(ops))
    op = ops[at]
    kinds = OPS[op[0]].kinds
    if not kinds:
        return ops
    i = _below(rng, len(kinds))
    kind = kinds[i]
    way = _below(rng, 3)
    if way == 0:
        value = op[i + 2] - kind.lo + _below(rng, 2 * _NEAR + 1) - _NEAR
    elif way == 1:
        used = [other[j] for other in ops for j, used_kind in enumerate(OPS[other[0]].kinds, 2) if used_kind is kind]
        value = used[_below(rng, len(used))] - kind.lo
    else:
        value = _below(rng, kind.count)
    changed = clipped((*op[: i + 2], kind.lo + value % kind.count, *op[i + 3 :]))
    return [*ops[:at], changed, *ops[at + 1 :]]


def _change_task(rng: random.Random, ops: Program, corpus: _Corpus, has: frozenset[str]) -> Program:
    """Who runs an operation: another task of its process, or a process of the program."""
    at = _below(rng, len(ops))
    op = ops[at]
    if is_monitor(op[1]):
        return ops
    processes = [process_of(other[1]) for other in ops if not is_monitor(other[1])]
    if rng.random() < 0.5:
        byte = task_byte(process_of(op[1]), _below(rng, TASKS))
    else:
        byte = task_byte((processes[_below(rng, len(processes))] + _below(rng, 2)) % PROCESSES)
    return [*ops[:at], (op[0], byte, *op[2:]), *ops[at + 1 :]]


def _splice(rng: random.Random, ops: Program, corpus: _Corpus, has: frozenset[str]) -> Program:
    """The head of one program with the tail of another, or a piece of the other put in."""
    other = list(corpus[_below(rng, len(corpus))]) if corpus else ops
    at, start = _below(rng, len(ops) + 1), _below(rng, len(other) + 1)
    if rng.random() < 0.5:
        return ops[:at] + other[start:]
    end = start + _below(rng, len(other) - start + 1)
    return ops[:at] + other[start:end] + ops[at:]


def _truncate(rng: random.Random, ops: Program, corpus: _Corpus, has: frozenset[str]) -> Program:
    return ops[: 1 + _below(rng, len(ops))]


#: What adds stands more often than what takes away, or mutants would fade.
_MUTATIONS: Final[tuple[_Mutation, ...]] = (
    *(_insert, _insert, _insert),
    *(_change_operand, _change_operand, _change_operand),
    *(_change_task, _duplicate, _swap, _splice, _delete, _truncate),
)
