"""Ahead of time: programs as object files, shared libraries and headers that need no Python."""

from __future__ import annotations

from backends.cpu.export.build import Built, build
from backends.cpu.export.example import example
from backends.cpu.export.files import check_folder, compiler, write
from backends.cpu.export.interface import MAP, Interface, check_name, interface

__all__ = [
    "MAP",
    "Built",
    "Interface",
    "build",
    "check_folder",
    "check_name",
    "compiler",
    "example",
    "interface",
    "write",
]
