"""An audit as cases, tables and a page to keep."""
