"""Reports: availability, incidents by cause, times to detect and acknowledge."""
