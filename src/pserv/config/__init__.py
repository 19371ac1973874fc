"""Files to specs: reads what a user wrote, tells all mistakes at once, yields the accepted document."""
