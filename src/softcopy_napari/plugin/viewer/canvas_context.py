"""Lets napari free a removed layer's graphics memory where it was allocated: in the OpenGL context of its canvas.

napari 0.9 frees it as soon as the layer is removed, in whichever context is current: between two pictures, that is the
one in which Qt puts windows together. Mesa, the OpenGL of Linux, puts off the end of a shader that another context
deletes; a later picture is then drawn without a vertex shader, and the process dies of a segmentation fault. The canvas
is reached through the listeners of the list of layers: in a napari that has it elsewhere, nothing is done.
"""

from __future__ import annotations

from typing import Any


def free_in_context(viewer: Any) -> None:
    """Make the canvas's context current whenever a layer is about to be removed; may be called more than once."""
    viewer.layers.events.removing.connect(_make_current)  # ignored where it is connected


def _make_current(event: Any) -> None:
    for callback in event.source.events.removed.callbacks:
        owner = callback[0]() if isinstance(callback, tuple) else None
        native: Any = getattr(owner, "native", None)
        if hasattr(native, "makeCurrent") and native.isValid():
            native.makeCurrent()
            _disable_attributes()


def _disable_attributes() -> None:
    """Let no vertex attribute stay enabled that would be read of a deleted buffer: vispy disables none after a draw.

    In the canvas's own context, a deleted buffer leaves behind the address zero. Some drivers read from there even what
    no shader asks for. vispy enables what a program needs before each draw.
    """
    from vispy.gloo import gl

    for attribute in range(gl.glGetParameter(gl.GL_MAX_VERTEX_ATTRIBS)):
        gl.glDisableVertexAttribArray(attribute)
