"""Forecasts of coverage: interval coverage and CRPS by shape of difficulty, and seconds.

    python -m benchmarks.beliefs --worlds 200
    forethought tune --train-pfn coverage -o coverage.safetensors
    python -m benchmarks.beliefs --worlds 100 --pfn coverage.safetensors --chains

Each world has 40 questions. `--chains` times a Metropolis-Hastings run on the same prior: 4 chains
over the parameters of a world, with the rates summed out, until their R-hat is below 1.01.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from forethought.beliefs.difficulty import DifficultyBank, likelihoods
from forethought.beliefs.grid_bank import KindsOfEvidence
from forethought.beliefs.worlds import DIMENSIONS, histograms, rates
from forethought.contracts.beliefs import Belief, Counts
from tests.beliefs.worlds_by_hand import (
    coverage_of,
    even_logarithms,
    heavy_tails,
    own_prior,
    three_groups,
    two_bumps,
)

AT = (16, 64, 256)
QUESTIONS = 40
SWEEPS = 40_000


WORLDS = {
    "its prior": own_prior,
    "two bumps": two_bumps,
    "three groups": three_groups,
    "even logarithms": even_logarithms,
    "heavy tails": heavy_tails,
}


def crps(belief: Belief, truth, rng) -> np.ndarray:
    """The continuous ranked probability score of each quantity, from sorted draws."""
    drawn = np.sort(belief.sample(rng, 1000), axis=0)
    ranks = 2 * np.arange(1, 1001) - 1001
    return np.abs(drawn - truth).mean(axis=0) - (ranks @ drawn) / 1000**2


def table(models: dict[str, Callable[[Counts], Belief]], worlds: int) -> None:
    """Print a row for each shape, number of samples and model."""
    print("| world, samples | model | inside 90 % | mean error | CRPS | ms |")
    print("|:---|:---|---:|---:|---:|---:|")
    for name, world in WORLDS.items():
        for samples in (4, 16):
            found = {model: ([], [], [], []) for model in models}
            for seed in range(worlds):
                rng = np.random.default_rng(seed)
                success = world(rng, QUESTIONS)
                seen = Counts.of(samples, rng.binomial(samples, success).tolist())
                truth = coverage_of(success, AT)
                for model, condition in models.items():
                    start = time.perf_counter()
                    belief = condition(seen)
                    low, high = belief.interval().T
                    inside, errors, scores, seconds = found[model]
                    seconds.append(time.perf_counter() - start)
                    # End bars are 1e-4 wide.
                    inside.append((low <= truth + 1e-4) & (truth <= high + 1e-4))
                    errors.append(np.abs(belief.mean - truth))
                    scores.append(crps(belief, truth, rng))
            for model, (inside, errors, scores, seconds) in found.items():
                cells = [" ".join(f"{v:.2f}" for v in np.mean(inside, 0))]
                cells += [" ".join(f"{v:.3f}" for v in np.mean(one, 0)) for one in (errors, scores)]
                print(f"| {name}, {samples} | {model} | {' | '.join(cells)} | "
                      f"{1000 * np.median(seconds):.1f} |", flush=True)  # fmt: skip


def chains(models: dict[str, Callable[[Counts], Belief]]) -> None:
    """Processor seconds of Markov chains until they agree, and of a forecast by each model."""
    rng = np.random.default_rng(3)
    success = own_prior(rng, QUESTIONS)
    seen = Counts.of(16, rng.binomial(16, success).tolist())
    kinds = sorted(set(seen.right))
    told = KindsOfEvidence(
        likelihoods([(16, kind) for kind in kinds]), np.array([seen.right.count(k) for k in kinds])
    )
    hits = 1 - (1 - rates()) ** 256
    place = rng.random((4, DIMENSIONS))
    logs, drawn, start = told.log_evidence(histograms(place)), [], time.process_time()
    for sweep in range(SWEEPS):
        proposed = place.copy()
        if sweep % 2:
            proposed[np.arange(4), rng.integers(DIMENSIONS, size=4)] = rng.random(4)
        else:
            proposed = 1 - np.abs(1 - np.mod(place + 0.05 * rng.standard_normal(place.shape), 2))
        laws = histograms(proposed)
        fresh = told.log_evidence(laws)
        accepted = np.log(rng.random(4)) < fresh - logs
        place[accepted], logs[accepted] = proposed[accepted], fresh[accepted]
        own = histograms(place)[:, :, None] * told.likelihood
        drawn.append((hits @ (own / own.sum(axis=1, keepdims=True))) @ told.times / QUESTIONS)
        if sweep and sweep % 1000 == 0:
            kept = np.array(drawn[len(drawn) // 2 :])
            within = kept.var(axis=0, ddof=1).mean()
            r_hat = np.sqrt(1 + kept.mean(axis=0).var(ddof=1) / within)
            if r_hat < 1.01:
                break
    seconds = time.process_time() - start
    print(f"chains: {seconds:.2f} s, {sweep} sweeps, R-hat {r_hat:.3f}, "
          f"mean coverage at 256 {np.mean(drawn[len(drawn) // 2 :]):.3f}")  # fmt: skip
    for model, condition in models.items():
        start = time.process_time()
        for _ in range(20):
            belief = condition(seen)
        each = (time.process_time() - start) / 20
        print(f"{model}: {1000 * each:.2f} ms, {seconds / each:,.0f} times faster, "
              f"mean {belief.mean[2]:.3f}")  # fmt: skip


def main() -> None:
    """Run the parts that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--pfn", type=Path)
    parser.add_argument("--chains", action="store_true")
    given = parser.parse_args()
    start = time.process_time()
    bank = DifficultyBank.simulated(AT)
    print(f"bank of {len(bank.bank.laws):,} worlds: {time.process_time() - start:.1f} s")
    models: dict[str, Callable[[Counts], Belief]] = {"bank": bank.condition}
    if given.pfn:
        import torch

        from forethought.beliefs.amortised.coverage import CoverageNetwork

        torch.set_num_threads(1)
        models["network"] = CoverageNetwork.read(given.pfn, AT).condition
    if given.worlds:
        table(models, given.worlds)
    if given.chains:
        chains(models)


if __name__ == "__main__":
    main()
