//! The burn modules of the model families and the kernels under them. Knows no HTTP and no files.
