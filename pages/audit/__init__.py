"""The AuditState page."""
