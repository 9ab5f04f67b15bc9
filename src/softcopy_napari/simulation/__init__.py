"""A simulated microscope, which writes OME-Zarr acquisitions as a real one would."""
