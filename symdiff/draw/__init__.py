"""Draw: curves and maps in the terminal, for what runs show on the way and for the command line."""
