"""PPMd variant H, byte by byte: what it expects next, and how it codes the byte that comes.

The functions here and in ``ppmd_update.py`` run in two ways with equal results: as they stand, on memoryviews, whose
items are Python integers; and compiled by numba, on the arrays behind these views (``compgen/jit.py``). So they use
integers, indices and loops alone. ``ppmd_model.py`` describes the arrays of a model ``m``, and ``ppmd.py`` the method.
"""

from __future__ import annotations

from typing import Any

from compgen.laws.ppmd_update import (
    ESCAPE,
    FALL,
    FIRST_RUN,
    FOUND,
    LAST,
    MIN,
    MOST,
    NODES,
    PERIOD,
    RUN,
    STAMP,
    STATES,
    STEPS,
    SUCCESS,
    TEXT,
    WORD,
    follow,
    halve,
    learn,
    lift,
    slow_down,
)

BINARY = 14  # chances of contexts with one byte have so many bits

WHOLE = 1 << 62  # the weights of all bytes, and of the end mark, sum to at most this
PRECISION = 24
ESCAPES = (25, 14, 9, 7, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2, 2, 2)  # ESCAPE, by the chance that it was no escape


def run(m: Any, data: Any, done: Any, low: Any, width: Any, steps: Any) -> Any:
    """Append ``data[done:]`` to the model while its pools have room; return how many bytes of ``data`` are appended.

    Args:
        m: the model, changed in place.
        data: (T,) uint8.
        done: bytes of ``data`` that are appended already.
        low: (T,) or (0,) int64: written, where each byte's interval in [0, 2**24) begins.
        width: the same: written, how wide the interval is.
        steps: (3 S,) or (0,) int64: written from ``m.registers[STEPS]`` on; see ``note``.
    """
    registers = m.registers
    while done < len(data):
        if registers[NODES] + m.reserve[0] > len(m.count) or registers[STATES] + m.reserve[1] > len(m.symbols):
            break
        if registers[TEXT] + 1 >= len(m.text):
            break
        if len(width) > 0:
            weigh(m)
            share(m.weights, m.shares)
            begin = 0
            for b in range(data[done]):
                begin += m.shares[b]
            low[done] = begin
            width[done] = m.shares[data[done]]
        code(m, data[done], steps)
        done += 1
    return done


def expect(m: Any) -> None:
    """Fill (256,) ``m.shares`` with the frequencies of the next byte."""
    weigh(m)
    share(m.weights, m.shares)


def weigh(m: Any) -> None:
    """Fill (256,) ``m.weights`` with the next byte's probabilities, in units of 2**-62 and rounded down.

    This walks down all escapes, as the encoder does for a byte that only the empty context knows. That context knows
    every byte. The encoder changes the totals of escapes on its way; here this happens to a copy.
    """
    registers, weights, mask, symbols, freqs = m.registers, m.weights, m.mask, m.symbols, m.freqs
    m.trial[:] = m.see_totals
    registers[STAMP] += 1
    stamp = registers[STAMP]
    node = registers[MIN]
    first = m.first[node]
    if m.count[node] == 1:
        chance = m.bins[binary_cell(m, node)]
        weights[symbols[first]] = (WHOLE >> BINARY) * chance
        mask[symbols[first]] = stamp
        mass = (WHOLE >> BINARY) * ((1 << BINARY) - chance)
    else:
        unit = WHOLE // m.total[node]
        left = m.total[node]
        for state in range(first, first + m.count[node]):
            weights[symbols[state]] = unit * freqs[state]
            mask[symbols[state]] = stamp
            left -= freqs[state]
        mass = unit * left
    while True:
        masked = m.count[node]
        node = fuller(m, node)
        if node == 0:
            return
        cell = see_cell(m, node, masked)
        mass = weigh_masked(m, node, cell, mass)


def weigh_masked(m: Any, node: Any, cell: Any, mass: Any) -> Any:
    """Share ``mass`` among the bytes of context ``node`` that no longer context knows; return the mass that escapes."""
    weights, mask, symbols, freqs, trial = m.weights, m.mask, m.symbols, m.freqs, m.trial
    stamp = m.registers[STAMP]
    first = m.first[node]
    end = first + m.count[node]
    known = 0
    for state in range(first, end):
        if mask[symbols[state]] != stamp:
            known += freqs[state]
    escape = 1
    if cell >= 0:
        mean = trial[cell] >> m.see_shifts[cell]
        escape = max(mean, 1)
        trial[cell] = (trial[cell] - mean + known + escape) & WORD
    unit = mass // (known + escape)
    for state in range(first, end):
        b = symbols[state]
        if mask[b] != stamp:
            weights[b] = unit * freqs[state]
            mask[b] = stamp
    return unit * escape


