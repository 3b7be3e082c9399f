"""The batch search of hash codes beside FAISS, each on one thread.

    pip install faiss-cpu
    python benchmarks/search.py [--rounds 15] [--json figures.json]

FAISS is `IndexBinaryFlat` in both of its modes, a heap (its default) and counters. In each round
every engine answers the same 100 queries once, one by one or all in one call, and the order of
the engines moves on by one: what else the machine does hits all alike, and as the thread's own
processor time is taken, its waiting does not count. Random codes have independent even bits;
clustered ones are copies of 256 centres with a tenth of the bits flipped. Distances are compared
before anything is timed. docs/performance.md keeps the results.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from blsh_codegen.batch_search import CodeIndex, available_variants
from blsh_trainer.errors import BlshError
from blsh_trainer.hashing import pack_codes

N_BITS = 160
N_QUERIES = 100
N_CODES = (22_500, 225_000)
NEIGHBOURS = (10, 255)
BATCHES = (1, N_QUERIES)
N_CENTRES = 256
FLIPPED = 0.1

Codes = npt.NDArray[np.uint32]
Distances = npt.NDArray[np.integer]
Search = Callable[[Codes, int], Distances]


@dataclass(frozen=True)
class Case:
    """What is searched.

    Attributes:
        codes: Which kind of them.
        n_codes: T.
        batch: Queries in a call.
        neighbours: K.
    """

    codes: str
    n_codes: int
    batch: int
    neighbours: int


@dataclass(frozen=True)
class Result:
    """What a case took.

    Attributes:
        case: The case.
        microseconds: Median processor time of a query by engine.
        times_faiss: How many times as fast as FAISS's faster mode the best variant is, over the
            rounds: the median, the least and the most.
    """

    case: Case
    microseconds: dict[str, float]
    times_faiss: tuple[float, float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    try:
        results = []
        for result in measured(args.rounds):
            if not results:
                print(heading(result), flush=True)
            print(line(result), flush=True)
            results.append(result)
    except BlshError as error:
        sys.exit(f"search: {error.message}")
    if args.json is not None:
        args.json.write_text(json.dumps([asdict(one) for one in results], indent=1) + "\n")


def measured(rounds: int) -> Iterator[Result]:
    """All cases, one after another."""
    faiss = load_faiss()
    rng = np.random.default_rng(0)
    for n_codes, codes in itertools.product(N_CODES, ("random", "clustered")):
        draw = DRAWS[codes]
        dictionary, queries = draw(rng, n_codes)
        engines = our_engines(dictionary) | faiss_engines(faiss, dictionary)
        for neighbours, batch in itertools.product(NEIGHBOURS, BATCHES):
            check_distances(engines, queries, neighbours)
            case = Case(codes, n_codes, batch, neighbours)
            yield timed(case, engines, queries, rounds)


def load_faiss() -> Any:
    """FAISS, on one thread."""
    try:
        import faiss
    except ImportError:
        raise BlshError("FAISS is what is compared with: pip install faiss-cpu") from None
    faiss.omp_set_num_threads(1)
    return faiss


def random_codes(rng: np.random.Generator, n_codes: int) -> tuple[Codes, Codes]:
    """Dictionary and queries of independent bits."""
    bits = rng.random((n_codes + N_QUERIES, N_BITS), np.float32) < 0.5
    return pack_codes(bits[N_QUERIES:]), pack_codes(bits[:N_QUERIES])


def clustered_codes(rng: np.random.Generator, n_codes: int) -> tuple[Codes, Codes]:
    """Dictionary and queries around the same centres."""
    centres = rng.random((N_CENTRES, N_BITS)) < 0.5
    bits = centres[rng.integers(0, N_CENTRES, n_codes + N_QUERIES)]
    bits ^= rng.random(bits.shape, np.float32) < FLIPPED
    return pack_codes(bits[N_QUERIES:]), pack_codes(bits[:N_QUERIES])


DRAWS = {"random": random_codes, "clustered": clustered_codes}


def our_engines(dictionary: Codes) -> dict[str, Search]:
    """Every variant that this processor can run, the best last."""

    def engine(variant: str) -> Search:
        index = CodeIndex(dictionary, N_BITS, variant=variant)
        return lambda queries, neighbours: index.search(queries, neighbours)[1]

    return {variant: engine(variant) for variant in available_variants()}


def faiss_engines(faiss: Any, dictionary: Codes) -> dict[str, Search]:
    """Both modes of FAISS."""

    def engine(use_heap: bool) -> Search:
        index = faiss.IndexBinaryFlat(N_BITS)
        index.use_heap = use_heap
        index.add(dictionary.view(np.uint8))
        return lambda queries, neighbours: index.search(queries.view(np.uint8), neighbours)[0]

    return {"faiss heap": engine(True), "faiss counters": engine(False)}


def check_distances(engines: dict[str, Search], queries: Codes, neighbours: int) -> None:
    """Hold all engines to the same distances."""
    found = {name: search(queries, neighbours) for name, search in engines.items()}
    expected = found["faiss heap"]
    for name, distances in found.items():
        if not np.array_equal(distances, expected):
            raise BlshError(f"{name} finds other distances than FAISS")


def timed(case: Case, engines: dict[str, Search], queries: Codes, rounds: int) -> Result:
    """One case, round by round."""
    names = list(engines)
    seconds = {name: np.empty(rounds) for name in names}
    for n in range(rounds):
        for name in names[n % len(names) :] + names[: n % len(names)]:
            search = engines[name]
            start = time.thread_time()
            for first in range(0, N_QUERIES, case.batch):
                search(queries[first : first + case.batch], case.neighbours)
            seconds[name][n] = time.thread_time() - start
    fastest = np.minimum(seconds["faiss heap"], seconds["faiss counters"])
    ratio = fastest / seconds[available_variants()[-1]]
    return Result(
        case,
        {name: float(np.median(taken)) / N_QUERIES * 1e6 for name, taken in seconds.items()},
        (float(np.median(ratio)), float(ratio.min()), float(ratio.max())),
    )


def heading(result: Result) -> str:
    engines = "".join(f"{name:>15}" for name in result.microseconds)
    return f"microseconds a query\n{'codes':10}{'T':>7}{'K':>5}{'batch':>6}{engines}   times FAISS"


def line(result: Result) -> str:
    case = result.case
    median, least, most = result.times_faiss
    engines = "".join(f"{taken:15.1f}" for taken in result.microseconds.values())
    what = f"{case.codes:10}{case.n_codes:7}{case.neighbours:5}{case.batch:6}"
    return f"{what}{engines}   {median:.1f} ({least:.1f} to {most:.1f})"


if __name__ == "__main__":
    main()
