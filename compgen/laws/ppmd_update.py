"""PPMd variant H: how the model changes after a byte was found. See ``ppmd_loops.py``, which calls this."""

from __future__ import annotations

from typing import Any

# Places in ``m.registers``.
MIN = 0  # the context that the next byte is looked up in first
MAX = 1  # the longest context; unlike MIN only while one byte is coded
FOUND = 2  # the state of the byte that was coded
FALL = 3  # by how many bytes MIN is shorter than the model's order
ESCAPE = 4  # what a context of one byte adds to its total for escapes when it gains a second one
SUCCESS = 5  # 1 if the last byte was expected with more than even chance, else 0
RUN = 6  # successes since the last escape, counted from FIRST_RUN on
FIRST_RUN = 7
LAST = 8  # the last byte
STAMP = 9  # marks the bytes that are masked
NODES = 10  # contexts in use, with the unused one at index 0
STATES = 11  # states in use
TEXT = 12  # bytes of text in use
STEPS = 13  # numbers written to ``steps``
UNITS = 14  # units of 12 bytes that 7-zip's allocator has taken from its free memory
REGISTERS = 15

MOST = 124  # a frequency beyond it halves those of its context
PERIOD = 7  # bits by which the chances in ``bins``, and the totals of escapes, average over time
WORD = 0xFFFF  # totals of escapes are 16-bit words in 7-zip


def slow_down(m: Any, cell: Any) -> None:
    """Count a use of an estimate of escapes that held; after some, it averages over a longer time."""
    shift = m.see_shifts[cell]
    if shift < PERIOD:
        m.see_left[cell] -= 1
        if m.see_left[cell] == 0:
            m.see_totals[cell] = (m.see_totals[cell] << 1) & WORD
            m.see_left[cell] = 3 << shift
            m.see_shifts[cell] = shift + 1


def lift(m: Any, state: Any, to: Any) -> None:
    """Move a state forward to place ``to``; those between move back by one."""
    symbols, freqs, successors = m.symbols, m.freqs, m.successors
    symbol, freq, successor = symbols[state], freqs[state], successors[state]
    while state > to:
        symbols[state] = symbols[state - 1]
        freqs[state] = freqs[state - 1]
        successors[state] = successors[state - 1]
        state -= 1
    symbols[to] = symbol
    freqs[to] = freq
    successors[to] = successor


def halve(m: Any) -> None:
    """Halve the frequencies of the context in MIN and sort its states by them; drop bytes whose frequency becomes 0."""
    registers, freqs, node = m.registers, m.freqs, m.registers[MIN]
    first, count = m.first[node], m.count[node]
    end = first + count
    lift(m, registers[FOUND], first)
    registers[FOUND] = first
    escape = m.total[node]
    for state in range(first, end):
        escape -= freqs[state]
    freqs[first] += 4
    up = 1 if registers[FALL] != 0 else 0
    known = 0
    for state in range(first, end):
        freqs[state] = (freqs[state] + up) >> 1
        known += freqs[state]
        to = state
        while to > first and freqs[state] > freqs[to - 1]:
            to -= 1
        lift(m, state, to)
    while freqs[end - 1] == 0:
        end -= 1
    escape += first + count - end
    m.count[node] = end - first
    give_back(m, (count + 1) >> 1, (end - first + 1) >> 1 if end - first > 1 else 0)
    if end - first == 1:
        while True:
            freqs[first] -= freqs[first] >> 1
            escape >>= 1
            if escape <= 1:
                break
        return
    m.total[node] = known + escape - (escape >> 1)


def take(m: Any, kind: Any) -> None:
    """Count a block for states, of a size class, that 7-zip's allocator gives out: one given back, or a new one."""
    if m.free[kind] > 0:
        m.free[kind] -= 1
    else:
        m.registers[UNITS] += m.units[kind]


def give_back(m: Any, old: Any, new: Any) -> None:
    """Count what 7-zip's allocator gets back where a block of ``old`` units shrinks to ``new`` ones, maybe 0."""
    free, units, kinds = m.free, m.units, m.kinds
    if new == 0:
        free[kinds[old]] += 1
        return
    before, after = kinds[old], kinds[new]
    if before == after:
        return
    if free[after] > 0:
        free[after] -= 1
        free[before] += 1
        return
    rest = units[before] - units[after]
    kind = kinds[rest]
    if units[kind] != rest:
        kind -= 1
        free[rest - units[kind] - 1] += 1
    free[kind] += 1


def follow(m: Any) -> None:
    """Go to the context that follows, if the model is at its full order and has it; else learn."""
    registers = m.registers
    successor = m.successors[registers[FOUND]]
    if registers[FALL] == 0 and successor < 0:
        registers[MIN] = -successor
        registers[MAX] = -successor
    else:
        learn(m)


def learn(m: Any) -> None:
    """Let longer contexts learn the byte that was found, and go to the context that follows.

    A successor is a context, as a negative number; or not there yet, and then a place in the text, where the one
    byte stands that this context is going to know; or 0.
    """
    registers = m.registers
    found, node = registers[FOUND], registers[MIN]
    symbol, after = m.symbols[found], m.successors[found]
    raise_in_suffix(m, node, symbol, m.freqs[found])
    if registers[FALL] == 0:
        node = create(m, 1)
        m.successors[found] = -node
        registers[MIN] = node
        registers[MAX] = node
        return
    m.text[registers[TEXT]] = symbol
    registers[TEXT] += 1
    successor = registers[TEXT]
    if after == 0:
        m.successors[found] = successor
        after = -node
    else:
        if after > 0:
            after = -create(m, 0)
        registers[FALL] -= 1
        if registers[FALL] == 0:
            successor = after
            registers[TEXT] -= 1 if registers[MAX] != node else 0
    around = m.total[node] - m.count[node] - (m.freqs[found] - 1)
    longer = registers[MAX]
    while longer != node:
        extend(m, longer, around, successor)
        longer = m.suffix[longer]
    registers[MIN] = -after
    registers[MAX] = -after


