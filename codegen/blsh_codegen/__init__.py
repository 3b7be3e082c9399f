"""Turn a BLSH model file into fixed-point C and prove the C equal to the integer reference."""
