"""GET /weights/*.png: the paper's pictures of what the network learned."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from app import answers, images, serving
from app.dependencies import DrawingsDep, PredictorDep, ReadersDep, StoreDep
from app.drawing import Drawings
from app.errors import NotFoundError
from app.schemas import Problem
from app.store import Store, models
from model_core import Model, explain, visualize
from model_core.data import CLASSES

router = APIRouter(prefix="/weights", tags=["weights"], default_response_class=Response)

SHOWN_FEEDS = 6
Name = Literal["w1", "w1-pca", "w3", "combined"]
Scale = Annotated[int, Query(ge=1, le=4, description="side in pixels of the square that shows one weight")]
Normalize = Annotated[
    visualize.Normalize, Query(description="tile: grey, each tile from its minimum to its maximum; signed: blue-white-red on one scale")
]
PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}, "description": "the picture"},
    304: {"description": "the client's copy is still right"},
}


@dataclass(frozen=True)
class Wanted:
    """The version that a request is about."""

    version: int
    sha256: str
    store: Store
    model: Model | None  # None where it does not serve, and would have to be loaded

    def load(self) -> Model:
        """The model, which may take its time."""
        if self.model is not None:
            return self.model
        with self.store.read() as db:
            return serving.load(db, self.version)


async def _wanted(
    store: StoreDep,
    predictor: PredictorDep,
    readers: ReadersDep,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="model version; the current one where missing")] = None,
) -> Wanted:
    served = predictor.served
    if version is None or version == served.version:
        return Wanted(served.version, served.sha256, store, served.model)
    return Wanted(version, await readers.do(_digest, store, version), store, None)


WantedDep = Annotated[Wanted, Depends(_wanted)]


@router.get("/{name}.png", responses=PNG)
async def picture(
    name: Name,
    request: Request,
    wanted: WantedDep,
    drawings: DrawingsDep,
    scale: Scale = 2,
    normalize: Normalize = "tile",
) -> Response:
    """A matrix as tiles: w1 (one a unit), w1-pca (its 20 principal components), w3 and combined (W1 W2 W3; one a class)."""
    return await _answer(request, wanted, drawings, (name, None, scale, normalize))


@router.get("/w1/{unit}.png", responses=PNG)
async def unit_picture(
    unit: Annotated[int, Path(ge=0, le=10**6, description="first-layer unit, from 0")],
    request: Request,
    wanted: WantedDep,
    drawings: DrawingsDep,
    scale: Scale = 4,
    normalize: Normalize = "tile",
) -> Response:
    """What one first-layer unit looks for: a 28 x 28 tile."""
    return await _answer(request, wanted, drawings, ("w1", unit, scale, normalize))


class Weight(BaseModel):
    """A connection to a second-layer unit."""

    unit: int
    weight: float


class UnitFacts(BaseModel):
    """What one first-layer unit is for, whatever the picture."""

    unit: int
    units: int = Field(description="first-layer units that there are")
    columns: int = Field(description="tiles in a row of the sheet /weights/w1.png")
    gutter: int = Field(description="white pixels around each tile of the sheet, at scale 1")
    version: int
    picture: str
    bias: float
    feeds: list[Weight] = Field(description="the second-layer units that it reaches most strongly")
    speaks_for: dict[str, float] = Field(description="what it adds to each class where no ReLU stops it: its row of W2 W3")


@router.get("/w1/{unit}", response_class=JSONResponse, responses={404: {"model": Problem}})
async def unit_facts(
    unit: Annotated[int, Path(ge=0, le=10**6, description="first-layer unit, from 0")],
    wanted: WantedDep,
    drawings: DrawingsDep,
) -> UnitFacts:
    """What one first-layer unit feeds, and which classes it speaks for."""
    model = await drawings.do(wanted.load) if wanted.model is None else wanted.model
    p = model.parameters
    units = p.hidden[0]
    if unit >= units:
        raise NotFoundError(f"there is no unit {unit}; the first layer has units 0 to {units - 1}")
    return UnitFacts(
        unit=unit,
        units=units,
        columns=visualize.grid_columns(units),
        gutter=visualize.GUTTER,
        version=wanted.version,
        picture=f"/weights/w1/{unit}.png?version={wanted.version}",
        bias=float(p.b1[unit]),
        feeds=[Weight(unit=int(k), weight=float(p.w2[unit, k])) for k in explain.strongest(p.w2[unit], SHOWN_FEEDS)],
        speaks_for=dict(zip(CLASSES, explain.speaks_for(p, unit).tolist(), strict=True)),
    )


# Which picture: its name, the unit where it is of one alone, scale and colours.
_Spec = tuple[Name, int | None, int, visualize.Normalize]


async def _answer(request: Request, wanted: Wanted, drawings: Drawings, spec: _Spec) -> Response:
    """The picture, or 304 where the client has it: a picture depends on the weights and on nothing else."""
    tag = f'"{wanted.sha256[:16]}-{"-".join(map(str, spec))}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "X-Model-Version": str(wanted.version)}
    if answers.is_known(request, tag):
        return Response(status_code=304, headers=headers)
    content = await drawings.picture(tag, partial(_draw, wanted.load, spec))
    return Response(content, media_type="image/png", headers=headers)


def _digest(store: Store, version: int) -> str:
    with store.read() as db:
        row = models.find(db, version)
    if row is None:
        raise NotFoundError(f"there is no model version {version}; GET /models lists them")
    digest: str = row.sha256
    return digest


def _draw(load: Callable[[], Model], spec: _Spec) -> bytes:
    name, unit, scale, normalize = spec
    parameters = load().parameters
    if unit is None:
        drawn = visualize.PICTURES[name](parameters, normalize)
    else:
        try:
            drawn = visualize.w1_unit(parameters, unit, normalize)
        except IndexError as error:
            raise NotFoundError(str(error)) from error
    return images.encode_png(visualize.enlarge(drawn, scale))
