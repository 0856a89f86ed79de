"""Tables in CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symdiff.data.files import Name, read_bytes
from symdiff.ir.errors import DomainError


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a file: `numbers` (n, d) with their `names`, and the columns of `text` by name."""

    names: tuple[str, ...]
    numbers: np.ndarray
    text: dict[str, np.ndarray]


def read_csv(path: Name, delimiter: str = ",", text: Sequence[str] = ()) -> Table:
    r"""Read a table of numbers, gzipped or not, of which the columns named in `text` are kept as they are.

    The first line gives the names if one of its fields is no number; otherwise the columns are named "0", "1", ….
    Blank lines are skipped. "nan" and "inf" are numbers; an empty field is not.

    Raises: DomainError, naming line and column of what is wrong.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "flowers.csv"
    >>> _ = file.write_text("length,width,kind\n5.1,3.5,setosa\n6.2,2.9,virginica\n")
    >>> table = read_csv(file, text=["kind"])
    >>> table.names, table.numbers.tolist(), table.text["kind"].tolist()
    (('length', 'width'), [[5.1, 3.5], [6.2, 2.9]], ['setosa', 'virginica'])
    """
    wanted = (text,) if isinstance(text, str) else tuple(text)
    rows = _rows(path, delimiter)
    if not rows:
        raise DomainError(f"read_csv: {path} has no rows.")
    _, first = rows[0]
    has_names = any(_number(field) is None for field in first)
    header = tuple(f.strip() for f in first) if has_names else tuple(map(str, range(len(first))))
    body = rows[1:] if has_names else rows
    _check_names(path, header, wanted)
    for line, row in body:
        if len(row) != len(header):
            raise DomainError(f"read_csv: {path}, line {line} has {len(row)} fields, expected {len(header)}.")
    places = [k for k, name in enumerate(header) if name not in wanted]
    values = [[_read(path, line, row, k, header[k]) for k in places] for line, row in body]
    columns = {name: np.array([row[header.index(name)] for _, row in body], dtype=str) for name in wanted}
    return Table(
        tuple(header[k] for k in places), np.array(values, np.float64).reshape(len(body), len(places)), columns
    )


def _rows(path: Name, delimiter: str) -> list[tuple[int, list[str]]]:
    """The rows with the numbers of the lines on which they end, blank lines left out."""
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise DomainError(f"read_csv: delimiter is one character such as ',' or ';', got {delimiter!r}.")
    raw = read_bytes(path, "read_csv")
    try:
        stream = io.StringIO(raw.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as error:
        raise DomainError(
            f"read_csv: {path} is no text in UTF-8: byte {error.start} is {raw[error.start]:#04x}."
        ) from None
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, row) for row in reader if any(field.strip() for field in row)]
    except csv.Error as error:
        raise DomainError(f"read_csv: {path}, line {reader.line_num}: {error}.") from None


def _check_names(path: Name, header: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    double = [name for name in header if header.count(name) > 1]
    if double:
        raise DomainError(f"read_csv: {path} has two columns named {double[0]!r}.")
    missing = [name for name in wanted if name not in header]
    if missing:
        raise DomainError(f"read_csv: {path} has no column {missing[0]!r}; its columns are {', '.join(header)}.")


def _read(path: Name, line: int, row: list[str], k: int, name: str) -> float:
    number = _number(row[k])
    if number is None:
        what = repr(row[k][:40]) if row[k].strip() else "an empty field"
        raise DomainError(
            f"read_csv: {path}, line {line}, column {k + 1} ({name!r}): {what} is not a number. Columns of text are "
            "named in text=[…]."
        )
    return number


def _number(field: str) -> float | None:
    """The number that a field is, None if it is none. Python's 1_000 counts as none."""
    try:
        return None if "_" in field else float(field)
    except ValueError:
        return None
