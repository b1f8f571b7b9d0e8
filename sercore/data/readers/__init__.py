"""One short module per corpus: file names and label files to an item table, without decoding audio."""