def share(weights: Any, shares: Any) -> None:
    """Fill (256,) ``shares`` with integers >= 1 that sum to 2**24, in proportion to (256,) ``weights``.

    One division serves all bytes: the weights are shifted until their sum has 31 bits, and multiplied by its inverse.
    """
    total = 0
    for b in range(256):
        total += weights[b]
    shift = 0
    while total >> shift >= 1 << 31:
        shift += 1
    inverse = (((1 << PRECISION) - 256) << 38) // ((total >> shift) + 1)
    left = 1 << PRECISION
    for b in range(256):
        part = (((weights[b] >> shift) * inverse) >> 38) + 1
        shares[b] = part
        left -= part
    each = left >> 8
    left &= 255
    for b in range(256):
        shares[b] += each + (1 if b < left else 0)


def count(m: Any, orders: Any, weights: Any, escapes: Any, times: Any, known: Any) -> None:
    """Tell what the contexts of some lengths expect, each by its own frequencies; others stay as they are, zeros.

    Args:
        m: the model.
        orders: (K,) lengths of contexts, ascending, the first 0.
        weights: (K * 256,) written, by context and byte.
        escapes: (K,) written: the weight of a byte that the context does not know.
        times: (K,) written: the sum of a context's frequencies.
        known: (K,) written: how many bytes it knows.
    """
    node, length = m.registers[MIN], -1
    while node != 0:
        length += 1
        node = m.suffix[node]
    node = m.registers[MIN]
    k = len(orders) - 1
    while node != 0:
        while k > 0 and orders[k] > length:
            k -= 1
        if orders[k] == length:
            first = m.first[node]
            known[k] = m.count[node]
            if m.count[node] == 1:
                chance = m.bins[binary_cell(m, node)]
                weights[256 * k + m.symbols[first]] = chance
                escapes[k] = (1 << BINARY) - chance
                times[k] = m.freqs[first]
            else:
                left = m.total[node]
                for state in range(first, first + m.count[node]):
                    weights[256 * k + m.symbols[state]] = m.freqs[state]
                    times[k] += m.freqs[state]
                    left -= m.freqs[state]
                escapes[k] = max(left, 1)
        node = m.suffix[node]
        length -= 1


def fuller(m: Any, node: Any) -> Any:
    """Return the longest suffix of context ``node`` that knows more bytes, or 0."""
    count = m.count[node]
    while node != 0 and m.count[node] == count:
        node = m.suffix[node]
    return node


def high(symbol: Any) -> Any:
    """Return 8 for bytes from 64 on: letters, mostly; 0 for others."""
    return 8 if symbol >= 64 else 0


def binary_cell(m: Any, node: Any) -> Any:
    """Return where ``m.bins`` has the chance of the one byte that context ``node`` knows."""
    state = m.first[node]
    others = m.count[m.suffix[node]]
    size = 0 if others == 1 else 2 if others == 2 else 4 if others < 12 else 6
    cell = (m.freqs[state] - 1) * 64 + m.registers[SUCCESS] + size
    cell += high(m.registers[LAST]) + 2 * high(m.symbols[state])
    return cell + (32 if m.registers[RUN] < 0 else 0)


def see_cell(m: Any, node: Any, masked: Any) -> Any:
    """Return which estimate of escapes serves context ``node`` with ``masked`` bytes masked; -1 if it knows all 256."""
    count = m.count[node]
    if count == 256:
        return -1
    new = count - masked
    cell = m.see_rows[new - 1] * 16 + high(m.registers[LAST])
    cell += 1 if new < m.count[m.suffix[node]] - count else 0
    cell += 2 if m.total[node] < 11 * count else 0
    return cell + (4 if masked > new else 0)


def note(m: Any, steps: Any) -> None:
    """Write what the range coder is told, (3,) ``m.told``, to ``steps``, if there is room.

    It is told where an interval begins, how wide it is, and what total it is a part of. The total is 0 where the coder
    takes a chance of 14 bits, which it does without a division.
    """
    place = m.registers[STEPS]
    if place + 3 <= len(steps):
        for i in range(3):
            steps[place + i] = m.told[i]
        m.registers[STEPS] = place + 3


