"""Operators that break storage buckets."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall.access.world import literal
from rolecall.catalog.definitions import Bucket, Schema
from rolecall.mutants.operators.operator import Mutant, Operator, Target


class EditBucket(Operator):
    """Make a bucket public, or let it take other sizes or types."""

    name = "bucket-edit"
    stands_for = "a bucket made public in the dashboard: every object has a URL that needs no token"
    catches = "a test of the bucket's settings"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each setting of each bucket that the migrations created."""
        for bucket in schema.buckets:
            for setting in self.changes(bucket):
                sql = f"UPDATE storage.buckets SET {setting} WHERE id = {literal(bucket.id).as_string()}"
                yield self.mutant(Target("bucket", bucket.id), "storage.objects", setting, "", sql)

    def changes(self, bucket: Bucket) -> Iterator[str]:
        """The changed settings."""
        yield "public = NOT public"
        if bucket.limit is not None:
            yield "file_size_limit = file_size_limit + 1"
            yield "file_size_limit = file_size_limit - 1"
            yield "file_size_limit = NULL"
        if bucket.types is not None:
            yield "allowed_mime_types = NULL"
        for kind in bucket.types or ():
            yield f"allowed_mime_types = array_remove(allowed_mime_types, {literal(kind).as_string()})"
        yield "name = name || 'x'"
