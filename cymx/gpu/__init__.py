"""The GPU: driver, compiler, kernels and recipes.  Importing it touches neither CUDA nor a driver."""
