"""Texts that dumps have."""

from __future__ import annotations

from pathlib import Path

ROLE = "dump_migrator"  # as `postgres` on Supabase: no superuser
TOOL_LIBRARY = Path(__file__).with_name("tool_library.sql")

PROLOGUE = """\
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET row_security = off;
"""
NOTES = """\
CREATE TABLE public.notes (id integer NOT NULL, author uuid, body text);
"""
