"""Where a finished run folder goes."""
