"""Networks judged on annotated pictures."""
