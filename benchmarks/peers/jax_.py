"""JAX: one jitted step with its arrays given away, so that they are updated in place; shuffled batches cut from a NumPy array."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.turns import BATCH, L2, RATE, ROWS, SIZES, images, take_turns

Parameters = list[tuple[jax.Array, jax.Array]]


def loss(parameters: Parameters, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean cross-entropy plus the penalty."""
    for k, (w, b) in enumerate(parameters):
        x = (x if k == 0 else jax.nn.relu(x)) @ w + b
    log_p = jax.nn.log_softmax(x)
    fit = -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()
    return fit + L2 * sum((w**2).sum() for w, _ in parameters)


def step(parameters: Parameters, x: jax.Array, y: jax.Array) -> Parameters:
    """One step of gradient descent."""
    gradients = jax.grad(loss)(parameters, x, y)
    stepped: Parameters = jax.tree.map(lambda p, g: p - RATE * g, parameters, gradients)
    return stepped


def main() -> None:
    """One epoch a turn."""
    x, y = images()
    rng = np.random.default_rng(0)
    shapes = itertools.pairwise(SIZES)
    parameters = [(jnp.asarray(rng.normal(0, (2 / a) ** 0.5, (a, b)), jnp.float32), jnp.zeros(b)) for a, b in shapes]
    fast = jax.jit(step, donate_argnums=0)

    def epoch() -> None:
        nonlocal parameters
        order = rng.permutation(ROWS)
        for start in range(0, ROWS, BATCH):
            index = order[start : start + BATCH]
            parameters = fast(parameters, x[index], y[index])
        jax.block_until_ready(parameters)

    take_turns(epoch)


if __name__ == "__main__":
    main()
