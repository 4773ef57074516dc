"""States: what comes in is what went out a frame before. Found by where elements come from, not by names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, permutations, product

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.onnx.elements import Array, Ids, constant, element, frame_of, index_of, shifted, term_of
from ostinato.importing.onnx.terms import CellState, Recurrence, State, Term, Terms

_MOST_WAYS = 120
_LONGEST_CHAIN = 1 << 14


def pairings(
    states: Sequence[tuple[str, tuple[int, ...]]], outputs: Sequence[tuple[int, ...]]
) -> Iterator[list[int]]:
    """Ways in which states (name, sizes) can be outputs (sizes): the output's number of each, -1 for a state that no
    output has. Those that follow the order of both come first."""
    shapes = list(dict.fromkeys(shape for _, shape in states))
    ways = []
    for shape in shapes:
        own = [k for k, (_, each) in enumerate(states) if each == shape]
        there = [k for k, each in enumerate(outputs) if each == shape]
        if len(there) >= len(own):
            # the last ones first: what a model is for stands before its states
            some = sorted(
                permutations(there, len(own)), key=lambda way: (list(way) != sorted(way), [-k for k in way])
            )
            ways.append([dict(zip(own, way, strict=True)) for way in some[:_MOST_WAYS]])
        else:
            ways.append([dict.fromkeys(own, -1) | dict(zip(own, there, strict=False))])
    for chosen in islice(product(*ways), _MOST_WAYS):
        found = {k: number for each in chosen for k, number in each.items()}
        yield [found[k] for k in range(len(states))]


class Closed:
    """What elements are once states are what they hold. ``closings``: of each element of a state at its first frame,
    the element that it holds a frame later, counted likewise; ``instead``: of elements that a recognised cell has
    taken over, its own."""

    def __init__(self, terms: Terms, closings: Mapping[int, int]) -> None:
        self.terms, self.closings = terms, dict(closings)
        self.instead: dict[int, int] = {}

    def is_state(self, ids: Ids) -> Ids:
        """Where elements are states'."""
        table = np.array([isinstance(term.operation, State) for term in self.terms.all])
        found: Ids = (ids >= 0) & table[np.where(ids >= 0, term_of(ids), 0)]
        return found

    def resolve(self, ids: Ids) -> Ids:
        """Elements without states: theirs of frames before. Raises ForeignModelError for a state that goes
        nowhere."""
        for _ in range(_LONGEST_CHAIN):
            ids = self.replaced(ids)
            where = self.is_state(ids)
            if not where.any():
                return ids
            found, number = np.unique(ids[where], return_inverse=True)
            ids = ids.copy()
            ids[where] = np.array([self._before(int(each)) for each in found])[number]
        raise ForeignModelError(f"a state is handed on over more than {_LONGEST_CHAIN} frames: use a shorter cache")

    def replaced(self, ids: Ids) -> Ids:
        """Elements of cells that were recognised, instead of what they were written out with."""
        if not self.instead:
            return ids
        offsets = np.where(ids >= 0, frame_of(ids), 0)
        plain = shifted(ids, -offsets)
        found, number = np.unique(plain, return_inverse=True)
        made = np.array([self.instead.get(int(each), int(each)) for each in found])[number].reshape(ids.shape)
        return shifted(made, offsets)

    def _before(self, each: int) -> int:
        """What a state's element holds."""
        one = np.array([each])
        offset, term = int(frame_of(one)[0]), self.terms[int(term_of(one)[0])]
        at_first = int(shifted(one, -offset)[0])
        state = term.operation
        assert isinstance(state, State)
        if at_first not in self.closings:
            raise ForeignModelError(
                f"input {state.name!r} is neither the frames nor a state that an output goes on with: if it is "
                f"always the same, say so (--set {state.name}=VALUE)"
            )
        initial = float(np.asarray(state.initial).reshape(-1)[int(index_of(one)[0])])
        after = self.closings[at_first]
        if after == at_first or after == int(constant(initial)):
            return int(constant(initial))  # never anything else
        if initial:
            raise ForeignModelError(
                f"state {state.name!r} does not begin from zeros, and is read by no recurrent layer: not supported"
            )
        if after < 0:
            raise ForeignModelError(f"state {state.name!r} is always the same but at the first frame: not supported")
        return int(shifted(np.array([after]), offset + (1 if state.backward else -1))[0])

    def initial(self, ids: Ids) -> Array | None:
        """The values that elements of states at their first frame, or constants, begin with."""
        values = np.empty(ids.shape, np.float32)
        for place, each in enumerate(ids.tolist()):
            one = np.array([each])
            if each < 0:
                values[place] = np.uint32(-1 - each).view(np.float32)
                continue
            state = self.terms[int(term_of(one)[0])].operation
            if not isinstance(state, State) or int(frame_of(one)[0]):
                return None
            values[place] = np.asarray(state.initial).reshape(-1)[int(index_of(one)[0])]
        return values

    def check(self, term: Term) -> None:
        """Raise ForeignModelError unless what a recurrence begins from is its own state of the frame before, or
        constant."""
        operation = term.operation
        assert isinstance(operation, Recurrence)
        cell = next((each.number for each in self.terms.all if each.operation == CellState(term.number)), -1)
        for d, begins in enumerate(operation.begins):
            for state, ids in begins.items():
                size = len(ids)
                own = element(term.number if state == "h" else cell, 0, d * size + np.arange(size))
                for each, wanted in zip(ids.tolist(), own.tolist(), strict=True):
                    if each >= 0 and self.closings.get(each, wanted) != wanted:
                        name = self.terms[int(term_of(np.array([each]))[0])].operation
                        called = name.name if isinstance(name, State) else "what is computed"
                        raise ForeignModelError(
                            f"node {term.origin!r}: begins its {state} from {called!r}, which does not become its "
                            f"own {state}: states that are changed between two frames are not supported"
                        )
