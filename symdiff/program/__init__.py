"""The loop-level IR: buffers, views, loop nests, library calls, repeats; and the scheduler that makes it."""
