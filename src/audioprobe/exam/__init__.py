"""What a small LTU of one's own has learned, measured on sound that it never trained on."""
