"""Qt widgets that know nothing of napari: each stands alone, takes plain values, and says what was asked by signals."""
