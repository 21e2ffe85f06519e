"""An export as Parquet: typed columns, compressed, each with its description."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pbx.records.export.columns import COLUMNS, Column, Kind, Value
from pbx.records.record_schema import SCHEMA_ID

_TYPES = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.YES_NO: pa.bool_(),
    Kind.TIME: pa.timestamp("ms", tz="UTC"),
    Kind.JSON: pa.string(),
}


class ParquetFile:
    """Rows go in, a row group a batch; `close` when all are."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        """Add a row group."""
        columns = list(zip(*rows, strict=True))
        arrays = [
            pa.array(values, field.type)
            for values, field in zip(columns, SCHEMA, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))

    def close(self) -> None:
        """Nothing more comes; the file is readable from now on."""
        self._writer.close()


def _field(column: Column) -> pa.Field:
    says = {"description": column.says, "kind": column.kind.value}
    return pa.field(column.name, _TYPES[column.kind], metadata=says)


SCHEMA = pa.schema(
    [_field(column) for column in COLUMNS], metadata={"record": SCHEMA_ID}
)
