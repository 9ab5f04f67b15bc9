"""The layers in the viewer: the image that is being written, and the coverage over it."""
