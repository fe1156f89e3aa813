"""Rookie's network, by hand in NumPy: layers, gradients, training, artifacts. Needs NumPy and the standard library only.

>>> import model_core
>>> model_core.load("weights/rookie.npz").predict_proba(images)  # (N, 28, 28) uint8 -> (N, 10)
"""

from model_core.artifact import Model, load, save
from model_core.errors import RookieError
from model_core.recipe import Recipe
from model_core.training import Epoch, train

__version__ = "0.1.0"
__all__ = ["Epoch", "Model", "Recipe", "RookieError", "load", "save", "train"]
