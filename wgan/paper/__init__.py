"""The papers' figures, tables and claims, one file each: docs/reproduction.md tells how to add one."""
