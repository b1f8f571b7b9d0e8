"""Side-by-side ratios, never timed tests: each file prints its ratio with quartiles."""
