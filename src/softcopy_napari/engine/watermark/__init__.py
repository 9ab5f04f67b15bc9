"""The watermark: how far a copy is complete, in a file beside the destination that anybody can follow."""
