"""The test run's own options: what is absent is skipped, or with --require fails; soak tests wait to be asked for."""

import pytest

from tests.support.parts import PARTS

pytest_plugins = ["pytester"]

NEEDS_DATA = "def test_needs_data(fashion_mnist): ..."
MARKED = """import pytest

@pytest.mark.faults
def test_kills(): ...

@pytest.mark.faults
@pytest.mark.soak
def test_kills_for_long(): ...
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder of its own, without data, whose tests run under our conftest."""
    monkeypatch.delenv("ROOKIE_DATA_DIR", raising=False)
    pytester.makeini(
        "[pytest]\nmarkers =\n    faults\n    soak\naddopts = -p tests.conftest -p no:cacheprovider -p no:hypothesispytest -p no:anyio -ra"
    )
    return pytester


@pytest.mark.parametrize("options", [(), ("--require", "browser,postgres")], ids=str)
def test_tests_whose_data_is_absent_are_skipped_with_the_way_to_fetch_it(run: pytest.Pytester, options: tuple[str, ...]) -> None:
    run.makepyfile(NEEDS_DATA)
    result = run.runpytest_inprocess(*options)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*data/fashion-mnist lacks train-images-idx3-ubyte.gz*python -m model_core data*"])


@pytest.mark.parametrize("parts", ["data", "browser,data"])
def test_tests_whose_data_is_absent_fail_where_it_is_required(run: pytest.Pytester, parts: str) -> None:
    run.makepyfile(NEEDS_DATA)
    result = run.runpytest_inprocess("--require", parts)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*--require data: data/fashion-mnist lacks*"])


def test_a_part_that_does_not_exist_cannot_be_required(run: pytest.Pytester) -> None:
    result = run.runpytest_inprocess("--require", "dta")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--require dta: no such part; there are {', '.join(PARTS)}"])


@pytest.mark.parametrize(("options", "passed"), [((), 0), (("-m", "faults"), 1), (("-m", "soak"), 1), (("-m", "faults or soak"), 2)])
def test_fault_and_soak_tests_run_only_when_they_are_asked_for(run: pytest.Pytester, options: tuple[str, ...], passed: int) -> None:
    run.makepyfile(MARKED)
    run.runpytest_inprocess(*options).assert_outcomes(passed=passed, deselected=2 - passed)
