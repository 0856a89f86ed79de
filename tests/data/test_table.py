"""CSV files: what is read, and what is refused with its line and column."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.data import Table, read_csv


def read(folder: Path, content: Any, **options: Any) -> Table:
    file = folder / "t.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_csv(file, **options)


def test_numbers_with_and_without_names(tmp_path: Path) -> None:
    named = read(tmp_path, "\ufeffa, b\r\n1,-2.5e3\r\n\r\n .5,inf\r\n")
    assert named.names == ("a", "b")
    np.testing.assert_array_equal(named.numbers, [[1, -2500], [0.5, np.inf]])
    plain = read(tmp_path, gzip.compress(b"1;nan\n2;3"), delimiter=";")
    assert plain.names == ("0", "1")
    np.testing.assert_array_equal(plain.numbers, [[1, np.nan], [2, 3]])


def test_columns_of_text(tmp_path: Path) -> None:
    table = read(tmp_path, 'kind,x,note\nA,1,"one, two"\nB,2,"line\nbreak"\n', text=("kind", "note"))
    assert table.names == ("x",)
    assert table.numbers.tolist() == [[1.0], [2.0]]
    assert {k: v.tolist() for k, v in table.text.items()} == {"kind": ["A", "B"], "note": ["one, two", "line\nbreak"]}
    assert read(tmp_path, "A,1\nB,2\n", text="A").numbers.tolist() == [[2.0]]


def test_names_alone(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b\n").numbers.shape == (0, 2)


def test_it_reads_what_numpy_writes(tmp_path: Path) -> None:
    values = np.random.default_rng(4).normal(size=(17, 3)) * 10.0 ** np.arange(-200, 100, 100)
    np.savetxt(tmp_path / "t.csv", values, delimiter=",")
    np.testing.assert_array_equal(read_csv(tmp_path / "t.csv").numbers, np.loadtxt(tmp_path / "t.csv", delimiter=","))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "has no rows"),
        ("\n \n", {}, "has no rows"),
        ("a,b\n1,2\n\n1,2,3\n", {}, "line 4 has 3 fields, expected 2"),
        ("a,b\n1,2\n3\n", {}, "line 3 has 1 fields, expected 2"),
        ("a,b\n1,2\n3,x1\n", {}, r"line 3, column 2 \('b'\): 'x1' is not a number. Columns of text"),
        ("a,b\n1,\n", {}, r"line 2, column 2 \('b'\): an empty field is not a number"),
        ("1,2\n3,1_000\n", {}, r"line 2, column 2 \('1'\): '1_000' is not a number"),
        ("a,a\n1,2\n", {}, "two columns named 'a'"),
        ("a,b\n1,2\n", {"text": ["c"]}, "no column 'c'; its columns are a, b"),
        ('a,b\n1,"2\n', {}, "line 2: unexpected end of data"),
        (b"a,b\n1,\xff\n", {}, "no text in UTF-8: byte 6 is 0xff"),
        ("a,b\n", {"delimiter": ", "}, "delimiter is one character"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, content: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(sd.DomainError, match=message):
        read(tmp_path, content, **options)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(sd.DomainError, match=r"read_csv: .*none\.csv cannot be read: No such file"):
        read_csv(tmp_path / "none.csv")
