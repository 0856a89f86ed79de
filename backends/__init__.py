"""The targets: one folder each turns a `Program` into something callable."""
