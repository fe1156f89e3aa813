"""What goes in and out over HTTP. The training request is derived from Recipe: its fields, bounds and help stand there alone."""

import hashlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator
from pydantic_core import PydanticCustomError

from model_core import Recipe
from model_core.recipe import FIELDS, PRESETS

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Stage = Literal["fetching data", "loading data", "training", "evaluating", "publishing"]
Promote = Literal["if-better", "always", "never"]
MOST_FIELDS = 100  # of a request's body; a training request has twenty


class ServedModel(BaseModel):
    """Which model gave an answer."""

    version: int
    sha256: str = Field(description="digest of the weights file")


class Preparation(BaseModel):
    """What was done to a photograph."""

    width: int = Field(description="of what came in, in pixels")
    height: int
    inverted: bool = Field(description="whether light and dark were exchanged, so that the garment is light on a dark ground")
    steps: list[str] = Field(description="what was done, in order")
    picture: str | None = Field(description="what the network sees, 28 x 28, as a data URL; null unless asked for")


class Prediction(BaseModel):
    """A classified image."""

    label: str
    index: int = Field(description="number of the class, 0 to 9")
    confidence: float = Field(description="probability of the label, 0 to 1")
    probabilities: dict[str, float] = Field(description="probability of each class by name, 0 to 1")
    unfamiliar: bool | None = Field(description="whether the picture is like nothing in training; null where the model's card cannot say")
    model: ServedModel
    prepared: Preparation | None = Field(default=None, description="only with prepare=photo")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    error: str = Field(description="the detail again")


class BatchPrediction(BaseModel):
    """Classified images, in the order in which they came; a file that is no picture of ours has a problem document instead."""

    predictions: list[Prediction | Problem]


class Promotion(BaseModel):
    """Whether a trained model serves, and why."""

    promoted: bool
    reason: str


class Job(BaseModel):
    """A training job."""

    id: int
    status: JobStatus
    stage: Stage | None
    progress: float = Field(description="0 to 1")
    epoch: int = Field(description="epochs done")
    epochs: int
    eta_seconds: float | None
    recipe: dict[str, Any]
    promote: Promote
    attempt: int = Field(description="how many trainers have worked on it; a killed one is replaced")
    created: str
    started: str | None
    finished: str | None
    metrics: dict[str, Any] | None = Field(description="figures of the last epoch; at the end also test_accuracy")
    version: int | None = Field(description="model version that it published")
    promotion: Promotion | None
    error: Problem | None
    links: dict[str, str]


class JobList(BaseModel):
    """Training jobs, newest first."""

    jobs: list[Job]


class History(BaseModel):
    """What each epoch of a job did."""

    epochs: list[dict[str, Any]]


class Version(BaseModel):
    """A model version."""

    version: int
    sha256: str
    source: Literal["shipped", "trained", "uploaded"]
    job: int | None
    created: str
    current: bool
    validation_accuracy: float
    test_accuracy: float
    links: dict[str, str]


class VersionDetail(Version):
    """A model version with its whole card."""

    card: dict[str, Any]


class VersionList(BaseModel):
    """Model versions, newest first."""

    current: int | None = Field(description="the version that serves")
    previous: int | None = Field(description="the version that served before it: the one to roll back to")
    models: list[Version]


class Upload(BaseModel):
    """A model that came from outside, and whether it serves."""

    model: VersionDetail
    promotion: Promotion


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 5.0 is as whole as 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)


class _Request(BaseModel):
    """The body of a request: fields that we know, and not thousands of others, each of which would make an error of its own."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _insist_on_few(cls, body: Any) -> Any:
        if isinstance(body, dict) and len(body) > MOST_FIELDS:
            raise PydanticCustomError("too_many_fields", f"the body has {len(body)} fields; {MOST_FIELDS} are the most")
        return body


class Activation(_Request):
    """Which version is to serve."""

    version: Annotated[int, Field(ge=1, le=2**31 - 1), WHOLE]


def _request_field(name: str) -> Any:
    """Type and constraints of one optional Recipe field, from its metadata: what create_model takes."""
    field = FIELDS[name]
    choices, default = field.metadata["choices"], Field(None, description=field.metadata["help"])
    if choices:
        return Literal[choices] | None, default
    bounds = Field(ge=field.metadata["low"], le=field.metadata["high"])
    if name == "hidden":
        return Annotated[list[Annotated[int, bounds, WHOLE]], Field(min_length=2, max_length=2)] | None, default
    return (Annotated[float, bounds] if field.type is float else Annotated[int, bounds, WHOLE]) | None, default


class _TrainingRequest(_Request):
    """How to train. Each field that is left out is that of the preset."""

    recipe: str = Field(default="quick", description="preset to start from", json_schema_extra={"enum": list(PRESETS)})
    promote: Promote = Field(
        default="if-better", description="whether the new model is to serve: if it is at least as good, always, or never"
    )

    def resolved(self, entropy: int) -> Recipe:
        """The whole recipe; a missing seed is `entropy`. Raises RecipeError."""
        changes = self.model_dump(exclude={"recipe", "promote"}, exclude_none=True)
        return Recipe.preset(self.recipe, **changes).seeded(entropy)

    def digest(self) -> str:
        """What tells this request from another: SHA-256 of what it asks for."""
        return hashlib.sha256(self.model_dump_json(exclude_none=True).encode()).hexdigest()


_recipe_fields: dict[str, Any] = {name: _request_field(name) for name in FIELDS if name != "name"}
TrainingRequest = create_model("TrainingRequest", __base__=_TrainingRequest, __doc__=_TrainingRequest.__doc__, **_recipe_fields)
