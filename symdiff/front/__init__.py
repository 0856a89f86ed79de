"""What you type: symbols, functions, indexing, text, SymPy, printing."""
