"""Indexes of a kind that a stand-in for an extension lacks: they only make a query faster, and no test needs them."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from rolecall.dump.nodes import Node, node_of, text_of

KINDS = ("hnsw", "ivfflat")  # those of the extension vector
CONSTANT = "CREATE INDEX ON a ((true))"


def make_plain(connection: Connection[Any], node: Node) -> bool:
    """Make an index on a constant instead: later statements find its name. Returns whether that was done.

    It is done for one of :data:`KINDS` that the server lacks. ``node`` is the CREATE INDEX, which is changed.
    """
    kind = node.tree.access_method
    if kind not in KINDS or connection.execute("SELECT 1 FROM pg_am WHERE amname = %s", [kind]).fetchone():
        return False
    constant = node_of(CONSTANT)
    assert constant
    node.tree.access_method = constant.tree.access_method
    del node.tree.options[:], node.tree.index_params[:]
    node.tree.index_params.extend(constant.tree.index_params)
    connection.execute(text_of(node).encode())
    return True
