"""The copy engine: everything that happens without a screen. Imports neither Qt nor napari."""
