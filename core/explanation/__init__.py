"""Why a network answers as it does: gates, attention, attributions, and maps over a scan."""