def code(m: Any, symbol: Any, steps: Any) -> None:
    """Append one byte: change the model as the encoder does."""
    found = code_single(m, symbol, steps) if m.count[m.registers[MIN]] == 1 else code_among(m, symbol, steps)
    while not found:
        found = code_masked(m, symbol, steps)
    m.registers[LAST] = symbol


def code_single(m: Any, symbol: Any, steps: Any) -> Any:
    """Code a byte in a context that knows one; return False if it is another."""
    registers, node = m.registers, m.registers[MIN]
    state = m.first[node]
    cell = binary_cell(m, node)
    chance = m.bins[cell]
    mean = (chance + (1 << (PERIOD - 2))) >> PERIOD
    if m.symbols[state] == symbol:
        m.told[0], m.told[1], m.told[2] = 0, chance, 0
        note(m, steps)
        m.bins[cell] = chance + (1 << PERIOD) - mean
        m.freqs[state] += 1 if m.freqs[state] < 128 else 0
        registers[FOUND] = state
        registers[SUCCESS] = 1
        registers[RUN] += 1
        follow(m)
        return True
    m.told[0], m.told[1], m.told[2] = chance, (1 << BINARY) - chance, 0
    note(m, steps)
    m.bins[cell] = chance - mean
    registers[ESCAPE] = ESCAPES[(chance - mean) >> 10]
    registers[SUCCESS] = 0
    registers[STAMP] += 1
    m.mask[m.symbols[state]] = registers[STAMP]
    return False


def code_among(m: Any, symbol: Any, steps: Any) -> Any:
    """Code a byte in a context that knows several; return False if none of them is it."""
    registers, symbols, freqs, node = m.registers, m.symbols, m.freqs, m.registers[MIN]
    first = m.first[node]
    end = first + m.count[node]
    low = 0
    state = first
    while state < end and symbols[state] != symbol:
        low += freqs[state]
        state += 1
    if state == end:
        m.told[0], m.told[1], m.told[2] = low, m.total[node] - low, m.total[node]
        note(m, steps)
        registers[SUCCESS] = 0
        registers[STAMP] += 1
        for known in range(first, end):
            m.mask[symbols[known]] = registers[STAMP]
        return False
    m.told[0], m.told[1], m.told[2] = low, freqs[state], m.total[node]
    note(m, steps)
    registers[SUCCESS] = 1 if state == first and 2 * freqs[state] > m.total[node] else 0
    registers[RUN] += registers[SUCCESS]
    m.total[node] += 4
    freqs[state] += 4
    if state > first and freqs[state] > freqs[state - 1]:
        lift(m, state, state - 1)
        state -= 1
    registers[FOUND] = state
    if freqs[state] > MOST:
        halve(m)
    follow(m)
    return True


def code_masked(m: Any, symbol: Any, steps: Any) -> Any:
    """Go on to a shorter context, and code a byte in it that no longer one knows; return False if it escapes again."""
    registers, symbols, freqs, mask = m.registers, m.symbols, m.freqs, m.mask
    node = registers[MIN]
    masked = m.count[node]
    while m.count[node] == masked:
        registers[FALL] += 1
        node = m.suffix[node]
    registers[MIN] = node
    stamp = registers[STAMP]
    known, low, hit = 0, 0, -1
    for state in range(m.first[node], m.first[node] + m.count[node]):
        b = symbols[state]
        if mask[b] != stamp:
            if b == symbol:
                hit = state
                low = known
            known += freqs[state]
            mask[b] = stamp
    cell = see_cell(m, node, masked)
    escape = 1
    if cell >= 0:
        mean = m.see_totals[cell] >> m.see_shifts[cell]
        m.see_totals[cell] -= mean
        escape = max(mean, 1)
    if hit < 0:
        m.told[0], m.told[1], m.told[2] = known, escape, known + escape
        note(m, steps)
        if cell >= 0:
            m.see_totals[cell] = (m.see_totals[cell] + known + escape) & WORD
        return False
    m.told[0], m.told[1], m.told[2] = low, freqs[hit], known + escape
    note(m, steps)
    if cell >= 0:
        slow_down(m, cell)
    m.total[node] += 4
    freqs[hit] += 4
    registers[FOUND] = hit
    if freqs[hit] > MOST:
        halve(m)
    registers[RUN] = registers[FIRST_RUN]
    learn(m)
    return True
