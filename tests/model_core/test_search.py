"""Searches: what a grid expands to, resuming, workers that die, ranking."""

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_core import grid, search
from tests.support import tiny

GRID: dict[str, Any] = {"recipe": "quick", "vary": {"learning_rate": [0.1, 0.05], "hidden": [[9, 4], [6, 5]]}}
RECIPES = grid.expand(GRID, epochs=1, seed=3)
DATA = "the digest of some images"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    search.share(tiny.training_data(), folder)
    return folder


def threads() -> Executor:
    return ThreadPoolExecutor(2)


class DeadlyPool(ProcessPoolExecutor):
    """A pool of real processes, in which the next `victims` tasks kill the process that takes them up."""

    victims = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if DeadlyPool.victims:
            DeadlyPool.victims -= 1
            return super().submit(die)
        return super().submit(fn, *args, **kwargs)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def processes() -> Executor:
    return DeadlyPool(1, mp_context=get_context("fork"))


def test_every_run_is_recorded_and_a_second_search_finds_them_done(shared: Path, tmp_path: Path) -> None:
    search.open_folder(tmp_path, RECIPES, DATA)
    results = list(search.search(RECIPES, shared, tmp_path, threads))
    found = search.open_folder(tmp_path, RECIPES, DATA)
    assert sorted(r.validation_accuracy for r in results) == sorted(r.validation_accuracy for r in found)
    assert all(len(result.history) == 1 for result in results)


def test_a_damaged_or_missing_result_is_waited_for_again(shared: Path, tmp_path: Path) -> None:
    list(search.search(RECIPES, shared, tmp_path, threads))
    (tmp_path / f"{search.run_name(RECIPES[0])}.json").write_text('{"recipe": ')
    (tmp_path / f"{search.run_name(RECIPES[1])}.json").unlink()
    odd = tmp_path / f"{search.run_name(RECIPES[2])}.json"
    odd.write_text(json.dumps({**json.loads(odd.read_text()), "history": [{}]}))
    assert {r.recipe for r in search.open_folder(tmp_path, RECIPES, DATA)} == set(RECIPES[3:])


def test_another_grids_folder_is_refused(tmp_path: Path) -> None:
    search.open_folder(tmp_path, RECIPES, DATA)
    for recipes, data in ((RECIPES[:-1], DATA), (RECIPES, "another digest")):
        with pytest.raises(search.SearchError, match="another grid, epochs, seed or dataset"):
            search.open_folder(tmp_path, recipes, data)


def test_a_folder_of_a_version_before_is_gone_on_with(shared: Path, tmp_path: Path) -> None:
    list(search.search(RECIPES, shared, tmp_path, threads))
    (tmp_path / "runs.json").write_text(json.dumps(sorted(map(search.run_name, RECIPES))))
    assert len(search.open_folder(tmp_path, RECIPES, DATA)) == len(RECIPES)


def test_a_search_survives_a_killed_worker(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeadlyPool, "victims", 2)
    results = list(search.search(RECIPES, shared, tmp_path, processes))
    assert {result.recipe for result in results} == set(RECIPES)


def test_a_search_whose_workers_keep_dying_says_so(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeadlyPool, "victims", 1000)
    with pytest.raises(search.SearchError, match="fewer --workers"):
        list(search.search(RECIPES, shared, tmp_path, processes))


def test_a_run_that_diverges_is_a_result_and_comes_last(shared: Path, tmp_path: Path) -> None:
    wild = grid.expand({"recipe": "quick", "vary": {"learning_rate": [10.0], "l2": [0.1], "hidden": [[9, 4]]}}, 60, 0)
    results = list(search.search([*wild, RECIPES[0]], shared, tmp_path, threads))
    assert "learning_rate" in str(search.ranked(results)[-1].error)
    assert "lower learning_rate" in search.to_markdown(results).splitlines()[-1]


def test_runs_read_the_images_through_one_memory_map(shared: Path) -> None:
    mapped = search.shared(shared).images
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, tiny.training_data().images)


def test_the_ranking_shows_what_the_runs_differ_in(shared: Path, tmp_path: Path) -> None:
    table = search.to_markdown(list(search.search(RECIPES, shared, tmp_path, threads))).splitlines()
    assert table[0] == "| # | learning_rate | hidden | validation | best epoch | lowest validation loss |"
    assert len(table) == 2 + len(RECIPES)
    assert json.loads((tmp_path / f"{search.run_name(RECIPES[0])}.json").read_text())["recipe"]["epochs"] == 1
