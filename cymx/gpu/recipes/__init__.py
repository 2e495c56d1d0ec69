"""One module a family of kernel rows; importing this registers them all."""
