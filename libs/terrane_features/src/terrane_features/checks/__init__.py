"""What is known of a view's rows: counted before they are written, compared with the last run, and read back online."""
