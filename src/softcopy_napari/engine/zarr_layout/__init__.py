"""Which files a zarr dataset has, and when a chunk file is whole: read from its metadata, without zarr."""
