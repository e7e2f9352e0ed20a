"""The stages of `dvc.yaml`, one module each: read inputs, call pure functions, write outputs."""