def place_of(m: Any, node: Any, symbol: Any) -> Any:
    """Return the state of a byte that context ``node`` knows."""
    state = m.first[node]
    while m.symbols[state] != symbol:
        state += 1
    return state


def raise_in_suffix(m: Any, node: Any, symbol: Any, freq: Any) -> None:
    """Raise the frequency of a byte that was seldom found in the next shorter context too."""
    node = m.suffix[node]
    if node == 0 or freq >= MOST // 4:
        return
    freqs = m.freqs
    state = place_of(m, node, symbol)
    if m.count[node] == 1:
        freqs[state] += 1 if freqs[state] < 32 else 0
        return
    if state > m.first[node] and freqs[state] >= freqs[state - 1]:
        lift(m, state, state - 1)
        state -= 1
    if freqs[state] < MOST - 9:
        freqs[state] += 2
        m.total[node] += 2


def extend(m: Any, node: Any, around: Any, successor: Any) -> None:
    """Add the byte that was found to a context that did not know it.

    Args:
        m: the model.
        node: the context.
        around: the frequencies of the other bytes, less 1 each, and of escapes, where the byte was found.
        successor: of its state.
    """
    registers, freqs = m.registers, m.freqs
    size, others = m.count[node], m.count[registers[MIN]]
    make_room(m, node)
    state = m.first[node] + size
    if size == 1:
        old = freqs[state - 1]
        freqs[state - 1] = 2 * old if old < MOST // 4 - 1 else MOST - 4
        total = freqs[state - 1] + registers[ESCAPE] + (1 if others > 3 else 0)
    else:
        total = m.total[node]
        total += (1 if 2 * size < others else 0) + (2 if 4 * size <= others and total <= 8 * size else 0)
    part, whole = 2 * freqs[registers[FOUND]] * (total + 6), around + total
    if part < 6 * whole:
        freq = 1 + (1 if part > whole else 0) + (1 if part >= 4 * whole else 0)
        total += 3
    else:
        freq = 4 + (1 if part >= 9 * whole else 0) + (1 if part >= 12 * whole else 0) + (1 if part >= 15 * whole else 0)
        total += freq
    m.symbols[state] = m.symbols[registers[FOUND]]
    freqs[state] = freq
    m.successors[state] = successor
    m.count[node] = size + 1
    m.total[node] = total


def make_room(m: Any, node: Any) -> None:
    """Move the states of a context to twice the space if there is no room for one more.

    7-zip's allocator has finer sizes, which are counted here: two states in a unit, a single one inside its context.
    """
    size = m.count[node]
    if size & 1 == 0:
        kind = m.kinds[size >> 1]
        if m.kinds[(size >> 1) + 1] != kind:
            take(m, kind + 1)
            m.free[kind] += 1
    elif size == 1:
        take(m, 0)
    if size < m.room[node]:
        return
    old, new = m.first[node], m.registers[STATES]
    m.registers[STATES] += 2 * size
    for i in range(size):
        m.symbols[new + i] = m.symbols[old + i]
        m.freqs[new + i] = m.freqs[old + i]
        m.successors[new + i] = m.successors[old + i]
    m.first[node] = new
    m.room[node] = 2 * size


def create(m: Any, skip: Any) -> Any:
    """Create the contexts that follow the byte that was found, where the text has them; return the longest.

    Args:
        m: the model.
        skip: 1 if the state that was found gets its successor from the caller, else 0.
    """
    registers, chain = m.registers, m.chain
    node, found = registers[MIN], registers[FOUND]
    symbol, after = m.symbols[found], m.successors[found]
    chain[0] = found
    links = 1 - skip
    while m.suffix[node] != 0:
        node = m.suffix[node]
        state = place_of(m, node, symbol)
        if m.successors[state] != after:
            node = -m.successors[state]
            break
        chain[links] = state
        links += 1
    if links == 0:
        return node
    symbol = m.text[after]
    freq = first_frequency(m, node, symbol)
    while links > 0:
        links -= 1
        child, state = registers[NODES], registers[STATES]
        registers[NODES] += 1
        registers[STATES] += 1
        registers[UNITS] += 1
        m.symbols[state] = symbol
        m.freqs[state] = freq
        m.successors[state] = after + 1
        m.suffix[child] = node
        m.first[child] = state
        m.count[child] = 1
        m.room[child] = 1
        m.successors[chain[links]] = -child
        node = child
    return node


def first_frequency(m: Any, node: Any, symbol: Any) -> Any:
    """Return the frequency that a byte begins with in a new context, by what its suffix ``node`` knows of it."""
    state = place_of(m, node, symbol)
    if m.count[node] == 1:
        return m.freqs[state]
    mine = m.freqs[state] - 1
    around = m.total[node] - m.count[node] - mine
    if 2 * mine <= around:
        return 1 + (1 if 5 * mine > around else 0)
    return 1 + (2 * mine + 3 * around - 1) // (2 * around)
