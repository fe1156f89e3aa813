"""GET /weights/*.png: the pictures of model_core.visualize, as files."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

import model_core
from app.settings import Settings
from model_core import visualize
from model_core.visualize import PICTURES
from tests.support import tiny
from tests.support.service import add_version, digest_of

NAMES = tuple(PICTURES)


def pixels(content: bytes) -> NDArray[np.uint8]:
    """The values in a PNG file, as it stores them."""
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("normalize", ["tile", "signed"])
@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_that_of_the_library_pixel_for_pixel(
    client: TestClient, shipped: Path, name: str, normalize: visualize.Normalize, scale: int
) -> None:
    answer = client.get(f"/weights/{name}.png", params={"normalize": normalize, "scale": scale})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    expected = visualize.enlarge(PICTURES[name](model_core.load(shipped).parameters, normalize), scale)
    np.testing.assert_array_equal(pixels(answer.content), expected)
    assert (expected.ndim == 3) == (normalize == "signed")


@pytest.mark.parametrize("unit", [0, tiny.RECIPE.hidden[0] - 1])
def test_a_unit_has_a_tile_of_its_own(client: TestClient, shipped: Path, unit: int) -> None:
    answer = client.get(f"/weights/w1/{unit}.png")
    expected = visualize.w1_unit(model_core.load(shipped).parameters, unit)
    np.testing.assert_array_equal(pixels(answer.content), visualize.enlarge(expected, 4))


def test_a_picture_is_twice_its_size_where_no_scale_is_given(client: TestClient, shipped: Path) -> None:
    rows, columns = visualize.combined(model_core.load(shipped).parameters).shape
    assert pixels(client.get("/weights/combined.png").content).shape == (2 * rows, 2 * columns)


@pytest.mark.parametrize(
    "path",
    [
        "/weights/w2.png",
        "/weights/W1.png",
        "/weights/.png",
        "/weights/w1",
        "/weights/w1/16.png",
        "/weights/w1/-1.png",
        "/weights/w1/9999999.png",
        "/weights/w1/first.png",
        "/weights/w3/0.png",
        "/weights/w1.png?version=77",
        "/weights/w1/0.png?version=77",
    ],
)
def test_a_picture_that_there_is_not_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


@pytest.mark.parametrize("query", ["scale=0", "scale=5", "scale=1.5", "scale=big", "normalize=none", "version=0", "version=latest"])
def test_a_bad_query_is_refused_by_the_name_of_its_field(client: TestClient, query: str) -> None:
    answer = client.get(f"/weights/w1.png?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert query.partition("=")[0] in answer.json()["detail"]


@pytest.mark.parametrize("path", [*(f"/weights/{name}.png" for name in NAMES), "/weights/w1/3.png"])
def test_a_client_that_has_the_picture_gets_it_no_second_time(client: TestClient, path: str) -> None:
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert client.get(path, headers={"If-None-Match": '"another"'}).content == first.content


def test_no_two_pictures_share_an_etag(client: TestClient) -> None:
    paths = [f"/weights/{name}.png?normalize={n}&scale={s}" for name in NAMES for n in ("tile", "signed") for s in (1, 2)]
    paths += [f"/weights/w1/{unit}.png" for unit in range(3)]
    assert len({client.get(path).headers["ETag"] for path in paths}) == len(paths)


def test_each_version_has_its_own_pictures(own_client: TestClient, settings: Settings, shipped: Path) -> None:
    other = tiny.model(model_core.Recipe.from_record({**tiny.RECIPE.as_record(), "seed": 2, "epochs": 1}))
    version = add_version(settings, other)

    def picture(**query: Any) -> tuple[str, NDArray[np.uint8]]:
        answer = own_client.get("/weights/w3.png", params={"scale": 1, **query})
        return answer.headers["X-Model-Version"], pixels(answer.content)

    current, shown = picture()
    assert current == picture(version=1)[0] == "1"
    np.testing.assert_array_equal(shown, picture(version=1)[1])
    asked, others = picture(version=version)
    assert asked == str(version)
    np.testing.assert_array_equal(others, visualize.w3(other.parameters))
    assert not np.array_equal(shown, others)
    assert digest_of(shipped)[:16] in own_client.get("/weights/w3.png").headers["ETag"]


def test_a_unit_says_what_it_feeds_and_speaks_for(client: TestClient, shipped: Path) -> None:
    p = model_core.load(shipped).parameters
    facts = client.get("/weights/w1/3").json()
    assert (facts["unit"], facts["units"], facts["version"]) == (3, 16, 1)
    assert facts["bias"] == pytest.approx(float(p.b1[3]))
    strengths = [abs(feed["weight"]) for feed in facts["feeds"]]
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[0] == pytest.approx(float(np.abs(p.w2[3]).max()))
    np.testing.assert_allclose(list(facts["speaks_for"].values()), (p.w2 @ p.w3)[3], atol=1e-5)
    assert client.get(facts["picture"]).content == client.get("/weights/w1/3.png").content


def test_a_units_tile_is_where_its_facts_say_in_the_sheet(client: TestClient) -> None:
    facts = client.get("/weights/w1/6").json()
    sheet, tile = (pixels(client.get(path).content) for path in ("/weights/w1.png?scale=1", "/weights/w1/6.png?scale=1"))
    gutter, pitch = facts["gutter"], 28 + facts["gutter"]
    top, left = gutter + 6 // facts["columns"] * pitch, gutter + 6 % facts["columns"] * pitch
    np.testing.assert_array_equal(sheet[top : top + 28, left : left + 28], tile)


@pytest.mark.parametrize("path", ["/weights/w1/16", "/weights/w1/-1", "/weights/w1/x", "/weights/w1/0?version=77", "/weights/w3/0"])
def test_a_unit_that_there_is_not_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404
