"""The shipped model is what it says it is."""

from pathlib import Path

from model_core import artifact, card

WEIGHTS = Path(__file__).parent.parent / "weights"


def test_the_shipped_model_has_the_digest_and_the_card_beside_it() -> None:
    content = (WEIGHTS / "rookie.npz").read_bytes()
    digest = artifact.sha256(content)
    assert (WEIGHTS / "SHA256SUMS").read_text() == f"{digest}  rookie.npz\n"
    assert (WEIGHTS / "README.md").read_text() == card.to_markdown(artifact.from_bytes(content, "rookie.npz").card, digest)
