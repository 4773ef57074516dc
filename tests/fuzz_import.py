"""Random ONNX graphs through the importer and against ONNX Runtime, for as long as one likes:

python tests/fuzz_import.py --graphs 500 --seed 0
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_graphs

from ostinato.errors import ForeignModelError
from ostinato.importing import import_model

MOST = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    outcomes: Counter[str] = Counter()
    operators: Counter[str] = Counter()
    worst, began = 0.0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        for seed in range(wanted.seed, wanted.seed + min(wanted.graphs, MOST)):
            rng = np.random.default_rng(seed)
            make = onnx_graphs.step if seed % 3 == 0 else onnx_graphs.sequence
            model = make(rng, int(rng.integers(2, 9)))
            onnx.save(model, path)
            try:
                parity = import_model(path).parity
            except ForeignModelError as error:
                outcomes["refused"] += 1
                print(f"seed {seed}: {str(error).removeprefix(f'{path}: ')}")
                continue
            share = parity.largest / max(1.0, parity.scale)
            worst = max(worst, share)
            outcomes["equal" if share < 1e-5 else "differs"] += 1
            if share >= 1e-5:
                print(f"seed {seed}: {parity}")
            operators.update(node.op_type for node in model.graph.node)
    print(f"\n{'graphs':24}{sum(outcomes.values()):6}")
    for outcome, count in outcomes.most_common():
        print(f"{outcome:24}{count:6}")
    print(f"{'largest difference':24}{worst:9.1e} of the largest value, or of 1")
    print(f"{'operators':24}{sum(operators.values()):6} of {len(operators)} kinds")
    print(f"{'seconds':24}{time.monotonic() - began:6.0f}")


if __name__ == "__main__":
    main()
