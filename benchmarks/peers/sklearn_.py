"""scikit-learn: MLPClassifier with plain SGD, one epoch of fit() after another."""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.peers.turns import BATCH, L2, RATE, SIZES, images, take_turns


def main() -> None:
    """One epoch a turn."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    x, y = images()
    options = {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False, "learning_rate_init": RATE, "alpha": 2 * L2}
    classifier = MLPClassifier(SIZES[1:-1], batch_size=BATCH, max_iter=1, warm_start=True, random_state=0, **options)
    take_turns(lambda: classifier.fit(x, y))


if __name__ == "__main__":
    main()
