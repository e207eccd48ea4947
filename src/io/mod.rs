//! Host files to host arrays and back. Nothing here knows a GPU.
