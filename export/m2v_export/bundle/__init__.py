"""What is written: the files of a bundle, and the checks that it is held to."""
