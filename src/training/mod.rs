//! The training run: configuration, samples, optimiser, loop, checkpoints, and the bundle at its end.
