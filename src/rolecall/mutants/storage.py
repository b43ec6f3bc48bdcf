"""Operators that break storage buckets."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall.mutants.model import Mutant, Operator
from rolecall.schema import Schema


class EditBucket(Operator):
    """Make a bucket public, or let it take other sizes."""

    name = "bucket-edit"
    stands_for = "Public bucket ticked in the dashboard: every object has a URL that needs no token"
    catches = "a test of the bucket's settings"
    SETTINGS = (
        "public = NOT public",
        "file_size_limit = file_size_limit + 1",
        "file_size_limit = NULL",
        "name = name || 'x'",
    )

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each setting of each bucket that the migrations made."""
        for bucket in schema.buckets:
            for setting in self.SETTINGS:
                sql = f"UPDATE storage.buckets SET {setting} WHERE id = '{bucket}'"
                yield self.mutant(f"bucket {bucket}", "storage.objects", setting, "", sql)
