"""What the chapters show: tables and sentences made from tidy rows; a page calls a handful of these and defines nothing."""
