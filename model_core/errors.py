"""What can go wrong with data, recipes, training and artifacts. Knows no HTTP.

RookieError
├── DataError
│   ├── DataMissingError      a file of the dataset is not there
│   ├── DataFormatError       a file is there and is not what its name says
│   └── DownloadError         no source gave the file
├── RecipeError               a recipe's field has a value that it cannot have
├── DivergenceError           the loss stopped being a number, or the weights grew beyond use
└── ArtifactError
    ├── ArtifactMissingError  no such file
    └── ArtifactFormatError   not a Rookie artifact, or a damaged one
"""


class RookieError(Exception):
    """Base of every error that model_core raises on purpose; its text is meant for a person."""


class DataError(RookieError):
    """Something is wrong with the dataset's files."""


class DataMissingError(DataError):
    """A file of the dataset is not in the data folder."""


class DataFormatError(DataError):
    """A file of the dataset has the wrong magic number, counts, size or checksum."""


class DownloadError(DataError):
    """None of a file's sources delivered it."""


class RecipeError(RookieError):
    """A field of a recipe has a value outside its bounds."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class DivergenceError(RookieError):
    """Training produced a loss that is not finite, or weights that no artifact may have; `fault` says which."""

    def __init__(self, epoch: int, step: int, learning_rate: float, fault: str = "the loss stopped being finite") -> None:
        super().__init__(
            f"{fault} in epoch {epoch}, step {step}, at a learning rate of {learning_rate:g};"
            f" lower learning_rate (try {learning_rate / 4:.2g}), or momentum where it is above 0.9"
        )
        self.epoch = epoch
        self.step = step
        self.learning_rate = learning_rate


class ArtifactError(RookieError):
    """Something is wrong with a weights file."""


class ArtifactMissingError(ArtifactError):
    """There is no weights file at that path."""


class ArtifactFormatError(ArtifactError):
    """A weights file is damaged, hostile, or not one of ours."""
