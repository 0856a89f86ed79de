"""What people see: tables, heat maps, plots, the command line and the prompt."""
